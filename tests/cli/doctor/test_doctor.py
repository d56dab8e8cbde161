"""`rudder-logging doctor` as a process: real files, real modules, a real data plane."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rudder_logging import RudderHandler
from rudder_logging.cli.doctor import messages
from rudder_logging.cli.sources import Source
from rudder_logging.dataplane import LocalDataPlane

from ...conftest import WRITE_KEY, MakeHandler, Wire
from .test_network import secure_plane

pytestmark = pytest.mark.slow


def doctor(*words: str, at: Path, stdin: bytes = b"", **environment: str) -> tuple[int, str, str]:
    """Run it in a directory; return code, stdout, stderr. No secret is ever shown."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RUDDER_", "REQUESTS_CA", "CURL_CA"))
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "rudder_logging", "doctor", *words],
        env={**clean, "PYTHONPATH": os.pathsep.join(sys.path[1:]), **environment},
        cwd=at,
        input=stdin,
        capture_output=True,
        timeout=50,
        check=False,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert WRITE_KEY not in out + err
    assert "hidden" not in out + err
    assert "Traceback" not in err
    return done.returncode, out, err


def findings(
    *words: str, at: Path, stdin: bytes = b"", **environment: str
) -> tuple[int, dict[str, dict[str, str]]]:
    """Run it; return code, and what it finds, by the kind of finding."""
    code, out, err = doctor("--json", *words, at=at, stdin=stdin, **environment)
    assert err == ""
    return code, {finding["code"]: finding for finding in json.loads(out)["findings"]}


def settings(plane: LocalDataPlane, **handler: Any) -> dict[str, Any]:
    """An app's logging configuration."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "events": {
                "class": "rudder_logging.RudderHandler",
                "write_key": WRITE_KEY,
                "data_plane_url": plane.url,
                **handler,
            }
        },
        "root": {"level": "INFO", "handlers": ["events"]},
    }


def write(directory: Path, content: object, name: str = "logging.json") -> str:
    """A file with that content as JSON; return its name."""
    (directory / name).write_text(json.dumps(content))
    return name


def test_all_is_well(plane: LocalDataPlane, tmp_path: Path) -> None:
    """Exit code 0, verdicts first, plain lines without colour; no event is sent."""
    config = write(tmp_path, settings(plane))
    code, out, err = doctor("--config", config, "shop", "rudder", at=tmp_path)
    assert (code, err) == (0, "")
    first, second, *lines, last = out.splitlines()
    for part in ("'shop'", "INFO", ": leaves", f"RudderHandler 'events' to {plane.url}", "root"):
        assert part in first
    assert "track(): leaves" in second
    kinds = [tuple(line.split()[:3]) for line in lines]
    assert kinds[0] == ("well", "logging", "SIGTERM:")
    assert set(kinds[1:]) == {("well", "network", "RudderHandler")}
    assert last.startswith("nothing stops events")
    assert "\x1b" not in out
    assert plane.events == []


def test_what_stops_is_told_with_its_cure(plane: LocalDataPlane, tmp_path: Path) -> None:
    """Exit code 1; logger, level and cure in one line: of all tests, this one holds the words."""
    content = settings(plane)
    content["loggers"] = {"shop": {"level": "ERROR"}, "shop.api": {"propagate": False}}
    config = write(tmp_path, content)
    code, out, err = doctor("--config", config, "shop", "shop.api", at=tmp_path)
    assert (code, err) == (1, "")
    assert "logger 'shop' at INFO: does NOT leave." in out
    assert (
        "stops    logging  logger 'shop': its level is ERROR, above INFO. "
        "Cure: set the level of logger 'shop' to INFO.\n"
    ) in out
    assert "logger 'shop.api': does not propagate, so that RudderHandler 'events'" in out
    assert "Cure: leave propagate at True for logger 'shop.api'" in out


def test_json(plane: LocalDataPlane, tmp_path: Path) -> None:
    """One object, for machines."""
    config = write(tmp_path, settings(plane, level="ERROR"))
    code, out, _ = doctor("--config", config, "--json", "--offline", "shop", at=tmp_path)
    found = json.loads(out)
    assert (code, found["ok"]) == (1, False)
    assert found["loggers"] == [{"logger": "shop", "by_call": False, "leaves": False, "by": []}]
    finding, sigterm = found["findings"]
    assert (sigterm["severity"], sigterm["subject"]) == ("well", "SIGTERM")
    assert finding.pop("subject").startswith("RudderHandler 'events' to ")
    assert "ERROR" in finding.pop("text")
    assert "INFO" in finding.pop("cure")
    assert finding == {"severity": "stops", "area": "logging", "code": "handler-level"}


def test_without_a_configuration(plane: LocalDataPlane, tmp_path: Path) -> None:
    """The package's settings, from the environment or the command line, are what is checked."""
    environment: Any = {"RUDDER_WRITE_KEY": WRITE_KEY, "RUDDER_DATA_PLANE_URL": plane.url}
    code, out, _ = doctor("--json", at=tmp_path, **environment)
    assert (code, json.loads(out)["ok"]) == (0, True)
    (row,) = json.loads(out)["loggers"]
    assert (row["logger"], row["by_call"], row["leaves"]) == ("rudder", True, True)
    words = ("--write-key", "wrong", "--data-plane-url", plane.url)
    code, found = findings(*words, at=tmp_path)
    assert code == 1
    assert "401 'invalid write key'" in found["not-taken"]["text"]
    code, found = findings(at=tmp_path)
    assert code == 1
    assert "write_key" in found["settings"]["text"]


