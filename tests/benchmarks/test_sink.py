"""The benchmark's server counts what arrived, and does what it is told."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
from collections.abc import Iterable, Iterator

import pytest

from .runner import Server, sink_process
from .sink import Body, Receipt, count


def upload(numbers: Iterable[int]) -> bytes:
    """A batch of events with these numbers."""
    return json.dumps({"batch": [{"properties": {"n": n}} for n in numbers]}).encode()


def post(server: Server, body: bytes) -> int:
    """Send it; the answer's status."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("POST", "/v1/batch", body)
        with connection.getresponse() as response:
            assert response.read() == b"ok"
            return response.status
    finally:
        connection.close()


@pytest.fixture(scope="module")
def _server() -> Iterator[Server]:
    with sink_process() as server:
        yield server


@pytest.fixture
def server(_server: Server) -> Server:
    """A sink that has received nothing yet and answers at once."""
    _server.control.ask("clear")
    return _server


def test_all_that_was_sent_arrived_once() -> None:
    """Compressed or not, in however many uploads, the bytes are those that travelled."""
    plain, packed = upload(range(3)), gzip.compress(upload(range(3, 5)))
    receipt = count([Body(plain, compressed=False), Body(packed, compressed=True)], 5)
    assert receipt == Receipt(5, 2, len(plain) + len(packed), missing=0, doubled=0, strangers=0)


def test_lost_doubled_and_unknown_events_are_counted() -> None:
    """Each by itself: one that came twice does not make up for one that is lost."""
    bodies = [Body(upload(numbers), compressed=False) for numbers in ((0, 1, 1), (1, 9))]
    receipt = count(bodies, 4)
    assert (receipt.missing, receipt.doubled, receipt.strangers) == (2, 2, 1)


def test_events_without_properties_are_known_by_their_traits() -> None:
    """As `identify` has them."""
    body = json.dumps({"batch": [{"traits": {"n": 0}}, {"properties": {"n": 1}}]}).encode()
    assert count([Body(body, compressed=False)], 2).missing == 0


def test_a_batch_that_arrived_twice_is_doubled() -> None:
    """Doubles are arrivals, not events."""
    body = Body(upload(range(100)), compressed=False)
    assert count([body, body], 100).doubled == 100


def test_uploads_are_counted_over_http(server: Server) -> None:
    """Since it was last cleared."""
    assert post(server, upload([0, 1])) == 200
    assert post(server, upload([2])) == 200
    receipt = server.control.ask("receipt", expected=4)
    assert (receipt["requests"], receipt["missing"], receipt["doubled"]) == (2, 1, 0)
    server.control.ask("clear")
    assert server.control.ask("receipt", expected=4)["missing"] == 4


def test_what_is_held_is_answered_once_released(server: Server) -> None:
    """Who asks learns that an upload is held; none is, before one came."""
    server.control.ask("hold")
    assert server.control.ask("await_held", timeout=0) is False
    statuses: list[int] = []
    sender = threading.Thread(target=lambda: statuses.append(post(server, upload([0]))))
    sender.start()
    assert server.control.ask("await_held", timeout=30) is True
    assert server.control.ask("await_held", timeout=0, uploads=2) is False
    assert statuses == []
    server.control.ask("release")
    sender.join(30)
    assert statuses == [200]


def test_unknown_commands_are_told(server: Server) -> None:
    """And the connection goes on."""
    with pytest.raises(RuntimeError, match="no such command"):
        server.control.ask("explode")
    assert server.control.ask("receipt", expected=0)["requests"] == 0
