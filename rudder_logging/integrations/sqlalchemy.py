"""on_commit(session): events that leave when a session of SQLAlchemy commits, and only then."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction, scoped_session

from ..handler import commits
from ..handler.commits import Uncommitted, Wait

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session

__all__ = ["on_commit"]

_KEY = "rudder_logging"  # in `Session.info`, which lives as long as the session


def on_commit(
    session: Session | scoped_session[Any] | AsyncSession | async_scoped_session[Any],
) -> commits.on_commit:
    """Have the events of a block leave when a session commits: see `rudder_logging.on_commit`.

    ```python
    with Session(engine) as session, on_commit(session):
        session.add(order)
        logger.info("Order Completed", extra={"rudder": {"user_id": "42"}})
        session.commit()
    ```

    A session is in a transaction from its first `add` or statement on; before that, and after the
    commit, events leave at once. Those of a savepoint (`begin_nested`) are dropped if it is rolled
    back. A session that is closed, or forgotten, without a commit drops them all.

    One event by itself, within a block or outside: `track(..., on_commit=session)`.

    Args:
        session: A `Session`, an `AsyncSession`, or a scoped one, of which the session here counts.

    Raises:
        TypeError: It is none of these.

    .. versionadded:: 0.1.0
    """
    try:
        _session_of(session)
    except LookupError:
        given = type(session).__name__
        raise TypeError(f"on_commit takes a session of SQLAlchemy, not {given}") from None
    return commits.on_commit(session)


class _Waiting:
    """Events of a session that wait, in the order of their calls, each with its transaction."""

    def __init__(self) -> None:
        self.events: list[tuple[SessionTransaction, Uncommitted]] = []
        self.committed: SessionTransaction | None = None
        """It has not ended yet: listeners of the app's hear of the commit, too."""


def _session_of(given: object) -> Session | None:
    """The session that is meant; None: a scoped session has none here."""
    registry = getattr(given, "registry", None)
    if registry is not None and hasattr(registry, "has"):
        if not registry.has():
            return None
        given = registry()
    given = getattr(given, "sync_session", given)  # of an AsyncSession
    if isinstance(given, Session):
        return given
    raise LookupError


def _find(name: object) -> Wait | None:
    session = _session_of(name)
    transaction = None if session is None else _innermost(session)
    if session is None or transaction is None:
        return None
    waiting: _Waiting = session.info.setdefault(_KEY, _Waiting())
    return None if transaction is waiting.committed else partial(_wait, waiting, transaction)


def _innermost(session: Session) -> SessionTransaction | None:
    """The innermost savepoint, or else the transaction; None: neither is open."""
    return session.get_nested_transaction() or session.get_transaction()


def _wait(waiting: _Waiting, transaction: SessionTransaction, one: Uncommitted) -> None:
    waiting.events.append((transaction, one))


def _after_commit(session: Session) -> None:
    """Let events leave; those of a savepoint wait for what is around it."""
    waiting: _Waiting | None = session.info.get(_KEY)
    transaction = _innermost(session)
    if waiting is None or transaction is None:
        return
    if transaction.nested:
        outer = transaction.parent
        while outer is not None and outer.parent is not None and not outer.nested:
            outer = outer.parent  # a flush is a transaction, too
        waiting.events = [
            (outer if own is transaction and outer is not None else own, one)
            for own, one in waiting.events
        ]
        return
    waiting.committed = transaction
    ended, waiting.events = waiting.events, []
    for _transaction, one in ended:
        one.commit()


def _after_transaction_end(session: Session, transaction: SessionTransaction) -> None:
    """Drop what has not left by now: it was rolled back, or the session closed."""
    waiting: _Waiting | None = session.info.get(_KEY)
    if waiting is None:
        return
    waiting.committed = None
    ended = [one for own, one in waiting.events if own is transaction]
    waiting.events = [pair for pair in waiting.events if pair[0] is not transaction]
    for one in ended:
        one.roll_back()


# Of all sessions: those that no event waits for are looked up in their `info`, and left alone.
# `after_rollback` and `after_soft_rollback` are not asked: a session that is closed without a
# commit has neither, and each of them is followed by the transaction's end.
event.listen(Session, "after_commit", _after_commit)
event.listen(Session, "after_transaction_end", _after_transaction_end)
commits.register(_find)
