"""`rudder-logging serve`, through its real entry point."""

from __future__ import annotations

import gzip
import json
import logging
import signal
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from rudder_logging import RudderHandler
from rudder_logging.cli.common import ExitCode
from rudder_logging.dataplane.dialects import DIALECTS

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "rudder_logging", "serve"]
ROOT = Path(__file__).parents[2]
EVENT = {"type": "track", "event": "Paid", "userId": "ä1", "messageId": "m1"}


@contextmanager
def serving(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and its address."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *flags], stdout=pipe, stderr=pipe, encoding="utf-8"
    ) as server:
        output = server.stderr if "--json" in flags else server.stdout
        assert output is not None
        try:
            yield server, output.readline().split()[-1].rstrip("/")
        finally:
            if server.poll() is None:
                server.kill()


def end(server: subprocess.Popen[str], number: int = signal.SIGINT) -> tuple[str, str, int]:
    """End it as a person or a service manager would; what it wrote, and its exit code."""
    server.send_signal(number)
    assert server.stdout is not None
    assert server.stderr is not None
    return server.stdout.read(), server.stderr.read(), server.wait(60)


def post(url: str, *events: object, key: str = "any") -> requests.Response:
    """Send a batch."""
    return requests.post(f"{url}/v1/batch", json={"batch": events}, auth=(key, ""), timeout=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_how_to_reach_it_and_what_came(number: int) -> None:
    """The page's address and an app's settings first; the counts after Ctrl-C, and code 0."""
    with serving() as (server, url):
        assert url.startswith("http://127.0.0.1:")
        assert "No event yet" in requests.get(url, timeout=60).text
        assert post(url, EVENT, EVENT).text == "ok"
        assert post(url).status_code == 400
        with requests.get(f"{url}/live/stream", stream=True, timeout=60):  # an open page
            stdout, stderr, code = end(server, number)
    assert f"RUDDER_DATA_PLANE_URL={url} RUDDER_WRITE_KEY=local-write-key" in stdout
    assert "any write key" in stdout
    assert stdout.splitlines()[-1] == "2 events stored; 1 of 2 requests refused"
    assert (stderr, code) == ("", ExitCode.OK)


def test_a_handler_delivers_to_it() -> None:
    """What it tells an app to set is what an app needs."""
    with serving() as (server, url):
        handler = RudderHandler(write_key="local-write-key", data_plane_url=url)
        handler.emit(_record())
        assert handler.flush(10)
        handler.close()
        assert end(server)[0].splitlines()[-1].startswith("1 events stored; 0 of 1")


def _record() -> logging.LogRecord:
    record = logging.LogRecord("app", logging.INFO, __file__, 1, "Paid", None, None)
    record.rudder = {"user_id": "1"}
    return record


def test_json_lines() -> None:
    """Events as lines on stdout, as `replay` takes them; all else on stderr."""
    with serving("--json") as (server, url):
        post(url, EVENT, {**EVENT, "messageId": "m2"})
        post(url, {"type": "track"})
        assert server.stdout is not None
        assert json.loads(server.stdout.readline()) == EVENT  # at once, not at the end
        post(url, {**EVENT, "messageId": "m3"})
        stdout, stderr, code = end(server)
    assert [json.loads(line)["messageId"] for line in stdout.splitlines()] == ["m2", "m3"]
    assert stderr.splitlines()[-1] == "3 events stored; 1 of 3 requests refused"
    assert code == ExitCode.OK


def test_write_key() -> None:
    """Given, it is the only one that is taken, and it is not shown."""
    with serving("--write-key", "the-one") as (server, url):
        assert post(url, EVENT).text == "invalid write key\n"
        assert post(url, EVENT, key="the-one").text == "ok"
        assert "the-one" not in requests.get(url, timeout=60).text
        stdout, stderr, _ = end(server)
    assert "the-one" not in stdout + stderr


def test_dialect() -> None:
    """`--dialect 1.45` answers as servers before 1.46; another one names those that there are."""
    with serving("--dialect", "1.45") as (_, url):
        assert post(url, EVENT).text == "OK"
        assert post(url, {"type": "track"}).text.startswith("Request neither has anonymousId")
    answer = run("--dialect", "1.44")
    assert answer.returncode == ExitCode.BAD_INPUT
    for name in DIALECTS:
        assert repr(name) in answer.stderr
        assert name in run("--help").stdout


def test_faults_by_flags() -> None:
    """Statuses by share, a limit of size, and latency, in the units that people write."""
    with serving("--fail", "503", "--latency", "50ms", "--limit", "1kb") as (_, url):
        answer = post(url, EVENT)
        assert (answer.status_code, answer.text) == (503, "Service Unavailable\n")
        assert answer.elapsed.total_seconds() >= 0.05
    with serving("--limit", "0.1kb", "--fail", "503:0") as (_, url):
        assert post(url, EVENT).text == "ok"
        assert post(url, EVENT, EVENT).status_code == 413


def test_the_help_tells_how_shares_and_times_are_written() -> None:
    """A status alone is for all requests; a time without its unit is refused."""
    text = " ".join(run("--help").stdout.split())
    assert "503 all, 503:0.2 every fifth" in text
    assert "The unit is needed" in text


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_memory_is_bounded() -> None:
    """Of 150 MB of events it keeps 64 MiB, and the process has not much beside that."""
    with serving() as (server, url), requests.Session() as session:
        for _ in range(150):
            events = [EVENT | {"properties": {"long": "x" * 20_000}}] * 50
            body = {"batch": events}
            session.post(f"{url}/v1/batch", json=body, auth=("any", ""), timeout=60)
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert "7,500 events stored" in end(server)[0]
    kilobytes = next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)
    assert kilobytes < 200_000


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_no_request_is_more_than_it_can_hold() -> None:
    """Bodies that are, or become, far larger than the limit are refused in little memory.

    And none of them keeps the server from ending.
    """
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(500)) + packer.flush()
    empty = gzip.compress(b"", mtime=0)
    packed = {"Content-Encoding": "gzip"}
    names: dict[str, Any] = {f"{'deep' * 300}{number}": number for number in range(1_500)}
    for _ in range(300):
        names = {"level" * 10: names}
    with serving() as (server, url):

        def answer(data: bytes, key: str | None, **headers: str) -> int:
            auth = (key, "") if key else None
            try:
                way = f"{url}/v1/batch"
                return requests.post(way, data, auth=auth, headers=headers, timeout=50).status_code
            except (
                requests.ConnectionError
            ):  # the answer came early, and the end before it was read
                return 401

        assert answer(bomb, None, **packed) == 401
        assert answer(bomb, "any", **packed) == 413
        assert answer(empty * 200_000, "any", **packed) == 400
        assert answer(bytes(200_000_000), "any") == 413
        assert answer(bytes(200_000_000), None) == 401
        for number in range(3):
            event = {**EVENT, "messageId": f"m{number}", "properties": {str(number): names}}
            assert answer(json.dumps({"batch": [event]}).encode(), "any") == 200
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert end(server, signal.SIGTERM)[2] == ExitCode.OK
    most = next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line)
    assert most < 250_000  # kilobytes


