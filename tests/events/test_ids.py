"""Message ids: the server's removal of duplicates loses events if two have the same."""

from __future__ import annotations

import os
import threading
import uuid

import pytest

from rudder_logging.events.ids import MOMENTS, new_message_id


def test_they_have_the_form_of_a_random_uuid() -> None:
    """Some warehouses keep them in a column of that type."""
    for _ in range(100):
        made = new_message_id()
        assert str(uuid.UUID(made)) == made
        assert uuid.UUID(made).version == 4


def test_threads_make_different_ones() -> None:
    """They share what an id begins with, and no number behind it."""
    made: list[list[str]] = [[] for _ in range(8)]

    def make(own: list[str]) -> None:
        own.extend(new_message_id() for _ in range(5_000))

    threads = [threading.Thread(target=make, args=(own,)) for own in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one for own in made for one in own}) == 40_000


def test_a_second_later_they_begin_anew() -> None:
    """So two copies of a process that was restored from a snapshot part within a second."""
    now = 4_000_000_000.0
    first, later = new_message_id(now), new_message_id(now + 0.5)
    assert first[:24] == later[:24]
    assert new_message_id(now + 1.0)[:24] != first[:24]
    MOMENTS.after_fork()  # or the time to come would hold for the tests to come


def test_a_time_to_come_does_not_hold_for_the_present() -> None:
    """A record from the future, or a clock that is set back, ends no renewal."""
    now = 4_000_000_000.0
    ahead = new_message_id(now + 3_600)
    assert ahead[:24] != new_message_id(now)[:24] != new_message_id(now + 100)[:24]
    MOMENTS.after_fork()  # as above


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_makes_others() -> None:
    """In the same second, from the same state."""
    new_message_id()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, "\n".join(new_message_id() for _ in range(100)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        theirs = pipe.read().split("\n")
    os.waitpid(child, 0)
    ours = [new_message_id() for _ in range(100)]
    assert len(theirs) == 100
    assert ours[0][:24] != theirs[0][:24]
    assert not set(ours) & set(theirs)
