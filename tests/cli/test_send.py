"""`rudder-logging send`: one event leaves, or one line says why it did not."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any

import pytest

from rudder_logging.cli.common import ExitCode
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.events.table import EVENT_TYPES

from ..conftest import WRITE_KEY
from .command import complaint, ids, run

pytestmark = pytest.mark.slow

FIELDS: Mapping[str, tuple[str, ...]] = {
    "identify": ("--trait", "plan=pro"),
    "track": ("--event", "Order Completed", "--property", "revenue=49.9"),
    "page": ("--name", "Home", "--category", "Docs"),
    "screen": ("--name", "Home"),
    "group": ("--group-id", "g", "--traits", '{"plan": "pro"}'),
    "alias": ("--previous-id", "old"),
    "merge": (
        "--merge-properties",
        '[{"type": "email", "value": "a@b.c"}, {"type": "phone", "value": "1"}]',
    ),
}


def test_a_timestamp_that_is_none_has_the_commands_cure(plane: LocalDataPlane) -> None:
    """Not one of Python: a flag has no datetime."""
    words = ("send", "track", "--user-id", "1", "--event", "e", "--timestamp", "yesterday")
    line = complaint(run(*words, plane=plane), ExitCode.BAD_INPUT)
    assert "--timestamp" in line
    assert "2026-01-31T12:00:00Z" in line
    assert "aware datetime" not in line


def unreachable() -> str:
    """A URL at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_type_arrives(plane: LocalDataPlane, name: str) -> None:
    """Each row of the table is a sub-command; it prints the id of what arrived, no more."""
    done = run("send", name, "--user-id", "42", *FIELDS[name], plane=plane)
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    (event,) = plane.events
    assert (event["type"], event["userId"]) == (name, "42")
    assert done.stdout == f"{event['messageId']}\n"
    assert plane.problems == []


def test_an_older_server_has_it(plane: LocalDataPlane) -> None:
    """Servers before 1.46 say OK in capitals, and refuse in other words, too."""
    plane.dialect = "1.45"
    words = ("send", "track", "--user-id", "42", "--event", "e")
    assert run(*words, plane=plane).returncode == ExitCode.OK
    plane.max_request_bytes = 10
    assert "413 'request size exceeds max limit'" in complaint(
        run(*words, plane=plane), ExitCode.FAILED
    )
    assert len(plane.events) == 1


@pytest.mark.rudder_network
@pytest.mark.parametrize(
    ("variable", "value", "cause"),
    [
        ("REQUESTS_CA_BUNDLE", "/no/such", "REQUESTS_CA_BUNDLE names a file that does not exist"),
        ("RUDDER_PROXIES", '{"https": "http://u:hidden@"}', "correct the proxy's URL"),
    ],
)
def test_the_cause_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, cause: str
) -> None:
    """Whatever the transport raises: in one line, without a traceback, and soon."""
    monkeypatch.setenv(variable, value)
    url = unreachable().replace("http:", "https:")
    options = ("--write-key", WRITE_KEY, "--data-plane-url", url)
    done = run("send", "track", "--user-id", "42", "--event", "e", *options)
    text = complaint(done, ExitCode.FAILED)
    assert cause in text
    assert "nothing is kept" in text.lower()
    assert "hidden" not in text


def test_flags_are_the_tables_fields() -> None:
    """Every field of a type is a flag of its sub-command, with the table's words."""
    done = run("send", "group", "--help")
    for field in EVENT_TYPES["group"].fields:
        assert f"--{field.arg.replace('_', '-')} " in done.stdout
    assert "RUDDER_WRITE_KEY" in done.stdout


def test_values_are_json_where_they_parse(plane: LocalDataPlane) -> None:
    """`--property` takes JSON, else text; it wins over `--properties`, and long numbers stay."""
    pairs = {
        "number": "1.5",
        "flag": "true",
        "text": "plain words",
        "equals": "a=b",
        "quoted": '"7"',
        "list": "[1, 2]",
        "card": "4111111111111111111111",
        "nan": "NaN",
    }
    flags = [word for name, value in pairs.items() for word in ("--property", f"{name}={value}")]
    words = ("--user-id", "1", "--event", "e", "--properties", '{"number": 0, "base": null}')
    assert run("send", "track", *words, *flags, plane=plane).returncode == ExitCode.OK
    assert plane.events[0]["properties"] == {
        "base": None,
        "number": 1.5,
        "flag": True,
        "text": "plain words",
        "equals": "a=b",
        "quoted": "7",
        "list": [1, 2],
        "card": "4111111111111111111111",
        "nan": "NaN",
    }


