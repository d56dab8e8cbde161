"""Builds what would be published, and checks it.

    python -m tests.release --unreleased    # a checkout between two releases, as CI has it
    python -m tests.release --tag v1.2.0    # a release

It needs `build` and `twine` only, and leaves sdist and wheel in `dist/`.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timezone
from email.message import Message
from email.parser import BytesParser
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

__all__ = [
    "ReleaseError",
    "check_changelog",
    "check_pythons",
    "check_same",
    "check_sdist",
    "check_wheel",
    "main",
    "version_of",
]

ROOT = Path(__file__).parent.parent
_PACKAGE = "rudder_logging"
_PLUGIN = "_rudder_logging_pytest.py"
"""The place that a wheel has for `pytest_plugin.py`: see pyproject.toml."""
_IN_EVERY_WHEEL = (
    f"{_PACKAGE}/__init__.py",
    f"{_PACKAGE}/py.typed",
    f"{_PACKAGE}/guides/index.md",
    f"{_PACKAGE}/guides/*.png",
    f"{_PACKAGE}/guides/*.svg",
    f"{_PACKAGE}/dataplane/live/static/*",
    "*.dist-info/licenses/LICENSE",
)
_IN_SDIST = (_PACKAGE, "tests", "examples", "README.md", "CHANGELOG.md", "LICENSE")
_SDIST_ADDS = {"PKG-INFO", "pyproject.toml", ".gitignore"}
_HEADING = re.compile(r"^## (?P<version>\S+) \((?P<when>[^)]+)\)$", re.MULTILINE)


class ReleaseError(Exception):
    """What was built, or says what was built, is not fit to be published."""


def version_of(root: Path) -> str:
    """The version, from the only place that has it."""
    path = root / _PACKAGE / "_version.py"
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            return str(node.value.value)
    raise ReleaseError(f"{path} sets no version")


def check_changelog(text: str, version: str, *, is_release: bool, today: date) -> None:
    """Hold the changelog's top entry to the version; at a release, it has to have a day."""
    headings = list(_HEADING.finditer(text))
    lines = re.findall(r"^## .*$", text, re.MULTILINE)
    if not headings or len(headings) != len(lines):
        odd = [line for line in lines if not _HEADING.match(line)]
        raise ReleaseError(f"CHANGELOG.md: an entry is `## 1.2.0 (2026-01-31)`, not {odd}")
    top = headings[0]
    if top["version"] != version:
        raise ReleaseError(
            f"CHANGELOG.md begins with {top['version']}, {_PACKAGE}/_version.py has {version}"
        )
    if not any(line.startswith("- ") for line in _entry(text, headings).splitlines()):
        raise ReleaseError(f"CHANGELOG.md says nothing of {version}")
    unreleased = [one["version"] for one in headings if one["when"] == "unreleased"]
    if unreleased and (is_release or unreleased != [version]):
        raise ReleaseError(
            f"CHANGELOG.md calls {', '.join(unreleased)} unreleased: write the day of the release"
        )
    days = [_day(one) for one in headings if one["when"] != "unreleased"]
    if days != sorted(days, reverse=True):
        raise ReleaseError("CHANGELOG.md: the newest entry comes first")
    if days and days[0] > today:
        raise ReleaseError(f"CHANGELOG.md: {days[0]} is yet to come")


def _entry(text: str, headings: Sequence[re.Match[str]]) -> str:
    return text[headings[0].end() : headings[1].start() if len(headings) > 1 else len(text)]


def _day(heading: re.Match[str]) -> date:
    try:
        return date.fromisoformat(heading["when"])
    except ValueError:
        raise ReleaseError(f"CHANGELOG.md: {heading['when']!r} is no day") from None


def _files(root: Path, names: Iterable[str]) -> set[str]:
    """All files below, as archives name them; no caches."""
    found = (path for name in names for path in ((root / name), *(root / name).rglob("*")))
    return {
        path.relative_to(root).as_posix()
        for path in found
        if path.is_file() and "__pycache__" not in path.parts
    }


def _compare(archive: Path, found: set[str], expected: set[str]) -> None:
    if found != expected:
        raise ReleaseError(
            f"{archive.name} lacks {sorted(expected - found)}, "
            f"and has more than the checkout: {sorted(found - expected)}"
        )


