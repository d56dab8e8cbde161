"""`rudder-logging forget`: told before it is done, and held to what is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from rudder_logging.cli import main
from rudder_logging.cli.common import ExitCode
from rudder_logging.dataplane import LocalDataPlane

from ..conftest import MakeHandler, Wire
from ..each import each

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
        "spool": {"erased": 4, "held": 0},
        "api": {"regulation": "suppress_with_delete", "users": 1, "destinations": 1},
    }
    assert "jane" not in texts(left)
    assert '"jo"' in texts(left)
    (made,) = control.regulations
    assert made["attributes"] == {"userId": "jane"}
    assert made["destinationIds"] == ["d1"]


def test_what_a_living_process_holds_is_told(
    spool: Path,
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And is a failure: it may be sent."""
    handler = make_handler(queue=f"file://{spool}", upload_interval=3_600)
    wire(handler).info("e", extra={"rudder": {"user_id": "jane"}})
    assert main(["forget", "jane", "--spool", str(spool), "--yes"]) == ExitCode.FAILED
    assert "1 event held by living processes" in capsys.readouterr().err
    assert handler.suppress("jane") == 1
    assert handler.flush()
    assert plane.events == []
    assert "jane" not in texts(spool)


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
    control: LocalDataPlane, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never with the token."""
    file = tmp_path / "other"
    file.write_text("another-token")
    words = ["forget", "jane", "--api", control.url, "--token-file", str(file), "--yes"]
    assert main(words) == ExitCode.FAILED
    told = capsys.readouterr().err
    assert "refuses the regulation: 401 Unauthorized" in told
    assert "another-token" not in told
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
