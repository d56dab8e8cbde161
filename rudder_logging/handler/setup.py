"""Files that options name, looked at when a handler is made."""

from __future__ import annotations

from ..common.given_files import fault_of_file
from ..config import Config
from ..delivery.dead_letters import check_dead_letters
from ..exceptions import ConfigError

__all__ = ["check_files"]


def check_files(config: Config) -> None:
    """Raises: ConfigError: A certificate file is not there; others can read the dead letters."""
    for option in ("ca_bundle", "client_cert"):
        given = getattr(config, option)
        for path in given if isinstance(given, tuple) else (given,):
            fault = path and fault_of_file(option, path)
            if fault:
                raise ConfigError(fault)
    if config.dead_letter:
        check_dead_letters(config.dead_letter)
