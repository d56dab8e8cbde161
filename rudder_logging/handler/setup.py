"""A look at the options when a handler is made: at files that they name, and at what they miss."""

from __future__ import annotations

import logging
import threading

from ..common.given_files import fault_of_file
from ..config import Config
from ..exceptions import ConfigError

__all__ = ["check_files", "is_main_thread", "tell_of_setup"]

_log = logging.getLogger("rudder_logging")


def check_files(config: Config) -> None:
    """Check that certificate files can be read, and that dead letters can be kept in private.

    Raises:
        ConfigError: They can't.
    """
    for option in ("ca_bundle", "client_cert"):
        given = getattr(config, option)
        for path in given if isinstance(given, tuple) else (given,):
            fault = path and fault_of_file(option, path)
            if fault:
                raise ConfigError(fault)
    if config.dead_letter:
        from ..delivery.dead_letters import check_dead_letters  # noqa: PLC0415 - few name one

        check_dead_letters(config.dead_letter)


def is_main_thread() -> bool:
    """Tell if this is the thread in which Python lets signals be handled."""
    return threading.current_thread() is threading.main_thread()


def _show_debug_lines() -> None:
    _log.setLevel(logging.DEBUG)
    if not _log.hasHandlers():
        _log.addHandler(logging.StreamHandler())


_told_in_clear: set[str] = set()


def tell_of_setup(
    *,
    debug: bool,
    without_threads: bool,
    without_sigterm: bool,
    has_key_for_relay: bool,
    in_clear: Config | None,
) -> None:
    """Tell of what works, but not as the app's operators would want it; at DEBUG, of more.

    Args:
        debug: Show DEBUG lines.
        without_threads: None may be started.
        without_sigterm: It is to be taken over, and only the main thread could.
        has_key_for_relay: The app gives a write key that only the relay is to have.
        in_clear: Of a handler whose events go without TLS; told once for all that send there.
    """
    if debug:
        _show_debug_lines()
    if without_threads:
        _log.warning(
            "uWSGI runs without threads: events are sent by the calls that log them, which have "
            "to wait; give uWSGI the option enable-threads"
        )
    if without_sigterm:
        _log.warning(
            "drain_on_sigterm does nothing for a handler that is made outside the main thread, "
            "where Python lets nobody handle signals; make it in the main thread"
        )
    if has_key_for_relay:
        _log.info("write_key is not used with relay: leave it to the relay, and take it out here")
    if in_clear is not None and (place := in_clear.destination) not in _told_in_clear:
        _told_in_clear.add(place)
        if in_clear.relay is None:
            _log.warning(
                "events and write key go over the network unencrypted: data_plane_url is http://; "
                "use https://"
            )
        else:  # engines stand in private networks, mostly, and are meant to be reached so
            _log.info("events go unencrypted to the relay's engine, %s", place)
