"""The commands that users of Redis need: for its ACL, and for the doctor, which tries them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["APPENDING", "FORGETTING", "LOOKING", "RELAYING", "attempt"]


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


APPENDING = _names("EVAL EVALSHA GET HGET HINCRBY HSET PEXPIRE SET XADD XLEN")
"""An app's. With `wait=` in the URL, also WAIT."""
RELAYING = _names(
    "DEL EVAL EVALSHA GET HDEL HGET HGETALL HINCRBY HLEN HMGET HSET PEXPIRE PTTL SET TIME XADD "
    "XDEL XLEN XRANGE ZADD ZRANGE ZRANGEBYSCORE ZREM ZREMRANGEBYSCORE"
)
"""A relay's."""
LOOKING = _names("EVAL EVALSHA EXISTS GET HGET HKEYS INFO PING SCAN TIME XLEN XRANGE ZRANGE")
"""Of `relay status`, and of the doctor."""
FORGETTING = _names(
    "EVAL EVALSHA EXISTS GET HDEL HGET HINCRBY HKEYS HSET TIME XADD XDEL XINFO XLEN XRANGE "
    "XREVRANGE ZRANGE"
)
"""Of `relay forget`."""

_ATTEMPTS: dict[str, tuple[object, ...]] = {
    "DEL": ("KEY",),
    "EVAL": ("return 1", 1, "KEY"),
    "EVALSHA": ("0" * 40, 1, "KEY"),
    "EXISTS": ("KEY",),
    "GET": ("KEY",),
    "HDEL": ("KEY", "f"),
    "HGET": ("KEY", "f"),
    "HGETALL": ("KEY",),
    "HINCRBY": ("KEY", "f", "no number"),
    "HKEYS": ("KEY",),
    "HLEN": ("KEY",),
    "HMGET": ("KEY", "f"),
    "HSET": ("KEY", "f", "v", "a field without its value"),
    "INFO": ("server",),
    "PEXPIRE": ("KEY", 1),
    "PING": (),
    "PTTL": ("KEY",),
    "SCAN": (0, "COUNT", 1),
    "SET": ("KEY", "v", "NX", "XX"),
    "TIME": (),
    "WAIT": (0, 1),
    "XADD": ("KEY", "NOMKSTREAM", "*", "f", "v"),
    "XDEL": ("KEY", "0-1"),
    "XINFO": ("STREAM", "KEY"),
    "XLEN": ("KEY",),
    "XRANGE": ("KEY", "-", "+", "COUNT", 1),
    "XREVRANGE": ("KEY", "+", "-", "COUNT", 1),
    "ZADD": ("KEY", "no number", "m"),
    "ZRANGE": ("KEY", 0, 0),
    "ZRANGEBYSCORE": ("KEY", 1, 0),
    "ZREM": ("KEY", "m"),
    "ZREMRANGEBYSCORE": ("KEY", 1, 0),
}
"""Words behind each, with which it changes nothing, whether it is allowed or not: permission is
asked before they are looked at."""


def attempt(command: str, key: str) -> Sequence[object]:
    """A harmless use of a command, on a key that is not there."""
    # In small letters, a script is sent as it is, and not by its name.
    return (command.lower(), *(key if word == "KEY" else word for word in _ATTEMPTS[command]))
