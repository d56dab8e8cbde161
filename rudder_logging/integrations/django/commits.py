"""Django's transactions, for events that wait for a commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, connections

if TYPE_CHECKING:
    from ...handler.commits import Uncommitted

__all__ = ["find"]


def find(name: object) -> Callable[[Uncommitted], object] | None:
    """Say how an event waits for the open transaction of a database, by the database's alias.

    Django forgets an event that is rolled back, with its savepoint or with all.

    Raises:
        LookupError: Django has no such database.
    """
    alias = DEFAULT_DB_ALIAS if name is True else name
    databases = connections.settings
    if not isinstance(alias, str) or alias not in databases:
        raise LookupError
    if databases[alias]["ENGINE"] == "django.db.backends.dummy":  # of an app without databases
        raise LookupError
    connection = connections[alias]
    if not connection.in_atomic_block:
        return None
    return lambda event: connection.on_commit(event.commit)
