"""`rudder-logging replay`: what was written arrives, once, and what does not is told."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import logging
import lzma
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rudder_logging import RudderFormatter
from rudder_logging.cli.common import ExitCode
from rudder_logging.cli.replay.engine import EVENTS_PER_UPLOAD
from rudder_logging.cli.stored import read_stored
from rudder_logging.dataplane import LocalDataPlane

from ..conftest import WRITE_KEY
from .command import COMMAND, complaint, environment, ids, run, started

pytestmark = pytest.mark.slow

Start = Callable[..., "subprocess.Popen[str]"]

STAMP = "2026-01-31T12:00:00.000Z"


def message(number: int, **more: Any) -> dict[str, Any]:
    """A message as it is stored."""
    event = {"messageId": f"m{number}", "type": "track", "event": "e", "userId": "u"}
    return {**event, "originalTimestamp": STAMP, **more}


def dead_letter(event: Any) -> dict[str, Any]:
    """A dead letter as the handler writes it."""
    return {"message": event, "status": 400, "reason": "invalid json", "refusedAt": STAMP}


def written(path: Path, lines: Sequence[object]) -> Path:
    """A file of such lines; text is taken as it is."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def counts(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What `--json` printed."""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file of 2,500 messages: three uploads."""
    return written(tmp_path / "events.jsonl", [message(number) for number in range(2_500)])


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the command, which ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *words, **more: stack.enter_context(started(*words, **more))


@pytest.fixture
def slow(plane: LocalDataPlane) -> Iterator[LocalDataPlane]:
    """A data plane that takes its time, so that a replay can be met in the middle."""
    plane.latency = 1.0
    yield plane
    plane.heal()


# What is sent.


def test_messages_arrive_as_they_were(plane: LocalDataPlane, tmp_path: Path) -> None:
    """Ids and times are kept, all fields too; `sentAt` is that of the replay."""
    stored = message(1, context={"a": [1, None]}, sentAt=STAMP, timestamp="2026-01-01")
    done = run("replay", written(tmp_path / "f", [stored]), plane=plane)
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    assert done.stdout == "1 event arrived\n"
    (event,) = plane.events
    assert event.pop("sentAt") > "2026-02"
    assert event == {name: value for name, value in stored.items() if name != "sentAt"}


def test_all_kinds_of_lines(plane: LocalDataPlane, tmp_path: Path) -> None:
    """Messages, dead letters and a log's events are sent; its ordinary lines are counted."""
    lines = [
        message(1),
        dead_letter(message(2)),
        "INFO starting up",
        {"message": "an ordinary line", "levelname": "INFO"},
        {"message": "an ordinary line", "type": "page"},
        "",
        "[1, 2]",
        "   ",
        message(3),
    ]
    done = run("replay", "--json", written(tmp_path / "f", lines), plane=plane)
    assert done.returncode == ExitCode.OK
    assert ids(plane.events) == ["m1", "m2", "m3"]
    result = counts(done)
    assert (result["arrived"], result["ordinary"], result["unsendable"]) == (3, 4, 0)
    assert result["all_arrived"] is True


def test_ordinary_lines_may_have_an_events_fields(plane: LocalDataPlane, tmp_path: Path) -> None:
    """A mail's id, a page's type: a log line that has them is skipped, and never sent."""
    formatter = RudderFormatter()
    mail: dict[str, Any] = {"messageId": "<a@b>", "type": "page", "userId": "3"}
    lines = [
        formatter.format(logging.makeLogRecord({"msg": "Mail sent", **extra}))
        for extra in (mail, {"messageId": "<a@b>"}, {"rudder": {"user_id": "3"}})
    ]
    others = [{"event": "Mail sent", "messageId": "<a@b>"}, 'INFO got {"messageId":"<a@b>"}']
    file = written(tmp_path / "f", [*lines, *others, message(1, message="by before_send")])
    done = run("replay", file, plane=plane)
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    assert done.stdout == "2 events arrived, 4 ordinary lines of a log\n"
    assert [event["event"] for event in plane.events] == ["Mail sent", "e"]
    looked = run("doctor", "--messages", file, "--json")
    assert "events looked at: 2; other lines skipped: 4" in looked.stdout
    assert looked.returncode == ExitCode.OK


def test_what_the_formatter_wrote_arrives(plane: LocalDataPlane, tmp_path: Path) -> None:
    """The output of `examples/stdout_events.py`, piped in, is delivered."""
    example = Path(__file__).parents[2] / "examples" / "stdout_events.py"
    printed = subprocess.check_output([sys.executable, str(example)], text=True)
    done = run("replay", "-", plane=plane, stdin=printed)
    assert done.stdout == "1 event arrived, 1 ordinary lines of a log\n"
    assert [event["event"] for event in plane.events] == ["Product Viewed"]


def test_what_a_collector_puts_before_an_event_is_left_out(
    plane: LocalDataPlane, tmp_path: Path
) -> None:
    """Times and names before each line, or a byte order mark, do not hide the events."""
    lines = [f"2026-01-31T12:00:00Z stdout F {json.dumps(message(1))}", "shop-1  | starting"]
    file = written(tmp_path / "f", ["\ufeff" + json.dumps(message(0)), *lines])
    done = run("replay", file, plane=plane)
    assert done.stdout == "2 events arrived, 1 ordinary lines of a log\n"
    assert ids(plane.events) == ["m0", "m1"]