def test_the_installed_script_looks_into_the_current_directory(
    plane: LocalDataPlane, tmp_path: Path
) -> None:
    """A console script, unlike `python -m`, does not do so by itself."""
    (tmp_path / "site_settings.py").write_text(APP.format(settings=settings(plane)))
    script = Path(sys.executable).with_name("rudder-logging")
    words = ["doctor", "--offline", "--config", "site_settings:LOGGING"]
    done = subprocess.run([script, *words], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


APP = """
import logging, logging.config
print("what the app prints")
LOGGING = {settings!r}
class Staging:
    LOGGING = LOGGING
def configure():
    logging.config.dictConfig(LOGGING)
def settings():
    return LOGGING
early = logging.getLogger("app.early")
logging.getLogger("other.early")
"""


@pytest.mark.parametrize("name", ["LOGGING", "Staging.LOGGING", "configure", "settings"])
def test_configuration_in_a_module(plane: LocalDataPlane, tmp_path: Path, name: str) -> None:
    """A dict like Django's, or a function; what the app prints is none of the results."""
    (tmp_path / "site_settings.py").write_text(APP.format(settings=settings(plane)))
    code, out, err = doctor("--config", f"site_settings:{name}", "--json", "--offline", at=tmp_path)
    assert (code, err) == (0, "what the app prints\n")
    assert [row["leaves"] for row in json.loads(out)["loggers"]] == [True, True]


def test_disabled_loggers_are_found(plane: LocalDataPlane, tmp_path: Path) -> None:
    """The app's own, made before dictConfig with its default: told of all, and of one by name."""
    content = settings(plane)
    del content["disable_existing_loggers"]
    (tmp_path / "app.py").write_text(APP.format(settings=content))
    _, out, _ = doctor("--config", "app:LOGGING", "--offline", "--json", at=tmp_path)
    told = {one["subject"]: (one["code"], one["severity"]) for one in json.loads(out)["findings"]}
    assert told["loggers 'app.early', 'other.early'"] == ("logger-disabled", "warning")
    assert told["logger 'rudder_logging'"] == ("diagnostics-lost", "warning")
    _, out, _ = doctor("--config", "app:LOGGING", "--offline", "--json", "app.early", at=tmp_path)
    told = {one["subject"]: (one["code"], one["severity"]) for one in json.loads(out)["findings"]}
    assert told["logger 'app.early'"] == ("logger-disabled", "stops")


def test_ini_file(plane: LocalDataPlane, tmp_path: Path) -> None:
    """For fileConfig."""
    (tmp_path / "logging.ini").write_text(
        f"""
[loggers]
keys=root,shop
[handlers]
keys=events
[formatters]
keys=
[logger_root]
level=INFO
handlers=events
[logger_shop]
qualname=shop
level=WARNING
handlers=
[handler_events]
class=rudder_logging.RudderHandler
args=({WRITE_KEY!r}, {plane.url!r})
"""
    )
    code, found = findings("--config", "logging.ini", "--offline", "shop", at=tmp_path)
    assert code == 1
    assert found["logger-level"]["subject"] == "logger 'shop'"


def test_wrong_formatter_is_overheard(plane: LocalDataPlane, tmp_path: Path) -> None:
    """What the handler has to say of its configuration is a finding."""
    content = settings(plane, formatter="plain")
    content["formatters"] = {"plain": {"format": "%(message)s"}}
    config = write(tmp_path, content)
    code, found = findings("--config", config, "--offline", at=tmp_path)
    assert code == 0
    assert "RudderFormatter" in found["overheard"]["text"]


def test_one_thing_is_told_once(tmp_path: Path, plane: LocalDataPlane) -> None:
    """The handler warns of it when it is made, and the network's check finds it, too."""
    content = settings(plane, data_plane_url="http://data-plane.invalid")
    _, out, _ = doctor("--config", write(tmp_path, content), "--json", at=tmp_path)
    told = [one for one in json.loads(out)["findings"] if "unencrypted" in str(one)]
    assert [one["code"] for one in told] == ["unencrypted"]


BROKEN = {
    "raises.py": "import nothing_of_that_name",
    "extra.py": "raise ModuleNotFoundError(\"No module named 'h11'\", name='h11')",
    "fails.py": "LOGGING = {}\nraise RuntimeError('the settings are\\nnot well')",
    "exits.py": "raise SystemExit('wrong usage')",
    "syntax.py": "LOGGING = {",
    "odd.py": "LOGGING = 7\n"
    "def broken(): raise OSError(13, 'Permission denied')\n"
    "class Lazy:\n"
    "    def __getattr__(self, name): raise RuntimeError('not now')\n"
    "lazy = Lazy()",
    "not.json": "{'version': 1}",
    "list.json": "[]",
    "deep.json": '{"version":' + "[" * 100_000,
    "version.json": "{}",
    "class.json": '{"version": 1, "handlers": {"a": {"class": "shop.Handler"}}}',
    "option.json": json.dumps(
        {
            "version": 1,
            "handlers": {"events": {"class": "rudder_logging.RudderHandler", "uplod_size": 1}},
        }
    ),
    "key.json": '{"version": 1, "handlers": {"a": {"class": "rudder_logging.RudderHandler"}}}',
    "empty.ini": "",
    "log.yaml": "version: 1",
}


@pytest.mark.parametrize(
    ("source", "facts"),
    [
        ("nowhere.json", ("no file", "module:NAME")),
        ("not.json", ("JSON", "Expecting property name")),
        ("deep.json", ("deep",)),
        ("list.json", ("dict", "list")),
        ("version.json", ("version",)),
        ("class.json", ("'shop'",)),
        ("option.json", ("'uplod_size'", "'upload_size'")),
        ("key.json", ("write_key", "RUDDER_WRITE_KEY")),
        ("empty.ini", ()),
        ("log.yaml", ("YAML", "module:NAME")),
        ("nothing_there:LOGGING", ("'nothing_there'",)),
        ("odd:MISSING", ("'odd'", "'MISSING'")),
        ("odd:LOGGING", ("dict", "int")),
        ("odd:lazy.LOGGING", ("RuntimeError: not now",)),
        ("odd:broken", ("Permission denied",)),
        (":LOGGING", ("module:NAME",)),
        ("raises:LOGGING", ("'nothing_of_that_name'",)),
        ("extra:LOGGING", ("'h11'", "pip install 'rudder-logging[dataplane]'")),
        ("fails:LOGGING", ("RuntimeError: the settings are",)),
        ("exits:LOGGING", ("SystemExit: wrong usage",)),
        ("syntax:LOGGING", ("SyntaxError",)),
    ],
)
def test_bad_configuration_is_one_clear_line(
    tmp_path: Path, source: str, facts: tuple[str, ...]
) -> None:
    """Exit code 2, nothing on stdout; the source, what Python says of it, and what to give."""
    for name, text in BROKEN.items():
        (tmp_path / name).write_text(text)
    code, out, err = doctor("--config", source, at=tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith("Error: --config")
    assert err.count("\n") == 1
    for fact in (source, *facts):
        assert fact in err


def test_a_file_of_something_else(tmp_path: Path) -> None:
    """Neither JSON nor INI: not even text."""
    (tmp_path / "logging.json").write_bytes(b"\xff\xfe")
    code, out, err = doctor("--config", "logging.json", at=tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith("Error: --config: logging.json")
    assert "UTF-8" in err


def test_the_line_of_the_apps_own_code_is_named(tmp_path: Path) -> None:
    """Where to look."""
    (tmp_path / "fails.py").write_text(BROKEN["fails.py"])
    _, _, err = doctor("--config", "fails:LOGGING", at=tmp_path)
    assert f"({tmp_path / 'fails.py'}:2)" in err


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["--config", "/root/nothing/x"], ("--config", "/root/nothing/x")),
        (["--write-key", ""], ("write_key",)),
        (["--messages", "nothing.jsonl"], ("nothing.jsonl", "No such file")),
        (["--timeout", "soon"], ("--timeout",)),
        (["--data-plane-url", "nowhere", "--write-key", "k"], ("data_plane_url",)),
    ],
)
def test_bad_words(tmp_path: Path, words: list[str], facts: tuple[str, ...]) -> None:
    """Each is told in words; a wrong URL, too."""
    code, out, err = doctor(*words, at=tmp_path)
    assert code in (1, 2)
    for fact in facts:
        assert fact in out + err


