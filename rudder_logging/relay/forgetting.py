"""Having an engine forget persons, from outside: for the command `relay forget`."""

from __future__ import annotations

from collections.abc import Collection

from ..config.relay_urls import REDIS, parse_relay_url
from ..events.persons import concerns_unclosed
from ..exceptions import ConfigError
from ..sinks.base import Failure
from ..sinks.frames import FrameError, unpack
from .engine import Engine, EngineError, Wanted

__all__ = ["count_waiting", "open_engine"]

_ENTRIES_AT_ONCE = 32  # of at most some 256 KB


def open_engine(url: str, source: str) -> Engine:
    """Make what asks the engine of a URL about one source. It connects later on.

    Raises:
        ConfigError: The URL can't be right, or its engine can't forget.
    """
    try:
        scheme = parse_relay_url(url).scheme
    except ValueError as error:
        raise ConfigError(f"the relay's URL {error}") from None
    if scheme not in REDIS:
        raise ConfigError(
            f"an engine of the scheme {scheme} can't forget what waits: relays deliver it, unless "
            "the engine's own tools delete it"
        )
    from .redis_engine import RedisEngine  # noqa: PLC0415 - its library need not be there

    return RedisEngine(url, source)


def count_waiting(engine: Engine, shards: int, people: Collection[str]) -> int:
    """Count the waiting messages of persons: each is read, a few frames at a time.

    Raises:
        EngineError: The engine does not say.
    """
    matches = concerns_unclosed(people)
    count = 0
    for shard in range(shards):
        after: bytes | None = None
        while True:
            (found,) = engine.read([Wanted(shard, after, _ENTRIES_AT_ONCE)])
            if isinstance(found, Failure):
                raise EngineError(found)
            for entry in found:
                try:
                    messages = unpack(entry.frame)
                except FrameError:  # a relay buries it
                    continue
                count += sum(map(matches, messages))
            if len(found) < _ENTRIES_AT_ONCE:
                break
            after = found[-1].id
    return count
