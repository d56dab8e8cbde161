"""The commands that users of Redis need: for its ACL, and for the doctor, which tries them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["APPENDING", "LOOKING", "RELAYING", "attempt"]

APPENDING = ("EVAL", "GET", "HGET", "HINCRBY", "HSET", "PEXPIRE", "SET", "XADD")
"""An app's. With `wait=`, also WAIT."""
RELAYING = (
    *(
        "EVAL",
        "DEL",
        "GET",
        "HDEL",
        "HGET",
        "HGETALL",
        "HINCRBY",
        "HMGET",
        "HSET",
        "PEXPIRE",
        "SET",
    ),
    *("TIME", "XADD", "XDEL", "XINFO", "XLEN", "XRANGE", "XTRIM"),
    *("ZADD", "ZRANGE", "ZREM", "ZREMRANGEBYSCORE"),
)
"""A relay's."""
LOOKING = (
    "EVAL",
    "EXISTS",
    "GET",
    "HGET",
    "HLEN",
    "INFO",
    "SCAN",
    "TIME",
    "XLEN",
    "XRANGE",
    "ZRANGE",
)
"""Of `relay status` and the doctor."""

_ATTEMPTS: dict[str, tuple[object, ...]] = {
    "DEL": ("KEY",),
    "EVAL": ("return 1", 1, "KEY"),
    "EXISTS": ("KEY",),
    "GET": ("KEY",),
    "HDEL": ("KEY", "f"),
    "HGET": ("KEY", "f"),
    "HGETALL": ("KEY",),
    "HINCRBY": ("KEY", "f", "no number"),
    "HLEN": ("KEY",),
    "HMGET": ("KEY", "f"),
    "HSET": ("KEY", "f", "v", "a field without its value"),
    "INFO": ("server",),
    "PEXPIRE": ("KEY", 1),
    "SCAN": (0, "COUNT", 1),
    "SET": ("KEY", "v", "NX", "XX"),
    "TIME": (),
    "WAIT": (0, 1),
    "XADD": ("KEY", "NOMKSTREAM", "*", "f", "v"),
    "XDEL": ("KEY", "0-1"),
    "XINFO": ("STREAM", "KEY"),
    "XLEN": ("KEY",),
    "XRANGE": ("KEY", "-", "+", "COUNT", 1),
    "XTRIM": ("KEY", "MINID", "0"),
    "ZADD": ("KEY", "no number", "m"),
    "ZRANGE": ("KEY", 0, 0),
    "ZREM": ("KEY", "m"),
    "ZREMRANGEBYSCORE": ("KEY", 1, 0),
}
"""Words behind each, with which it changes nothing, whether it is allowed or not: permission is
asked before they are looked at."""


def attempt(command: str, key: str) -> Sequence[object]:
    """A harmless use of a command, on a key that is not there."""
    return (command, *(key if word == "KEY" else word for word in _ATTEMPTS[command]))