def docker(line: str, stream: str = "stdout") -> dict[str, Any]:
    """A line as Docker's log driver `json-file` writes it."""
    return {"log": line, "stream": stream, "time": "2026-01-31T12:00:00.123456789Z"}


def test_dockers_own_files(plane: LocalDataPlane, tmp_path: Path) -> None:
    """Events are found in the JSON that Docker puts around each line; what it divides is told."""
    whole = json.dumps(message(1))
    lines = [
        docker(whole + "\n"),
        docker("starting\n"),
        docker("no end", "stderr"),
        docker(json.dumps(message(2))),
        docker(json.dumps(message(3, type="secret"))),
        docker(whole[:40]),
        docker(whole[40:] + "\n"),
        {"log": "a line of the app's own"},
    ]
    file = written(tmp_path / "f", lines)
    done = run("replay", file, plane=plane)
    assert done.stdout == "2 events arrived, 2 can't be sent, 4 ordinary lines of a log\n"
    assert ids(plane.events) == ["m1", "m2"]
    unknown, divided = done.stderr.splitlines()
    assert unknown.startswith(f"{file}:5: 'type' is unknown")
    assert divided == (
        f"{file}:6: the beginning of a line that Docker has divided; `docker logs` prints it whole"
    )


@pytest.mark.parametrize(
    ("pack", "unpacker"),
    [(gzip.compress, "zcat"), (lzma.compress, "xzcat"), (bz2.compress, "bzcat")],
)
def test_a_compressed_file_is_told_once(
    plane: LocalDataPlane, tmp_path: Path, pack: Callable[[bytes], bytes], unpacker: str
) -> None:
    """Not line by line: one line says what it is, and how it is read."""
    file = tmp_path / "app log.1"
    file.write_bytes(pack(json.dumps(message(1)).encode() + b"\n"))
    cure = f"unpacked: {unpacker} '{file}' | rudder-logging ..."
    for words in (("replay", file), ("doctor", "--messages", file)):
        line = complaint(run(*words, plane=plane), ExitCode.BAD_INPUT)
        assert line == f"{file} is compressed; give - for it, and pipe it in {cure}"
    assert not Path(f"{file}.replayed").exists()
    with file.open("rb") as stdin:
        done = subprocess.run(
            [*COMMAND, "replay", "-"],
            env=environment(plane),
            stdin=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
    assert f"stdin is compressed; give - for it, and pipe it in unpacked: {unpacker} FILE" in (
        complaint(done, ExitCode.FAILED)
    )
    assert plane.requests == []


def test_a_pipe_is_not_kept_waiting(plane: LocalDataPlane, start: Start) -> None:
    """What comes through a pipe is sent soon, while the pipe stays open."""
    process = start("replay", "-", plane=plane, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(json.dumps(message(1)) + "\n")
    process.stdin.flush()
    plane.wait_for(1, timeout=40)
    stdout, _ = process.communicate(json.dumps(message(2)) + "\n", timeout=40)
    assert stdout == "2 events arrived\n"
    assert ids(plane.events) == ["m1", "m2"]


def test_since(plane: LocalDataPlane, tmp_path: Path) -> None:
    """`--since` leaves out what happened before; what does not say when is sent."""
    lines = [
        message(1),
        message(2, originalTimestamp="2026-02-01T00:00:00.000Z"),
        message(3, timestamp="2026-02-01T02:00:00+02:00"),
        message(4, timestamp="2026-02-01T01:59:59+02:00"),
        message(5, originalTimestamp="?"),
    ]
    file = written(tmp_path / "f", lines)
    done = run("replay", "--since", "2026-02-01T00:00:00Z", file, plane=plane)
    assert done.returncode == ExitCode.OK
    assert ids(plane.events) == ["m2", "m3", "m5"]
    assert done.stdout == "3 events arrived, 2 from before --since\n"
    assert run("replay", "--since", "12h", "--again", file, plane=plane).stdout.startswith("1 ")


def test_plan(plane: LocalDataPlane, tmp_path: Path) -> None:
    """`--plan` keeps back what breaks the tracking plan, and says where it does."""
    plan = {"events": [{"name": "e", "schema": {"required": ["n"]}}]}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    file = written(tmp_path / "f", [message(1, properties={"n": 1}), message(2)])
    done = run("replay", "--plan", tmp_path / "plan.json", file, plane=plane)
    assert done.returncode == ExitCode.FAILED
    assert ids(plane.events) == ["m1"]
    assert done.stderr == f"{file}:2: not as planned: properties lacks 'n'\n"


def test_before_send_is_asked(plane: LocalDataPlane, tmp_path: Path) -> None:
    """The option `before_send` of the environment edits and withholds here as in the app."""
    (tmp_path / "hooks.py").write_text(
        "def hook(m):\n"
        "    if m['messageId'] == 'm1': return None\n"
        "    if m['messageId'] == 'm2': raise ValueError('secret')\n"
        "    m['userId'] = 'x'\n"
        "    return m\n"
    )
    file = written(tmp_path / "f", [message(number) for number in (1, 2, 3)])
    more: dict[str, Any] = {"RUDDER_BEFORE_SEND": "hooks:hook", "PYTHONPATH": str(tmp_path)}
    tried = run("replay", "--dry-run", file, **more)
    assert tried.stdout == "1 event would be sent, 1 can't be sent, 1 withheld by before_send\n"
    done = run("replay", file, plane=plane, **more)
    assert done.returncode == ExitCode.FAILED
    assert [(event["messageId"], event["userId"]) for event in plane.events] == [("m3", "x")]
    assert "1 withheld by before_send" in done.stdout
    assert done.stderr == f"{file}:2: before_send raised an exception\n"


def test_what_before_send_made_of_an_event_is_judged(plane: LocalDataPlane, tmp_path: Path) -> None:
    """By the plan, and by the data plane, which knows it by the id that it has then."""
    (tmp_path / "hooks.py").write_text(
        "def hook(m):\n"
        "    m['properties'] = {'n': 1} if m['messageId'] != 'm3' else {}\n"
        "    m['messageId'] += 'x'\n"
        "    return m\n"
    )
    plan = {"events": [{"name": "e", "schema": {"required": ["n"]}}]}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    plane.fail_for(lambda event: event["messageId"] == "m2x", 400, "invalid json")
    lines = [message(1), message(2), message(3, properties={"n": 1})]
    words = ("--plan", tmp_path / "plan.json", written(tmp_path / "f", lines))
    more: dict[str, Any] = {"RUDDER_BEFORE_SEND": "hooks:hook", "PYTHONPATH": str(tmp_path)}
    done = run("replay", *words, plane=plane, **more)
    assert ids(plane.events) == ["m1x"]
    assert done.stdout == "1 event arrived, 1 refused by the data plane, 1 not as in --plan\n"


def test_dry_run_sends_nothing(log: Path) -> None:
    """`--dry-run` needs no data plane, counts, tells what is wrong, and leaves no trace."""
    with log.open("a") as file:
        file.write("{damaged\n")
    done = run("replay", "--dry-run", log)
    assert done.returncode == ExitCode.FAILED
    assert done.stdout == "2,500 events would be sent, 1 can't be sent\n"
    assert done.stderr == f"{log}:2501: damaged: no JSON\n"
    assert [path.name for path in log.parent.iterdir()] == [log.name]


def test_dry_run_tells_types_that_drift(tmp_path: Path) -> None:
    """Each once, with both files and lines; they are no fault, since all would arrive."""
    one = written(tmp_path / "one", [message(1, properties={"total": 5})])
    later = [message(n, properties={"total": 24.95, "SECRET": "SECRET"}) for n in (2, 3)]
    other = written(tmp_path / "other", ["a line", *later])
    done = run("replay", "--dry-run", one, other)
    assert done.returncode == ExitCode.OK
    assert done.stdout.startswith("3 events would be sent, 1 ordinary lines")
    assert done.stdout.endswith("; the types of 1 column drift\n")
    (told,) = [line for line in done.stderr.splitlines() if "e.total" in line]
    assert f"{other}:2: properties.total is float, and the column e.total is int since" in told
    assert f"{one}:1: a warehouse cuts its fraction off, without a word" in told
    assert "SECRET" not in done.stderr
    found = counts(run("replay", "--dry-run", "--json", one, other))
    assert found["drifting_columns"] == ["e.total"]


def test_dry_run_tells_some_of_many_types_that_drift(tmp_path: Path) -> None:
    """As of other problems, the first are shown; a plan's types come first."""
    names = [f"{chr(97 + n)}x" for n in range(25)]
    lines = [message(1, properties=dict.fromkeys(names, 1))]
    lines.append(message(2, properties=dict.fromkeys(names, "x")))
    done = run("replay", "--dry-run", written(tmp_path / "f", lines))
    assert done.stderr.count("a warehouse puts it into rudder_discards") == 20
    assert "... and 5 more types that drift; doctor --messages FILE lists all" in done.stderr
    schema = {"properties": {"ax": {"type": "string"}}}
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"events": [{"name": "e", "schema": schema}]}))
    done = run("replay", "--dry-run", "--plan", plan, written(tmp_path / "g", lines[1:]))
    assert done.returncode == ExitCode.OK
    assert "drift" not in done.stdout + done.stderr


