"""`rudder-logging forget`: told before it is done, and held to what is left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from rudder_logging import RudderHandler
from rudder_logging.cli import main
from rudder_logging.cli.common import ExitCode
from rudder_logging.cli.forget import regulations
from rudder_logging.dataplane import LocalDataPlane

from ..conftest import MakeHandler, Wire
from ..each import each
from ..engines import NEEDS_REDIS, RedisServer
from ..engines.redis import PATIENCE
from .command import environment

TOKEN = "an-access-token"


@pytest.fixture
def control() -> Iterator[LocalDataPlane]:
    """RudderStack's API, with one token."""
    with LocalDataPlane(access_token=TOKEN) as plane:
        yield plane


@pytest.fixture
def token(tmp_path: Path) -> str:
    """The file that has it."""
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    return str(file)


@pytest.fixture
def left(spool: Path, make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> Path:
    """A spool with what a process that has ended left: of jane four events, of jo one."""
    plane.fail(503, times=None)
    handler = make_handler(queue=f"file://{spool}", upload_interval=3_600, shutdown_timeout=0)
    logger = wire(handler)
    for fields in (
        {"user_id": "jane"},
        {"anonymous_id": "a", "properties": {"friend": {"userId": "jane"}}},
        {"user_id": "jo"},
        {"user_id": "x", "context": {"externalId": [{"type": "crm", "id": "jane"}]}},
        {"anonymous_id": "jane"},
    ):
        logger.info("e", extra={"rudder": fields})
    handler._pipeline.queue.abandon()
    handler._pipeline.queue._store.after_fork()  # type: ignore[attr-defined]  # its locks are free
    return spool


def texts(spool: Path) -> str:
    """All that is written there."""
    return "".join(path.read_text() for path in spool.rglob("*") if path.is_file())


def test_a_dry_run_changes_nothing(
    left: Path, control: LocalDataPlane, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It tells what would be done, without the ids."""
    before = texts(left)
    words = ["forget", "jane", "--spool", str(left), "--api", control.url, "--token-file", token]
    assert main(words) == ExitCode.OK
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "spool: 4 events would be erased",
        "api: suppress for 1 users, 0 destinations would be sent",
    ]
    assert "give --yes" in told.err
    assert texts(left) == before
    assert control.regulations == []


def test_yes_erases_and_suppresses(
    left: Path, control: LocalDataPlane, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """From each field that holds an id; others' events stay."""
    api = ["--api", control.url, "--token-file", token, "--delete-from", "d1"]
    assert main(["forget", "jane", "--spool", str(left), *api, "--yes", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {
        "done": True,
        "users": 1,
        "spool": {"erased": 4, "handed_over": 0, "held": 0},
        "api": {"regulation": "suppress_with_delete", "users": 1, "destinations": 1},
        "faults": [],
    }
    assert "jane" not in texts(left)
    assert '"jo"' in texts(left)
    (made,) = control.regulations
    assert made["attributes"] == {"userId": "jane"}
    assert made["destinationIds"] == ["d1"]


def test_a_living_process_erases_what_it_holds(
    spool: Path,
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command waits for it, and says so; the dry run said what was to come."""
    handler = make_handler(queue=f"file://{spool}", upload_interval=3_600)
    for one in ("jane", "jo"):
        wire(handler).info("e", extra={"rudder": {"user_id": one}})
    words = ["forget", "jane", "--spool", str(spool), "--wait", str(PATIENCE)]
    assert main(words) == ExitCode.OK
    assert main([*words, "--yes"]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines() == [
        "spool: 0 events would be erased",
        "spool: 1 event would be erased by living processes",
        "spool: 0 events erased",
        "spool: 1 event erased by the living processes that held them",
    ]
    assert "jane" not in texts(spool)
    assert handler.stats().dropped == {"suppressed": 1}
    assert handler.flush()
    assert [event["userId"] for event in plane.events] == ["jo"]
    assert not list(spool.rglob("erasures"))


@pytest.mark.slow
def test_a_process_that_does_not_answer_is_told(
    spool: Path, plane: LocalDataPlane, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is a failure, after all else was done; it erases its own when it goes on."""
    script = """
import sys, time
from rudder_logging import RudderHandler
handler = RudderHandler(upload_interval=3600)
handler.accept({"user_id": "jane"}, "e", time.time())
print("ready", flush=True)
while not handler.stats().dropped:
    time.sleep(0.01)
"""
    env = environment(plane, RUDDER_QUEUE=f"file://{spool}")
    letters = tmp_path / "letters.jsonl"
    letters.write_text('{"message":{"userId":"jane"},"status":400}\n')
    with subprocess.Popen(
        [sys.executable, "-c", script], env=env, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(signal.SIGSTOP)
            words = ["forget", "jane", "--spool", str(spool), "--dead-letter", str(letters)]
            assert main([*words, "--yes", "--wait", "0"]) == ExitCode.FAILED
            told = capsys.readouterr()
            assert "spool: 1 event held by living processes are left" in told.err
            assert "dead letters: 1 event erased" in told.out
            assert "jane" not in letters.read_text()
            process.send_signal(signal.SIGCONT)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
    assert "jane" not in texts(spool)


def test_dead_letters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Theirs are blanked where they are, and the others stay, at their places."""
    file = tmp_path / "letters.jsonl"
    lines = [
        {"message": {"userId": "jo", "properties": {"n": 1}}},
        {"message": {"anonymousId": "a", "traits": {"id": "jane"}}},
        {"message": '{"userId":"jane","dama', "reason": "spool_damaged"},
        {"message": {"userId": "jo", "properties": {"text": "jane"}}},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = file.read_bytes()
    words = ["forget", "jane", "--dead-letter", str(file)]
    assert main(words) == ExitCode.OK
    assert file.read_bytes() == before
    for _ in range(2):
        assert main([*words, "--yes"]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines() == [
        "dead letters: 2 events would be erased",
        "dead letters: 2 events erased",
        "dead letters: 0 events erased",
    ]
    after = file.read_bytes()
    assert len(after) == len(before)
    left = [line for line in after.splitlines() if line.strip()]
    assert left == [before.splitlines()[0], before.splitlines()[3]]
    assert main(["forget", "jane", "--dead-letter", str(tmp_path / "none"), "--yes"]) == ExitCode.OK


@NEEDS_REDIS
def test_a_relay_s_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By each of its sources; one that it has not is told, and the others are seen to."""
    with RedisServer(tmp_path / "redis") as server:
        handler = RudderHandler(relay=server.url, source="shop")
        for one in ("jane", "jo", "jane"):
            handler.accept({"user_id": one}, "e", 1.7e9)
        assert handler.flush(PATIENCE)
        handler.close()
        words = ["forget", "jane", "--relay", server.url, "--source", "shop"]
        assert main(words) == ExitCode.OK
        assert server.do("EXISTS", "rudder:{shop}:forgotten") == 0
        assert main([*words, "--source", "web", "--yes"]) == ExitCode.FAILED
        told = capsys.readouterr()
        assert told.out.splitlines() == [
            "relay: 2 events of shop would not be delivered",
            "relay: 2 events of shop will not be delivered",
        ]
        assert "relay: the engine has no source web" in told.err
        assert b"jane" in server.do("HKEYS", "rudder:{shop}:forgotten")


def test_many_users_go_in_several_requests(
    control: LocalDataPlane, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may pass is tried again; each user is suppressed once."""
    monkeypatch.setattr(regulations, "_USERS_AT_ONCE", 2)
    monkeypatch.setattr(regulations, "_WAITS", (0.0, 0.0))
    control.fail(429, times=2)
    users = [f"u{number}" for number in range(5)]
    words = ["forget", *users, "--api", control.url, "--token-file", token, "--yes"]
    assert main(words) == ExitCode.OK
    assert [one["attributes"]["userId"] for one in control.regulations] == users


def test_how_many_were_sent_before_a_failure(
    control: LocalDataPlane,
    token: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """So that nobody has to guess; a token that others can read is told of."""
    monkeypatch.setattr(regulations, "_USERS_AT_ONCE", 2)
    monkeypatch.setattr(regulations, "_WAITS", (0.0,))
    Path(token).chmod(0o644)
    post = regulations.Regulation._post
    left = [2]

    def fails(self: regulations.Regulation, body: bytes) -> tuple[str | None, bool, float]:
        left[0] -= 1
        if left[0] < 0:
            control.fail(503)
        return post(self, body)

    monkeypatch.setattr(regulations.Regulation, "_post", fails)
    users = [f"u{number}" for number in range(5)]
    words = ["forget", *users, "--api", control.url, "--token-file", token, "--yes"]
    assert main(words) == ExitCode.FAILED
    told = capsys.readouterr().err
    assert "503" in told
    assert "4 of 5 users were sent before" in told
    assert "chmod 600" in told


@each(
    ("words", "complaint"),
    [
        (["jane"], "say where"),
        ([" ", "--spool", "x"], "a USER is empty"),
        (["jane", "--spool", "x", "--delete-from", "d"], "needs --api"),
        (["jane", "--api", "https://x"], "needs --token-file"),
        (["jane", "--api", "http://api.example.com"], "must be an https:// URL"),
        (["jane", "--api", "https://u:p@x"], "must be a URL like"),
        (["jane", "--api", "https://x", "--token-file", "/no/such"], "can't be read"),
    ],
)
def test_bad_words(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is told with its cure; nothing is done."""
    capsys.readouterr()
    assert main(["forget", *words]) == ExitCode.BAD_INPUT
    assert complaint in capsys.readouterr().err


def test_a_refusal_is_told_in_the_server_s_words(
    control: LocalDataPlane,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Never with the token."""
    file = tmp_path / "other"
    file.write_text("another-token")
    words = ["forget", "jane", "--api", control.url, "--token-file", str(file), "--yes"]
    assert main(words) == ExitCode.FAILED
    told = capsys.readouterr().err
    assert "refuses the regulation: 401 Unauthorized" in told
    assert "another-token" not in told
    monkeypatch.setattr(regulations, "_WAITS", ())
    control.fail(503)
    file.write_text(TOKEN)
    assert main(words) == ExitCode.FAILED
    assert "503" in capsys.readouterr().err
    assert control.regulations == []


@each(
    ("body", "message"),
    [
        ([], "JSON object"),
        ({"regulationType": "delete", "users": [{"userId": "a"}]}, "regulationType"),
        ({"regulationType": "suppress", "users": []}, "at least one"),
        ({"regulationType": "suppress", "users": [{"email": "a"}]}, "must have a userId"),
        ({"regulationType": "suppress", "users": [{"userId": " "}]}, "must have a userId"),
        (
            {"regulationType": "suppress_with_delete", "users": [{"userId": "a"}]},
            "destinationIds is required",
        ),
        (
            {"regulationType": "suppress", "users": [{"userId": "a"}], "sourceIds": "s"},
            "sourceIds must be a list",
        ),
    ],
)
def test_the_api_refuses_what_is_malformed(
    body: Any, message: str, control: LocalDataPlane
) -> None:
    """As 400, and makes nothing."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = requests.post(f"{control.url}/v2/regulations", json=body, headers=headers, timeout=60)
    assert answer.status_code == 400
    assert message in answer.json()["message"]
    assert control.regulations == []
    assert requests.get(f"{control.url}/v2/regulations", timeout=60).status_code == 405
