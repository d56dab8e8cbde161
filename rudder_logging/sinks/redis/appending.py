"""Frames are stored once each, in their order, though answers are lost.

Each has a number, which grows within a shard. A frame whose answer was lost is kept, and is sent
again as it was before anything newer of its shard: the engine knows its number if it has it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..base import Later, Unknown
from ..frames import framed, pack
from .errors import Fault
from .keys import Keys
from .link import Command, Link, script
from .scripts import APPEND, BEFORE, BEHIND, FULL, STORED

__all__ = ["Frame", "Outbox", "append_command"]

_REMEMBERED = 86_400_000
"""Milliseconds for which the number of a producer's last frame is kept."""


def append_command(
    keys: Keys,
    shard: int,
    producer: str,
    number: int,
    frame: bytes,
    events: int,
    *,
    most: int,
    after: int | None = None,
) -> Command:
    """Make the command that stores a frame.

    Args:
        keys: The source's.
        shard: Of the frame.
        producer: Who numbers it.
        number: Over all that the producer has used in that shard.
        frame: As it is packed.
        events: Its messages.
        most: Bytes that the shard may hold; 0: any.
        after: The number of the frame that has to be the last one stored; None: any may.
    """
    return script(
        APPEND,
        (keys.queue(shard), keys.notes(shard), keys.sequence(shard, producer)),
        *(number, "" if after is None else after, events, frame, most, _REMEMBERED),
    )


@dataclass(frozen=True)
class Frame:
    """Some messages of a shard, packed, on their way."""

    shard: int
    number: int
    packed: bytes
    messages: Sequence[bytes]


class Outbox:
    """The frames of one producer.

    Args:
        link: To the engine.
        keys: The source's.
        room: Bytes of messages that are kept because their answer was lost. Beyond that nobody
            sends them again: their retries were given up.
    """

    def __init__(self, link: Link, keys: Keys, *, room: int) -> None:
        self._link = link
        self._keys = keys
        self.most = 0
        """Bytes that a shard may hold; 0: any."""
        self._room = room
        self._producer = secrets.token_hex(8)
        self._numbers: dict[int, int] = {}
        self._lost: dict[tuple[int, int], Frame] = {}  # by shard and number, the oldest first

    @property
    def lost(self) -> Iterator[bytes]:
        """Messages that may be stored: nobody knows. They go with the next that are sent."""
        return (message for frame in self._lost.values() for message in frame.messages)

    def forget_lost(self) -> None:
        """Pack them anew when they are sent again: their shards are not what they were."""
        self._lost.clear()

    def pack(self, shards: Mapping[int, Sequence[bytes]]) -> list[Frame]:
        """Make frames of messages, by their shard."""
        frames = []
        for shard, messages in shards.items():
            for some in framed(messages):
                self._numbers[shard] = number = self._numbers.get(shard, 0) + 1
                frames.append(Frame(shard, number, pack(some), some))
        return frames

    def send(
        self, frames: Sequence[Frame], deadline: float | None, replicas: int
    ) -> list[tuple[Frame, Fault | None]]:
        """Send frames behind those whose answer was lost; each with its failure, if it has one."""
        every = [*self._lost.values(), *frames]
        if not every:
            return []
        commands = list(self._commands(every))
        answers = self._link.run(commands, deadline=deadline, replicas=replicas)
        results = [
            (frame, self._judged(answer)) for frame, answer in zip(every, answers, strict=True)
        ]
        for frame, failure in results:
            key = frame.shard, frame.number
            if failure is None:
                self._lost.pop(key, None)
            elif isinstance(failure, Unknown):
                self._lost[key] = frame
        self._forget()
        return results

    def _commands(self, frames: Iterable[Frame]) -> Iterator[Command]:
        before: dict[int, int] = {}
        for frame in frames:
            yield append_command(
                self._keys,
                frame.shard,
                self._producer,
                frame.number,
                frame.packed,
                len(frame.messages),
                most=self.most,
                after=before.get(frame.shard),
            )
            before[frame.shard] = frame.number

    def _judged(self, answer: Any) -> Fault | None:
        if isinstance(answer, Fault):
            return answer
        if answer in (STORED, BEFORE):
            return None
        if answer == FULL:
            return Later(
                f"the engine {self._link.engine} holds as much of the source as it may",
                "start a relay, or another one, or raise relay_max_bytes",
            )
        assert answer == BEHIND, answer  # noqa: S101 - else the script is not ours
        return Later("a frame before this one is not stored yet")

    def _forget(self) -> None:
        size = sum(len(message) for message in self.lost) if self._lost else 0
        while size > self._room:
            frame = self._lost.pop(next(iter(self._lost)))
            size -= sum(map(len, frame.messages))
