"""The end by SIGTERM, which stops containers and services: who would lose events by it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator

from ...config import Config
from .findings import Finding, Severity, a_warning

__all__ = ["of_sigterm"]

_CURE = "set drain_on_sigterm, or a durable queue (queue=file:///...)"
_OF_ASGI = ("uvicorn", "fastapi", "starlette", "litestar", "quart", "blacksheep")


def of_sigterm(configs: Iterable[Config]) -> Iterator[Finding]:
    """A signal that ends this process at once, with what its handlers have in memory.

    Args:
        configs: Of each RudderHandler.
    """
    is_default = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not (is_default and any(map(_loses, configs))):
        return
    package = next((name for name in _OF_ASGI if name in sys.modules), None)
    if package is not None:
        yield a_warning(
            "sigterm",
            "SIGTERM",
            f"this is an ASGI app (it uses {package}). uvicorn, also as gunicorn's worker, lets "
            "the signal end the process without exit hooks, with what waits in memory",
            f"{_CURE}, or close the handler in the app's lifespan (await handler.aclose())",
        )
        return
    yield Finding(
        Severity.WELL,
        "logging",
        "sigterm",
        "SIGTERM",
        "has its default action. Unless a server or the app handles it, as gunicorn, hypercorn, "
        "Celery and uWSGI do, it ends the process with what waits in memory",
        f"if nobody does, {_CURE}",
    )


def _loses(config: Config) -> bool:
    in_memory = config.queue == "memory://"
    return config.send and in_memory and not (config.sync_mode or config.drain_on_sigterm)