def test_what_is_left_in_a_spool_stays_there(
    plane: LocalDataPlane, make_handler: MakeHandler, wire: Wire, tmp_path: Path
) -> None:
    """The doctor makes the app's handlers; that must not deliver what another process left."""
    spool = tmp_path / "spool"
    leaving = (
        "import logging, os, rudder_logging as r\n"
        f"h = r.RudderHandler({WRITE_KEY!r}, 'http://127.0.0.1:9', queue='file://{spool}')\n"
        "logging.getLogger().addHandler(h)\n"
        "logging.warning('Left Behind', extra={'rudder': {'user_id': 1}})\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", leaving], check=True, timeout=30)
    files = {path: path.read_bytes() for path in spool.rglob("*") if path.is_file()}
    assert files
    content = settings(plane, queue=f"file://{spool}")
    content["handlers"]["events"]["data_plane_url"] = "http://127.0.0.1:9"
    code, found = findings("--config", write(tmp_path, content), at=tmp_path)
    assert code == 1  # nobody listens there
    assert found["spool"]["severity"] == "well"
    assert str(spool) in found["spool"]["text"]
    assert {path: path.read_bytes() for path in spool.rglob("*") if path.is_file()} == files


def test_what_the_app_logs_meanwhile_is_not_sent(plane: LocalDataPlane, tmp_path: Path) -> None:
    """An import that tracks something is no reason to send it."""
    (tmp_path / "eager.py").write_text(
        f"import rudder_logging as r\nr.write_key = {WRITE_KEY!r}\n"
        f"r.data_plane_url = {plane.url!r}\nr.track('1', 'Imported')\nLOGGING = {{'version': 1}}\n"
    )
    code, found = findings("--config", "eager:LOGGING", at=tmp_path)
    assert code == 0, found
    assert found["write-key"]["severity"] == "well"
    assert plane.events == []


