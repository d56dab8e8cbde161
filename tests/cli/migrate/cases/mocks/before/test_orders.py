import unittest
from unittest import mock
from unittest.mock import patch

import pytest
import segment.analytics
from shop import orders

ORDER = {"user": "42", "revenue": 9.5}


@pytest.fixture(autouse=True)
def off(monkeypatch):
    monkeypatch.setattr("segment.analytics.write_key", "k")
    monkeypatch.setattr("segment.analytics.send", False)
    monkeypatch.setattr("segment.analytics.host", "http://127.0.0.1:9")


@patch("segment.analytics.track")
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
    monkeypatch.setattr("segment.analytics.client.Client.track", lambda *given: seen.append(given[2]))
    orders.complete(ORDER)
    assert "Order Audited" in seen


class OrdersTest(unittest.TestCase):
    def test_of_the_module(self):
        with patch.object(segment.analytics, "track") as track:
            orders.complete(ORDER)
        self.assertEqual(track.call_count, 1)
