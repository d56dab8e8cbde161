"""What would be published is checked, and each fault of it is found; so are the workflows."""

from __future__ import annotations

import importlib.util
import io
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from datetime import date
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import yaml

from . import release
from .each import each
from .release import ROOT, ReleaseError

TODAY = date(2026, 3, 1)
CHECKOUT = {
    "rudder_logging/__init__.py": "",
    "rudder_logging/_version.py": '"""The version."""\n\n__version__ = "1.2.0"\n',
    "rudder_logging/py.typed": "",
    "rudder_logging/pytest_plugin.py": "plugin = 1\n",
    "rudder_logging/guides/index.md": "# Guides\n",
    "rudder_logging/guides/serve.png": "png",
    "rudder_logging/guides/benchmarks.svg": "svg",
    "rudder_logging/dataplane/live/static/index.html": "page",
    "rudder_logging/__pycache__/__init__.cpython-311.pyc": "cache",
    "tests/__init__.py": "",
    "examples/quickstart.py": "",
    "README.md": "# rudder_logging\n",
    "CHANGELOG.md": "# Changelog\n",
    "LICENSE": "MIT",
}
ABOUT = "rudder_logging-1.2.0.dist-info"
METADATA = "Metadata-Version: 2.4\nName: rudder-logging\nVersion: 1.2.0\n"