def test_the_doctor_leaves_no_failure_behind(tmp_path: Path) -> None:
    """What it asks of a server is no upload that went wrong."""
    with serving() as (server, url):
        command = [sys.executable, "-m", "rudder_logging", "doctor"]
        done = subprocess.run(
            [*command, "--data-plane-url", url, "--write-key", "any"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert "the write key is accepted" in done.stdout
        assert end(server)[0].splitlines()[-1] == "0 events stored; 0 of 0 requests refused"


def test_plan(tmp_path: Path) -> None:
    """A verdict for each event."""
    plan = tmp_path / "plan.json"
    plan.write_text('{"events": [{"name": "Read"}]}')
    with serving("--plan", str(plan)) as (_, url):
        post(url, EVENT)
        with requests.get(f"{url}/live/stream", stream=True, timeout=60) as page:
            lines = page.iter_lines(chunk_size=1)
            batch = next(line for line in lines if line.startswith(b'data: {"session"'))
    (row,) = json.loads(batch[6:])["rows"]
    assert (row["verdict"], row["words"][0][:14]) == ("plan", "tracking plan:")


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    """The command, which is expected to end by itself, where the README stands."""
    return subprocess.run(
        [*COMMAND, *flags], capture_output=True, text=True, timeout=50, check=False, cwd=ROOT
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--port", "x"], "'--port'"),
        (["--port", "70000"], "'--port'"),
        (["--prot", "80"], "--prot"),
        (["extra"], "extra"),
        (["--host", "192.0.2.1"], "--host: '192.0.2.1' is no address of this machine"),
        (["--host", "no such host"], "--host: 'no such host' is no address of this machine"),
        (["--host", ""], "--host is empty; give an address of this machine"),
        (["--fail", "often"], "--fail must be STATUS or STATUS:SHARE, like 503:0.2; not 'often'"),
        (["--fail", "200:1"], "--fail must have a status from 400 to 599, not 200"),
        (["--fail", "503:20"], "--fail must have a share of the requests from 0 to 1, not 20"),
        (["--fail", "503:nan"], "--fail must have a share"),
        (
            ["--fail", "503:1", "--fail", "429:1"],
            "--fail: shares of requests must be from 0 to 1, and",
        ),
        (["--fail", "503:0.1", "--fail", "503:0.1"], "--fail names a status twice"),
        (
            ["--latency", "200"],
            "--latency must be up to 600s, with its unit, like 200ms or 1.5s; not '200'",
        ),
        (["--latency", "soon"], "--latency must be"),
        (["--latency", "11m"], "--latency must be"),
        (["--limit", "0"], "--limit must be up to 1000mb, like 100kb or 4mb; not '0'"),
        (["--limit", "9" * 400 + "mb"], "--limit must be"),
        (["--write-key", "a:b"], "--write-key must be the source's write key"),
        (["--plan", "/nowhere/plan.json"], "--plan: /nowhere/plan.json can't be read: No such"),
        (["--plan", "README.md"], "--plan: README.md is not JSON"),
    ],
)
def test_bad_input_is_one_line(flags: list[str], words: str) -> None:
    """It names the flag and the cure, with exit code 2, and nothing else is written."""
    done = run(*flags)
    assert (done.stdout, done.returncode) == ("", ExitCode.BAD_INPUT)
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Error: ")
    assert words in done.stderr


def test_a_taken_port() -> None:
    """It says so, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--port", str(port))
    cure = "end what listens there, or give another --port"
    assert done.stderr == f"Error: port {port} is taken; {cure}\n"
    assert (done.stdout, done.returncode) == ("", ExitCode.BAD_INPUT)


def test_beyond_loopback_it_warns() -> None:
    """With such a `--host`, anybody may read what arrives; the address shown works here."""
    with serving("--host", "0.0.0.0") as (server, url):
        assert url.startswith("http://localhost:")
        assert requests.get(url, timeout=60).status_code == 200
        _, stderr, code = end(server)
    assert stderr == "Warning: anybody who reaches this machine can read what arrives\n"
    assert code == ExitCode.OK


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`serve --json | head -1` ends when `head` does, in silence."""
    with serving("--json") as (server, url):
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdout.close()
        post(url, EVENT)
        assert server.wait(60) == ExitCode.CLOSED_PIPE
        assert "Error" not in server.stderr.read()


def test_a_reader_that_stalls_does_not_keep_it() -> None:
    """With a pipe that is full, the second Ctrl-C ends it."""
    with serving("--json") as (server, url):
        post(url, *(EVENT | {"properties": {"long": "x" * 1_000}} for _ in range(500)))
        server.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            server.wait(2)
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == ExitCode.INTERRUPTED


def test_a_missing_extra_is_named() -> None:
    """Without h11, the exact command that installs it."""
    code = (
        "import sys; sys.modules['h11'] = None; from rudder_logging.cli import main; "
        "sys.exit(main(['serve']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    wanted = "Error: serve needs an extra: pip install 'rudder-logging[cli,dataplane]'\n"
    assert (done.stderr, done.returncode) == (wanted, ExitCode.BAD_INPUT)
