"""`rudder-logging relay`, through its real entry point, over sources in the process's memory."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rudder_logging.cli.common import ExitCode
from rudder_logging.dataplane import LocalDataPlane

from ..conftest import WRITE_KEY
from ..relay.commands import ON_SHELF, Relaying
from ..relay.commands import relaying as relaying_anywhere
from ..relay.feeds import PATIENCE, numbers, until
from .command import complaint, environment, run

pytestmark = pytest.mark.slow


def relaying(
    plane: LocalDataPlane, log: Path, *words: object, messages: int = 0, **more: str
) -> contextlib.AbstractContextManager[Relaying]:
    """The relay over sources that have so many messages."""
    url = f"shelf://here/{messages}"
    return relaying_anywhere(plane, log, url, *words, command=ON_SHELF, **more)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The file of its stderr."""
    return tmp_path / "stderr"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_delivers_until_a_signal_ends_it_well(
    plane: LocalDataPlane, log: Path, number: int
) -> None:
    """It says from where to where, and in the end how many; the exit code is 0."""
    with relaying(
        plane, log, "--source", "shop", messages=500, RUDDER_WRITE_KEY=WRITE_KEY
    ) as relay:
        plane.wait_for(500, PATIENCE)
        stdout, code = relay.end(number)
    assert (stdout, code) == ("shop: 500 delivered\n", ExitCode.OK)
    assert relay.stderr == f"Relaying shop from shelf://here/500 to {plane.url}\n"


def test_drain_ends_when_nothing_waits(plane: LocalDataPlane, log: Path, tmp_path: Path) -> None:
    """Of all sources, each with a key and with dead letters of its own."""
    key = tmp_path / "shop.key"
    key.write_text(WRITE_KEY)
    key.chmod(0o600)
    plane.fail_for(lambda event: event["properties"]["n"] == 5, 400, "invalid json\n")
    flags = ("--drain", "--source", f"shop={key}", "--source", "my-web")
    letters = ("--dead-letter", tmp_path / "dead.jsonl")
    own = {"RUDDER_WRITE_KEY_MY_WEB": WRITE_KEY}
    with relaying(plane, log, *flags, *letters, messages=300, **own) as relay:
        stdout, code = relay.result()
    assert code == ExitCode.OK
    assert stdout.splitlines() == [
        "shop: 299 delivered, 1 refused",
        "my-web: 299 delivered, 1 refused",
    ]
    assert len(plane.events) == 598
    for source in ("shop", "my-web"):
        letter = json.loads((tmp_path / f"dead.{source}.jsonl").read_text())
        assert letter["message"]["messageId"] == "m5"


def test_a_stop_waits_for_the_uploads_that_run(plane: LocalDataPlane, log: Path) -> None:
    """What is stored is counted, and nothing more is sent."""
    plane.latency = 1.0
    flags = ("--source", "shop", "--uploads", "2", "--shutdown-timeout", "60")
    with relaying(plane, log, *flags, messages=9_000, RUDDER_WRITE_KEY=WRITE_KEY) as relay:
        plane.wait_for(1, PATIENCE)
        stdout, code = relay.end()
    arrived = numbers(plane.events)
    assert len(arrived) == len(set(arrived)) < 9_000
    assert stdout == f"shop: {len(arrived):,} delivered\n"
    assert code == ExitCode.OK


def test_a_second_signal_ends_it_at_once(plane: LocalDataPlane, log: Path) -> None:
    """Whatever it waits for."""
    plane.hang(times=None)
    flags = ("--source", "shop", "--shutdown-timeout", "3600", "--timeout", "3600")
    with relaying(plane, log, *flags, messages=10, RUDDER_WRITE_KEY=WRITE_KEY) as relay:
        plane.wait_for_requests(1, PATIENCE)
        relay.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            relay.process.wait(2)
        _, code = relay.end()
    assert code == ExitCode.INTERRUPTED


def test_a_drain_that_is_interrupted_says_so(plane: LocalDataPlane, log: Path) -> None:
    """Nobody is to take it for empty."""
    plane.fail(503, times=None)
    flags = ("--drain", "--source", "shop")
    with relaying(plane, log, *flags, messages=10, RUDDER_WRITE_KEY=WRITE_KEY) as relay:
        plane.wait_for_requests(1, PATIENCE)
        stdout, code = relay.end()
    assert (stdout, code) == ("shop: 0 delivered\n", ExitCode.INTERRUPTED)
    assert "interrupted before all was sent" in relay.stderr