def test_nothing_leaves_by_children_filters_and_objects_of_the_app(
    plane: LocalDataPlane, tmp_path: Path
) -> None:
    """Events stay here, wherever the app logs them, and its own queue and sink get none."""
    (tmp_path / "eager.py").write_text(
        f"""
import logging, os, pathlib, threading, rudder_logging as r

def used(what, *args):
    pathlib.Path("used").write_text(what)

class Sink:
    max_bytes = 4_000_000
    def send(self, messages, deadline): used("sink")
    def close(self): pass

class Buffer:
    put = take = settle = depth = close = used

class Asked(logging.Filter):
    def filter(self, record):
        r.RudderHandler({WRITE_KEY!r}, {plane.url!r}).handle(event())
        r.flush()
        return True

def event():
    return logging.makeLogRecord({{"msg": "Logged", "rudder": {{"user_id": 1}}}})

def log():
    handler.handle(event())
    r.track("1", "Called")
    r.flush()

r.write_key, r.data_plane_url = {WRITE_KEY!r}, {plane.url!r}
handler = r.RudderHandler(queue=Buffer(), sink=Sink())
log()
thread = threading.Thread(target=log)
thread.start()
thread.join()
child = os.fork()
if not child:
    log()
    os._exit(0)
os.waitpid(child, 0)

LOGGING = {{
    "version": 1,
    "filters": {{"asked": {{"()": Asked}}}},
    "handlers": {{"events": {{
        "class": "rudder_logging.RudderHandler",
        "write_key": r.write_key,
        "data_plane_url": r.data_plane_url,
        "filters": ["asked"],
    }}}},
    "root": {{"level": "INFO", "handlers": ["events"]}},
}}
"""
    )
    code, out, _ = doctor("--config", "eager:LOGGING", at=tmp_path)
    assert code == 0, out
    assert plane.events == []
    assert not (tmp_path / "used").exists()


