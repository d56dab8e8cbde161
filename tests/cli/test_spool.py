"""`rudder-logging spool`: what waits on the disk, whose it is, and that it can be forgotten."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from rudder_logging import RudderHandler
from rudder_logging.cli.common import ExitCode
from rudder_logging.cli.spool.command import _age
from rudder_logging.dataplane import LocalDataPlane

from ..conftest import MakeHandler, heal_for_the_living
from .command import COMMAND, complaint, environment, ids, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX locks"),
]

APP = """
import json, logging, os, signal, sys
from rudder_logging import RudderHandler
handler = RudderHandler(shutdown_timeout=0)
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
for fields in json.loads(sys.argv[1]):
    logger.info("e", extra={"rudder": fields})
print("ready", flush=True)
if "stay" in sys.argv:
    sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""
"""Logs events into the spool; is then killed, or stays until its input ends."""

App = Callable[..., "subprocess.Popen[str]"]

PEOPLE: list[dict[str, Any]] = [
    {"user_id": "ada", "message_id": "1"},
    {"user_id": "bob", "message_id": "2"},
    {"anonymous_id": "ada", "message_id": "3"},
    {"type": "alias", "user_id": "eve", "previous_id": "ada", "message_id": "4"},
    {
        "type": "merge",
        "user_id": "eve",
        "merge_properties": [{"type": "email", "value": "ada"}, {"type": "a", "value": "b"}],
        "message_id": "5",
    },
    {"user_id": "bob", "properties": {"friend": "ada"}, "message_id": "6"},
]
OTHERS = ["2", "6"]
"""Ids of the events that are not Ada's."""


@pytest.fixture
def app(spool: Path, away: LocalDataPlane) -> Iterator[App]:
    """Start processes that log events; they end with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(
        events: list[dict[str, Any]], *, stays: bool = False, **more: str
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", APP, json.dumps(events), *(["stay"] if stays else [])],
            env=environment(away, RUDDER_QUEUE=f"file://{spool}", **more),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if not stays:
            assert process.wait(timeout=40) == -signal.SIGKILL
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def listed(spool: Path) -> list[dict[str, Any]]:
    """What `spool list` shows."""
    result: list[dict[str, Any]] = json.loads(run("spool", "list", "--json", spool).stdout)
    return result


def shown(spool: Path, *words: str) -> list[str]:
    """The ids that `spool show` prints."""
    done = run("spool", "show", *words, spool)
    assert done.returncode == ExitCode.OK
    found = ids([json.loads(line) for line in done.stdout.splitlines()])
    assert len(done.stderr.splitlines()) == bool(found), done.stderr
    return found


def segments(spool: Path) -> list[Path]:
    """The segments that there are."""
    return sorted(spool.glob("*/*.jsonl"))


def deliver(make_handler: MakeHandler, plane: LocalDataPlane, spool: Path) -> list[str]:
    """Have the next process of that source deliver what is there; return the ids."""
    plane.heal()
    options = {"data_plane_url": plane.url, "queue": f"file://{spool}"}
    handler: RudderHandler = make_handler(**options)
    assert handler.flush(10)
    handler.close()
    return ids(plane.events)


def test_list(app: App, spool: Path) -> None:
    """Each process's events, with their bytes and age, and who holds them."""
    app(PEOPLE)
    living = app(PEOPLE[:2], stays=True)
    found = {one["writer"]: one for one in listed(spool)}
    assert len(found) == 2
    assert found[living.pid]["held"] is True
    assert found[living.pid]["events"] == 2
    assert sum(one["events"] for one in found.values()) == 8
    sizes = sum(path.stat().st_size for path in segments(spool))
    assert sum(one["bytes"] for one in found.values()) == sizes
    assert all(one["oldest"] >= one["began"][:19] for one in found.values())
    if Path("/proc/locks").exists():
        # The living process has taken over from the other, too.
        assert {one["holder"] for one in found.values() if one["held"]} == {living.pid}
    done = run("spool", "list", RUDDER_QUEUE=f"file://{spool}?fsync=always")
    assert done.stdout.splitlines()[0].split()[0] == "SOURCE"
    assert done.stdout.splitlines()[-1] == f"8 events, {sizes:,} bytes"


def test_list_of_an_empty_spool(tmp_path: Path) -> None:
    """An empty spool is no error."""
    done = run("spool", "list", tmp_path)
    assert (done.returncode, done.stdout) == (ExitCode.OK, "0 events, 0 bytes\n")