def test_given_id_and_time_are_kept(plane: LocalDataPlane) -> None:
    """`--message-id` and `--timestamp` arrive: so an event can be sent again as itself."""
    words = ("--user-id", "1", "--event", "e", "--message-id", "m-1")
    done = run("send", "track", *words, "--timestamp", "2026-01-31T12:00:00Z", plane=plane)
    assert done.stdout == "m-1\n"
    assert plane.events[0]["messageId"] == "m-1"
    assert plane.events[0]["timestamp"] == "2026-01-31T12:00:00Z"


def test_json_shows_message_and_outcome(plane: LocalDataPlane) -> None:
    """`--json` prints what was sent, and that it was delivered, on one line."""
    done = run("send", "track", "--user-id", "1", "--event", "e", "--json", plane=plane)
    result = json.loads(done.stdout)
    assert (result["outcome"], result["fault"]) == ("delivered", None)
    assert {**plane.events[0], "sentAt": None} == {**result["message"], "sentAt": None}


BAD = [
    (("track", "--user-id", "1"), "--event is missing"),
    (("track", "--event", "e"), "no id; give --user-id or --anonymous-id"),
    (("track", "--user-id", " ", "--event", "e"), "--user-id is blank"),
    (("track", "--user-id", "1", "--event", "e", "--properties", "{secret"), "character 2"),
    (("track", "--user-id", "1", "--event", "e", "--properties", "[1]"), "a JSON object"),
    (("track", "--user-id", "1", "--event", "e", "--properties", "[" * 100_000), "is no JSON"),
    (("track", "--user-id", "1", "--event", "e", "--property", "secret"), "NAME=VALUE"),
    (("track", "--user-id", "1", "--event", "e", "--timestamp", "secret"), "--timestamp"),
    (("track", "--user-id", "1", "--event", "e", "--integrations", '{"All": 1}'), "'All'"),
    (("merge", "--user-id", "1", "--merge-properties", "{}"), "must be a list"),
    (("track", "--user-id", "1", "--event", "e", "--timeout", "soon"), "timeout must be"),
    (("track", "--user-id", "1", "--event", "e", "--data-plane-url", "secret"), "data_plane_url"),
    (("track", "--user-id", "1", "--event", "e", "--ca-bundle", "/no/such"), "ca_bundle"),
]


@pytest.mark.parametrize(("words", "expected"), BAD)
def test_bad_input_is_one_line(
    plane: LocalDataPlane, words: tuple[str, ...], expected: str
) -> None:
    """What can't be sent is told in one line without its content; nothing is sent; exit code 2."""
    line = complaint(run("send", *words, plane=plane), ExitCode.BAD_INPUT)
    assert expected in line
    assert "secret" not in line
    assert plane.requests == []


def test_an_event_that_is_too_large_is_bad_input(plane: LocalDataPlane) -> None:
    """By the option that limits all events of the environment."""
    words = ("send", "track", "--user-id", "1", "--event", "secret" * 100)
    line = complaint(run(*words, plane=plane, RUDDER_MAX_EVENT_BYTES="500"), ExitCode.BAD_INPUT)
    assert "max_event_bytes" in line
    assert "secret" not in line


def test_what_is_switched_off_sends_nothing(plane: LocalDataPlane) -> None:
    """Where the environment says that nothing may leave (`RUDDER_SEND=off`), nothing does."""
    words = ("send", "track", "--user-id", "1", "--event", "e")
    line = complaint(run(*words, plane=plane, RUDDER_SEND="off"), ExitCode.BAD_INPUT)
    assert "RUDDER_SEND" in line
    assert plane.requests == []


