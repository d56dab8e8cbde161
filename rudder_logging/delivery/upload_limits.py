"""Limits of an upload's size and time, learned from the answers so far. No clock, no I/O."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from ..sinks.base import MESSAGE_OVERHEAD, Trip

__all__ = ["SizeLimit", "TimeLimit"]

_LEAST = 1_000  # bytes; room for some event
_UPLOADS_BEFORE_MORE = 100
"""Uploads before twice as much is tried: where the limit stays, few bodies are sent in vain."""


class SizeLimit:
    """A limit of bytes: lowered when a 413 says so, and raised again, as that may be gone.

    Args:
        most: What the messages of an upload may weigh, as the sink says.
    """

    def __init__(self, most: int) -> None:
        self.bytes = most
        """Bytes that the messages of an upload may have."""
        self._most = self._before = most
        self._stored = 0  # uploads since the limit was changed

    def begin(self) -> None:
        """A batch is taken, all of which was within the limit."""
        self._before = self.bytes

    def refused(self, sizes: Sequence[int]) -> int:
        """Messages of these sizes were too large together, and will be again: a proxy's limit.

        Returns:
            How many of them, of at least two, to send first: those of about half the weight.
        """
        half = sum(sizes) // 2
        self.bytes = min(self.bytes, max(half, _LEAST))
        self._stored = 0
        weight = count = 0
        while count < len(sizes) - 1 and weight + sizes[count] <= half:
            weight += sizes[count]
            count += 1
        return max(count, 1)

    def refused_alone(self) -> None:
        """One event was too large by itself: that is why the upload with it was refused."""
        self.bytes = self._before

    def stored(self) -> None:
        """An upload was stored; after many, twice as much is tried."""
        if self.bytes < self._most:
            self._stored += 1
            if self._stored >= _UPLOADS_BEFORE_MORE:
                self.bytes = min(2 * self.bytes, self._most)
                self._stored = 0


_PATIENCE = 10.0
"""Seconds that a gateway takes for an upload. What takes it longer it stores, and never answers."""
_SHARE, _LARGEST_SHARE = 0.4, 0.7
"""Of that patience, what an upload is expected to take: usually, and where answers come late
whatever its size."""
_FEW_EVENTS, _FEW_BYTES = 100, 64_000
"""An upload to start with: what the official SDK sends, 2 s on a line of 30 KB/s."""
_GROWTH = 32.0
"""From one upload to the next, at the most: a few small ones lead to the largest."""
_FADING = 0.9
"""The part of the largest size that is left after an upload which did not use it."""
_WAITED = 1.0
"""Seconds. A connection that is cut earlier was not cut because the upload took too long."""
_ANSWERS_BEFORE_MORE, _MOST_ANSWERS_BEFORE_MORE = 8, 128
_MORE, _MORE_PATIENCE = 2.0, 1.5


class TimeLimit:
    """Keeps uploads so small that they are expected to be answered well before a server gives up.

    An upload's time has a part for each byte on the wire, a part for each event, and a part that
    is always the same. Nobody knows which byte or event it was spent on. But an upload with k times
    the events and k times the bytes of another takes k times as long at the most. The limit of both
    is k times those of the last upload, if its time fits k times into the time that is aimed at.

    A lost answer halves them at least, down to a single event. Then no upload is larger for a
    number of answers, and for more of them if that has happened before.

    Args:
        timeout: Seconds after which an answer is not waited for.
    """

    def __init__(self, timeout: float) -> None:
        self._longest = self._patience = min(_PATIENCE, timeout)
        self._events, self._bytes = float(_FEW_EVENTS), float(_FEW_BYTES)
        self._most: tuple[float, float] | None = None  # of both, after a lost answer
        self._is_raised = False
        self._answers, self._enough = 0, _ANSWERS_BEFORE_MORE
        self._compression = 1.0  # bytes on the wire for one of the body
        self._latency = 0.0  # seconds that any upload takes, at least
        self._compared: Trip | None = None

    @property
    def seconds(self) -> float:
        """Seconds that an upload is meant to take."""
        return _SHARE * self._patience

    @property
    def size(self) -> int:
        """Bytes that an upload may have before compression."""
        return int(self._bytes / self._compression)

    def count(self, messages: Sequence[bytes], time_left: float | None = None) -> int:
        """Number of these messages that are to be sent next, at least one.

        Args:
            messages: In order.
            time_left: Seconds until nothing can be sent any more.
        """
        share = 1.0 if time_left is None else min(1.0, time_left / (2 * self.seconds))
        most = min(len(messages), max(1, int(self._events * share)))
        room = self.size * share
        if sum(map(len, messages)) + MESSAGE_OVERHEAD * len(messages) > room:
            ends = accumulate(len(message) + MESSAGE_OVERHEAD for message in messages[:most])
            most = max(1, bisect_right(list(ends), room))
        return most

    def start_small(self) -> None:
        """A new start on a way that may be another: it begins with a small upload."""
        self._events = min(self._events, _FEW_EVENTS)
        self._bytes = min(self._bytes, _FEW_BYTES)
        self._latency, self._compared = 0.0, None

    def answered(self, trip: Trip) -> None:
        """An upload was stored."""
        self._compression = trip.sent / trip.size
        self._compare(trip)
        variable = max(trip.seconds - self._latency, 0.001)
        times = min(max(self._time_for_contents() / variable, 1 / _GROWTH), _GROWTH)
        self._recover(trip, in_time=times >= 1)
        most_events, most_bytes = self._most or (float("inf"), float("inf"))
        self._events = _resized(self._events, trip.events * times, times, _FEW_EVENTS, most_events)
        self._bytes = _resized(self._bytes, trip.sent * times, times, _FEW_BYTES, most_bytes)

    def lost(self, trip: Trip) -> None:
        """An upload was sent, and no answer came: it took too long, as far as anyone knows."""
        self._compression = trip.sent / trip.size
        if trip.seconds >= _WAITED:
            self._patience = min(self._patience, trip.seconds)
        share = min(0.5, self.seconds / max(trip.seconds, self.seconds))
        self._events = max(1.0, min(self._events, trip.events * share))
        self._bytes = max(1.0, min(self._bytes, trip.sent * share))
        if trip.events > 1:
            if self._is_raised:
                self._enough = min(2 * self._enough, _MOST_ANSWERS_BEFORE_MORE)
            self._most = (self._events, self._bytes)
        else:
            self._most = None  # nothing is smaller, so it was not for its size
        self._is_raised = False
        self._answers = 0
        self._latency, self._compared = 0.0, None

    def _time_for_contents(self) -> float:
        """Seconds that the bytes and the events of an upload may take."""
        late = min(self._latency + self.seconds / 2, _LARGEST_SHARE * self._patience)
        return max(self.seconds, late) - self._latency

    def _compare(self, trip: Trip) -> None:
        """See from two uploads, one half as large as the other, what both took in any case."""
        other = self._compared
        if other is None:
            self._compared = trip
            return
        small, large = sorted((trip, other), key=lambda one: one.sent)
        part = max(small.events / large.events, small.sent / large.sent)
        if part <= 0.5:  # noqa: PLR2004 - half
            self._compared = trip
            # The contents of the small one took that part of the large one's time at the most.
            least = (small.seconds - part * large.seconds) / (1 - part)
            if small.seconds > self.seconds / 2:
                self._latency = max(self._latency, least)
        self._latency = max(0.0, min(self._latency, trip.seconds))

    def _recover(self, trip: Trip, *, in_time: bool) -> None:
        """After enough answers in time to uploads of about the largest size, try more."""
        events, size = self._most or (1.0, 1.0)
        if not in_time or (trip.events < events / 2 and trip.sent < size / 2):
            return
        self._answers += 1
        if self._answers >= self._enough:
            self._answers = 0
            self._patience = min(_MORE_PATIENCE * self._patience, self._longest)
            if self._most is not None:
                self._is_raised = True
                self._most = (_MORE * events, _MORE * size)


def _resized(now: float, wanted: float, times: float, few: int, most: float) -> float:
    if times < 1:
        return max(1.0, min(now, wanted, most))
    # What was not tried for some time is not to be relied upon.
    return min(max(min(now, max(now * _FADING, few)), wanted), most)
