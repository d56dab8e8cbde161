"""Which files are looked at, and what becomes of their text besides."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rudder_logging.cli import main
from rudder_logging.cli.common import ExitCode

OLD = "import segment.analytics as analytics\n\nanalytics.host = HOST\nanalytics.track('u', 'e')\n"
NEW = OLD.replace("segment.analytics", "rudder_logging")
CapSys = pytest.CaptureFixture[str]


def put(path: Path, text: str = OLD, encoding: str = "utf-8") -> Path:
    """Write a file, and the folders that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def test_directories_are_walked_but_not_what_others_made(tmp_path: Path, capsys: CapSys) -> None:
    """Virtual environments by any name, what begins with a dot, what was built or installed."""
    ours = [put(tmp_path / name) for name in ("a.py", "deep/er/b.py", "stubs/c.pyi")]
    others = [
        put(tmp_path / name)
        for name in (".git/x.py", ".venv/x.py", "env/x.py", "node_modules/x.py", "build/x.py")
    ]
    others += [put(tmp_path / "notes.md"), put(tmp_path / "lib/site-packages/x.py")]
    put(tmp_path / "env/pyvenv.cfg", "home = /usr/bin\n")
    (tmp_path / "link.py").symlink_to(ours[0])
    assert main(["migrate", str(tmp_path), str(ours[0]), "--write"]) == ExitCode.OK
    assert [path.read_text() for path in ours] == [NEW] * 3
    assert [path.read_text() for path in others] == [OLD] * len(others)
    assert "3 files changed" in capsys.readouterr().err


def test_what_can_not_be_read_is_told_and_left(tmp_path: Path, capsys: CapSys) -> None:
    """A syntax error, a wrong encoding, nesting without end; what else there is moves."""
    good = put(tmp_path / "good.py")
    faulty = {
        "of_python_2.py": (OLD + "print 'x'\n").encode(),
        "not_utf_8.py": ("# Kr\xe4nze\n" + OLD).encode("latin-1"),
        "no_codec.py": ("# -*- coding: klingon -*-\n" + OLD).encode(),
        "nested.py": (OLD + f"x = {'[' * 500}{']' * 500}\n").encode(),
    }
    for name, content in faulty.items():
        (tmp_path / name).write_bytes(content)
    assert main(["migrate", str(tmp_path), "--write"]) == ExitCode.FAILED
    told = capsys.readouterr().err
    assert good.read_text() == NEW
    for name, content in faulty.items():
        assert (tmp_path / name).read_bytes() == content
        assert f"{tmp_path / name}: left as it is: " in told
    assert "of_python_2.py: left as it is: line 5: a syntax error" in told
    assert "1 file changed; 4 left as they are" in told