def test_what_is_no_spool_is_told(tmp_path: Path) -> None:
    """A directory with something else is no empty spool."""
    (tmp_path / "app.log").touch()
    for words in (("list",), ("show",), ("purge", "--all", "--yes")):
        line = complaint(run("spool", *words, tmp_path), ExitCode.BAD_INPUT)
        assert f"{tmp_path} is no spool" in line


def test_list_tells_of_events_under_a_key_that_is_not_used(
    app: App, spool: Path, away: LocalDataPlane
) -> None:
    """How many, since when, for which host, and the command that sends them; never the key."""
    app(PEOPLE)
    key = "wrong-key-of-yesterday"
    process = app(PEOPLE[:2], stays=True, RUDDER_WRITE_KEY=key)
    assert run("spool", "list", spool, plane=away).stderr == ""
    process.kill()
    process.wait()
    oldest = {one["bytes"]: one["oldest"] for one in listed(spool)}
    done = run("spool", "list", spool, plane=away)
    (line,) = done.stderr.splitlines()
    assert f"2 events since {oldest[min(oldest)]} for {away.url}: in" in line
    assert "under another write key" in line
    assert key not in done.stdout + done.stderr
    (command,) = re.findall(r"rudder-logging replay (\S+)/\*\.jsonl && .*purge \1 --all", line)
    away.heal()
    files = Path(command).glob("*.jsonl")
    assert run("replay", *files, plane=away).returncode == ExitCode.OK
    assert ids(away.events) == ["1", "2"]
    assert run("spool", "purge", command, "--all", "--yes").returncode == ExitCode.OK
    assert list(Path(command).iterdir()) == []
    assert run("spool", "list", spool, plane=away).stderr == ""


def test_ages() -> None:
    """They are told in the largest unit that fits."""
    now = 1_800_000_000.0
    assert _age(now, "2027-01-15T07:59:30Z") == "30 s"
    assert _age(now, "2027-01-15T06:00:00.000Z") == "2.0 h"
    assert _age(now, "2027-01-05T08:00:00Z") == "10.0 d"
    assert _age(now, None) == "-"


def test_show(app: App, spool: Path) -> None:
    """The events that wait, as JSON Lines; one user's, if that is asked for."""
    app(PEOPLE)
    assert shown(spool) == ["1", "2", "3", "4", "5", "6"]
    assert shown(spool, "--user-id", "ada") == ["1", "3", "4", "5"]
    assert shown(spool, "--user-id", "ada", "--user-id", "bob") == ["1", "2", "3", "4", "5", "6"]


def test_show_can_be_replayed(app: App, spool: Path, plane: LocalDataPlane) -> None:
    """What `show` prints is what `replay` reads; that it is sent again is told."""
    app(PEOPLE)
    done = run("spool", "show", spool)
    assert done.stderr == (
        "6 events shown, and left in the spool: the next process that uses it sends 6, "
        "unless they are purged before (rudder-logging spool purge)\n"
    )
    assert run("replay", "-", plane=plane, stdin=done.stdout).returncode == ExitCode.OK
    assert ids(plane.events) == ["1", "2", "3", "4", "5", "6"]


def test_show_tells_what_living_processes_send_themselves(app: App, spool: Path) -> None:
    """Piped into a replay, those would arrive twice."""
    app(PEOPLE[:2], stays=True)
    begins = "and left in the spool: living processes hold and send"
    assert run("spool", "show", spool).stderr == f"2 events shown, {begins} 2\n"
    (segment,) = segments(spool)
    other = spool / ("0" * 32) / segment.name  # nobody's: that source has no process
    other.parent.mkdir()
    other.write_bytes(segment.read_bytes())
    assert run("spool", "show", spool, "--user-id", "ada").stderr == (
        f"2 events shown, {begins} 1; the next process that uses it sends 1, "
        "unless they are purged before (rudder-logging spool purge)\n"
    )


def test_damaged_lines_are_told(app: App, spool: Path) -> None:
    """A damaged line is not shown but told, without its content."""
    app(PEOPLE[:1])
    with segments(spool)[0].open("a") as file:
        file.write("{secret\n")
    done = run("spool", "show", spool)
    assert done.returncode == ExitCode.FAILED
    assert len(done.stdout.splitlines()) == 1
    assert "is damaged" in done.stderr
    assert "secret" not in done.stderr


def test_show_steers_no_terminal(app: App, spool: Path) -> None:
    """What a terminal would obey is shown as JSON writes it, and means the same."""
    text = "\x9b2J\x1b[31m\u202egnp.exe\u2066\x7f\U000e0041 \u00e9 \U0001f600"
    app([{"user_id": text, "message_id": "1"}])
    done = run("spool", "show", spool)
    assert json.loads(done.stdout)["userId"] == text
    assert done.stdout.rstrip("\n").isprintable()
    assert "\u00e9 \U0001f600" in done.stdout


