"""HTTP proxies that want a password."""

from __future__ import annotations

import json
from typing import Any

import trustme

from . import tls
from .servers import held_until
from .stage import Stage

__all__ = ["password", "wrong_password"]

_RIGHT = "user:pass word"


def _start(stage: Stage, *, encrypted: bool) -> dict[str, Any]:
    """Start a proxy; return the options of those who go by it."""
    url = f"http://user:pass%20word@127.0.0.1:{stage.start_gate('proxy')}"
    if not encrypted:
        return {"proxies": json.dumps({"http": url})}
    return {"proxies": json.dumps({"https": url}), "ca_bundle": tls.serve(stage, trustme.CA())}


def password(stage: Stage, *, encrypted: bool) -> None:
    """It gets the right one, and uploads go by it."""
    stage.write("password", _RIGHT)
    stage.run("log(range(100))", **_start(stage, encrypted=encrypted))
    assert stage.noted("proxied")


def wrong_password(stage: Stage, *, encrypted: bool) -> None:
    """It wants another one, until it takes that one."""
    stage.write("password", "user:another")
    options = _start(stage, encrypted=encrypted)
    words = "the proxy wants authentication"
    held_until(stage, lambda: stage.write("password", _RIGHT), words, **options)
    assert stage.noted("proxied")