@pytest.mark.parametrize(
    ("state", "value", "kind", "words"),
    [
        ("source_enabled", False, "source-disabled", "404 'source is disabled'"),
        ("overloaded", True, "not-now", "503 'Service Unavailable'"),
    ],
)
def test_data_planes_that_take_nothing(
    plane: LocalDataPlane, tmp_path: Path, state: str, value: object, kind: str, words: str
) -> None:
    """In the gateway's words, with a cure."""
    setattr(plane, state, value)
    code, found = findings("--config", write(tmp_path, settings(plane)), at=tmp_path)
    assert code == 1
    assert words in found[kind]["text"]
    assert found[kind]["cure"]


def test_a_private_ca(tmp_path: Path) -> None:
    """Refused without its file, and accepted with it, from the environment."""
    trusted = str(tmp_path / "ca.pem")
    with secure_plane(tmp_path) as plane:
        config = write(tmp_path, settings(plane))
        code, found = findings("--config", config, at=tmp_path)
        assert code == 1
        assert "private CA" in found["certificate-refused"]["cure"]
        code, found = findings("--config", config, at=tmp_path, RUDDER_CA_BUNDLE=trusted)
    assert code == 0, found


@pytest.mark.parametrize(
    ("how", "cure"),
    [({"days": -1}, "renewed"), ({"host": "other.example"}, "data_plane_url")],
    ids=["expired", "wrong host"],
)
def test_certificates_through_the_entry_point(
    tmp_path: Path, how: dict[str, Any], cure: str
) -> None:
    """What is wrong with them, and the cure."""
    with secure_plane(tmp_path, **how) as plane:
        config = write(tmp_path, settings(plane, ca_bundle=str(tmp_path / "ca.pem")))
        code, found = findings("--config", config, at=tmp_path)
    assert code == 1
    assert cure in found["certificate-refused"]["cure"]


def test_passwords_of_proxies_are_not_shown(plane: LocalDataPlane, tmp_path: Path) -> None:
    """Neither in lines nor as JSON (`doctor` looks for it)."""
    proxy = plane.url.replace("http://", "http://user:hidden@")
    config = write(tmp_path, settings(plane, proxies={"http": proxy}))
    for words in ([], ["--json"]):
        _, out, _ = doctor("--config", config, *words, at=tmp_path)
        assert "***@127.0.0.1" in out


def test_messages_of_a_file(
    plane: LocalDataPlane, make_handler: MakeHandler, wire: Wire, tmp_path: Path
) -> None:
    """Counted per kind, with the first line; other lines are skipped and counted."""
    event = {"type": "track", "messageId": "m", "userId": "1", "event": "Order Paid"}
    dead = {"message": {**event, "userId": None}, "status": 400, "reason": "r", "refusedAt": "t"}
    lines = [
        b"an ordinary line",
        json.dumps({"message": "of python-json-logger's", "level": "INFO"}).encode(),
        json.dumps({**event, "properties": {"userId": 7}}).encode(),
        json.dumps({**event, "properties": {"userId": 8}}).encode(),
        json.dumps(dead).encode(),
        json.dumps({**event, "event": "Order 1 Paid"}).encode(),
        json.dumps({**event, "event": "Order 2 Paid"}).encode(),
        b"x" * 5_000_001,
        b'{"type": "track", "torn',
    ]
    code, out, err = doctor("--messages", "-", "--json", at=tmp_path, stdin=b"\n".join(lines))
    assert (code, err) == (1, "")
    dead_letter, reserved, names, seen = json.loads(out)["findings"]
    assert {one["area"] for one in (dead_letter, reserved, names, seen)} == {"messages"}
    for finding, severity, kind, facts in (
        (dead_letter, "stops", "unsendable", ("1 of 5", "line 5", "'user_id'", "'anonymous_id'")),
        (reserved, "warning", "warehouse", ("2 of 5", "line 3", "properties.userId")),
        (names, "warning", "warehouse", ("1 of 5", "line 7", "'Order … Paid'")),
        (seen, "well", "events-seen", ("5", "4")),
    ):
        assert (finding["severity"], finding["code"]) == (severity, kind)
        for fact in facts:
            assert fact in finding["text"]


