"""The seam to the network: a sink sends messages, and says what became of them.

Delivery knows sinks and outcomes only. Whatever a protocol has besides (statuses, framing,
connections, compression) stays below, in the sink's own room.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from ..events.encoding import utc_milliseconds
from ..exceptions import DeliveryError, HeldError, OutcomeUnknownError, RefusedError

__all__ = [
    "LONGEST_IDLE",
    "MESSAGE_OVERHEAD",
    "Dropped",
    "Failure",
    "Forgetting",
    "Forkable",
    "Hold",
    "Later",
    "Outcome",
    "Refused",
    "Sink",
    "Stored",
    "TooLarge",
    "Trip",
    "Unknown",
    "completed",
]

MESSAGE_OVERHEAD = len(',"sentAt":"2026-01-31T12:00:00.000Z"},')
"""Bytes that count for each message besides its own: a sink adds `sentAt` to it."""

LONGEST_IDLE = 60.0
"""Seconds for which a connection is idle, and is used again all the same. What stands before a data
plane forgets one after 4 to 15 minutes without a word, and its next upload gets no answer."""


def completed(message: bytes, now: float) -> bytes:
    """A message as the JSON that is sent.

    Args:
        message: As a sink gets it, short of its closing brace.
        now: Seconds since the epoch. The server corrects the sender's clock by it, so it is the
            time of this attempt.
    """
    return b'%s,"sentAt":"%s"}' % (message, utc_milliseconds(now).encode())


@dataclass(frozen=True)
class Trip:
    """An upload's way to its answer, or to where that was lost.

    It tells how large the next may be. If a sink leaves it out, delivery measures the call.
    """

    events: int
    size: int
    """Bytes of the upload before compression."""
    sent: int
    """Bytes on the wire."""
    seconds: float
    """From the first byte to the answer, or to its loss; setting up a connection apart."""


@dataclass(frozen=True)
class _Outcome:
    trip: Trip | None = field(default=None, kw_only=True)
    requests: int = field(default=1, kw_only=True)
    """Requests that the sink made of the messages."""
    retries: int = field(default=0, kw_only=True)
    """Requests that repeated one because its connection was stale."""


@dataclass(frozen=True)
class Stored(_Outcome):
    """All messages are stored."""


@dataclass(frozen=True)
class _Refusal(_Outcome):
    words: str = ""
    """The server's. They may quote an event, so they go to `on_drop` and dead letters only."""
    status: int = field(default=0, kw_only=True)
    shown: str | None = field(default=None, kw_only=True)
    """The reason as log lines and errors may show it."""

    @property
    def error(self) -> RefusedError:
        """The error that `on_error` receives."""
        return RefusedError(self.status, self.words, self.shown)


@dataclass(frozen=True)
class Refused(_Refusal):
    """Messages are refused for good."""

    which: Sequence[int] | None = None
    """Positions of those that are refused; all others are stored. None: some are bad, nobody knows
    which, and none is stored. Delivery then finds them by halving."""


@dataclass(frozen=True)
class TooLarge(_Refusal):
    """Together, the messages are too large. None is stored."""


@dataclass(frozen=True)
class Dropped(_Outcome):
    """The messages are not to be delivered. They are counted as dropped, for a reason."""

    reason: str
    error: DeliveryError
    """For `on_error`."""


@dataclass(frozen=True)
class Failure(_Outcome):
    """No message is known to be stored, and none is refused."""

    fault: str
    """It quotes neither an event nor a secret."""
    cure: str = "see to the server, and to the way there"
    cause: DeliveryError | None = field(default=None, kw_only=True)
    """Handed to `on_error` in place of an error of the usual class."""
    may_blame_event: bool = field(default=False, kw_only=True)
    """One of the messages may have provoked it. Delivery then compares it with others."""
    words: str = field(default="", kw_only=True)
    """The server's, for the dead letters, if an event is to blame."""
    status: int = field(default=0, kw_only=True)
    _kind: ClassVar[type[DeliveryError]] = DeliveryError

    @property
    def error(self) -> DeliveryError:
        """The error that `on_error` receives."""
        return self.cause or self._kind(self.fault)


@dataclass(frozen=True)
class Later(Failure):
    """Nothing was stored, by a fault that may pass. The same messages are sent again."""

    after: float | None = field(default=None, kw_only=True)
    """Seconds that the server asks to wait."""
    is_too_much: bool = field(default=False, kw_only=True)
    """The server has a limit that these messages may always pass together."""


@dataclass(frozen=True)
class Hold(Failure):
    """A configuration fault. Everything is kept, and tried again slowly until it is mended."""

    after: float | None = field(default=None, kw_only=True)
    """Seconds for which another attempt is of no use. Nobody waits for it who has less time."""

    @property
    def error(self) -> DeliveryError:
        """The error that `on_error` receives."""
        return self.cause or HeldError(f"{self.fault}; {self.cure}")


@dataclass(frozen=True)
class Unknown(Failure):
    """The messages were sent, and no answer came. They are sent again, in smaller uploads."""

    _kind: ClassVar[type[DeliveryError]] = OutcomeUnknownError


Outcome = Stored | Refused | TooLarge | Dropped | Later | Hold | Unknown


class Sink(Protocol):
    """Whatever takes messages to where they are stored. One thread at a time uses it."""

    max_bytes: int
    """Bytes that the messages of one sending may have, with `MESSAGE_OVERHEAD` for each."""

    def send(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:
        """Send messages, in order.

        Args:
            messages: At least one. Each is JSON short of its closing brace; `completed` adds that,
                and `sentAt`. A lone message may weigh more than `max_bytes`.
            deadline: When to give up, by `time.monotonic`: the process is about to end. None:
                a time-out of the sink's own.

        If this raises, that is a bug: it is told, and the messages are sent again after a while.
        """
        ...

    def close(self) -> None:
        """Let go of connections. The next `send` opens new ones."""
        ...


@runtime_checkable
class Forgetting(Protocol):
    """A sink to where messages wait for others to deliver them, and people can be forgotten."""

    def forget(self, people: Collection[str], deadline: float | None) -> Failure | None:
        """Have nothing be delivered of people that was sent so far, as far as it still waits.

        Args:
            people: Their ids, as messages have them.
            deadline: See `Sink.send`.

        Returns:
            Why it was not done; it is asked again then. None: it is done.
        """
        ...


@runtime_checkable
class Forkable(Protocol):
    """A sink of the app's that has something to do in a forked child."""

    def after_fork(self) -> None:
        """Leave connections to the parent, and open new ones. Called in a forked child."""
        ...