@pytest.mark.parametrize(
    ("encoding", "first"),
    [
        ("utf-8", ""),
        ("utf-8", "# Kr\xe4nze \N{BOUQUET}\n"),
        ("utf-8-sig", ""),
        ("latin-1", "# coding: latin-1\n# Kr\xe4nze\n"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\f\nif True :\n\tx = (1,\n   2 )  # odd\n\n\n", "x = 1"])
def test_all_else_stays_as_it_is(
    tmp_path: Path, encoding: str, first: str, newline: str, end: str
) -> None:
    """Encoding, mark at the beginning, ends of lines, tabs, spaces, and no newline at the end."""
    path = put(tmp_path / "a.py", (first + OLD + end).replace("\n", newline), encoding)
    path.chmod(0o750)
    assert main(["migrate", str(path), "--write"]) == ExitCode.OK
    assert path.read_bytes() == (first + NEW + end).replace("\n", newline).encode(encoding)
    assert path.stat().st_mode & 0o777 == 0o750


def test_an_app_may_have_a_module_of_that_name(tmp_path: Path, capsys: CapSys) -> None:
    """Then nobody knows whose `analytics` is imported; within a package, it is not meant."""
    text = "import analytics\nanalytics.host = HOST\nanalytics.track('u', 'e')\n"
    path = put(tmp_path / "main.py", text)
    put(tmp_path / "shop/__init__.py", "")
    wrapper = put(tmp_path / "shop/analytics.py", text)
    assert main(["migrate", str(tmp_path), "--write"]) == ExitCode.OK
    assert wrapper.read_text() == path.read_text() == "import rudder_logging as " + text[7:]
    put(path, text)
    put(wrapper, text)
    own = put(tmp_path / "analytics/__init__.py", "def track(*args): ...\n").parent
    assert main(["migrate", str(tmp_path), "--check"]) == ExitCode.FAILED
    assert main(["migrate", str(tmp_path), "--write"]) == ExitCode.OK
    assert path.read_text() == text
    assert f"{path}:1: is this analytics {own}, or Segment's SDK?" in capsys.readouterr().err


def test_another_module_analytics_is_left(tmp_path: Path, capsys: CapSys) -> None:
    """One that has none of the calls is no SDK."""
    text = "import analytics\nfrom analytics import charts\n\nanalytics.report()\n"
    path = put(tmp_path / "main.py", text)
    assert main(["migrate", str(path), "--check"]) == ExitCode.OK
    assert capsys.readouterr().err == "nothing to move: no file uses an SDK\n"


def test_lines_are_those_of_the_file_as_it_is(tmp_path: Path, capsys: CapSys) -> None:
    """Before the change, and after it, which may take lines out."""
    text = (
        "from rudderstack.analytics import Client\n"
        "client = Client(\n    'k',\n    thread=2,\n    host=HOST,\n)\n"
        "ok, message = client.track('u', 'e')\n"
    )
    path = put(tmp_path / "main.py", text)
    main(["migrate", str(path)])
    assert f"{path}:7: track() returns the message id" in capsys.readouterr().err
    main(["migrate", str(path), "--write"])
    assert f"{path}:6: track() returns the message id" in capsys.readouterr().err
    main(["migrate", str(path), "--check"])
    assert f"{path}:6: track() returns the message id" in capsys.readouterr().err


def test_files_that_say_what_to_install_are_told(tmp_path: Path, capsys: CapSys) -> None:
    """By line; they are left as they are, and no value of an environment is shown."""
    names = ["requirements.txt", "requirements/base.in", "setup.cfg", "Pipfile", "Dockerfile"]
    for name in names:
        put(tmp_path / name, "# rudder-sdk-python\nflask\nRudder_SDK-Python >= 2\n")
    put(tmp_path / "requirements-dev.txt", "my-analytics-python\nsegment-analytics-python-x\n")
    put(tmp_path / ".env", "A=1\nexport TEST_DATA_PLANE_URL=https://secret.example\n")
    assert main(["migrate", str(tmp_path), "--write"]) == ExitCode.OK
    told = capsys.readouterr().err
    for name in names:
        assert f"{tmp_path / name}:3: depends on Rudder_SDK-Python: put rudder-logging" in told
    assert f"{tmp_path / '.env'}:2: the SDK's variable: name it RUDDER_DATA_PLANE_URL" in told
    assert "secret" not in told
    assert "6 places to see to by hand" in told


def test_wrong_words_are_told(tmp_path: Path, capsys: CapSys) -> None:
    """And nothing is looked at."""
    path = put(tmp_path / "a.py")
    assert main(["migrate", str(path), str(tmp_path / "none")]) == ExitCode.BAD_INPUT
    assert main(["migrate", str(path), "--write", "--check"]) == ExitCode.BAD_INPUT
    assert main(["migrate"]) == ExitCode.BAD_INPUT
    told = capsys.readouterr()
    assert told.out == ""
    assert "there is no" in told.err
    assert path.read_text() == OLD


def test_a_file_that_can_not_be_written_is_told(
    tmp_path: Path, capsys: CapSys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the others are."""
    paths = [put(tmp_path / name) for name in ("a.py", "b.py")]
    write = Path.write_bytes

    def refuse(self: Path, content: bytes) -> int:
        if self.name == "a.py":
            raise PermissionError(13, os.strerror(13))
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    assert main(["migrate", str(tmp_path), "--write"]) == ExitCode.FAILED
    assert [path.read_text() for path in paths] == [OLD, NEW]
    told = capsys.readouterr().err
    assert f"{paths[0]}: left as it is: can't be written: Permission denied" in told
    assert "1 file changed" in told
