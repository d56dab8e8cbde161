"""`rudder-logging guide`, in a terminal and piped."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from rudder_logging.cli.common import ExitCode
from rudder_logging.cli.guide import laid_out
from rudder_logging.guides import guides, page

from ..cli.command import COMMAND, complaint, environment, run
from ..each import each
from .pages import FOLDER, targets, tokens

pytestmark = pytest.mark.slow

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def in_terminal(*words: str, **more: str) -> str:
    """What a person sees: the command's output, which is a terminal."""
    ours, its = pty.openpty()
    variables = {**environment(), "TERM": "xterm-256color", "COLUMNS": "90", "LINES": "30", **more}
    variables.pop("NO_COLOR", None)
    with subprocess.Popen([*COMMAND, *words], env=variables, stdin=its, stdout=its) as process:
        os.close(its)
        seen = bytearray()
        try:
            while part := os.read(ours, 65536):
                seen += part
        except OSError:  # the terminal's other end is closed
            pass
        finally:
            os.close(ours)
            process.kill()
    return seen.decode().replace("\r\n", "\n")


def plain(text: str) -> str:
    """Text without its colours and its layout."""
    return " ".join(ESCAPES.sub("", text).split())


def test_all_guides_are_listed() -> None:
    """By groups; each with what to type, and its line."""
    done = run("guide")
    assert (done.returncode, done.stderr) == (0, "")
    shown = plain(done.stdout)
    for guide in guides().values():
        assert f"{guide.group}:" in shown
        assert f"{guide.name} {guide.line}" in shown


@pytest.mark.parametrize("words", [("django",), ("Django.md",), ("--no-pager", "django")])
def test_piped_a_page_is_its_markdown(words: tuple[str, ...]) -> None:
    """As it was written, byte for byte."""
    done = run("guide", *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, page("django"), "")


def test_in_a_terminal_a_page_is_laid_out() -> None:
    """With colours, without Markdown's marks; a link says what to type."""
    shown = in_terminal("guide", "--no-pager", "wsgi")
    assert "\x1b[" in shown
    text = plain(shown)
    assert "(rudder-logging guide flask)" in text
    assert not re.search("[`#]", text.partition("Wire it")[0])
    assert max(len(ESCAPES.sub("", line)) for line in shown.splitlines()) <= 90


@each("name", list(guides()))
def test_each_page_can_be_laid_out(name: str) -> None:
    """All links say what to type; comments are not there."""
    text = plain(laid_out(page(name), 1_000))  # as wide as no cell of a table breaks a link
    for token in tokens(FOLDER / f"{name}.md"):
        assert token.type != "html_block" or plain(token.content) not in text
    for target in targets(FOLDER / f"{name}.md"):
        path, _, _anchor = target.partition("#")
        if path.endswith(".md"):
            assert f"(rudder-logging guide {path.removesuffix('.md')})" in text


def test_in_a_terminal_it_is_paged(tmp_path: Path) -> None:
    """By what PAGER says; `--no-pager` asks nobody."""
    seen = tmp_path / "seen"
    pager = f"tee {seen}"
    in_terminal("guide", "wsgi", PAGER=pager)
    assert "RudderMiddleware" in seen.read_text()
    seen.unlink()
    assert "RudderMiddleware" in in_terminal("guide", "wsgi", "--no-pager", PAGER=pager)
    assert not seen.exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("djagno",), "did you mean 'django'?"),
        (("relay-operatons",), "did you mean 'relay-operations'"),
        (("WSGI_MULTIPROCESS",), "rudder-logging guide lists them"),
        (("RudderMiddleware",), "it is spoken of in "),
        (("flask", "celery"), "--search 'flask celery'"),
    ],
)
def test_an_unknown_topic_is_told(words: tuple[str, ...], expected: str) -> None:
    """With the nearest ones, or the pages that speak of it."""
    assert expected in complaint(run("guide", *words), ExitCode.BAD_INPUT)


@pytest.mark.parametrize("words", [("--search", "atomic"), ("--search", "with", "ATOMIC")])
def test_search_lists_pages_and_lines(words: tuple[str, ...]) -> None:
    """What to type for a page, and the lines that have the words."""
    done = run("guide", *words)
    assert done.returncode == ExitCode.OK
    assert "django: Django\n" in done.stdout
    assert "atomic" in done.stdout.partition("django: Django\n")[2].splitlines()[0]


def test_a_search_without_a_hit_is_told() -> None:
    """Like grep's, its exit code is 1."""
    line = complaint(run("guide", "--search", "zzzz", "django"), ExitCode.FAILED)
    assert line == "no guide has all of these words: zzzz django"


def test_topics_are_completed() -> None:
    """By the shell."""
    typed = "rudder-logging guide rela"
    done = run(_RUDDER_LOGGING_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD="2")
    assert done.stdout.splitlines() == [
        f"plain,{name}" for name in guides() if name.startswith("rela")
    ]
