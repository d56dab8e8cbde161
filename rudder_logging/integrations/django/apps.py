"""The app that stands in INSTALLED_APPS."""

from __future__ import annotations

import logging

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured

from . import system_checks
from .wiring import wire

__all__ = ["RudderConfig"]

_log = logging.getLogger("rudder_logging")


class RudderConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """Wires handler, signals and system checks when Django has loaded all apps."""

    name = "rudder_logging.integrations.django"
    label = "rudder_logging"
    verbose_name = "RudderStack events"

    def ready(self) -> None:
        """Wire all; a faulty setting is told, and by the system checks in full."""
        system_checks.register()
        try:
            wire()
        except ImproperlyConfigured as error:
            _log.error("%s", error)