def test_dry_run_says_that_nothing_arrived(plane: LocalDataPlane, tmp_path: Path) -> None:
    """As JSON, too: what would be sent is told apart from what has arrived before."""
    file = written(tmp_path / "f", [message(1)])
    wanted = {"arrived": 0, "arrived_now": 0, "would_be_sent": 1, "dry_run": True}
    found = counts(run("replay", "--dry-run", "--json", file))
    assert {**found, **wanted, "all_arrived": False} == found
    found = counts(run("replay", "--json", file, plane=plane))
    wanted = {"arrived": 1, "arrived_now": 1, "would_be_sent": 0, "dry_run": False}
    assert {**found, **wanted, "all_arrived": True} == found
    with file.open("a") as lines:
        lines.writelines(json.dumps(message(number)) + "\n" for number in (2, 3))
    done = run("replay", "--dry-run", file)
    assert done.stdout == "2 events would be sent (1 arrived before)\n"
    found = counts(run("replay", "--dry-run", "--json", file))
    assert (found["arrived"], found["arrived_now"], found["would_be_sent"]) == (1, 0, 2)


def test_rate(plane: LocalDataPlane, tmp_path: Path) -> None:
    """`--rate` spreads the uploads."""
    file = written(tmp_path / "f", [message(number) for number in range(30)])
    began = time.monotonic()
    assert run("replay", "--rate", 40, file, plane=plane).returncode == ExitCode.OK
    assert time.monotonic() - began > 0.5
    assert [len(request.batch) for request in plane.requests] == [10, 10, 10]


