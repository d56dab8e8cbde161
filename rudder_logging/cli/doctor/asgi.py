"""ASGI apps: is our middleware around one, and will its server tell it of the end."""

from __future__ import annotations

import os
import sys

from ...common.wired import wired
from .tree import alive_of

__all__ = ["is_wired", "why_no_lifespan"]

_MIDDLEWARE = "rudder_logging.integrations.asgi"


def is_wired() -> bool:
    """Tell if the middleware is around an app, or will be: Starlette makes it when it starts."""
    return "asgi" in wired or any(
        base.__module__ == _MIDDLEWARE
        for app in alive_of("starlette.applications.Starlette")
        for layer in app.user_middleware
        for base in getattr(layer.cls, "__mro__", ())
    )


def why_no_lifespan() -> str | None:
    """The reason for uvicorn to tell an app of no lifespan, as far as this process shows it."""
    if os.environ.get("UVICORN_LIFESPAN", "").lower() == "off":
        return "the variable UVICORN_LIFESPAN is off"
    if any(config.lifespan == "off" for config in alive_of("uvicorn.config.Config")):
        return 'a uvicorn.Config of the app has lifespan="off"'
    for name in ("uvicorn.workers", "uvicorn_worker._workers"):
        worker = getattr(sys.modules.get(name), "UvicornWorker", None)
        for kind in worker.__subclasses__() if worker else ():
            if kind.CONFIG_KWARGS.get("lifespan") == "off":
                return f'{kind.__name__}.CONFIG_KWARGS has "lifespan": "off"'
    # Older ones spell it with one r.
    failed = {"error_occurred", "error_occured"}
    if any(
        vars(lifespan).get(name)
        for lifespan in alive_of("uvicorn.lifespan.on.LifespanOn")
        for name in failed
    ):
        return "the app has raised when it was asked for its lifespan, and uvicorn goes on"
    return None