def test_purge_of_a_user(
    app: App, spool: Path, plane: LocalDataPlane, make_handler: MakeHandler
) -> None:
    """A user's events are gone, in every role; all others are delivered."""
    app(PEOPLE)
    done = run("spool", "purge", "--user-id", "ada", "--yes", spool)
    assert (done.returncode, done.stdout) == (ExitCode.OK, "4 events erased\n")
    (segment,) = segments(spool)
    assert segment.stat().st_mode & 0o777 == 0o600
    assert b'"userId":"ada"' not in segment.read_bytes()
    assert [path.name for path in spool.rglob(".*")] == []
    assert shown(spool) == OTHERS
    assert run("spool", "purge", "--user-id", "ada", "--yes", spool).stdout == "0 events erased\n"
    assert deliver_as(segment.parent, spool, make_handler, plane) == OTHERS


def test_an_id_may_be_a_number(app: App, spool: Path) -> None:
    """A hook of the app's may have left one: it is shown and erased as the same person's."""
    app([{"user_id": "42", "message_id": "1"}, {"user_id": "43", "message_id": "2"}])
    merges = [{"type": "a", "value": 42}, {"type": "b", "value": "c"}]
    lines: list[dict[str, Any]] = [
        {"messageId": "3", "userId": 42},
        {"messageId": "4", "anonymousId": 42},
        {"messageId": "5", "previousId": 42, "userId": "43"},
        {"messageId": "6", "mergeProperties": merges, "userId": "43"},
        {"messageId": "7", "userId": 420, "properties": {"revenue": 42}},
        {"messageId": "8", "userId": True},
    ]
    (segment,) = segments(spool)
    with segment.open("a") as file:
        file.writelines(json.dumps({"type": "track", **line}) + "\n" for line in lines)
    assert shown(spool, "--user-id", "42") == ["1", "3", "4", "5", "6"]
    with segment.open("a") as file:
        file.write('{"userId":42,"damaged\n{"userId": 421,"damaged\n{"userId":"43","n":42,"damag\n')
    done = run("spool", "purge", "--user-id", "42", "--user-id", "True", "--yes", spool)
    assert (done.returncode, done.stdout) == (ExitCode.OK, "6 events erased\n")
    left = segment.read_text().splitlines()
    assert [line.partition('"messageId": "')[2][:1] for line in left[1:3]] == ["7", "8"]
    assert left[3:] == ['{"userId": 421,"damaged', '{"userId":"43","n":42,"damag']


def deliver_as(
    directory: Path, spool: Path, make_handler: MakeHandler, plane: LocalDataPlane
) -> list[str]:
    """Give a source's files to the source of `plane`, and have them delivered."""
    make_handler(queue=f"file://{spool}").close()
    (other,) = (path for path in spool.iterdir() if path != directory)
    for path in directory.iterdir():
        path.rename(other / path.name)
    return deliver(make_handler, plane, spool)


def test_purge_leaves_files_to_their_owner(app: App, spool: Path) -> None:
    """Root may purge an app's spool: the app can read, and take over, what is left."""
    app(PEOPLE)
    (segment,) = segments(spool)
    segment.chmod(0o640)
    if os.geteuid() == 0:
        for path in (segment, segment.parent):
            os.chown(path, 4321, 4322)
    before = segment.stat()
    (progress,) = spool.glob("*/*.progress")
    progress.unlink()
    assert run("spool", "purge", "--user-id", "ada", "--yes", spool).returncode == ExitCode.OK
    after, lock = segment.stat(), progress.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_uid, after.st_gid, after.st_mode) == (
        before.st_uid, before.st_gid, before.st_mode
    )  # fmt: skip
    assert (lock.st_uid, lock.st_gid) == (before.st_uid, before.st_gid)


def test_purge_behind_what_is_delivered(
    app: App, spool: Path, plane: LocalDataPlane, make_handler: MakeHandler
) -> None:
    """What was delivered before is not sent again after a purge, and its text is gone, too."""
    app([*PEOPLE, *[{**fields, "message_id": f"1{fields['message_id']}"} for fields in PEOPLE]])
    (segment,) = segments(spool)
    delivered = sum(map(len, segment.read_bytes().splitlines(keepends=True)[:6]))
    (progress,) = spool.glob("*/*.progress")
    progress.write_bytes(b"%08d %020d\n" % (1, delivered))
    done = run("spool", "purge", "--user-id", "ada", "--yes", spool)
    assert done.stdout == "4 events erased\n"
    assert b'"userId":"ada"' not in segment.read_bytes()
    assert shown(spool) == ["12", "16"]
    assert deliver_as(segment.parent, spool, make_handler, plane) == ["12", "16"]


