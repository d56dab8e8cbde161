"""The way to an engine: commands go out in one round trip, each gets an answer or a failure."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import redis

from ...common.clock import monotonic
from ..base import LONGEST_IDLE, Hold, Unknown
from .connecting import Address, Place, Route, open_route
from .errors import Fault, code_of, failure_of

__all__ = ["Command", "Link", "script"]

_SHORTEST = 0.05
_MOVES = 3  # times that a command is sent elsewhere: to a seed, to the owner, and while it moves


class Command(NamedTuple):
    """A command, and the key that says where in a cluster it belongs."""

    key: str
    arguments: tuple[Any, ...]


def script(text: str, keys: Sequence[str], *arguments: Any) -> Command:
    """A script as a command; all its keys are in one slot."""
    return Command(keys[0], ("EVAL", text, len(keys), *keys, *arguments))


class _Moved(NamedTuple):
    error: redis.ResponseError
    place: Place
    asking: bool


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
        self._route = open_route(address, timeout)

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
        left: dict[int, _Moved | None] = dict.fromkeys(range(len(commands)))
        for _ in range(_MOVES):
            groups: dict[tuple[Place, bool], list[int]] = {}
            for at, move in left.items():
                asking = move is not None and move.asking
                place = move.place if move and asking else route.place(commands[at].key)
                groups.setdefault((place, asking), []).append(at)
            for (place, asking), positions in groups.items():
                some = [commands[at].arguments for at in positions]
                found = self._exchange(route, place, some, asking=asking, replicas=replicas)
                for at, answer in zip(positions, found, strict=True):
                    answers[at] = answer
            left = {at: one for at in left if isinstance(one := answers[at], _Moved)}
            for at, move in left.items():
                if move is not None and not move.asking:
                    route.moved(commands[at].key, move.place)
            if not left:
                break
        for at, move in left.items():
            if move is not None:
                answers[at] = failure_of(move.error, self.engine, sent=False)
        return answers

    def close(self) -> None:
        """Let go of connections. The next command opens new ones."""
        self._route.close()

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
                self._route, self._timeout = open_route(self._address, wanted), wanted
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
        judged = [self._judge(answer, place) for answer in answers]
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
            judged = [one if isinstance(one, (Fault, _Moved)) else alone for one in judged]
        return judged

    def _judge(self, answer: Any, place: Place) -> Any:
        if not isinstance(answer, (redis.RedisError, OSError)):
            return answer
        moved = _new_place(answer, place)
        if moved and self._address.kind != "cluster":
            return Hold(
                f"the engine {self.engine} is a node of a cluster",
                "begin the URL with redis+cluster",
            )
        return moved or failure_of(answer, self.engine, sent=False)


def _new_place(error: BaseException, place: Place) -> _Moved | None:
    code = code_of(error)
    found = re.search(r"\d+ (\S*):(\d+)$", str(error))
    if code not in ("MOVED", "ASK") or found is None:
        return None
    host = found[1].strip("[]")
    if host in ("", "?"):
        host = place[0]
    assert isinstance(error, redis.ResponseError)  # noqa: S101 - the code is of an answer
    return _Moved(error, (host, int(found[2])), code == "ASK")
