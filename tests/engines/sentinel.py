"""A master, its replicas, and the sentinels that watch them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import redis

from .group import Group
from .redis import RedisServer, wait_until

__all__ = ["RedisSentinel"]


class RedisSentinel(Group):
    """They are ended by the block in which this is entered.

    Args:
        folder: Their own.
        *arguments: Of the master and its replicas.
        version: `6.2` or `7.0`; the oldest that is there otherwise.
        replicas: How many.
        sentinels: How many; more than half of them have to agree that the master is gone.
        patience: Seconds without an answer after which a sentinel gives a server up.
    """

    name = "shop"

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        version: str = "",
        replicas: int = 1,
        sentinels: int = 1,
        patience: float = 2.0,
    ) -> None:
        self._folder = folder
        self._arguments = arguments
        self._version = version
        self._counts = (replicas, sentinels)
        self._patience = patience
        self.servers: list[RedisServer] = []
        """The first master, then the replicas."""
        self.sentinels: list[RedisServer] = []

    @property
    def url(self) -> str:
        """Hosts of all sentinels, name and database."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{self.name}/0"

    @property
    def master(self) -> RedisServer:
        """The one that the first sentinel takes for it."""
        _, port = self.sentinels[0].do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
        return next(server for server in self.servers if server.port == int(port))

    def begin_failover(self) -> None:
        """Have a replica made the master, though the master is well. It goes on by itself.

        A sentinel that has not heard from a replica for a moment refuses: it is asked again.
        """
        wait_until(self._takes_failover, "a sentinel to begin a failover")

    def _takes_failover(self) -> bool:
        try:
            self.sentinels[0].do("SENTINEL", "FAILOVER", self.name)
        except redis.ResponseError as error:
            if str(error).startswith("NOGOODSLAVE"):
                return False
            raise
        return True

    def wait_for_another(self, than: RedisServer) -> RedisServer:
        """Wait until the sentinels have made another one the master; returns it."""
        wait_until(lambda: self.master is not than and _role(self.master) == b"master", "failover")
        return self.master

    def wait_for_replicas(self) -> None:
        """Wait until all replicas have what the master has, and the sentinels know them."""
        replicas = len(self.servers) - 1
        wait_until(lambda: int(self.master.do("WAIT", replicas, 100)) >= replicas, "replicas")
        wait_until(lambda: all(map(self._knows_all, self.sentinels)), "sentinels to know all")

    def _knows_all(self, sentinel: RedisServer) -> bool:
        master = _facts(sentinel.do("SENTINEL", "MASTER", self.name))
        replicas = map(_facts, sentinel.do("SENTINEL", "SLAVES", self.name))
        good = sum(
            (one[b"flags"], one[b"master-link-status"]) == (b"slave", b"ok") for one in replicas
        )
        counts = (good, int(master[b"num-other-sentinels"]) + 1)
        return counts == (len(self.servers) - 1, len(self.sentinels))

    def _enter(self, stack: ExitStack) -> None:
        replicas, sentinels = self._counts
        more = [*self._arguments, "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"]
        for number in range(1 + replicas):
            folder = self._folder / f"server-{number}"
            arguments = list(more)
            if self.servers:
                arguments += ["--replicaof", "127.0.0.1", str(self.servers[0].port)]
            server = RedisServer(folder, *arguments, version=self._version)
            self.servers.append(stack.enter_context(server))
        milliseconds = int(self._patience * 1_000)
        text = f"""
sentinel monitor {self.name} 127.0.0.1 {self.servers[0].port} {sentinels // 2 + 1}
sentinel down-after-milliseconds {self.name} {milliseconds}
sentinel failover-timeout {self.name} {milliseconds * 3}
"""
        for number in range(sentinels):
            folder = self._folder / f"sentinel-{number}"
            sentinel = RedisServer(folder, version=self._version, sentinel=text)
            self.sentinels.append(stack.enter_context(sentinel))
        self.wait_for_replicas()


def _facts(answer: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(answer[::2], answer[1::2], strict=True))


def _role(server: RedisServer) -> bytes:
    role: bytes = server.do("ROLE")[0]
    return role