# What is not.

DEEP_DEAD_LETTER = json.dumps(dead_letter(message(1, properties={"a": "secret", "b": []})))
DEEP_DEAD_LETTER = DEEP_DEAD_LETTER.replace("[]", "[" * 500 + "]" * 500)

UNSENDABLE = [
    ('{"messageId": "secret', "damaged: no JSON"),
    ({"type": "track", "event": "secret", "userId": "u"}, "no messageId"),
    (message(1, messageId=7), "no messageId"),
    (message(1, userId=None), "no id; give 'user_id' or 'anonymous_id'"),
    (message(1, type="secret"), "'type' is unknown"),
    ({"messageId": "1", "userId": "u", "originalTimestamp": STAMP}, "'type' is missing"),
    (message(1, properties="secret"), "'properties' must be a mapping, not str"),
    ("secret".encode("utf-16").decode("latin-1"), "damaged: no JSON"),
    ('shop-1  | {"messageId": "secret', "damaged: no JSON"),
    (dead_letter("secret"), "a dead letter without an event"),
    (DEEP_DEAD_LETTER, "nested too deeply"),
    (message(1, properties={"a": "secret" * 700_000}), "too large for an upload"),
    (message(1, properties={"a": "secret" * 900_000}), "longer than any event"),
]


@pytest.mark.parametrize(("line", "expected"), UNSENDABLE)
def test_what_cannot_be_sent_is_told(
    plane: LocalDataPlane, tmp_path: Path, line: Any, expected: str
) -> None:
    """File, line and reason are told, never the content; the others arrive; the exit code is 1."""
    file = written(tmp_path / "f", [message(8), line, message(9)])
    rejects = tmp_path / "rejects"
    done = run("replay", "--rejects", rejects, file, plane=plane)
    assert done.returncode == ExitCode.FAILED
    assert ids(plane.events) == ["m8", "m9"]
    assert done.stderr.startswith(f"{file}:2: ")
    assert expected in done.stderr
    assert "secret" not in done.stderr + done.stdout
    assert len(done.stderr.splitlines()) == 1
    (reject,) = map(json.loads, rejects.read_text().splitlines())
    assert reject["status"] == 0
    assert rejects.stat().st_mode & 0o777 == 0o600


def test_rejects_can_be_replayed(plane: LocalDataPlane, tmp_path: Path) -> None:
    """What the data plane refused is a dead letter: once it is mended, that file is replayed."""
    plane.fail_for(lambda event: event["messageId"] == "m2", 400, "invalid json")
    file = written(tmp_path / "f", [message(number) for number in (1, 2, 3)])
    rejects = tmp_path / "rejects"
    done = run("replay", "--rejects", rejects, file, plane=plane)
    assert done.returncode == ExitCode.FAILED
    assert done.stdout == "2 events arrived, 1 refused by the data plane\n"
    assert done.stderr == f"{file}:2: the data plane refused the event: 400 'invalid json'\n"
    plane.heal()
    assert run("replay", rejects, plane=plane).returncode == ExitCode.OK
    assert ids(plane.events) == ["m1", "m3", "m2"]


def test_many_problems_are_counted(tmp_path: Path) -> None:
    """Of many bad lines only the first are shown, and how many more there are."""
    done = run("replay", "--dry-run", written(tmp_path / "f", ["{"] * 1_000))
    lines = done.stderr.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "... and 980 more of that kind; --rejects FILE keeps them all"


# What is wrong with the words.


@pytest.mark.timeout(180)  # some dozens of processes, one after the other
def test_wrong_words(plane: LocalDataPlane, log: Path, tmp_path: Path) -> None:
    """One line, exit code 2, and nothing is sent: all files are looked at before."""
    (tmp_path / "plan").write_text("no JSON")
    (tmp_path / "note").write_text('{"a": 1}')
    for words, expected in (
        ((log, tmp_path / "no"), "no can't be read: No such file"),
        ((log, tmp_path), "it is a directory"),
        ((log, log), "is given twice"),
        (("--since", "yesterday", log), "--since must be a time"),
        (("--plan", tmp_path / "plan", log), "plan is not JSON"),
        (("--resume", tmp_path / "note", log), "is no progress of a replay"),
        (("--resume", tmp_path / "no" / "p", log), "p can't be written: No such file"),
        (("--rejects", tmp_path / "no" / "p", log), "p can't be written: No such file"),
        (("--rejects", log, log), "name another"),
        (("--rate", "0", log), "--rate"),
        (("--timeout", "soon", log), "timeout must be"),
    ):
        line = complaint(run("replay", *words, plane=plane), ExitCode.BAD_INPUT)
        assert expected in line
    assert plane.requests == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(plane: LocalDataPlane, log: Path) -> None:
    """A file without the right to read it is told in one line."""
    log.chmod(0)
    assert "Permission denied" in complaint(run("replay", log, plane=plane), ExitCode.BAD_INPUT)


# How it ends, and goes on.


