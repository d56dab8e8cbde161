import unittest
from unittest import mock
from unittest.mock import patch

import pytest
import rudder_logging
from shop import orders

ORDER = {"user": "42", "revenue": 9.5}


@pytest.fixture(autouse=True)
def off(monkeypatch):
    monkeypatch.setattr("rudder_logging.write_key", "k")
    monkeypatch.setattr("rudder_logging.send", False)
    monkeypatch.setattr("rudder_logging.host", "http://127.0.0.1:9")


@patch("rudder_logging.track")
def test_by_decorator(track):
    orders.complete(ORDER)
    track.assert_called_once_with("42", "Order Completed", {"revenue": 9.5})


def test_where_it_is_used():
    with mock.patch("shop.orders.identify") as identify, mock.patch("shop.orders.analytics") as module:
        orders.complete(ORDER)
    identify.assert_called_once_with("42", {"buyer": True})
    assert module.track.call_args.args[1] == "Order Completed"


def test_of_the_class(monkeypatch):
    seen = []
    monkeypatch.setattr("rudder_logging.Client.track", lambda *given: seen.append(given[2]))
    orders.complete(ORDER)
    assert "Order Audited" in seen


class OrdersTest(unittest.TestCase):
    def test_of_the_module(self):
        with patch.object(rudder_logging, "track") as track:
            orders.complete(ORDER)
        self.assertEqual(track.call_count, 1)
