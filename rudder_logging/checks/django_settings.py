"""Django's settings: is its middleware there, and in its place."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["APP", "MIDDLEWARE", "Fault", "faults", "has_database", "is_used"]

APP = "rudder_logging.integrations.django"
MIDDLEWARE = f"{APP}.RudderMiddleware"
_BEFORE_IT = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
)


@dataclass(frozen=True)
class Fault:
    """A fault of the settings."""

    code: str
    text: str
    cure: str


def is_used(settings: object) -> bool:
    """Say if the settings name the integration at all."""
    names = (*_listed(settings, "INSTALLED_APPS"), *_listed(settings, "MIDDLEWARE"))
    return any(name.startswith(APP) for name in names) or hasattr(settings, "RUDDER")


def has_database(settings: object) -> bool:
    """Say if an event may wait for a commit at all."""
    databases = getattr(settings, "DATABASES", None) or {}
    return any(
        str(one.get("ENGINE", "")).rpartition(".")[2] != "dummy" for one in databases.values()
    )


def faults(settings: object) -> Iterator[Fault]:
    """Find what of the middleware is not as it should be.

    Args:
        settings: Django's, or a module of them.
    """
    listed = _listed(settings, "MIDDLEWARE")
    own = _places(listed, MIDDLEWARE)
    if not own:
        yield Fault(
            "middleware-missing",
            "MIDDLEWARE lacks RudderMiddleware: events have no user, ip or page",
            f'add "{MIDDLEWARE}" at its end',
        )
        return
    for name in _BEFORE_IT:
        if any(place > own[0] for place in _places(listed, name)):
            short = name.rpartition(".")[2]
            yield Fault(
                "middleware-order",
                f"RudderMiddleware stands above {short} in MIDDLEWARE: an event that is logged "
                "between the two has no user, nor have those after it in the same request",
                f"put it below {short}",
            )


def _listed(settings: object, name: str) -> Sequence[str]:
    return [entry for entry in getattr(settings, name, None) or () if isinstance(entry, str)]


def _places(listed: Sequence[str], name: str) -> list[int]:
    """The places of a class, or of its subclasses."""
    return [place for place, entry in enumerate(listed) if name in _names(entry)]


def _names(entry: str) -> set[str]:
    """The names of a class and of its bases."""
    module, _, name = entry.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception:  # noqa: BLE001 - the app's module may raise anything; Django tells that
        return {entry}
    bases = getattr(found, "__mro__", ())
    return {entry, *(f"{base.__module__}.{base.__qualname__}" for base in bases)}
