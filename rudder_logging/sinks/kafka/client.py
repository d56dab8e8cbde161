"""Clients of librdkafka's in this process: their log, and a fork."""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer

from ...exceptions import ConfigError

__all__ = ["check", "forget", "keep", "options"]

_log = logging.getLogger("rudder_logging")


class _Log:
    """Takes the library's lines, which it would print: one for each connection that fails."""

    def log(self, _level: int, line: str, *values: object) -> None:
        """Write a line where a developer looks for it."""
        _log.debug(line, *values)


def options(servers: str, settings: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """Arguments of a client; underscores in keywords stand for dots."""
    return {
        "bootstrap.servers": servers,
        "logger": _Log(),
        "client.id": "rudder-logging",
        **settings,
        **{name.replace("_", "."): value for name, value in more.items()},
    }


def check(settings: Mapping[str, str]) -> None:
    """See that the library takes these settings. It connects to nothing.

    Raises:
        ConfigError: It does not.
    """
    try:
        Producer({"logger": _Log(), **settings}).flush(0)
    except KafkaException as error:
        raise ConfigError(
            f"the relay's URL: {error.args[0].str()}; its parameters are settings of librdkafka's"
        ) from None


_clients: set[Producer | Consumer] = set()


def keep(client: Producer | Consumer) -> None:
    """Note a client for as long as it is open."""
    _clients.add(client)


def forget(client: Producer | Consumer) -> None:
    """Note that a client is closed."""
    _clients.discard(client)


def _leave_to_parent() -> None:
    # A client's end asks its threads to end, and a forked child has none of them: it would wait, or
    # be aborted. So what the parent has open is never freed in a child.
    for client in _clients:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))
    _clients.clear()


if hasattr(os, "register_at_fork"):  # not so on Windows
    os.register_at_fork(after_in_child=_leave_to_parent)
