"""The way to an engine: commands go out in one round trip, each gets an answer or a failure."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import redis

from ...common.clock import monotonic
from ..base import LONGEST_IDLE, Hold, Unknown
from .connecting import Address, Place, Route, open_route
from .errors import Fault, code_of, failure_of

__all__ = ["Command", "Link", "script"]

_SHORTEST = 0.05
_TRIES = 5  # at a seed, at the owner, while it moves; at one that has not the script


class Command(NamedTuple):
    """A command, and the key that says where in a cluster it belongs."""

    key: str
    arguments: tuple[Any, ...]


def script(text: str, keys: Sequence[str], *arguments: Any) -> Command:
    """A script as a command; all its keys are in one slot."""
    return Command(keys[0], ("EVAL", text, len(keys), *keys, *arguments))


@cache
def _digest(text: str) -> str:
    """The name by which an engine knows a script that it has run before."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _shortened(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """A command without its script's text, which would be 0.9 of 1.1 KB of an upload of one."""
    if arguments[0] != "EVAL":
        return arguments
    return ("EVALSHA", _digest(arguments[1]), *arguments[2:])


class _Again(NamedTuple):
    """An answer that says where, or how, to send the command again: it has done nothing."""

    error: redis.ResponseError
    place: Place
    asking: bool = False
    whole: bool = False
    """With the script's text: after a restart, an engine has forgotten its scripts."""


