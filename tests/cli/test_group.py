"""The command as a whole: help, exit codes, completion, and ends of every kind."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rudder_logging.cli.common import EXTRAS, ExitCode
from rudder_logging.cli.group import COMMANDS, group

from .command import COMMAND, complaint, environment, run

pytestmark = pytest.mark.slow

THERE = [name for name in COMMANDS if importlib.util.find_spec(f"rudder_logging.cli.{name}")]


def without(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command where a package is not installed."""
    code = (
        f"import sys; sys.modules[{module!r}] = None; "
        f"from rudder_logging.cli import main; sys.exit(main({list(words)!r}))"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=50
    )


def test_help_lists_all_commands_and_exit_codes() -> None:
    """`--help` names every command with what it is for, and every exit code with its meaning."""
    done = run("--help")
    assert done.returncode == ExitCode.OK
    for name, words in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(words)}$", done.stdout, re.MULTILINE)
    for code in ExitCode:
        assert re.search(rf"^ *{code:d} +{re.escape(code.meaning)}$", done.stdout, re.MULTILINE)
    assert done.stderr == ""


@pytest.mark.parametrize("name", THERE)
def test_the_groups_words_are_the_commands_own(name: str) -> None:
    """What the list says of a command is the first line of its help."""
    command = group.get_command(group.make_context("x", [], resilient_parsing=True), name)
    assert command is not None
    assert (command.help or "").split("\n")[0] == COMMANDS[name]


def test_extras_are_those_of_the_package() -> None:
    """What a missing package's message tells to install does install it."""
    requirements = importlib.metadata.requires("rudder-logging") or []
    for module, extra in EXTRAS.items():
        assert any(
            re.match(rf"{module}\b", line) and re.search(rf"extra == .{extra}\b", line)
            for line in requirements
        ), module


@pytest.mark.parametrize("module", ["h11", "jsonschema", "requests"])
def test_help_does_not_need_what_commands_need(module: str) -> None:
    """The group's help and other commands work where one command's packages are missing."""
    assert without(module, "--help").returncode == ExitCode.OK


@pytest.mark.parametrize("module", ["click", "rich"])
def test_without_the_extra_the_cure_is_told(module: str, tmp_path: Path) -> None:
    """Without the extra `cli`, one line says what to install."""
    done = without(module, "replay", str(tmp_path / "x"))
    line = complaint(done, ExitCode.BAD_INPUT)
    assert line.endswith("needs an extra: pip install 'rudder-logging[cli]'")


def test_a_plan_without_its_extra_is_told(tmp_path: Path) -> None:
    """`--plan` without jsonschema says what to install."""
    (tmp_path / "plan.json").write_text('{"events": []}')
    (tmp_path / "events").write_text("")
    words = ("replay", "--dry-run", "--plan", tmp_path / "plan.json", tmp_path / "events")
    done = without("jsonschema", *map(str, words))
    assert done.returncode == ExitCode.BAD_INPUT
    assert "pip install 'rudder-logging[plan]'" in complaint(done, 2)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("sned",), "did you mean 'send'?"),
        (("send", "trakc"), "did you mean 'track'?"),
        (("send", "track", "--evnet", "x"), "--event"),
        (("spool", "lits"), "did you mean 'list'?"),
        (("replay",), "FILE"),
        (("--nonsense",), "--nonsense"),
    ],
)
def test_wrong_words_are_one_line(words: tuple[str, ...], expected: str) -> None:
    """A typing error is told in one line that says whom to ask, with exit code 2."""
    line = complaint(run(*words), ExitCode.BAD_INPUT)
    assert expected in line
    assert line.endswith("--help)")


@pytest.mark.parametrize("words", [("--help",), ("send", "track", "--help"), ("spool", "show")])
def test_a_closed_pipe_is_no_error(words: tuple[str, ...], tmp_path: Path) -> None:
    """Whoever reads the output may go away: no word, exit code 141."""
    segment = tmp_path / ("0" * 32) / "00000000000000000001-1-00000000.00000001.jsonl"
    segment.parent.mkdir()
    segment.write_text('{"messageId": "1"}\n' * 20_000)
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [*COMMAND, *words],
        env=environment(RUDDER_QUEUE=f"file://{tmp_path}"),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    _, stderr = process.communicate(timeout=50)
    assert (process.returncode, stderr) == (ExitCode.CLOSED_PIPE, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told() -> None:
    """Output that can't be written is an error of one line."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert "No space left" in complaint(done, ExitCode.FAILED)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    """Click's own completion is there for three shells, under the documented variable."""
    if shell == "bash" and not Path("/bin/bash").exists():
        pytest.skip("click asks bash for its version")
    done = run(_RUDDER_LOGGING_COMPLETE=f"{shell}_source")
    assert done.returncode == ExitCode.OK
    assert "_RUDDER_LOGGING_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("rudder-logging rep", "replay"), ("rudder-logging send al", "alias")],
)
def test_completion_completes(typed: str, expected: str) -> None:
    """It knows the commands, and the types of `send`, without loading other commands' extras."""
    number = str(len(typed.split()) - 1)
    done = run(_RUDDER_LOGGING_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD=number)
    assert done.stdout == f"plain,{expected}\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("rudder-logging replay a", "file,a\n"),
        ("rudder-logging replay a.jsonl --plan=p", "file,p\n"),
        ("rudder-logging doctor --config s", "file,s\n"),
        ("rudder-logging send track --ca-bundle /etc/", "file,/etc/\n"),
        ("rudder-logging spool list /var/", "dir,/var/\n"),
        ("rudder-logging send track --write-key a", "\n"),
    ],
)
def test_completion_leaves_names_of_files_to_the_shell(typed: str, expected: str) -> None:
    """Where a file or a directory is wanted, the shell is told to complete its name."""
    number = str(len(typed.split()) - 1)
    done = run(_RUDDER_LOGGING_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD=number)
    assert (done.stdout, done.stderr) == (expected, "")


def test_every_parameter_that_names_a_file_completes() -> None:
    """Those of all commands, as their help calls them."""
    context = group.make_context("x", [], resilient_parsing=True)
    commands = [group.get_command(context, name) for name in THERE]
    seen = 0
    while commands:
        command = commands.pop()
        assert command is not None
        commands += getattr(command, "commands", {}).values()
        for parameter in command.params:
            wanted = re.search("FILE|DIR", parameter.metavar or "")
            if wanted is None:
                continue
            seen += 1
            (item,) = parameter.shell_complete(context, "a")
            assert (item.type, item.value) == (wanted[0].lower(), "a"), parameter.name
    assert seen > len(THERE)


def test_no_colour_when_it_is_piped() -> None:
    """Output that is no terminal gets no escape sequences, whatever the environment hopes."""
    done = run("--help", TERM="xterm-256color")
    assert "\x1b" not in done.stdout + done.stderr
