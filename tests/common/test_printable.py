"""Text of others in log lines and on terminals."""

from __future__ import annotations

import logging

import orjson
import pytest

from rudder_logging.common.printable import printable, printable_json
from rudder_logging.delivery.ledger import Ledger
from rudder_logging.delivery.reports import Reports
from rudder_logging.exceptions import RefusedError

STEERING = "a\nERROR forged\r\x1b[2J\x9b31m\u202eb\u2066\x7f\U000e0041"


def test_a_message_id_forges_no_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever may choose ids must not write lines of ours."""
    message = orjson.dumps({"messageId": STEERING})[:-1]
    with caplog.at_level(logging.ERROR):
        Reports(Ledger()).refused(message, RefusedError(400, "invalid json"))
    (record,) = caplog.records
    assert record.getMessage().isprintable()


def test_what_steers_is_replaced_and_all_else_is_kept() -> None:
    """Letters of all languages, and pictures, are shown."""
    assert printable("é ж 漢 😀 1") == "é ж 漢 😀 1"
    assert printable("a\nb\x9b") == "a\ufffdb\ufffd"


def test_json_means_the_same() -> None:
    """It is escaped in JSON's own way; blanks between values stay blanks."""
    text = b'{"a":\t"' + STEERING.replace("\n", "").replace("\r", "").replace("\x1b", "").encode()
    text += b'"}\r'
    shown = printable_json(text)
    assert orjson.loads(shown) == orjson.loads(text)
    assert shown.decode().isprintable()