def test_types_that_drift_in_a_file(tmp_path: Path) -> None:
    """Counted per column and kind, with both lines, the fate of the later ones, and a cure."""
    event = {"type": "track", "messageId": "m", "userId": "1", "event": "Order Paid"}
    values = [{"total": 5, "due": "2026-01-31"}, {"total": 24.95}, {"total": 1.5, "due": "SECRET"}]
    lines = [json.dumps({**event, "properties": each}) for each in values]
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    code, out, _ = doctor("--messages", "events.jsonl", "--json", at=tmp_path)
    assert code == 0
    assert "SECRET" not in out
    total, due, _ = json.loads(out)["findings"]
    assert (total["code"], total["severity"]) == ("types", "warning")
    assert total["text"].startswith(
        "2 of 3 events, first in line 2: properties.total is float, and the column "
        "order_paid.total is int since line 1: a warehouse cuts its fraction off, without a word; "
        "send money in minor units"
    )
    assert "the column order_paid.due is datetime since line 1: a warehouse puts" in due["text"]


def test_messages_are_held_to_a_plan(tmp_path: Path) -> None:
    """What breaks it is counted, and its types come first."""
    schema = {"properties": {"total": {"type": "integer"}}}
    write(tmp_path, {"events": [{"name": "Order Paid", "schema": schema}]}, "plan.json")
    event = {"type": "track", "messageId": "m", "userId": "1", "event": "Order Paid"}
    write(tmp_path, {**event, "properties": {"total": 2.5}}, "events.jsonl")
    words = ["--messages", "events.jsonl", "--plan"]
    code, found = findings(*words, "plan.json", at=tmp_path)
    assert code == 0
    assert "order_paid.total is int by plan.json: " in found["types"]["text"]
    assert "not as planned: properties.total must be an integer" in found["plan"]["text"]
    code, _, err = doctor("--plan", "plan.json", at=tmp_path)
    assert (code, "give --messages FILE, too" in err) == (2, True)
    code, _, err = doctor(*words, "nothing.json", at=tmp_path)
    assert (code, "nothing.json can't be read" in err) == (2, True)


def test_names_can_not_command_a_terminal(tmp_path: Path) -> None:
    """What stands in a file may come from anybody."""
    event = {"type": "track", "messageId": "m", "userId": "1", "event": "Paid"}
    write(tmp_path, {**event, "properties": {"\x1b[2J\u202e": 1}}, "events.jsonl")
    _, out, _ = doctor("--messages", "events.jsonl", at=tmp_path)
    assert "properties.\ufffd[2J\ufffd " in out


