"""A cluster of masters."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from .group import Group
from .redis import RedisServer, wait_until

__all__ = ["RedisCluster"]

_SLOTS = 16_384


class RedisCluster(Group):
    """They are ended by the block in which this is entered.

    Args:
        folder: Their own.
        *arguments: Of each node.
        version: `6.2` or `7.0`; the oldest that is there otherwise.
        nodes: How many masters; replicas there are none.
    """

    def __init__(self, folder: Path, *arguments: str, version: str = "", nodes: int = 3) -> None:
        self._folder = folder
        self._arguments = arguments
        self._version = version
        self._count = nodes
        self.nodes: list[RedisServer] = []

    @property
    def url(self) -> str:
        """Hosts of all nodes."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def slot(self, key: str) -> int:
        """The slot that a key is in."""
        return int(self.nodes[0].do("CLUSTER", "KEYSLOT", key))

    def owner(self, slot: int) -> RedisServer:
        """The node that has a slot."""
        for first, last, (_host, port, *_), *_ in self.nodes[0].do("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError(slot)

    def move(self, slot: int, to: RedisServer, *, whole: bool = True) -> None:
        """Move a slot with its keys to another node; not whole: leave it between the two."""
        source = self.owner(slot)
        if source is to:
            return
        to.do("CLUSTER", "SETSLOT", slot, "IMPORTING", _id(source))
        source.do("CLUSTER", "SETSLOT", slot, "MIGRATING", _id(to))
        if not whole:
            return
        while keys := source.do("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.do("MIGRATE", "127.0.0.1", to.port, "", 0, 10_000, "KEYS", *keys)
        for node in (to, source, *self.nodes):
            node.do("CLUSTER", "SETSLOT", slot, "NODE", _id(to))

    def wait_until_well(self) -> None:
        """Wait until all nodes are there, and know each other."""
        wait_until(lambda: all(map(self._is_well, self.nodes)), "the cluster")

    def _enter(self, stack: ExitStack) -> None:
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000", *self._arguments]
        for number in range(self._count):
            folder = self._folder / f"node-{number}"
            node = RedisServer(folder, *options, version=self._version, bus=True)
            self.nodes.append(stack.enter_context(node))
        share = _SLOTS / self._count
        for number, node in enumerate(self.nodes):
            first, end = round(number * share), round((number + 1) * share)
            node.do("CLUSTER", "ADDSLOTS", *range(first, end))
            node.do("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            node.do("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        self.wait_until_well()

    def _is_well(self, node: RedisServer) -> bool:
        known = {slots[2][1] for slots in node.do("CLUSTER", "SLOTS")}
        return b"cluster_state:ok" in node.do("CLUSTER", "INFO") and len(known) == self._count


def _id(node: RedisServer) -> str:
    name: bytes = node.do("CLUSTER", "MYID")
    return name.decode()
