"""Events that wait for the commit of the app's database transaction.

An event is made at its call, with the ids, the time and the values of that moment. Then it waits in
the transaction that is open: the commit queues it, the rollback drops it. Integrations know which
transaction that is; `register` tells of one.
"""

from __future__ import annotations

import contextlib
import logging
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple, Protocol

import orjson

if TYPE_CHECKING:
    from .pipeline import Pipeline

__all__ = [
    "Find",
    "Uncommitted",
    "Wait",
    "have_wait",
    "hold_back",
    "knows_databases",
    "on_commit",
    "register",
    "tell_of_fault",
    "told",
    "whatever_to_wait_for",
]

_log = logging.getLogger("rudder_logging")


class _Handler(Protocol):
    """The handler of an event that waits."""

    def uses(self, pipeline: Pipeline) -> bool:
        """Tell if it is this process's."""
        ...

    def queue_committed(self, event: Uncommitted) -> None:
        """Queue an event, unless it waits no more."""
        ...

    def drop_uncommitted(self, event: Uncommitted) -> None:
        """Drop an event, unless it waits no more."""
        ...

    def edit_uncommitted(self, event: Uncommitted, message: bytes) -> None:
        """Have an event say something else, as `before_send` lets it."""
        ...


class Uncommitted:
    """An event that waits for a commit. The first call of its methods wins, from any thread.

    If it is forgotten without either, it is rolled back: some databases' libraries tell of no
    rollback, and only forget what was to be done at the commit. In a forked child, whose
    transaction it is not, nothing happens.
    """

    def __init__(self, handler: _Handler, pipeline: Pipeline, message: bytes) -> None:
        self._handler, self._pipeline, self.message = handler, pipeline, message
        self._key = weakref.ref(self)
        pipeline.ledger.hold(self._key, len(message))

    def commit(self) -> None:
        """Queue it. What goes wrong is counted and told as for any event, and not raised."""
        if self._handler.uses(self._pipeline):
            with self._pipeline.listener.telling_of_bugs():
                self._handler.queue_committed(self)

    def name_user(self, user_id: str) -> None:
        """Have it say who the user is, unless its call did. Only before the other methods."""
        if "userId" not in orjson.loads(self.message + b"}"):
            named = b'{"userId":' + orjson.dumps(user_id) + b"," + self.message[1:]
            with self._pipeline.listener.telling_of_bugs():
                self._handler.edit_uncommitted(self, named)

    def leave(self) -> bool:
        """Wait no more; False: it has left already."""
        return self._pipeline.ledger.let_go(self._key)

    def roll_back(self) -> None:
        """Drop it, count it, and tell `on_drop`."""
        if self._handler.uses(self._pipeline):
            with self._pipeline.listener.telling_of_bugs():
                self._handler.drop_uncommitted(self)

    def __del__(self) -> None:
        self.roll_back()


Wait = Callable[[Uncommitted], object]
"""Puts an event into the transaction that is open, or into the innermost savepoint of it."""
Find = Callable[[object], Wait | None]
"""From what `on_commit` names to the transaction that is open there, here and now; None: none is.

True names the database that an app without further words means. Raises LookupError if the name is
another's.
"""

_finders: list[Find] = []
_holds: list[Callable[[], Wait | None]] = []
_told: set[str] = set()
_in_force: ContextVar[_Block | None] = ContextVar("rudder_logging_on_commit", default=None)
has_blocks = False
"""True once there was a block, or an integration holds events back. Until then, none looks."""


def register(find: Find) -> Callable[[], None]:
    """Have an integration asked for open transactions, after those that came before it.

    Returns:
        A function that takes it back.
    """
    if find not in _finders:
        _finders.append(find)

    def take_back() -> None:
        if find in _finders:
            _finders.remove(find)

    return take_back


def knows_databases() -> bool:
    """Tell if an integration can be asked for a transaction."""
    return bool(_finders)


def told() -> list[str]:
    """The faults because of which events that were to wait have left at once."""
    return sorted(_told)


class _Block(NamedTuple):
    begun_by: on_commit
    outer: _Block | None


def _without(block: _Block | None, ended: on_commit) -> _Block | None:
    """The blocks that are left: they end in any order. One of another context is not there."""
    if block is None or block.begun_by is ended:
        return block and block.outer
    return block._replace(outer=_without(block.outer, ended))


class on_commit:  # noqa: N801 - it reads as a verb where it is used
    """Have the events of a block leave when the database transaction commits, and only then.

    ```python
    with transaction.atomic(), rudder_logging.on_commit():
        order.save()
        logger.info("Order Completed", extra={"rudder": {"user_id": "42"}})
    ```

    An event is made at its call, with the time and the values of that moment. It is dropped, and
    counted as `rolled_back`, if the transaction, or its savepoint within that, is rolled back.
    Outside a transaction it leaves at once.

    An integration has to know the database: `rudder_logging.integrations.django` or `sqlalchemy`.

    Args:
        database: The database, as the integration names it: an alias of Django's, a session of
            SQLAlchemy's; by default the one that the integration takes for it.

    .. versionadded:: 0.1.0
    """

    def __init__(self, database: object = True) -> None:
        self.database = database

    def __enter__(self) -> None:
        global has_blocks
        has_blocks = True
        _in_force.set(_Block(self, _in_force.get()))

    def __exit__(self, *_: object) -> None:
        _in_force.set(_without(_in_force.get(), self))


def hold_back(find: Callable[[], Wait | None]) -> None:
    """Have an integration asked if an event has to wait for what it can't know yet.

    It is asked of each event that waits for no transaction, and was not told to leave at once.
    """
    global has_blocks
    has_blocks = True
    if find not in _holds:
        _holds.append(find)


def whatever_to_wait_for(asked: object) -> Wait | None:
    """Find the transaction, or else what an integration holds an event back for; None: nothing.

    Args:
        asked: The call's own word; None: a block may have one.
    """
    wait = _open_transaction(asked)
    if wait is None and asked is not False:
        for find in _holds:
            wait = wait or find()
    return wait


def _open_transaction(asked: object) -> Wait | None:
    if asked is None or asked is True:
        block = _in_force.get()
        asked = asked if block is None else block.begun_by.database
    if not asked:
        return None
    for find in _finders.copy():
        with contextlib.suppress(LookupError):
            return _found(find, asked)
    name = repr(asked) if asked is True or isinstance(asked, str) else type(asked).__name__
    _tell(f"on_commit={name} names no transaction that an integration knows")
    return None


def _found(find: Find, asked: object) -> Wait | None:
    try:
        return find(asked)
    except LookupError:
        raise
    except Exception as error:  # noqa: BLE001 - a database's library may raise anything
        tell_of_fault(find, error)
        return None


def have_wait(event: Uncommitted, wait: Wait) -> None:
    """Have an event wait for a transaction; if that can't be, it leaves at once."""
    try:
        wait(event)
    except Exception as error:  # noqa: BLE001 - a database's library may raise anything
        tell_of_fault(wait, error)
        event.commit()


def tell_of_fault(function: Callable[..., object], error: Exception) -> None:
    """Tell, once, that an integration has raised where it was to look for a transaction."""
    where = getattr(function, "__module__", type(function).__module__)
    _tell(f"{where} raised {type(error).__name__} when it was asked for the open transaction")


def _tell(fault: str) -> None:
    if fault not in _told:
        _told.add(fault)
        _log.warning("%s, so events leave before the commit; see `on_commit` (said once)", fault)