def test_what_was_sent_is_not_sent_again(plane: LocalDataPlane, log: Path) -> None:
    """The same command sends only what has come since; `--again` sends all."""
    assert run("replay", log, plane=plane).returncode == ExitCode.OK
    with log.open("a") as file:
        file.write(json.dumps(message(2_500)) + "\n")
    done = run("replay", log, plane=plane)
    assert done.returncode == ExitCode.OK
    assert done.stdout == "2,501 events arrived (2,500 of them before this run)\n"
    assert "going on behind line 2,500" in done.stderr
    assert ids(plane.events) == [f"m{number}" for number in range(2_501)]
    assert run("replay", "--again", log, plane=plane).stdout == "2,501 events arrived\n"


def test_progress_is_of_one_data_plane_and_source(plane: LocalDataPlane, tmp_path: Path) -> None:
    """What was tried elsewhere has not arrived here; the line says how it does."""
    file = written(tmp_path / "f", [message(1), message(2)])
    progress = Path(f"{file}.replayed")
    with LocalDataPlane("another-key") as other:
        elsewhere: Any = {"RUDDER_DATA_PLANE_URL": other.url, "RUDDER_WRITE_KEY": "another-key"}
        assert run("replay", file, **elsewhere).returncode == ExitCode.OK
        before = progress.read_text()
        assert "another-key" not in before
        assert other.url not in before
        for words in (("--data-plane-url", plane.url), ("--write-key", WRITE_KEY)):
            done = run("replay", *words, file, **elsewhere)
            line = complaint(done, ExitCode.BAD_INPUT)
            assert line == (
                f"{progress} is the progress to another data plane or source; "
                "--again sends all of it to this one, --resume OTHER keeps both"
            )
    assert progress.read_text() == before
    assert run("replay", "--dry-run", file).returncode == ExitCode.OK
    done = run("replay", "--resume", tmp_path / "other", file, plane=plane)
    assert (done.returncode, done.stdout) == (ExitCode.OK, "2 events arrived\n")
    assert progress.read_text() == before
    assert run("replay", "--again", file, plane=plane).stdout == "2 events arrived\n"
    assert ids(plane.events) == ["m1", "m2"] * 2


def test_a_wrong_key_is_corrected(plane: LocalDataPlane, tmp_path: Path) -> None:
    """Where nothing had arrived, there is nothing to be told apart."""
    file = written(tmp_path / "f", [message(1)])
    done = run("replay", "--write-key", "wrong", file, plane=plane)
    assert done.returncode == ExitCode.FAILED
    assert run("replay", file, plane=plane).stdout == "1 event arrived\n"


def test_what_pytest_keeps_back_is_still_to_be_sent(plane: LocalDataPlane, tmp_path: Path) -> None:
    """What a test starts reaches no other host: that is told, and not noted as arrived."""
    file = written(tmp_path / "f", [message(1), message(2)])
    url = "http://hosted.example.com"
    done = run("replay", "--data-plane-url", url, "--json", file, plane=plane)
    assert done.returncode == ExitCode.FAILED
    assert (counts(done)["arrived"], counts(done)["finished"]) == (0, False)
    assert "pytest keeps events from hosted.example.com" in done.stderr
    assert run("replay", file, plane=plane).stdout == "2 events arrived\n"
    assert ids(plane.events) == ["m1", "m2"]


def test_what_other_words_left_out_is_told(plane: LocalDataPlane, tmp_path: Path) -> None:
    """An earlier `--since` is not taken for this run's, nor a plan: no success, until --again."""
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"events": [{"name": "e", "schema": {"required": ["n"]}}]}))
    later = "2026-02-01T00:00:00Z"
    planned = message(2, timestamp=later, properties={"n": 1})
    lines = [message(1), planned, message(3, timestamp=later)]
    file = written(tmp_path / "f", lines)
    words = ("--since", later, "--plan", plan)
    done = run("replay", *words, file, plane=plane)
    assert done.stdout == "1 event arrived, 1 not as in --plan, 1 from before --since\n"
    for _ in range(2):
        done = run("replay", "--since", "2026-01-31T12:00:01Z", "--json", file, plane=plane)
        assert done.returncode == ExitCode.FAILED
        assert counts(done)["all_arrived"] is False
        assert "not looked at again: 1 event from before an earlier --since;" in done.stderr
        assert "1 event of earlier runs did not arrive" in done.stderr
    assert "left out" not in run("replay", *words, file, plane=plane).stderr
    assert run("replay", "--again", file, plane=plane).returncode == ExitCode.OK
    assert ids(plane.events) == ["m2", "m1", "m2", "m3"]


def test_an_earlier_since_alone_is_no_success(plane: LocalDataPlane, tmp_path: Path) -> None:
    """With the same or a later one it is: nothing is left out but what is to be."""
    file = written(tmp_path / "f", [message(1)])
    for words, code in ((("--since", "12h"), 0), (("--since", "1h"), 0), ((), 1)):
        assert run("replay", *words, file, plane=plane).returncode == code


def test_an_earlier_failure_is_not_forgotten(plane: LocalDataPlane, tmp_path: Path) -> None:
    """The exit code stays 1 while not all events have arrived, in whichever run that was."""
    file = written(tmp_path / "f", [message(1), "{"])
    for told in ("damaged: no JSON", "those runs told which, and --dry-run --again tells again"):
        done = run("replay", file, plane=plane)
        assert done.returncode == ExitCode.FAILED
        assert told in done.stderr
    assert ids(plane.events) == ["m1"]
    assert "damaged: no JSON" in run("replay", "--dry-run", "--again", file).stderr