class Link:
    """Connections to an engine, made when they are needed. Any number of threads may use it.

    Args:
        address: Of the engine.
        timeout: Seconds for a connection to be made, and for an answer.

    Raises:
        ConfigError: The URL has a parameter that the library does not know.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self.engine = address.shown
        """Its place, for people."""
        self._address = address
        self._timeout = self._usual = timeout
        self._lock = threading.Lock()
        self._used_at = monotonic()
        self.connections = 0
        """That were made so far. Behind a new one there may be an engine without its data."""
        self._route = open_route(address, timeout, self._connected)

    def run(
        self,
        commands: Sequence[Command],
        *,
        deadline: float | None = None,
        replicas: int = 0,
    ) -> list[Any]:
        """Send commands together; those of one key stay in order.

        Args:
            commands: At least one.
            deadline: When to give up, by `time.monotonic`; None: by the usual time-out.
            replicas: So many have to confirm what was written, or else the outcome is unknown.

        Returns:
            For each command its answer, in bytes, or a `Fault`. `Unknown`: it was sent, and
            perhaps done.
        """
        route = self._route_for(deadline)
        answers: list[Any] = [None] * len(commands)
        left: dict[int, _Again | None] = dict.fromkeys(range(len(commands)))
        for _ in range(_TRIES):
            groups: dict[tuple[Place, bool, bool], list[int]] = {}
            for at, again in left.items():
                way = (route.place(commands[at].key), False, False)
                if again is not None and (again.asking or again.whole):
                    way = again.place, again.asking, again.whole
                groups.setdefault(way, []).append(at)
            for (place, asking, whole), positions in groups.items():
                some = [commands[at].arguments for at in positions]
                if not whole:
                    some = list(map(_shortened, some))
                found = self._exchange(route, place, some, asking=asking, replicas=replicas)
                for at, answer in zip(positions, found, strict=True):
                    answers[at] = answer
            left = {at: one for at in left if isinstance(one := answers[at], _Again)}
            for at, again in left.items():
                if again is not None and not (again.asking or again.whole):
                    route.moved(commands[at].key, again.place)
            if not left:
                break
        for at, again in left.items():
            if again is not None:
                answers[at] = failure_of(again.error, self.engine, sent=False)
        return answers

    def close(self) -> None:
        """Let go of connections. The next command opens new ones."""
        self._route.close()

    def _connected(self) -> None:
        self.connections += 1

    def _route_for(self, deadline: float | None) -> Route:
        now = monotonic()
        wanted = self._usual
        if deadline is not None:
            left = max(deadline - now, _SHORTEST)
            while wanted > left:  # in few steps, since each makes new connections
                wanted /= 2
        with self._lock:
            if wanted < self._timeout or (deadline is None and wanted > self._timeout):
                self._route.close()
                self._route, self._timeout = (
                    open_route(self._address, wanted, self._connected),
                    wanted,
                )
            elif now - self._used_at > LONGEST_IDLE:
                self._route.close()
            self._used_at = now
            return self._route

    def _exchange(
        self,
        route: Route,
        place: Place,
        commands: list[tuple[Any, ...]],
        *,
        asking: bool,
        replicas: int,
    ) -> list[Any]:
        """Send commands to one place: an answer for each, a `Fault`, or where it has moved to."""
        pool = route.pool(place)
        try:
            connection = pool.get_connection()
        except (redis.RedisError, OSError) as error:
            route.failed(place)
            return [failure_of(error, self.engine, sent=False)] * len(commands)
        sent: list[tuple[Any, ...]] = []
        for command in commands:
            sent += [("ASKING",), command] if asking else [command]
        if replicas:
            sent.append(("WAIT", replicas, int(min(1.0, self._timeout / 2) * 1_000)))
        answers: list[Any] = []
        try:
            connection.send_packed_command(connection.pack_commands(sent), check_health=False)
            for _ in sent:
                try:
                    answers.append(connection.read_response(disable_decoding=True))
                except redis.ResponseError as error:  # noqa: PERF203 - one answer of many
                    answers.append(error)
        except (redis.RedisError, OSError) as error:
            connection.disconnect()
            route.failed(place)
            if code_of(error):  # an answer, which the library takes for the end of the connection
                answers.append(error)
            lost = failure_of(error, self.engine, sent=True)
            if not isinstance(lost, Unknown):
                lost = Unknown(f"no answer came from the engine {self.engine}", lost.cure)
            answers += [lost] * (len(sent) - len(answers))
        except BaseException:
            connection.disconnect()
            raise
        finally:
            pool.release(connection)
        return self._judged(pool, place, answers, len(commands), asking=asking, replicas=replicas)

    def _judged(
        self,
        pool: redis.ConnectionPool,
        place: Place,
        answers: list[Any],
        count: int,
        *,
        asking: bool,
        replicas: int,
    ) -> list[Any]:
        confirmed = answers.pop() if replicas else 0
        if asking:
            answers = answers[1::2]
        answers = answers[:count]
        judged = [self._judge(answer, place, asking=asking) for answer in answers]
        if any(
            isinstance(one, redis.ResponseError) and code_of(one) == "READONLY" for one in answers
        ):
            pool.disconnect()  # a master that is none any more: the next connection asks who is
        if not isinstance(confirmed, int) or confirmed < replicas:
            alone = Unknown(
                f"{confirmed if isinstance(confirmed, int) else 'no'} of {replicas} replicas of "
                f"the engine {self.engine} confirmed in time",
                "see to its replicas, or leave out wait= in the URL",
            )
            judged = [one if isinstance(one, (Fault, _Again)) else alone for one in judged]
        return judged

    def _judge(self, answer: Any, place: Place, *, asking: bool) -> Any:
        if not isinstance(answer, (redis.RedisError, OSError)):
            return answer
        if isinstance(answer, redis.exceptions.NoScriptError):
            return _Again(answer, place, asking, whole=True)
        moved = _new_place(answer, place)
        if moved and self._address.kind != "cluster":
            return Hold(
                f"the engine {self.engine} is a node of a cluster",
                "begin the URL with redis+cluster",
            )
        return moved or failure_of(answer, self.engine, sent=False)


def _new_place(error: BaseException, place: Place) -> _Again | None:
    code = code_of(error)
    found = re.search(r"\d+ (\S*):(\d+)$", str(error))
    if code not in ("MOVED", "ASK") or found is None or not isinstance(error, redis.ResponseError):
        return None
    host = found[1].strip("[]")
    if host in ("", "?"):
        host = place[0]
    return _Again(error, (host, int(found[2])), asking=code == "ASK")
