"""What was stored though its upload failed is not sent again, and is not remembered for ever."""

from __future__ import annotations

from rudder_logging.sinks.ahead import Ahead


def test_stored_messages_are_left_out_until_they_are_settled() -> None:
    """In whatever parts they come again."""
    ahead = Ahead(1_000)
    upload = [b"a", b"b", b"c", b"d"]
    assert ahead.fresh(upload) is upload
    ahead.stored([b"a", b"c"])
    assert ahead.fresh(upload) == [b"b", b"d"]
    ahead.settled(upload[:2])
    assert ahead.fresh(upload) == [b"a", b"b", b"d"]
    ahead.settled(upload[2:])
    assert len(ahead) == 0


def test_what_nobody_sends_again_is_forgotten() -> None:
    """The oldest first, when there is more than it may remember; twice the same counts once."""
    ahead = Ahead(100)
    for number in range(1_000):
        ahead.stored([b"%04d" % number, b"%04d" % number])
    assert ahead.fresh([b"0974", b"0975"]) == [b"0974"]
    assert len(ahead) == 25
