"""Frames: messages of one shard, compressed, as an engine keeps them; and a message's shard.

Everybody who reads a shard has its messages in the order in which they were appended.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

__all__ = [
    "FrameError",
    "LaterFrameError",
    "framed",
    "pack",
    "shard_key",
    "shard_of",
    "unpack",
    "without",
]

_HEADER = struct.Struct(">2sBII")
"""Mark, version, count of messages, their bytes."""
_MARK, _VERSION = b"rf", 1
_FRAME = 256 * 1024
"""Bytes of a frame's messages before compression, so that a relay's memory is bounded."""
_MOST = 64 * 1024 * 1024
"""Bytes that a frame may say it has: far more than an event may have, and no danger to a relay."""
_LEVEL = 1

_decompressor: Callable[[], Any] = zlib.decompressobj


def _compress(data: bytes) -> bytes:
    return zlib.compress(data, _LEVEL)


try:  # 0.12 us an event in place of 0.75, see `gateway/compression.py`
    from isal import isal_zlib
except ImportError:
    pass
else:
    _decompressor = isal_zlib.decompressobj

    def _compress(data: bytes) -> bytes:
        return isal_zlib.compress(data, _LEVEL)


class FrameError(ValueError):
    """Bytes that are no frame, or one of a later version. It quotes none of them."""


class LaterFrameError(FrameError):
    """A frame of a later version, which a later version of this package can decode."""


def pack(messages: Sequence[bytes]) -> bytes:
    """Make a frame of messages, each of them JSON short of its closing brace."""
    data = b"\n".join(messages)
    if data.count(b"\n") >= len(messages):  # in JSON it is but white space
        data = b"\n".join(message.replace(b"\n", b" ") for message in messages)
    return _HEADER.pack(_MARK, _VERSION, len(messages), len(data)) + _compress(data)


def unpack(frame: bytes) -> list[bytes]:
    """Take the messages out of a frame.

    Raises:
        FrameError: It can't be decoded.
    """
    try:
        mark, version, count, size = _HEADER.unpack_from(frame)
    except struct.error:
        raise FrameError("it is shorter than a frame's header") from None
    if mark != _MARK:
        raise FrameError("it does not begin as a frame does")
    if version > _VERSION:
        raise LaterFrameError(f"its version is {version}, and this package knows {_VERSION}")
    if size > _MOST:
        raise FrameError(f"it says that it has {size} bytes")
    decompressor = _decompressor()
    try:
        data = decompressor.decompress(memoryview(frame)[_HEADER.size :], size + 1)
    except Exception as error:  # zlib has an error of its own, and so has isal
        raise FrameError("its content is damaged") from error
    if len(data) != size or not decompressor.eof:
        raise FrameError("its content is not as long as it says")
    messages: list[bytes] = data.split(b"\n")
    if len(messages) != count:
        raise FrameError("it has not as many messages as it says")
    return messages


def without(frame: bytes, matches: Callable[[bytes], bool]) -> tuple[bytes, int] | None:
    """A frame without the messages that match, and how many are left; none is needed for 0.

    None: none of them does, or it is no frame.
    """
    try:
        messages = unpack(frame)
    except FrameError:
        return None
    kept = [message for message in messages if not matches(message)]
    if len(kept) == len(messages):
        return None
    return (pack(kept) if kept else b""), len(kept)


def framed(messages: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Divide a shard's messages by frames. A large message is alone."""
    begin = size = 0
    for at, message in enumerate(messages):
        size += len(message) + 1
        if size > _FRAME and at > begin:
            yield messages[begin:at]
            begin, size = at, len(message) + 1
    yield messages[begin:]


_EARLY_USER = re.compile(rb'\{(?:"[^"\\]*":"[^"\\]*",)*?"userId":"([^"\\]+)"').match
"""Finds the user where only plain texts stand before it, as this package writes messages: 0.5 us,
and 2.5 to parse all of it."""


def shard_key(message: bytes) -> bytes:
    """Say whose message it is: the user's id, else the anonymous one, else the message's own."""
    found = _EARLY_USER(message)
    if found is not None:
        return found[1]
    try:
        fields = orjson.loads(message + b"}")
    except orjson.JSONDecodeError:
        return b""  # the gateway will refuse it, wherever it stands
    key = fields.get("userId") or fields.get("anonymousId") or fields.get("messageId") or ""
    return key.encode() if isinstance(key, str) else orjson.dumps(key)


def shard_of(key: bytes, shards: int) -> int:
    """Say which of so many shards a key's messages are in; it is the same in every process."""
    return zlib.crc32(key) % shards
