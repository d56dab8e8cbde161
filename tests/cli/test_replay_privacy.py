"""`rudder-logging replay` and `send` hold what they send to the option `privacy`."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from rudder_logging import Privacy, PrivateFormatter, RudderFormatter
from rudder_logging.cli import main
from rudder_logging.cli.common import ExitCode
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.privacy.again import Again

from ..conftest import WRITE_KEY, MakeHandler, Wire
from ..each import each

SECRET = "s3cr3t"
KEY = "a key of the app's"
OPTIONS: dict[str, Any] = {"hash": ["ids"], "hmac_key": KEY, "rate": {"*": "1/day"}}


def hashed(text: str) -> str:
    """The hash that an outsider with the key makes."""
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.fixture(autouse=True)
def destination(plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the commands send to."""
    plane.clear()
    monkeypatch.setenv("RUDDER_WRITE_KEY", WRITE_KEY)
    monkeypatch.setenv("RUDDER_DATA_PLANE_URL", plane.url)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A file with the options as JSON."""
    path = tmp_path / "privacy.json"
    path.write_text(json.dumps(OPTIONS))
    return path


def log(path: Path, formatter: logging.Formatter, *users: str, **more: Any) -> Path:
    """A log that an app wrote, with an ordinary line in it."""
    records = [logging.makeLogRecord({"msg": "up", "args": ()})]
    for user in users:
        fields = {"user_id": user, "properties": {"password": SECRET, "n": 1}, **more}
        records.append(logging.makeLogRecord({"msg": "e", "args": (), "rudder": fields}))
    path.write_text("".join(formatter.format(record) + "\n" for record in records))
    return path


@each("said", ["file", "environment"])
def test_a_log_is_filtered_as_it_is_replayed(
    said: str,
    plane: LocalDataPlane,
    rules: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A RudderFormatter wrote all of it; rates would drop what can be sent later."""
    plane.clear()
    options = {**OPTIONS, "suppressed": ["jo"], "deny_events": ["Denied"]}
    rules.write_text(json.dumps(options))
    words = ["--privacy", str(rules)]
    if said == "environment":
        words = []
        monkeypatch.setenv("RUDDER_PRIVACY", json.dumps(options))
    files = [
        log(tmp_path / "a.log", RudderFormatter(), "jane", "jo", "jack"),
        log(tmp_path / "b.log", RudderFormatter(), "jane", event="Denied"),
    ]
    resume = str(tmp_path / f"{said}.progress")
    code = main(["replay", *words, *map(str, files), "--resume", resume])
    monkeypatch.delenv("RUDDER_PRIVACY", raising=False)
    assert code == ExitCode.OK
    assert [event["userId"] for event in plane.events] == [hashed("jane"), hashed("jack")]
    assert [event["properties"] for event in plane.events] == [{"n": 1}] * 2
    printed = capsys.readouterr()
    assert "2 events arrived, 2 kept back by privacy" in printed.out
    assert SECRET not in printed.out + printed.err


def test_what_passed_when_it_was_written_stays_as_it_is(
    plane: LocalDataPlane, make_handler: MakeHandler, wire: Wire, rules: Path, tmp_path: Path
) -> None:
    """Dead letters, spools, and logs of which `--filtered` says so: no hash is hashed again."""
    letters = tmp_path / "dead.jsonl"
    handler = make_handler(privacy={**OPTIONS, "rate": {}}, dead_letter=str(letters))
    plane.fail_for(lambda _: True, status=400, text="invalid json")
    wire(handler).info("e", extra={"rudder": {"user_id": "jane"}})
    assert handler.flush()
    plane.heal()
    plane.clear()
    private = log(tmp_path / "p.log", PrivateFormatter(privacy={**OPTIONS, "rate": {}}), "jack")
    assert main(["replay", "--privacy", str(rules), str(letters)]) == ExitCode.OK
    assert main(["replay", "--privacy", str(rules), "--filtered", str(private)]) == ExitCode.OK
    assert [event["userId"] for event in plane.events] == [hashed("jane"), hashed("jack")]


def test_whoever_is_suppressed_since_then_does_not_leave(
    plane: LocalDataPlane, rules: Path, tmp_path: Path
) -> None:
    """Though their id is a hash by now; by a list or a file."""
    private = log(
        tmp_path / "p.log", PrivateFormatter(privacy=OPTIONS | {"rate": {}}), "jo", "jane"
    )
    people = tmp_path / "people.txt"
    people.write_text("jo\n")
    for number, whom in enumerate((["jo"], str(people))):
        rules.write_text(json.dumps({**OPTIONS, "suppressed": whom}))
        words = ["--filtered", "--privacy", str(rules), "--resume", str(tmp_path / f"r{number}")]
        assert main(["replay", *words, str(private)]) == ExitCode.OK
    assert [event["userId"] for event in plane.events] == [hashed("jane")] * 2


def test_samples_choose_once() -> None:
    """Whom they chose when it was written is chosen, though the id is a hash now."""
    again = Again(Privacy(**{**OPTIONS, "sample": {"*": 0.5}}))
    users = [f"user-{number}" for number in range(200)]
    chosen = []
    for user in users:
        fields = {"messageId": "m", "type": "track", "event": "e", "userId": user}
        passed = again.passed(json.dumps(fields).encode()[:-1], has_passed=False)
        if isinstance(passed, bytes):
            chosen.append(passed)
    assert 60 < len(chosen) < 140
    assert [again.passed(message, has_passed=True) for message in chosen] == chosen


def test_rejects_are_filtered_too(plane: LocalDataPlane, rules: Path, tmp_path: Path) -> None:
    """What can't be sent is kept without what must not leave."""
    event = {"type": "track", "event": "e", "userId": "jo", "messageId": "m"}
    lines = [
        json.dumps({**event, "properties": {"password": SECRET}, "userId": "", "anonymousId": ""}),
        f'{{"messageId": "m", "type": "track", "url": "/?token={SECRET}',
    ]
    (tmp_path / "x.log").write_text("".join(f"{line}\n" for line in lines))
    words = ["--privacy", str(rules), "--rejects", str(tmp_path / "rejects")]
    assert main(["replay", *words, str(tmp_path / "x.log")]) == ExitCode.FAILED
    rejects = (tmp_path / "rejects").read_text()
    assert len(rejects.splitlines()) == 2
    assert SECRET not in rejects
    assert plane.events == []


def test_send_takes_a_file(plane: LocalDataPlane, rules: Path) -> None:
    """As `replay` does."""
    words = ["send", "track", "--user-id", "jane", "--event", "e", "--property", f"pwd={SECRET}"]
    rules.write_text(json.dumps({**OPTIONS, "rate": {}}))
    assert main([*words, "--privacy", str(rules)]) == ExitCode.OK
    (arrived,) = plane.events
    assert (arrived["userId"], arrived.get("properties", {})) == (hashed("jane"), {})


@each(
    ("content", "words"),
    [
        (None, "can't be read: No such file"),
        ('{"redct": []}', "did you mean 'redact'"),
        ("{", "must be a Privacy"),
        ('{"action": "hmac"}', "'hmac_key' is missing"),
    ],
)
def test_a_file_that_says_nonsense_is_an_error(
    content: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is sent."""
    path = tmp_path / "said.json"
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_text(content)
    (tmp_path / "x.log").write_text("")
    capsys.readouterr()
    for command in (["replay", str(tmp_path / "x.log")], ["send", "track", "--user-id", "u"]):
        assert main([*command, "--privacy", str(path)]) == ExitCode.BAD_INPUT
        assert words in capsys.readouterr().err