def test_kinds_of_findings_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in which each event has a fault of its own does not fill the memory."""
    monkeypatch.setattr(messages, "_MOST_KINDS", 3)
    event = {"type": "track", "messageId": "m", "userId": "1", "event": "Paid"}
    lines = [json.dumps({**event, "properties": {f"€{n}x": 1}}) for n in range(10)]
    (tmp_path / "events.jsonl").write_text("\n".join([*lines, "", "a line"]))
    source = Source(str(tmp_path / "events.jsonl"))
    *kinds, beyond, looked_at = messages.examine(source)
    source.close()
    assert len(kinds) == 3
    assert (beyond.code, beyond.text.split()[0]) == ("more-kinds", "7")
    assert (looked_at.code, re.findall(r"\d+", looked_at.text)) == ("events-seen", ["10", "1"])


def test_messages_that_are_none(tmp_path: Path) -> None:
    """An ordinary log is a warning; what is no text at all is damage. Neither is a crash."""
    (tmp_path / "app.log").write_text("the shop is open\n" * 10)
    code, found = findings("--messages", "app.log", at=tmp_path)
    assert (code, found["no-events"]["severity"]) == (0, "warning")
    (tmp_path / "other.bin").write_bytes(bytes(range(256)) * 10)
    code, found = findings("--messages", "other.bin", at=tmp_path)
    assert (code, found["unsendable"]["severity"]) == (1, "stops")
    assert "damaged" in found["unsendable"]["text"]


def test_a_spools_own_lines_are_read(
    make_handler: MakeHandler, wire: Wire, tmp_path: Path, plane: LocalDataPlane
) -> None:
    """What the durable queue writes is what the doctor reads."""
    plane.source_enabled = False
    handler = make_handler(queue=f"file://{tmp_path}/spool")
    assert isinstance(handler, RudderHandler)
    wire(handler).info("Article Read", extra={"rudder": {"user_id": "1"}})
    (segment,) = (tmp_path / "spool").rglob("*.jsonl")
    code, found = findings("--messages", str(segment), at=tmp_path)
    assert code == 0
    assert "1" in re.findall(r"\d+", found["events-seen"]["text"])


def test_a_table_on_a_terminal(plane: LocalDataPlane, tmp_path: Path) -> None:
    """With colours, and no wider than the terminal."""
    config = write(tmp_path, settings(plane, level="ERROR"))
    ours, terminal = os.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "rudder_logging", "doctor", "--offline", "--config", config],
        stdout=terminal,
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "90", "TERM": "xterm"},
    )
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that the other side has closed
        while piece := os.read(ours, 65_536):
            shown += piece
    os.close(ours)
    assert done.wait(timeout=30) == 1
    lines = re.sub(r"\x1b\[[\d;]*m", "", shown.decode()).splitlines()
    assert "\x1b[1;31mstops" in shown.decode()
    assert any("finding" in line and "cure" in line for line in lines)
    assert max(map(len, (line for line in lines if line[:1] in "┏│"))) <= 90


def test_closed_pipe(plane: LocalDataPlane, tmp_path: Path) -> None:
    """Whoever reads may go away: exit code 141, and no traceback."""
    config = write(tmp_path, settings(plane))
    command = f"{sys.executable} -m rudder_logging doctor --config {config} --offline; echo $? >&2"
    read, written = os.pipe()
    os.close(read)
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, stdout=written, stderr=subprocess.PIPE, check=False
    )
    os.close(written)
    assert done.stderr.decode().strip() == "141"


def test_privacy(plane: LocalDataPlane, tmp_path: Path) -> None:
    """What is in force, without secrets; and what of it has no effect."""
    privacy = {
        "hash": ["ids"],
        "hmac_key": "hidden",
        "sample": {"identify": 0.5, "Page Viewed": 0.1},
        "consent": {"provider": "oneTrust", "categories": ["C1"], "allowed": ["C1", "C2"]},
    }
    config = write(tmp_path, settings(plane, privacy=privacy, allowed_hosts=["127.0.0.1"]))
    code, found = findings("--config", config, "--offline", at=tmp_path)
    assert code == 0
    assert "hmac_key=..., hash=('ids',)" in found["privacy"]["text"]
    assert "127.0.0.1 alone" in found["residency"]["text"]
    assert found["consent-denies-nothing"]["severity"] == "warning"
    assert "names identify, of which" in found["sample-of-identify"]["text"]
    policy = {"provider": "oneTrust", "categories": ["C1", "C2"], "allowed": ["C1"]}
    config = write(tmp_path, settings(plane, privacy={"consent": policy, "sample": {"e": 0.5}}))
    code, found = findings("--config", config, "--offline", at=tmp_path)
    assert code == 0
    assert not {"consent-denies-nothing", "sample-of-identify", "residency"} & found.keys()


def test_a_hash_without_a_key_is_told(plane: LocalDataPlane, tmp_path: Path) -> None:
    """With its cure, as each fault of the configuration."""
    config = write(tmp_path, settings(plane, privacy={"hash": ["ids"]}))
    code, _, err = doctor("--config", config, "--offline", at=tmp_path)
    assert code == 2
    assert "'hmac_key' is missing" in err
