"""`PrivateFormatter`: other handlers' output is as private as the upload."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from typing import Any

import pytest

import rudder_logging
from rudder_logging import ConfigError, PrivateFormatter

from ..conftest import Wire

PRIVACY: dict[str, Any] = {"deny_events": ["Denied"], "hash": ["ids"], "hmac_key": "k"}


def written(wire: Wire, formatter: logging.Formatter) -> tuple[logging.Logger, io.StringIO]:
    """A logger, and what its handler writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    return wire(handler), stream


def test_events_and_other_lines(wire: Wire) -> None:
    """Redacted and hashed; what may not leave is an empty line."""
    logger, stream = written(wire, PrivateFormatter("%(message)s", privacy=PRIVACY))
    fields = {"user_id": "jané", "properties": {"Password": "s3cret", "a": "é"}}
    logger.info("Order", extra={"rudder": fields})
    logger.info("Denied", extra={"rudder": fields})
    logger.info("plain", extra={"token": "s3cret", "url": "/?token=s3cret&b=1", "b": "é"})
    event, denied, plain = stream.getvalue().splitlines()
    assert json.loads(event)["properties"] == {"a": "é"}
    assert len(json.loads(event)["userId"]) == 64
    assert denied == ""
    assert json.loads(plain) == {"message": "plain", "url": "/?b=1", "b": "é"}
    assert "s3cret" not in stream.getvalue()


def test_suppression_and_faults(wire: Wire) -> None:
    """`suppress` speaks for these, too; a fault lets nothing out."""

    def fails() -> list[str]:
        raise LookupError

    logger, stream = written(wire, PrivateFormatter(privacy={}))
    other, nothing = written(wire, PrivateFormatter(privacy={"suppressed": fails}))
    rudder_logging.suppress("a")
    for one in (logger, other):
        one.info("e", extra={"rudder": {"user_id": "a"}})
    logger.info("e", extra={"rudder": {"user_id": "b"}})
    assert [bool(line) for line in stream.getvalue().splitlines()] == [False, True]
    assert nothing.getvalue() == "\n"


def test_dictconfig_makes_one() -> None:
    """With a mapping of the options."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "p": {"()": "rudder_logging.PrivateFormatter", "privacy": {"redact": ["note"]}}
            },
            "handlers": {"h": {"class": "logging.NullHandler", "formatter": "p"}},
            "loggers": {"configured": {"handlers": ["h"]}},
        }
    )
    (handler,) = logging.getLogger("configured").handlers
    logging.getLogger("configured").removeHandler(handler)
    record = logging.makeLogRecord({"msg": "m", "note": 1, "kept": 2})
    assert json.loads(handler.format(record)) == {"message": "m", "kept": 2}
    with pytest.raises(ConfigError, match="PrivateFormatter: privacy must be"):
        PrivateFormatter(privacy="no json")
    with pytest.raises(ConfigError, match="hmac_key"):
        PrivateFormatter(privacy={"hash": ["ids"]})