def test_purge_of_what_is_delivered(app: App, spool: Path) -> None:
    """A delivered event whose text is still there is no pending one, but its text goes, too."""
    app(PEOPLE[:2])
    (segment,) = segments(spool)
    (progress,) = spool.glob("*/*.progress")
    progress.write_bytes(b"%08d %020d\n" % (1, segment.read_bytes().index(b"\n") + 1))
    assert run("spool", "purge", "--user-id", "ada", "--yes", spool).stdout == "0 events erased\n"
    assert b"ada" not in segment.read_bytes()
    assert shown(spool) == ["2"]


def test_purge_of_all_segments_leaves_no_file(app: App, spool: Path) -> None:
    """`--all` erases what processes have left, with their files."""
    app(PEOPLE)
    assert run("spool", "purge", "--all", "--yes", spool).stdout == "6 events erased\n"
    assert [path for path in spool.rglob("*") if path.is_file()] == []


def test_purge_sweeps_what_a_killed_one_has_left(app: App, spool: Path) -> None:
    """Events do not stay in the temporary file of a purge that was killed."""
    app(PEOPLE)
    (segment,) = segments(spool)
    left = segment.with_name(f".{segment.name}.0123456789abcdef.new")
    left.write_text("ada")
    assert run("spool", "purge", "--user-id", "nobody", "--yes", spool).returncode == ExitCode.OK
    assert not left.exists()
    assert len(shown(spool)) == 6


def test_purge_takes_damaged_lines_with_the_id(app: App, spool: Path) -> None:
    """A line that is no JSON any more is erased if it names the user."""
    app(PEOPLE[:2])
    (segment,) = segments(spool)
    with segment.open("a") as file:
        file.write('{"userId":"ada","na\n{"userId":"bob","na\n{"userId":"ada"')
    assert run("spool", "purge", "--user-id", "ada", "--yes", spool).stdout == "3 events erased\n"
    assert "ada" not in segment.read_text()
    assert segment.read_text().endswith('{"userId":"bob","na\n')


def test_purge_beside_a_living_process(app: App, spool: Path, away: LocalDataPlane) -> None:
    """What it holds is not touched; the line says how much that is, whose, and the cure."""
    living = app(PEOPLE, stays=True)
    before = [path.read_bytes() for path in segments(spool)]
    done = run("spool", "purge", "--user-id", "ada", "--yes", spool)
    line = complaint(done, ExitCode.FAILED)
    assert done.stdout == "0 events erased\n"
    assert line.startswith("4 events held by living processes are left, and may be sent (4 by ")
    assert "stop them, and purge again" in line
    if Path("/proc/locks").exists():
        assert f"process {living.pid}" in line
    assert [path.read_bytes() for path in segments(spool)] == before
    living.communicate(timeout=40)
    assert run("spool", "purge", "--user-id", "ada", "--yes", spool).stdout == "4 events erased\n"
    assert shown(spool) == OTHERS


def test_purge_beside_processes_that_take_over(app: App, spool: Path, away: LocalDataPlane) -> None:
    """Whoever is first, each event is erased or delivered once, and none of the others is lost."""
    for number in range(4):
        users = ("ada", "bob", "eve")
        app([{"user_id": users[n % 3], "message_id": f"{number}-{n}"} for n in range(60)])
    heal_for_the_living(away)
    queue = {"RUDDER_QUEUE": f"file://{spool}", "RUDDER_MAX_EVENT_BYTES": "1000"}
    script = "from rudder_logging import RudderHandler; h = RudderHandler(); h.flush(20); h.close()"

    def taker() -> subprocess.Popen[bytes]:
        more = environment(away, **queue, RUDDER_MAX_BATCH_BYTES="3000")
        return subprocess.Popen([sys.executable, "-c", script], env=more)

    takers = [taker(), taker()]
    done = run("spool", "purge", "--user-id", "ada", "--yes", "--json", spool)
    erased = json.loads(done.stdout)["erased"]
    # The last one takes what the purge held while the others looked.
    assert [process.wait(timeout=40) for process in (*takers, taker())] == [0, 0, 0]
    assert listed(spool) == []
    users_delivered = [event["userId"] for event in away.events]
    assert len(set(ids(away.events))) == len(away.events)
    assert (users_delivered.count("bob"), users_delivered.count("eve")) == (80, 80)
    assert users_delivered.count("ada") + erased == 80