has_workflows = pytest.mark.skipif(
    not (ROOT / ".github").exists(), reason="an sdist has no workflows"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small one."""
    root = tmp_path / "checkout"
    for name, text in CHECKOUT.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def wheel_of(folder: Path, **changes: str | None) -> Path:
    """A wheel of the small checkout; some files are other ones, or missing."""
    contents: dict[str, str | None] = {
        name.replace("rudder_logging/pytest_plugin.py", "_rudder_logging_pytest.py"): text
        for name, text in CHECKOUT.items()
        if name.startswith("rudder_logging/") and "__pycache__" not in name
    }
    contents |= {f"{ABOUT}/METADATA": METADATA, f"{ABOUT}/licenses/LICENSE": "MIT", **changes}
    path = folder / "rudder_logging-1.2.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in contents.items():
            if text is not None:
                archive.writestr(name, text)
    return path


def test_good_wheel_passes(checkout: Path, tmp_path: Path) -> None:
    """With each file of the package; what Python has cached beside them is none."""
    assert release.check_wheel(wheel_of(tmp_path), checkout)["Version"] == "1.2.0"


@each(
    ("name", "text", "fault"),
    [
        ("rudder_logging/guides/index.md", None, "lacks .*index.md"),
        ("rudder_logging/guides/serve.png", None, "lacks .*serve.png"),
        ("rudder_logging/dataplane/live/static/index.html", None, "lacks .*index.html"),
        ("_rudder_logging_pytest.py", None, "lacks .*pytest_plugin"),
        ("_rudder_logging_pytest.py", "plugin = 2\n", "not the checkout's"),
        ("rudder_logging/__init__.py", "import os\n", "__init__.py is not the checkout's"),
        ("tests/__init__.py", "", "more than the checkout: .*tests"),
        ("rudder_logging/__pycache__/a.pyc", "", "more than the checkout: .*pycache"),
        (f"{ABOUT}/licenses/LICENSE", None, "has no .*LICENSE"),
        (f"{ABOUT}/METADATA", METADATA.replace("1.2.0", "1.1.0"), "says that it is 1.1.0"),
    ],
)
def test_wheel_with_a_fault_is_refused(
    checkout: Path, tmp_path: Path, name: str, text: str | None, fault: str
) -> None:
    """Each thing that users would miss, or get too much of."""
    with pytest.raises(ReleaseError, match=fault):
        release.check_wheel(wheel_of(tmp_path, **{name: text}), checkout)


@each(
    "name", ["py.typed", "guides/index.md", "guides/serve.png", "dataplane/live/static/index.html"]
)
def test_what_the_checkout_lacks_is_missed(checkout: Path, tmp_path: Path, name: str) -> None:
    """A wheel that is like a checkout without types, guides or pages is not fit either."""
    path = checkout / "rudder_logging" / name
    kept = path.read_text()
    path.unlink()
    try:
        with pytest.raises(ReleaseError, match="has no rudder_logging"):
            release.check_wheel(wheel_of(tmp_path, **{f"rudder_logging/{name}": None}), checkout)
    finally:
        path.write_text(kept)


@each(
    ("change", "fault"),
    [
        ({}, None),
        ({"tests/__init__.py": None}, "lacks .*tests/__init__.py"),
        ({"tests/__pycache__/a.pyc": ""}, "more than the checkout: .*a.pyc"),
        ({"notes.txt": ""}, "more than the checkout: .*notes.txt"),
    ],
)
def test_sdist_has_package_tests_and_examples(
    checkout: Path, tmp_path: Path, change: dict[str, str | None], fault: str | None
) -> None:
    """All of them, no cache, and nothing that lies about."""
    files = [name for name in CHECKOUT if "__pycache__" not in name]
    contents: dict[str, str | None] = dict.fromkeys(
        [*files, "PKG-INFO", "pyproject.toml", ".gitignore"], ""
    )
    path = tmp_path / "rudder_logging-1.2.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {**contents, **change}.items():
            if text is not None:
                archive.addfile(tarfile.TarInfo(f"rudder_logging-1.2.0/{name}"), io.BytesIO())
    if fault is None:
        release.check_sdist(path, checkout)
    else:
        with pytest.raises(ReleaseError, match=fault):
            release.check_sdist(path, checkout)


def test_wheels_that_differ_are_refused(tmp_path: Path) -> None:
    """Those of sdist and checkout have to be one."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one = wheel_of(tmp_path / "one")
    release.check_same(one, wheel_of(tmp_path / "other"))
    other = wheel_of(tmp_path / "other", **{"rudder_logging/py.typed": "partial\n"})
    with pytest.raises(ReleaseError, match=re.escape("['rudder_logging/py.typed']")):
        release.check_same(one, other)


ENTRY = "## 1.2.0 (2026-02-28)\n\n- A line.\n"
OLDER = "## 1.1.0 (2026-01-31)\n\n- A line.\n"


@each(
    ("text", "is_release", "fault"),
    [
        (ENTRY + OLDER, True, None),
        (ENTRY + OLDER, False, None),
        (ENTRY.replace("2026-02-28", "unreleased") + OLDER, False, None),
        (ENTRY.replace("2026-02-28", "unreleased") + OLDER, True, "write the day of the release"),
        (ENTRY + OLDER.replace("2026-01-31", "unreleased"), False, "calls 1.1.0 unreleased"),
        (OLDER, False, "begins with 1.1.0, rudder_logging/_version.py has 1.2.0"),
        (ENTRY.replace("- A line.", ""), True, "says nothing of 1.2.0"),
        (ENTRY.replace("- A line.\n", "") + OLDER, True, "says nothing of 1.2.0"),
        (ENTRY.replace("2026-02-28", "2026-02-30"), True, "'2026-02-30' is no day"),
        (ENTRY.replace("2026-02-28", "2026-03-02"), True, "2026-03-02 is yet to come"),
        (ENTRY + OLDER.replace("2026-01-31", "2026-03-01"), True, "the newest entry comes first"),
        ("## Unreleased\n\n- A line.\n" + OLDER, False, "not .*Unreleased"),
        ("# Changelog\n", False, "an entry is"),
    ],
)
def test_changelog_begins_with_the_version(text: str, is_release: bool, fault: str | None) -> None:
    """With a day at a release, and without one at most before it."""
    if fault is None:
        release.check_changelog(text, "1.2.0", is_release=is_release, today=TODAY)
    else:
        with pytest.raises(ReleaseError, match=fault):
            release.check_changelog(text, "1.2.0", is_release=is_release, today=TODAY)


def test_classifiers_name_pythons_that_ci_runs() -> None:
    """No other, and some."""
    metadata = Message()
    workflow = "  python-version: |\n    3.12\n    3.13\n"
    with pytest.raises(ReleaseError, match="name the Pythons"):
        release.check_pythons(metadata, workflow)
    metadata["Classifier"] = "Programming Language :: Python :: 3 :: Only"
    metadata["Classifier"] = "Programming Language :: Python :: 3.13"
    release.check_pythons(metadata, workflow)
    metadata["Classifier"] = "Programming Language :: Python :: 3.15"
    with pytest.raises(ReleaseError, match=re.escape("3.15")):
        release.check_pythons(metadata, workflow)


def test_tag_is_the_version(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is built."""
    assert release.main(["--tag", "v1.1.0"], checkout) == 1
    assert "the tag is v1.1.0, the version 1.2.0: tag v1.2.0" in capsys.readouterr().err
    assert not (checkout / "dist").exists()


def test_what_was_built_before_is_not_mistaken(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An old wheel would be published with the new one."""
    (checkout / "CHANGELOG.md").write_text(ENTRY.replace("2026-02-28", "2020-02-28"))
    (checkout / "dist").mkdir()
    (checkout / "dist" / "old.whl").touch()
    assert release.main([], checkout) == 1
    assert "is not empty" in capsys.readouterr().err


@has_workflows
def test_workflow_runs_what_ci_looks_for() -> None:
    """The Pythons of `.ci/run`, and the default one last."""
    steps = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["ci"]["steps"]
    (pythons,) = (s["with"]["python-version"].split() for s in steps if "setup-python" in str(s))
    ci = (ROOT / ".ci/run").read_text()
    looked_for = re.search(r"^for version in ([\d. ]+); do$", ci, re.MULTILINE)
    assert looked_for
    *beside, default = pythons
    assert beside == looked_for[1].split()
    assert default not in beside
    assert steps[-1] == {"run": "bash .ci/run"}


@has_workflows
def test_workflows_publish_only_what_was_checked() -> None:
    """CI, then the build and its checks, then the upload of that, by a token for this job alone."""
    workflow: Any = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    jobs = workflow["jobs"]
    assert workflow[True] == {"push": {"tags": ["v*"]}}  # YAML's word for `on`
    assert jobs["build"]["needs"] == "ci"
    assert jobs["publish"]["needs"] == "build"
    assert any("tests.release --tag" in step.get("run", "") for step in jobs["build"]["steps"])
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets." not in str(workflow)


@has_workflows
@pytest.mark.skipif(importlib.util.find_spec("check_jsonschema") is None, reason="not here")
def test_workflows_follow_the_schema() -> None:
    """Of GitHub's workflows, which check-jsonschema brings."""
    names = ("--builtin-schema", "vendor.github-workflows")
    check("check-jsonschema", *names, *map(str, (ROOT / ".github/workflows").glob("*.yml")))


def zizmor() -> str | None:
    """The program; its package puts it beside Python."""
    return shutil.which("zizmor", path=str(Path(sys.executable).parent))


@has_workflows
@pytest.mark.skipif(zizmor() is None, reason="no zizmor here")
def test_workflows_are_safe() -> None:
    """Actions are pinned, no credential stays, no text of others' becomes a command."""
    check("zizmor", "--offline", "--no-progress", "--pedantic", str(ROOT / ".github/workflows"))


def check(name: str, *arguments: str) -> None:
    """Run a linter beside Python, which has to find nothing."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / name), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