def test_a_line_that_is_being_written_is_read_when_it_is_whole(
    plane: LocalDataPlane, tmp_path: Path
) -> None:
    """A last line without its end counts as damaged now, and is looked at again the next time."""
    whole = json.dumps(message(2))
    file = tmp_path / "f"
    file.write_text(json.dumps(message(1)) + "\n" + whole[:20])
    assert run("replay", file, plane=plane).returncode == ExitCode.FAILED
    file.write_text(json.dumps(message(1)) + "\n" + whole)
    done = run("replay", file, plane=plane)
    assert (done.returncode, ids(plane.events)) == (ExitCode.OK, ["m1", "m2"])


def test_another_file_of_the_same_name_is_noticed(plane: LocalDataPlane, log: Path) -> None:
    """A file that was rotated away is not taken for the one that was replayed."""
    assert run("replay", log, plane=plane).returncode == ExitCode.OK
    written(log, [message(-number) for number in range(3_000)])
    line = complaint(run("replay", log, plane=plane), ExitCode.BAD_INPUT)
    assert "is not what it was" in line
    assert "--again" in line


def with_banner(events: Sequence[object]) -> list[object]:
    """Lines that a program writes whenever it starts, and events."""
    return [*(f"starting: {number:06d}" + "." * 80 for number in range(60)), *events]


@pytest.mark.parametrize("by", ["file", "pipe"])
def test_a_new_file_with_the_same_banner_is_noticed(
    plane: LocalDataPlane, tmp_path: Path, by: str
) -> None:
    """The program was started again: what it has written until then is not passed over."""
    log = written(tmp_path / "app.log", with_banner([message(number) for number in range(10)]))
    words = ["replay", log] if by == "file" else ["replay", "--resume", tmp_path / "kept", "-"]

    def go() -> subprocess.CompletedProcess[str]:
        return run(*words, plane=plane, stdin=log.read_text() if by == "pipe" else "")

    assert go().returncode == ExitCode.OK
    with log.open("a") as file:
        file.write(json.dumps(message(10)) + "\n")
    assert go().returncode == ExitCode.OK
    assert len(plane.events) == 11
    written(log, with_banner([message(number) for number in range(50, 100)]))
    assert "is not what it was" in complaint(go(), ExitCode.BAD_INPUT)
    assert run(*words, "--again", plane=plane, stdin=log.read_text()).returncode == ExitCode.OK
    assert len(plane.events) == 61


def test_a_rotated_file_is_found_by_all_that_was_read_of_it(
    plane: LocalDataPlane, tmp_path: Path
) -> None:
    """Of several files with one banner, each goes on where it ended, whatever it is called now."""
    kept, names = tmp_path / "kept", [tmp_path / f"{number}.log" for number in range(3)]
    for number, path in enumerate(names):
        written(path, with_banner([message(10 * number + step) for step in range(number + 2)]))
    assert run("replay", "--resume", kept, *names, plane=plane).returncode == ExitCode.OK
    first = len(plane.events)
    renamed = [path.rename(path.with_suffix(".old")) for path in names]
    assert run("replay", "--resume", kept, *renamed, plane=plane).returncode == ExitCode.OK
    assert len(plane.events) == first == 9


