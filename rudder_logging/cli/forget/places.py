"""Places where events of people wait: spools, dead letters, and the engine of a relay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import sleep
from typing import Any

from ...common.clock import monotonic
from ...config import parse_option
from ...delivery.dead_letters import DeadLetters
from ...events.persons import Matches, concerns
from ...exceptions import ConfigError
from ...queues.file.erasing import Erasures, cure_of
from ...relay.engine import EngineError
from ...relay.forgetting import count_waiting, open_engine
from ...relay.look import open_looker
from ..common import BadInputError, FailedError, events
from ..spool.command import purge_found
from ..spool.erasure import count
from ..spool.holdings import Holding, holding_of, holdings

__all__ = ["in_letters", "in_relay", "in_source", "in_spool"]

_TIMEOUT = 10.0  # seconds for each step of an engine
_SECONDS_BETWEEN_LOOKS = 0.1


def in_spool(directory: str, ids: Sequence[str], *, erases: bool, seconds: float) -> dict[str, Any]:
    """Erase from a spool what nobody holds, and have living processes erase what they hold.

    Args:
        directory: The spool's.
        ids: Of people.
        erases: Do it; else it is only counted.
        seconds: To wait for living processes.

    Returns:
        Numbers: `erased`, `handed_over` and erased by living processes, and `held` by them still.

    Raises:
        FailedError: The directory does not let us.
    """
    matches = concerns(ids)
    found = holdings(directory)
    if not erases:
        numbers = [(holding.is_alive, count(holding, matches)) for holding in found]
        return {
            "erased": sum(number for is_alive, number in numbers if not is_alive),
            "handed_over": sum(number for is_alive, number in numbers if is_alive),
            "held": 0,
        }
    numbers_of = _ask(found, ids)
    erased, held = purge_found(found, matches, numbers_of)
    left = _left(held, matches, numbers_of, seconds)
    for source in numbers_of:
        Erasures(source).forget_if_done()
    faults = []
    if left:
        faults.append(
            f"{events(left)} held by living processes are left: one that is stopped, or runs an "
            "earlier version, does not answer; end it, and do this again"
        )
    handed_over = sum(number for _, number in held) - left
    return {"erased": erased, "handed_over": handed_over, "held": left, "faults": faults}


def _ask(found: Sequence[Holding], ids: Sequence[str]) -> dict[str, int]:
    """Ask all processes of each source. Returns the numbers of the requests."""
    numbers: dict[str, int] = {}
    for holding in found:
        source = holding.directory
        if source not in numbers:
            try:
                numbers[source] = Erasures(source).ask(ids)[0]
            except OSError as error:
                raise FailedError(
                    f"living processes can't be asked in {source}: {error.strerror}; nothing was "
                    f"erased there; {cure_of(error)}, and do this again"
                ) from None
    return numbers


def _left(
    held: Sequence[tuple[Holding, int]],
    matches: Matches,
    numbers: Mapping[str, int],
    seconds: float,
) -> int:
    """Wait for those who hold events. Returns how many are still there."""
    deadline = monotonic() + seconds
    waits = [holding for holding, _ in held]
    while True:
        waits = [
            one
            for one in waits
            if one.owner in Erasures(one.directory).left_with(numbers[one.directory])
        ]
        if not waits or monotonic() >= deadline:
            break
        sleep(_SECONDS_BETWEEN_LOOKS)
    return sum(count(holding_of(one.directory, one.owner), matches) for one in waits)


def in_letters(paths: Sequence[str], ids: Sequence[str], *, erases: bool) -> dict[str, Any]:
    """Erase from files of dead letters; see `in_spool`.

    Raises:
        FailedError: A file can't be read, or rewritten.
    """
    matches = concerns(ids)
    erased = 0
    for path in paths:
        letters = DeadLetters(path)
        try:
            erased += letters.erase(matches) if erases else letters.count(matches)
        except OSError as error:
            raise FailedError(
                f"{path} can't be {'rewritten' if erases else 'read'}: {error.strerror}"
            ) from None
    return {"erased": erased}


def in_relay(
    url: str, sources: Sequence[str], ids: Sequence[str], *, erases: bool
) -> dict[str, Any]:
    """Have relays leave out what waits in an engine. Returns how much that is, by source.

    Raises:
        FailedError: The engine can't, or does not answer.
    """
    waiting: dict[str, int] = {}
    faults = []
    for source in sources:
        try:
            waiting[source] = in_source(url, source, ids, erases=erases)
        except BadInputError as error:  # noqa: PERF203 - few are given
            faults.append(error.message)
    return {"waiting": waiting, "faults": faults}


def in_source(url: str, source: str, ids: Sequence[str], *, erases: bool) -> int:
    """Do so in one source of an engine.

    Raises:
        BadInputError: The engine can't forget, or has no such source.
        FailedError: It does not answer.
    """
    try:
        parse_option("source", source)
        looker, engine = open_looker(url, _TIMEOUT), open_engine(url, source)
    except ConfigError as error:
        raise BadInputError(str(error)) from None
    try:
        shards = looker.look(source).shards
        if erases and shards:
            engine.forget(ids)  # before it is counted, which may take long
        number = count_waiting(engine, shards, ids)
    except EngineError as error:
        raise FailedError(f"{error.failure.fault}; {error.failure.cure}") from None
    finally:
        looker.close()
        engine.close()
    if not shards:
        raise BadInputError(f"the engine has no source {source}; nothing was done")
    return number
