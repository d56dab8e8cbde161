"""gevent, patched at different moments."""

from __future__ import annotations

from .stage import PRELUDE, Stage

__all__ = ["patched_after_import", "patched_first"]

_LOG = """
import gevent
log(range(100))
gevent.joinall([gevent.spawn(log, range(n, n + 10)) for n in range(100, 500, 10)])
"""
_PATCH = "from gevent import monkey\nmonkey.patch_all()\n"


def patched_first(stage: Stage) -> None:
    """As gevent wants it: before anything is imported. The script ends without a flush."""
    stage.run(_LOG, _PATCH + PRELUDE, strict=False)


def patched_after_import(stage: Stage) -> None:
    """After the package was imported, before the handler is made."""
    prelude = PRELUDE.replace("handler =", _PATCH + "handler =")
    stage.run(_LOG, prelude, strict=False)