def test_a_missing_write_key_is_told() -> None:
    """Without a write key, the line names the flag's option and the variable."""
    line = complaint(run("send", "track", "--user-id", "1", "--event", "e"), ExitCode.BAD_INPUT)
    assert "write_key is missing" in line
    assert "RUDDER_WRITE_KEY" in line


@pytest.mark.parametrize("json_too", [False, True])
def test_an_unreachable_server_is_told(json_too: bool) -> None:
    """After `--shutdown-timeout` one line says what is wrong, and how to go on."""
    url = unreachable()
    words = ["send", "track", "--user-id", "1", "--event", "e", "--write-key", WRITE_KEY]
    words += ["--data-plane-url", url, "--shutdown-timeout", "0.2", "--message-id", "m-1"]
    done = run(*words, *(["--json"] if json_too else []))
    line = complaint(done, ExitCode.FAILED)
    assert f"not delivered to {url}: Connection refused" in line
    assert "--message-id m-1" in line
    assert WRITE_KEY not in line
    if json_too:
        assert json.loads(done.stdout)["outcome"] == "not delivered"
    else:
        assert done.stdout == ""


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"status": 401}, "401 'invalid write key'; check write_key"),
    ({"status": 404}, "source is disabled"),
    ({"status": 302, "text": "secret"}, "302"),
]


@pytest.mark.parametrize(("fault", "expected"), FAULTS)
def test_a_configuration_fault_is_told_at_once(
    plane: LocalDataPlane, fault: dict[str, Any], expected: str
) -> None:
    """A wrong key, a disabled source, a strange answer: one line, exit code 1, and no waiting."""
    plane.fail(**fault, times=None)
    done = run("send", "track", "--user-id", "1", "--event", "e", plane=plane)
    line = complaint(done, ExitCode.FAILED)
    assert expected in line
    assert "secret" not in line
    assert len(plane.requests) == 1


def test_what_pytest_keeps_back_is_not_delivered() -> None:
    """What a test starts reaches no other host; the command says so, and does not claim success."""
    words = ("--user-id", "1", "--event", "e", "--write-key", WRITE_KEY)
    url = "http://hosted.example.com"
    done = run("send", "track", *words, "--data-plane-url", url, "--json")
    result = json.loads(done.stdout)
    assert result["outcome"] == "not delivered"
    assert "pytest keeps events from hosted.example.com" in result["fault"]
    line = complaint(done, ExitCode.FAILED)
    assert line.startswith(f"not delivered to {url}: pytest keeps events from hosted.example.com")
    assert "though it may have arrived" not in line


def test_an_outage_is_told(plane: LocalDataPlane) -> None:
    """A server that stays away for `--shutdown-timeout` is told with its words; exit code 1."""
    plane.fail(503, times=None)
    words = ("--user-id", "1", "--event", "e", "--shutdown-timeout", "0.2")
    line = complaint(run("send", "track", *words, plane=plane), ExitCode.FAILED)
    assert "503 'Service Unavailable'" in line


def test_a_short_outage_does_not_matter(plane: LocalDataPlane) -> None:
    """A failure that passes within the time is retried with the same id."""
    plane.fail(503, times=1)
    done = run("send", "track", "--user-id", "1", "--event", "e", plane=plane)
    assert done.returncode == ExitCode.OK
    assert ids(plane.events) == [done.stdout.strip()]
    assert len(plane.requests) == 2


def test_a_refused_event_is_told(plane: LocalDataPlane) -> None:
    """What the server refuses for good is told as such, at once."""
    plane.max_request_bytes = 100
    try:
        done = run("send", "track", "--user-id", "1", "--event", "e", plane=plane)
    finally:
        plane.max_request_bytes = 4_096_000
    assert "the data plane refused the event: 413" in complaint(done, ExitCode.FAILED)


def test_a_lost_answer_is_told(plane: LocalDataPlane) -> None:
    """If the connection is cut behind the event, the line says that it may have arrived."""
    plane.cut(accepted=True, times=None)
    words = ("--user-id", "1", "--event", "e", "--shutdown-timeout", "0")
    line = complaint(run("send", "track", *words, plane=plane), ExitCode.FAILED)
    assert "though it may have arrived" in line
    assert set(ids(plane.events)) == {line.rpartition(" ")[2]}