def check_wheel(wheel: Path, root: Path) -> Message:
    """Hold a wheel to the checkout: each file of the package, unchanged, and no other.

    Returns:
        Its metadata.
    """
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    about = {name for name in contents if PurePosixPath(name).parts[0].endswith(".dist-info")}
    own = {name: _source_of(name) for name in set(contents) - about}
    _compare(wheel, set(own.values()), _files(root, [_PACKAGE]))
    for pattern in _IN_EVERY_WHEEL:
        if not any(fnmatchcase(name, pattern) for name in contents):
            raise ReleaseError(f"{wheel.name} has no {pattern}")
    for name, source in own.items():
        if contents[name] != (root / source).read_bytes():
            raise ReleaseError(f"{wheel.name}: {name} is not the checkout's")
    (metadata,) = (name for name in about if name.endswith("/METADATA"))
    told = BytesParser().parsebytes(contents[metadata])
    if told["Version"] != version_of(root):
        raise ReleaseError(f"{wheel.name} says that it is {told['Version']}")
    return told


def _source_of(name: str) -> str:
    return f"{_PACKAGE}/pytest_plugin.py" if name == _PLUGIN else name


def check_sdist(sdist: Path, root: Path) -> None:
    """Hold an sdist to the checkout: package, tests and examples."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    _compare(sdist, names, _files(root, _IN_SDIST) | _SDIST_ADDS)


def check_same(one: Path, other: Path) -> None:
    """Hold the wheel that the sdist makes to the one that the checkout makes."""
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
        names = {*first.namelist(), *second.namelist()}
        known = {*first.namelist()} & {*second.namelist()}
        differing = {n for n in names if n not in known or first.read(n) != second.read(n)}
    if differing:
        raise ReleaseError(f"sdist and checkout make different wheels: {sorted(differing)}")


def check_pythons(metadata: Message, workflow: str) -> None:
    """Hold the classifiers to the Pythons that the workflow of CI installs."""
    classifiers = metadata.get_all("Classifier", [])
    classified = re.findall(r":: (3\.\d+)$", "\n".join(classifiers), re.MULTILINE)
    run = re.findall(r"^ +(3\.\d+)$", workflow, re.MULTILINE)
    if not classified or not set(classified) <= set(run):
        raise ReleaseError(f"classifiers name the Pythons {classified}, CI runs {run}")


def _run(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"python -m {' '.join(command)} fails:\n{done.stdout}")


def _build(root: Path, folder: Path) -> tuple[Path, Path]:
    """The sdist, and the wheel that is made of it."""
    if folder.exists() and any(folder.iterdir()):
        raise ReleaseError(f"{folder} is not empty: remove what was built before")
    _run("build", "--outdir", str(folder), str(root))
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def _release(root: Path, folder: Path, *, is_release: bool, tag: str | None) -> None:
    version = version_of(root)
    if tag is not None and tag != f"v{version}":
        raise ReleaseError(f"the tag is {tag}, the version {version}: tag v{version}")
    today = datetime.now(timezone.utc).date()
    text = (root / "CHANGELOG.md").read_text()
    check_changelog(text, version, is_release=is_release, today=today)
    sdist, wheel = _build(root, folder)
    _run("twine", "check", "--strict", str(sdist), str(wheel))
    check_sdist(sdist, root)
    metadata = check_wheel(wheel, root)
    check_pythons(metadata, (root / ".github" / "workflows" / "ci.yml").read_text())
    with tempfile.TemporaryDirectory() as other:
        _run("build", "--wheel", "--outdir", other, str(root))
        check_same(wheel, next(Path(other).glob("*.whl")))


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Do it; 0: what stands in the folder may be published."""
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--unreleased", action="store_true", help="take an entry without a day")
    which.add_argument("--tag", help="the tag that is to be published, v1.2.0 say")
    parser.add_argument("--outdir", type=Path, default=root / "dist")
    given = parser.parse_args(arguments)
    try:
        _release(root, given.outdir, is_release=not given.unreleased, tag=given.tag)
    except ReleaseError as error:
        sys.stderr.write(f"not fit to be published: {error}\n")
        return 1
    built = ", ".join(sorted(path.name for path in given.outdir.iterdir()))
    sys.stdout.write(f"fit to be published: {built}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
