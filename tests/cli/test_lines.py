"""From bytes to lines to messages: what no process is needed to see."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rudder_logging.cli import sources
from rudder_logging.cli.moments import moment_of, since
from rudder_logging.cli.sources import Line, Source

from ..conftest import examples

NOON = 1_769_860_800.0  # 2026-01-31T12:00:00Z


def lines_of(path: str, offset: int = 0, number: int = 0, *, is_segment: bool = True) -> list[Line]:
    """What a source gives, from there on."""
    source = Source(path, is_segment=is_segment)
    try:
        source.skip_to(offset, number)
        return [line for line in source.lines() if line is not None]
    finally:
        source.close()


@settings(max_examples=examples(0.5))
@given(
    content=st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=12),
    ends=st.booleans(),
    chunk=st.integers(1, 20),
    through_pipe=st.booleans(),
)
def test_lines_are_those_of_the_file(
    content: list[bytes], ends: bool, chunk: int, through_pipe: bool
) -> None:
    """However the bytes come, lines, numbers and offsets are the file's; from each one on, too."""
    whole = b"\n".join(content) + (b"\n" if ends and content else b"")
    assume(not whole.startswith(tuple(sources._UNPACKERS)))  # it would be refused as compressed
    expected = whole.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as directory:
        patch.setattr(sources, "_CHUNK", chunk)
        path = f"{directory}/f"
        if through_pipe:
            os.mkfifo(path)
            writer = threading.Thread(target=lambda: Path(path).write_bytes(whole))
            writer.start()
            found = lines_of(path, is_segment=False)
            writer.join()
        else:
            Path(path).write_bytes(whole)
            found = lines_of(path)
            for line in found:
                assert lines_of(path, line.end, line.number) == found[line.number :]
    assert [line.text for line in found] == expected
    assert [line.number for line in found] == list(range(1, len(expected) + 1))
    assert [line.is_torn for line in found[:-1]] == [False] * (len(found) - 1)
    if found:
        assert found[-1].end == len(whole)
        assert found[-1].is_torn is not whole.endswith(b"\n")


@pytest.mark.parametrize("behind", [b"", b"\n", b"\nshort\n", b"\n" + b"x" * 30 + b"\n"])
def test_long_lines_take_no_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, behind: bytes
) -> None:
    """A line over the bound is passed over, and what stands behind it is read."""
    monkeypatch.setattr(sources, "LONGEST_LINE", 20)
    monkeypatch.setattr(sources, "_CHUNK", 7)
    whole = b"first\n" + b"x" * 50 + behind
    (tmp_path / "f").write_bytes(whole)
    found = lines_of(str(tmp_path / "f"))
    assert [(line.text, line.is_too_long) for line in found[:2]] == [(b"first", False), (b"", True)]
    assert [line.text for line in found[2:] if not line.is_too_long] == (
        [b"short"] if b"short" in behind else []
    )
    assert found[-1].end == len(whole)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31T12:00:00.250Z", NOON + 0.25),
        ("2026-01-31T12:00:00.250000+00:00", NOON + 0.25),
        ("2026-01-31 13:00+01:00", NOON),
        ("2026-01-31T06:30:00-0530", NOON),
        ("2026-01-31", NOON - 12 * 3_600),
        ("2026-02-30", None),
        ("2026-01-31T25:00:00Z", None),
        ("noon", None),
        ("", None),
        (None, None),
        (1_769_860_800, None),
    ],
)
def test_moments(text: object, expected: float | None) -> None:
    """RFC 3339 text is read as the server reads it: without a zone, it is UTC."""
    assert moment_of(text) == expected


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1_800), (" 12h ", 43_200), ("7d", 604_800)]
)
def test_since_takes_how_long_ago(text: str, seconds: int) -> None:
    """A number and a unit count back from now."""
    assert since(text, NOON) == NOON - seconds


@pytest.mark.parametrize("text", ["", "yesterday", "1w", "-1h", "1.5h", "2026-13-01"])
def test_since_refuses_the_rest(text: str) -> None:
    """With examples of what it takes."""
    with pytest.raises(ValueError, match=r"2026-01-31T12:00:00Z.*12h"):
        since(text, NOON)