def test_progress_that_has_no_room_is_not_torn(plane: LocalDataPlane, log: Path) -> None:
    """The disk takes a part of it: that is told, nothing is sent, and what was kept is kept."""
    progress = Path(f"{log}.replayed")
    assert run("replay", log, plane=plane).returncode == ExitCode.OK
    before = progress.read_bytes()
    with log.open("a") as file:
        file.write(json.dumps(message(2_500)) + "\n")
    limit = (100, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    # What measures the suite's coverage in subprocesses would have no room for its file either.
    given = environment(plane).items()
    done = subprocess.run(
        [*COMMAND, "replay", str(log)],
        env={name: value for name, value in given if not name.startswith("COVERAGE_")},
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, limit),
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{progress} can't be written" in complaint(done, ExitCode.BAD_INPUT)
    assert (progress.read_bytes(), len(plane.events)) == (before, 2_500)
    assert sorted(path.name for path in log.parent.iterdir()) == [log.name, progress.name]


def test_progress_of_thousands_of_inputs_is_read_back(
    plane: LocalDataPlane, tmp_path: Path
) -> None:
    """However long it is: it goes on there, and forgets none."""
    kept, log = tmp_path / "kept", written(tmp_path / "a.log", [message(0)])
    assert run("replay", "--resume", kept, log, plane=plane).returncode == ExitCode.OK
    content = json.loads(kept.read_text())
    (entry,) = content["inputs"].values()
    content["inputs"] |= {f"/var/log/{number}.log": entry for number in range(2_600)}
    kept.write_text(json.dumps(content, indent=2))
    assert kept.stat().st_size > 1_000_000
    written(log, [message(0), message(1)])
    assert run("replay", "--resume", kept, log, plane=plane).returncode == ExitCode.OK
    assert ids(plane.events) == ["m0", "m1"]
    assert len(json.loads(kept.read_text())["inputs"]) == 2_601


@pytest.mark.parametrize(
    "more",
    ['"userId":"first","userId":"second"', '"userId":"second","properties":{"a":1,"\\u0061":2}'],
)
def test_what_was_judged_is_what_is_sent(more: str) -> None:
    """Of equal keys, the server would store the first, where we look at the last."""
    line = json.dumps(message(1)).replace('"userId": "u"', more)
    stored = read_stored(line.encode())
    assert stored is not None

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    sent = json.loads(stored.queued + b"}", object_pairs_hook=once)
    assert sent == stored.event
    assert sent["userId"] == "second"


def test_a_line_without_equal_keys_is_sent_as_it_is() -> None:
    """Digits that a float has not, and blanks, stay."""
    line = json.dumps(message(1, properties={})).replace("{}", '{"n": 1.10, "m": 1e3}')
    stored = read_stored(line.encode())
    assert stored is not None
    assert stored.queued + b"}" == line.encode()


def test_a_deeply_nested_line_is_sent_as_it_is() -> None:
    """Deeper than orjson writes, though it reads it."""
    deep = '{"a":' + "[" * 400 + "]" * 400 + "}"
    line = json.dumps(message(1, properties={})).replace("{}", deep)
    stored = read_stored(line.encode())
    assert stored is not None
    assert stored.queued + b"}" == line.encode()


def test_an_event_as_large_as_a_request_is_replayed(plane: LocalDataPlane, tmp_path: Path) -> None:
    """What a handler takes by default, a line of a spool or a log may have."""
    log = written(tmp_path / "a.log", [message(0, properties={"html": "x" * 3_900_000})])
    assert run("replay", log, plane=plane).returncode == ExitCode.OK
    assert ids(plane.events) == ["m0"]


def test_a_rotated_file_goes_on_with_its_progress(
    plane: LocalDataPlane, log: Path, tmp_path: Path
) -> None:
    """Renamed together with its progress, a file is not sent again but for what is new."""
    assert run("replay", log, plane=plane).returncode == ExitCode.OK
    with log.open("a") as file:
        file.write(json.dumps(message(2_500)) + "\n")
    rotated = log.rename(tmp_path / "events.jsonl.1")
    Path(f"{log}.replayed").rename(f"{rotated}.replayed")
    written(log, [message(2_501)])
    assert run("replay", rotated, log, plane=plane).returncode == ExitCode.OK
    assert ids(plane.events) == [f"m{number}" for number in range(2_502)]


def test_nobody_listening_is_no_reason_to_send_twice(plane: LocalDataPlane, log: Path) -> None:
    """Where stderr is closed in the middle, what arrived is noted before that is noticed."""
    with log.open("r+") as file:
        file.write("{damaged")
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [*COMMAND, "replay", str(log)],
        env=environment(plane),
        stdout=subprocess.DEVNULL,
        stderr=writing,
    )
    os.close(writing)
    with process:
        assert process.wait(timeout=40) == ExitCode.CLOSED_PIPE
    assert len(plane.events) == EVENTS_PER_UPLOAD
    run("replay", log, plane=plane)
    assert ids(plane.events) == [f"m{number}" for number in range(1, 2_500)]


@pytest.mark.parametrize("status", [401, 503])
def test_an_outage_in_the_middle(plane: LocalDataPlane, log: Path, status: int) -> None:
    """One line more, exit code 1, and the same command goes on; nothing comes twice."""
    plane.fail_for(lambda event: event["messageId"] == f"m{EVENTS_PER_UPLOAD}", status, "")
    done = run("replay", "--give-up-after", 1, log, plane=plane)
    assert done.returncode == ExitCode.FAILED
    assert len(plane.events) == EVENTS_PER_UPLOAD
    assert done.stdout == "1,000 events arrived\n"
    last = done.stderr.splitlines()[-1]
    assert str(status) in last
    assert "1,000 events arrived in this run; the same command goes on" in last
    plane.heal()
    assert run("replay", log, plane=plane).returncode == ExitCode.OK
    assert ids(plane.events) == [f"m{number}" for number in range(2_500)]


def test_an_outage_in_the_middle_of_an_upload(plane: LocalDataPlane, log: Path) -> None:
    """Of an upload that was split, what the server has taken is not sent again."""
    plane.max_request_bytes = 90_000
    plane.fail_for(lambda event: event["messageId"] == f"m{EVENTS_PER_UPLOAD - 1}", 503, "")
    done = run("replay", "--give-up-after", 0, log, plane=plane)
    assert done.returncode == ExitCode.FAILED
    assert 0 < len(plane.events) < EVENTS_PER_UPLOAD
    assert done.stdout == f"{len(plane.events):,} events arrived\n"
    plane.heal()
    assert run("replay", log, plane=plane).returncode == ExitCode.OK
    assert ids(plane.events) == [f"m{number}" for number in range(2_500)]


def test_an_unreachable_server(log: Path) -> None:
    """It says that it waits, then that it gives up, and why."""
    words = ("--write-key", WRITE_KEY, "--data-plane-url", "http://127.0.0.1:9")
    done = run("replay", "--give-up-after", 0.6, *words, log)
    assert done.returncode == ExitCode.FAILED
    assert done.stdout == "0 events arrived\n"
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: the data plane took no more: Connection refused; 0 events")
    assert WRITE_KEY not in done.stderr


