"""The seam of the relay: a source hands out what an engine holds; and the makers by URL scheme."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, runtime_checkable

from .. import queues
from ..common.schemes import Schemes
from ..config.relay_urls import KAFKA, REDIS, parse_relay_url
from ..exceptions import ConfigError
from ..sinks.base import Failure
from ..sinks.guard import refusal

__all__ = [
    "Batch",
    "Forgetful",
    "Lag",
    "Observer",
    "Source",
    "needing_its_library",
    "open_source",
    "register",
]


class Batch(queues.Batch):
    """Messages of some shards, those of a shard in order.

    A source derives a class of its own, for what it needs to settle them.
    """


class Lag(NamedTuple):
    """Messages of a source that the engine still holds, in all shards."""

    events: int
    bytes: int
    """As the engine counts them against the source's bound: compressed."""
    seconds: float
    """Age of the oldest."""


class Observer(Protocol):
    """Who hears of what a source does by itself.

    Any thread may call, several at once. No lock of the source's is held, and nothing may be
    raised.
    """

    def leases_changed(self, gained: int, lost: int) -> None:
        """Shards are owned by this relay that were not before, or are no more."""
        ...

    def idles(self, is_idle: bool) -> None:
        """There are more relays than shards, and none is left for this one; False: not any more."""
        ...

    def dropped(self, number: int, reason: str) -> None:
        """Messages won't be handed out.

        Args:
            number: How many.
            reason: `suppressed`: of persons who are to be forgotten; `unreadable`: a frame that
                can't be decoded; `deadly`: several relays died at it. The latter two are kept in
                the engine, apart.
        """
        ...

    def failing(self, failure: Failure) -> None:
        """The engine fails, by a fault that may pass, or by one of configuration (`Hold`).

        It is told at each attempt.
        """
        ...

    def well(self) -> None:
        """The engine answers again."""
        ...


class Source(Protocol):
    """One source's messages in an engine, as one relay process gets them.

    Any number of threads may call any method at once. Nothing is connected, and the relay is no
    member, before the first `take` or `lag`. An engine that fails is told to the observer, and is
    tried again; apart from `lag`, no method raises for that.
    """

    def take(self, max_bytes: int, timeout: float) -> Batch | None:
        """Hand out messages of shards of which nothing is handed out: their oldest, in order.

        Args:
            max_bytes: Their sizes add up to this at the most; the first is handed out anyway.
            timeout: Seconds to wait for some.

        Returns:
            At least one message. None: there was none, or the source was stopped.
        """
        ...

    def done(self, batch: Batch) -> None:
        """Forget the messages of a batch, all of which are settled, and free its shards.

        What belongs to a lease that was lost meanwhile is another relay's by now, and stays.
        """
        ...

    def release(self, batch: Batch, settled: int = 0) -> None:
        """Free the shards of a batch of which only the first `settled` messages are settled.

        The next batch of a shard, this relay's or another's, begins behind them.
        """
        ...

    def holds(self, batch: Batch) -> bool:
        """Tell if all shards of a batch are this relay's for certain. It costs no I/O.

        False: nothing more of it may be sent. What was sent may be sent again by another relay.
        """
        ...

    def lag(self) -> Lag:
        """All that is not settled, whoever owns its shard.

        Raises:
            EngineError: The engine does not say.
        """
        ...

    def stop(self) -> None:
        """Hand out nothing more. What waits in `take` returns.

        Shards go to other relays: at once, or when their batch is `done` or released.
        """
        ...

    def close(self) -> None:
        """Stop, and let go of threads and connections. Batches that are left are released."""
        ...


@runtime_checkable
class Forgetful(Protocol):
    """A source whose engine can be asked to forget persons while their messages are out."""

    def suppresses(self, batch: Batch) -> Callable[[bytes], bool] | None:
        """Make a test: True if a message of a batch must not be sent any more; None: all may be.

        Asked before each attempt, by the thread that delivers the batch. It costs no I/O.
        """
        ...


Maker = Callable[[str, str, Observer], Source]

_OWN = {**dict.fromkeys(REDIS, "redis_engine"), **dict.fromkeys(KAFKA, "kafka_source")}
"""The module of each scheme. It imports a library that need not be installed, so it is imported
when a URL asks for it. It has the maker, `open_source`."""

_SOURCES = Schemes(*_OWN)


def register(scheme: str, make: Maker) -> None:
    """Have the relay read URLs of this scheme from a source of yours.

    Args:
        scheme: In lower case, like `pulsar`.
        make: Called with the URL, the source's name, and the observer.

    Raises:
        ValueError: It is no scheme, or one of this package.

    .. versionadded:: 0.1.0
    """
    _SOURCES.register(scheme, make)


@contextlib.contextmanager
def needing_its_library(scheme: str) -> Iterator[None]:
    """Import within what imports an engine's library.

    Raises:
        ConfigError: That is missing; the text has the cure.
    """
    try:
        yield
    except ImportError as error:
        extra = {"redis": "redis", "confluent_kafka": "kafka"}.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        raise ConfigError(
            f"an engine of the scheme {scheme} needs an extra; "
            f"pip install 'rudder-logging[cli,{extra}]'"
        ) from None


def open_source(url: str, name: str, observer: Observer) -> Source:
    """Make the source of that name in the engine at a URL. It connects later on.

    Raises:
        ConfigError: The URL can't be right, the library for its scheme is missing, or pytest runs,
            and the engine is on another host: others' events are there.
    """
    make: Maker | None = _SOURCES.maker(url)
    if make is None:
        scheme = url.partition(":")[0].lower()
        if scheme not in _OWN:
            known = ", ".join([*_OWN, *_SOURCES.names])
            raise ConfigError(f"no engine is known by the scheme of the relay's URL; give {known}")
        with needing_its_library(scheme):
            make = importlib.import_module(f".{_OWN[scheme]}", __package__).open_source
        try:
            kept_back = refusal(parse_relay_url(url).host_urls)
        except ValueError as error:
            raise ConfigError(f"the relay's URL {error}") from None
        if kept_back is not None:
            raise ConfigError(str(kept_back))
    return make(url, name, observer)
