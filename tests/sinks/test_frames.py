"""Frames: what goes in comes out, damage is seen, and a user's messages are in one shard."""

from __future__ import annotations

import json
import struct
import zlib
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rudder_logging.sinks import frames
from rudder_logging.sinks.frames import (
    FrameError,
    LaterFrameError,
    framed,
    pack,
    shard_key,
    shard_of,
    unpack,
)

_keys = st.sampled_from(["userId", "anonymousId", "messageId", "properties", 'a"b', "ä"])
_leaves = st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=5)
_values = st.recursive(_leaves, lambda v: st.lists(v, max_size=2) | st.dictionaries(_keys, v))
_objects = st.dictionaries(_keys, _values, min_size=1)


def _message(event: dict[str, Any], *, dumps: Any = orjson.dumps) -> bytes:
    text = dumps(event)
    return (text if isinstance(text, bytes) else text.encode())[:-1]


@given(st.lists(_objects, min_size=1, max_size=20))
def test_what_is_packed_comes_out(events: list[dict[str, Any]]) -> None:
    """In order, byte by byte."""
    messages = [_message(event) for event in events]
    assert unpack(pack(messages)) == messages


def test_line_breaks_between_tokens_are_white_space() -> None:
    """A message that somebody has indented is the same JSON afterwards, and one message."""
    event = {"a": "1\n2", "b": [1, 2]}
    messages = [_message(event, dumps=lambda e: json.dumps(e, indent=1)), b'{"c":3']
    found = unpack(pack(messages))
    assert [orjson.loads(message + b"}") for message in found] == [event, {"c": 3}]


@pytest.mark.parametrize("library", ["isal", "zlib"])
def test_either_library_reads_the_others_frames(library: str) -> None:
    """One process may have the faster one, and another one not."""
    messages = [b'{"a":%d' % number for number in range(100)]
    frame = pack(messages)
    if library == "zlib":
        frame = frame[: frames._HEADER.size] + zlib.compress(b"\n".join(messages))
    else:
        assert zlib.decompress(frame[frames._HEADER.size :]) == b"\n".join(messages)
    assert unpack(frame) == messages


def test_damage_is_seen() -> None:
    """No cut or change of a byte is taken for messages, or raises anything else."""
    messages = [b'{"messageId":"%d","userId":"u"' % number for number in range(50)]
    frame = pack(messages)
    for at in range(len(frame)):
        damaged = frame[:at] + bytes([frame[at] ^ 0x55]) + frame[at + 1 :]
        for bad in (frame[:at], damaged):
            # A few bits of compression have no meaning.
            assert _unpacked(bad) in (None, messages)


def _unpacked(frame: bytes) -> list[bytes] | None:
    with suppress(FrameError):
        return unpack(frame)
    return None


def test_later_versions_and_bombs_are_refused() -> None:
    """A few bytes that would be gigabytes cost no memory."""
    content = zlib.compress(bytes(10_000_000))
    for header in ((b"rf", 2, 1, 1), (b"rf", 1, 1, 10), (b"rf", 1, 1, 2**32 - 1), (b"??", 1, 1, 1)):
        with pytest.raises(FrameError) as caught:
            unpack(struct.pack(">2sBII", *header) + content)
        assert isinstance(caught.value, LaterFrameError) is (header[1] == 2)


def test_frames_are_small_and_whole() -> None:
    """A shard's messages are divided in order; one that is larger than a frame is alone."""
    messages = [b"{" + b"x" * size for size in (10, 100_000, 200_000, 300_000, 5, 5)]
    groups = [list(group) for group in framed(messages)]
    assert [message for group in groups for message in group] == messages
    assert [len(group) for group in groups] == [2, 1, 1, 2]


def _whose(event: dict[str, Any]) -> bytes:
    key = event.get("userId") or event.get("anonymousId") or event.get("messageId") or ""
    return key.encode() if isinstance(key, str) else orjson.dumps(key)


@given(_objects)
def test_whose_message_it_is(event: dict[str, Any]) -> None:
    """The id of the top level counts, however the JSON is written and whatever is nested."""
    for dumps in (orjson.dumps, json.dumps, lambda e: json.dumps(e, indent=2)):
        assert shard_key(_message(event, dumps=dumps)) == _whose(event)


def test_ids_of_others_do_not_count() -> None:
    """A user's id within properties, or within a text, is not the message's."""
    for event in (
        {"messageId": "m", "properties": {"userId": "x"}, "userId": "u"},
        {"messageId": "m", "event": '","userId":"x"', "userId": "u"},
        {"messageId": "\\", "userId": "u", "anonymousId": "a"},
    ):
        assert shard_key(_message(event)) == b"u"
    assert (
        shard_key(_message({"messageId": "m", "anonymousId": "a", "traits": {"userId": "x"}}))
        == b"a"
    )
    assert shard_key(b'{"no": JSON') == b""


def test_shards_are_the_same_everywhere() -> None:
    """All processes agree on them; they are even."""
    assert [shard_of(b"user-%d" % number, 16) for number in range(4)] == [
        zlib.crc32(b"user-%d" % number) % 16 for number in range(4)
    ]
    counts = [0] * 16
    for number in range(16_000):
        counts[shard_of(b"user-%d" % number, 16)] += 1
    assert 800 < min(counts) <= max(counts) < 1_200
