"""Django's system checks of the setting RUDDER, the middleware and the handler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from ...checks.django_settings import faults
from . import wiring
from .options import Options

__all__ = ["check", "register"]

_IDS = {"middleware-missing": "rudder.W001", "middleware-order": "rudder.W002"}


def register() -> None:
    """Have Django run them; twice is once."""
    checks.register(check)


def check(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Check all."""
    found = [_warning(_IDS[fault.code], fault.text, fault.cure) for fault in faults(settings)]
    try:
        return [*found, *_of_handler(Options.read())]
    except ImproperlyConfigured as error:
        text, _, cure = str(error).partition("; ")
        return [*found, checks.Error(f"{text}.", hint=_sentence(cure), id="rudder.E001")]


def _of_handler(options: Options) -> Iterator[checks.CheckMessage]:
    has_key = wiring.has_key(options)
    if not any(wiring.takers()):
        if has_key:
            text = "no logger has a RudderHandler, so no log call sends an event"
            cure = "name one among the handlers of root in LOGGING, or leave it to RUDDER"
            yield _warning("rudder.W003", text, cure)
        else:
            text = "no write key and data plane URL are known, so no event is sent"
            cure = (
                'set RUDDER = {"WRITE_KEY": ..., "DATA_PLANE_URL": ...}, the variables '
                "RUDDER_WRITE_KEY and RUDDER_DATA_PLANE_URL, or a RudderHandler in LOGGING"
            )
            yield _warning("rudder.W004", text, cure)
    elif options.of_handler and not wiring.made:
        text = "LOGGING has a RudderHandler, so RUDDER's options of the handler are not in force"
        cure = "leave all but CONTEXT out of RUDDER, or the handler out of LOGGING"
        yield _warning("rudder.W005", text, cure)


def _warning(code: str, text: str, cure: str) -> checks.CheckMessage:
    return checks.Warning(_sentence(text), hint=_sentence(cure), id=code)


def _sentence(words: str) -> str | None:
    return f"{words[:1].upper()}{words[1:]}." if words else None