@pytest.mark.parametrize("words", [(), ("--again",)], ids=["usual", "again"])
def test_ctrl_c(slow: LocalDataPlane, log: Path, start: Start, words: tuple[str, ...]) -> None:
    """Ctrl-C settles what is under way, says how many arrived and how to go on; exit code 130."""
    process = start("replay", *words, log, plane=slow)
    slow.wait_for(EVENTS_PER_UPLOAD, timeout=40)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=40)
    assert process.returncode == ExitCode.INTERRUPTED
    arrived = len(slow.events)
    assert 0 < arrived < 2_500
    assert stdout == f"{arrived:,} events arrived\n"
    assert stderr == (
        f"interrupted; {arrived:,} events arrived in this run; "
        f"{'without --again, ' * bool(words)}the same command goes on from there\n"
    )
    slow.heal()
    assert run("replay", log, plane=slow).returncode == ExitCode.OK
    assert ids(slow.events) == [f"m{number}" for number in range(2_500)]


def test_ctrl_c_while_it_waits(plane: LocalDataPlane, start: Start) -> None:
    """A pipe that gives nothing does not keep it."""
    process = start("replay", "-", plane=plane, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(json.dumps(message(1)) + "\n")
    process.stdin.flush()
    plane.wait_for(1, timeout=40)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=40)
    assert (process.returncode, stdout) == (ExitCode.INTERRUPTED, "1 event arrived\n")
    assert "--resume FILE would have kept it" in stderr


def test_two_at_once(plane: LocalDataPlane, log: Path, start: Start) -> None:
    """A second replay of a file does not send what the first one is sending."""
    plane.fail(503, times=None)
    process = start("replay", log, plane=plane)
    plane.wait_for_requests(1, timeout=40)
    line = complaint(run("replay", log, plane=plane), ExitCode.BAD_INPUT)
    assert "another replay is at it" in line
    assert run("replay", "--dry-run", log).returncode == ExitCode.OK
    plane.heal()
    process.communicate(timeout=40)
    assert ids(plane.events) == [f"m{number}" for number in range(2_500)]


def test_a_second_ctrl_c_does_not_wait(log: Path, start: Start) -> None:
    """A server that never answers can't keep it: a second Ctrl-C ends it at once."""
    with LocalDataPlane(WRITE_KEY) as plane:
        plane.hang(times=None)
        process = start("replay", "--timeout", 600, log, plane=plane)
        plane.wait_for_requests(1, timeout=40)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2)
        _, stderr = process.communicate(timeout=40)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "interrupted; 0 events arrived" in stderr


def test_kill_9(slow: LocalDataPlane, log: Path, start: Start) -> None:
    """Killed by force, it sends at most one upload twice, with the same ids, and loses nothing."""
    process = start("replay", log, plane=slow)
    slow.wait_for(2 * EVENTS_PER_UPLOAD, timeout=40)
    process.kill()
    process.communicate(timeout=40)
    slow.heal()
    assert run("replay", log, plane=slow).returncode == ExitCode.OK
    assert set(ids(slow.events)) == {f"m{number}" for number in range(2_500)}
    assert len(slow.events) <= 2_500 + EVENTS_PER_UPLOAD


def test_resume_of_stdin(plane: LocalDataPlane, tmp_path: Path) -> None:
    """With `--resume`, what stdin gave before is not sent again."""
    words = ("replay", "--resume", tmp_path / "progress", "-")
    lines = [json.dumps(message(number)) + "\n" for number in range(3)]
    assert run(*words, plane=plane, stdin="".join(lines[:2])).returncode == ExitCode.OK
    assert run(*words, plane=plane, stdin="".join(lines)).returncode == ExitCode.OK
    assert ids(plane.events) == ["m0", "m1", "m2"]
    assert (tmp_path / "progress").stat().st_mode & 0o777 == 0o600


def test_memory_is_constant(plane: LocalDataPlane, tmp_path: Path) -> None:
    """50,000 lines, of some 15 MB, take no more memory than 5,000, but for a few megabytes."""
    script = (
        "import resource, sys\n"
        "from rudder_logging.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    peaks = []
    for number in (5_000, 50_000):
        file = tmp_path / str(number)
        with file.open("w") as lines:
            lines.writelines(json.dumps(message(n)) + "\n" for n in range(number))
        done = subprocess.run(
            [sys.executable, "-c", script, "replay", "--dry-run", str(file)],
            capture_output=True,
            text=True,
            check=True,
            timeout=50,
        )
        assert done.stdout == f"{number:,} events would be sent\n"
        peaks.append(int(done.stderr))
    assert peaks[1] - peaks[0] < 10_000, peaks  # kilobytes


def test_a_bar_on_a_terminal_only(plane: LocalDataPlane, log: Path) -> None:
    """On a terminal there is a bar with rate; results on stdout stay plain."""
    main, secondary = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "replay", str(log)],
        env=environment(plane, TERM="xterm"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=secondary,
        text=True,
    )
    os.close(secondary)
    shown = b""
    try:
        while chunk := os.read(main, 4096):
            shown += chunk
    except OSError:  # how a terminal says that it was closed
        pass
    finally:
        os.close(main)
    stdout, _ = process.communicate(timeout=40)
    assert (process.returncode, stdout) == (ExitCode.OK, "2,500 events arrived\n")
    assert b"2,500 events" in shown
    assert b"100%" in shown