def test_sighup_has_keys_read_again(plane: LocalDataPlane, log: Path, tmp_path: Path) -> None:
    """A refused key is told by source; the new one counts at once."""
    key = tmp_path / "shop.key"
    key.write_text("another")
    key.chmod(0o600)
    with relaying(plane, log, "--source", f"shop={key}", messages=10) as relay:
        until(lambda: "ERROR shop: events are held" in relay.stderr)
        key.write_text(WRITE_KEY)
        relay.process.send_signal(signal.SIGHUP)
        plane.wait_for(10, PATIENCE)
        until(lambda: "WARNING shop: delivery resumes" in relay.stderr)
        assert relay.end()[1] == ExitCode.OK
    assert "another" not in relay.stderr


def test_it_answers_for_its_health(plane: LocalDataPlane, log: Path) -> None:
    """At the address that is given, and that it says."""
    flags = ("--source", "shop", "--metrics", "127.0.0.1:0")
    with relaying(plane, log, *flags, messages=10, RUDDER_WRITE_KEY=WRITE_KEY) as relay:
        plane.wait_for(10, PATIENCE)
        delivered = 'rudder_relay_delivered_total{source="shop"} 10.0'
        until(lambda: delivered in relay.get("/metrics").text)
        assert relay.get("/healthz").status_code == 200
        assert relay.get("/readyz").status_code == 200
        assert relay.end()[1] == ExitCode.OK


def test_the_environment_says_what_flags_leave_out(plane: LocalDataPlane, log: Path) -> None:
    """Engine, source and data plane, so that no secret is among the words of a command."""
    more = {"RUDDER_RELAY": "shelf://u:secret@here/3", "RUDDER_SOURCE": "shop"}
    more |= {"RUDDER_DATA_PLANE_URL": plane.url, "RUDDER_WRITE_KEY": WRITE_KEY}
    with relaying_anywhere(None, log, command=ON_SHELF, **more) as relay:
        plane.wait_for(3, PATIENCE)
        assert relay.end()[1] == ExitCode.OK
    assert "secret" not in log.read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "Missing argument 'URL'"),
        (("redis://h",), "no source is given; name it with --source NAME, or set RUDDER_SOURCE"),
        (("redis://h", "--source", "a/b"), "--source must be a name of at most 100 letters"),
        (("redis://h", "--source", "a", "--source", "a"), "--source names a twice"),
        (("http://h", "--source", "a"), "URL must be the URL of an engine"),
        (("redis://h", "--source", "a"), "there is no write key for the source a; give --source"),
        (("redis://h", "--source", "a=/nowhere"), "a can't be read from /nowhere: No such file"),
        (("redis://h", "--uploads", "0", "--source", "a"), "--uploads"),
    ],
)
def test_wrong_words(words: tuple[str, ...], told: str) -> None:
    """One line, and exit code 2; nothing was sent."""
    assert told in complaint(run("relay", *words), ExitCode.BAD_INPUT)


def test_a_source_of_the_environment_that_is_none() -> None:
    """Nothing would ever come of it: no app can have that name."""
    done = run("relay", "redis://h", RUDDER_SOURCE="a/b")
    assert "RUDDER_SOURCE: " in complaint(done, ExitCode.BAD_INPUT)


def test_an_address_that_is_none(plane: LocalDataPlane) -> None:
    """The flag is named."""
    done = run("relay", "redis://127.0.0.1:1", "--source", "a", "--metrics", "x", plane=plane)
    assert "--metrics must be an address" in complaint(done, ExitCode.BAD_INPUT)


def test_metrics_without_the_extra(plane: LocalDataPlane) -> None:
    """What is missing is told with its cure; without the flag nothing is."""
    code = (
        "import sys; sys.modules['prometheus_client'] = None; "
        "from rudder_logging.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["relay", "redis://127.0.0.1:1", "--source", "a", "--metrics", "0"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env=environment(plane),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    told = complaint(done, ExitCode.BAD_INPUT)
    assert told == "--metrics needs an extra: pip install 'rudder-logging[cli,metrics]'"


def test_its_help_has_flags_and_examples() -> None:
    """Those of the process are the command's own."""
    done = run("relay", "--help")
    assert done.returncode == ExitCode.OK
    assert done.stdout.startswith("Usage: rudder-logging relay [OPTIONS] URL")
    for words in ("--source", "--drain", "--dead-letter", "Examples:", "SIGTERM"):
        assert words in done.stdout
