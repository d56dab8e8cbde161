"""`PrivateFormatter`: what leaves by other handlers, to a file or to stdout, is as private."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import orjson

from ..common.dictconfig import resolved
from ..events.formatter import RudderFormatter
from ..events.lines import writable
from ..exceptions import ConfigError
from .options import Privacy, privacy_of
from .stages import Stages
from .suppression import EVERYWHERE

__all__ = ["PrivateFormatter"]


class PrivateFormatter(RudderFormatter):
    """A `RudderFormatter` for any stdlib handler that lets out what a `Privacy` lets out.

    An event that may not leave becomes an empty line, because a formatter can't drop a record.
    Lines without an event are redacted, too, as far as they are JSON's keys and queries.

    Args:
        privacy: A `Privacy`, or a mapping of its options.
        *args: As of `RudderFormatter`.
        **kwargs: Likewise.

    Raises:
        ConfigError: `privacy` is malformed.

    .. versionadded:: 0.1.0
    """

    def __init__(
        self, *args: Any, privacy: Privacy | Mapping[str, Any] | str, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        try:
            self._stages = Stages(privacy_of(resolved(privacy)), [EVERYWHERE])
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(f"PrivateFormatter: privacy {error}") from None
        self._stages.look_at_all()  # the encoders here are the usual ones

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, without a line end; empty: its event may not leave."""
        line = super().format(record)
        if record.__dict__.get("rudder") is None:
            return line
        passed = self._stages.passed(line[:-1].encode(), self._stages.redaction.hasher())
        return writable((passed + b"}").decode(), self) if isinstance(passed, bytes) else ""

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """A record's values as JSON, redacted."""
        redaction = self._stages.redaction
        line = super().jsonify_log_record(log_data)
        values = redaction.tree(orjson.loads(line), redaction.hasher())
        return orjson.dumps(values, None, orjson.OPT_INDENT_2 if self.json_indent else 0).decode()