def test_purge_asks(app: App, spool: Path) -> None:
    """Without `--yes` it asks on a terminal; where nobody can be asked it does nothing."""
    app(PEOPLE)
    line = complaint(run("spool", "purge", "--all", spool), ExitCode.BAD_INPUT)
    assert "--yes" in line
    for answer, left, code in ((b"n\n", 6, ExitCode.FAILED), (b"y\n", 0, ExitCode.OK)):
        main, secondary = pty.openpty()
        process = subprocess.Popen(
            [*COMMAND, "spool", "purge", "--all", str(spool)],
            stdin=secondary,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            text=True,
        )
        os.close(secondary)
        os.write(main, answer)
        _, stderr = process.communicate(timeout=40)
        os.close(main)
        assert process.returncode == code, stderr
        assert "Erase 6 events for good?" in stderr
        assert len(shown(spool)) == left


def test_purge_as_json(app: App, spool: Path) -> None:
    """`--json` has what was erased, and what is left with whom."""
    living = app(PEOPLE, stays=True)
    done = run("spool", "purge", "--user-id", "ada", "--yes", "--json", spool)
    result = json.loads(done.stdout)
    assert (result["erased"], result["left"]) == (0, 4)
    assert result["held"] in [[{"holder": pid, "events": 4}] for pid in (living.pid, None)]


def test_purge_sums_by_process(app: App, spool: Path) -> None:
    """A process that has taken over from another is named once, with all that it holds."""
    app(PEOPLE)
    living = app(PEOPLE, stays=True)
    if not Path("/proc/locks").exists():
        pytest.skip("the system does not tell who holds a lock")
    deadline = monotonic() + 30
    while {one["holder"] for one in listed(spool)} != {living.pid}:
        assert monotonic() < deadline
    words = ("spool", "purge", "--user-id", "ada", "--yes", spool)
    line = complaint(run(*words), ExitCode.FAILED)
    assert f"(8 by process {living.pid});" in line
    assert json.loads(run(*words, "--json").stdout)["held"] == [{"holder": living.pid, "events": 8}]


def test_replay_of_a_segment(app: App, spool: Path, plane: LocalDataPlane) -> None:
    """A segment that was left is sent from where its process stopped; a living one's is not."""
    app(PEOPLE)
    (segment,) = segments(spool)
    (progress,) = spool.glob("*/*.progress")
    delivered = sum(map(len, segment.read_bytes().splitlines(keepends=True)[:4]))
    progress.write_bytes(b"%08d %020d\n" % (1, delivered))
    done = run("replay", segment, plane=plane)
    assert done.returncode == ExitCode.OK
    assert ids(plane.events) == ["5", "6"]
    assert "will send it again, unless it is purged" in done.stderr
    Path(f"{segment}.replayed").unlink()
    app(PEOPLE[:1], stays=True)
    line = complaint(run("replay", segments(spool)[-1], plane=plane), ExitCode.BAD_INPUT)
    assert "is held by a living process" in line


@pytest.mark.parametrize("command", ["list", "show", "purge"])
def test_wrong_words(tmp_path: Path, command: str) -> None:
    """No directory, a wrong one, a queue without files: one line, exit code 2."""
    more = ("--all", "--yes") if command == "purge" else ()
    words = ("spool", command, *more)
    (tmp_path / "file").write_text("")
    for given, queue, expected in (
        ((), "", "set RUDDER_QUEUE"),
        ((), "memory://", "that queue has no files"),
        ((), "file://relative", "RUDDER_QUEUE must name an absolute directory"),
        ((tmp_path / "no",), "", "there is no spool"),
        ((tmp_path / "file",), "", "there is no spool"),
    ):
        line = complaint(run(*words, *given, RUDDER_QUEUE=queue), ExitCode.BAD_INPUT)
        assert expected in line


@pytest.mark.parametrize("command", ["show", "purge"])
def test_an_empty_id_is_nobody(tmp_path: Path, command: str) -> None:
    """A variable of the shell that is not set does not look like a person forgotten."""
    words = ("spool", command, "--user-id", "ada", "--user-id", "", tmp_path)
    assert "--user-id is empty" in complaint(run(*words), ExitCode.BAD_INPUT)


def test_purge_wants_to_know_what(tmp_path: Path) -> None:
    """Neither nothing nor everything at once."""
    for words in ((), ("--all", "--user-id", "1")):
        line = complaint(run("spool", "purge", "--yes", *words, tmp_path), ExitCode.BAD_INPUT)
        assert "--user-id ID, or --all" in line
