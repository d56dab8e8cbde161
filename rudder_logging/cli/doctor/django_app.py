"""A look at Django's settings, where the app is one of its. Only what they name is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from ...checks.django_settings import APP, MIDDLEWARE, faults, has_database, is_used
from ...common.wired import wired
from .findings import Finding, Severity, a_warning

__all__ = ["of_django"]

_SUBJECT = "Django's settings"


def of_django() -> Iterator[Finding]:
    """Find what of them keeps a request's fields off its events, or has events not wait."""
    settings, is_running = _settings()
    if settings is None:
        return
    if not is_used(settings):
        if wired.isdisjoint(("asgi", "wsgi")):  # one of theirs may be around the app
            text = "don't have RudderMiddleware: events have of a request what the app itself binds"
            cure = f'add "{APP}" to INSTALLED_APPS, and "{MIDDLEWARE}" to MIDDLEWARE'
            yield _remark("django-unused", text, cure)
        return
    for fault in faults(settings):
        yield a_warning(f"django-{fault.code}", _SUBJECT, fault.text, fault.cure)
    if not has_database(settings):
        text = "name no database, so `on_commit` has nothing to wait for: events leave at once"
        yield _remark("django-no-database", text, "leave `on_commit` out")
    if not is_running:
        text = "are all that was looked at. If RUDDER has a write key, Django makes a handler of it"
        yield _remark("django-not-running", text, "ask `manage.py rudder doctor`")


def _remark(code: str, text: str, cure: str) -> Finding:
    return Finding(Severity.WELL, "logging", code, text, cure, _SUBJECT)


def _settings() -> tuple[object | None, bool]:
    """Django's, if it runs; else the module of them that was given as a configuration."""
    conf, apps = sys.modules.get("django.conf"), sys.modules.get("django.apps")
    if conf is not None and conf.settings.configured and apps is not None and apps.apps.ready:
        return conf.settings, True
    return sys.modules.get(os.environ.get("DJANGO_SETTINGS_MODULE", "")), False
