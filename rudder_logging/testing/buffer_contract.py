"""`BufferContract`: the tests that any buffer for the option `queue` has to pass."""

from __future__ import annotations

import os
from typing import Any

from ..exceptions import QueueFullError
from ..queues import Buffer

__all__ = ["BufferContract"]

_ENOUGH = 100_000  # messages of which no buffer with the bound of the tests holds as many


class BufferContract:
    """Tests of a buffer, for a class of yours to inherit.

    It gives them buffers by `make_buffer`; what has to be set up or cleaned up is for its fixtures.
    Where a buffer has `evict`, `after_fork`, or `recover` and `abandon`, these are tested, too.
    With `pytest.register_assert_rewrite("rudder_logging.testing")` in a conftest, pytest shows by
    how much one fails.

    .. versionadded:: 0.1.0
    """

    def make_buffer(self, max_bytes: int) -> Buffer:
        """Make an empty buffer that holds some `max_bytes` bytes, and at least 1,000 events."""
        raise NotImplementedError

    # Messages of a constant size, as the queue gets them: JSON without its closing brace.

    def message(self, number: int) -> bytes:
        """Message of that number; it has 100 bytes."""
        return b'{"n":%10d,"text":"\xc3\xa4 \\n%s"' % (number, b"x" * 70)

    def messages(self, *numbers: int) -> list[bytes]:
        """Several of them."""
        return [self.message(number) for number in numbers]

    def fill(self, buffer: Buffer, *numbers: int) -> None:
        """Put messages."""
        for number in numbers:
            buffer.put(self.message(number))

    def fill_up(self, buffer: Buffer) -> int:
        """Put messages until there is no room; return how many found some."""
        for number in range(_ENOUGH):
            try:
                buffer.put(self.message(number))
            except QueueFullError:  # noqa: PERF203 - of that it is about
                return number
        raise AssertionError(f"a bound of 10,000 bytes has room for {_ENOUGH:,} messages of 100")

    def everything(self, buffer: Buffer) -> list[bytes]:
        """Take and settle all that is left."""
        found: list[bytes] = []
        while batch := buffer.take(250):
            assert buffer.settle(batch, len(batch)) == len(batch), "settle() forgot fewer"
            found += batch
        return found

    # Of any buffer.

    def test_an_empty_buffer_has_nothing(self) -> None:
        """None is what `take` answers, not an empty batch."""
        buffer = self.make_buffer(100_000)
        assert buffer.depth() == (0, 0, 0)
        assert buffer.take(100_000) is None

    def test_first_in_first_out(self) -> None:
        """Messages come out as they went in, byte for byte, in the order of the puts."""
        buffer = self.make_buffer(100_000)
        self.fill(buffer, 1, 2, 3)
        assert buffer.take(100_000) == self.messages(1, 2, 3)

    def test_put_answers_how_many_wait(self) -> None:
        """The message itself is one of them; those that are handed out are not."""
        buffer = self.make_buffer(100_000)
        assert [buffer.put(self.message(number)) for number in range(3)] == [1, 2, 3]
        buffer.take(200)
        assert buffer.put(self.message(3)) == 2

    def test_take_gives_the_same_until_it_is_settled(self) -> None:
        """New messages follow a batch that was handed out."""
        buffer = self.make_buffer(100_000)
        self.fill(buffer, 1, 2)
        assert buffer.take(100_000) == self.messages(1, 2)
        self.fill(buffer, 3)
        batch = buffer.take(100_000)
        assert batch == self.messages(1, 2, 3)
        assert batch is not None
        assert buffer.settle(batch, 2) == 2
        batch = buffer.take(100_000)
        assert batch == self.messages(3)
        assert batch is not None
        assert buffer.settle(batch, 1) == 1
        assert buffer.take(100_000) is None

    def test_a_batch_is_settled_in_parts(self) -> None:
        """Each call goes on where the last one ended."""
        buffer = self.make_buffer(100_000)
        self.fill(buffer, *range(6))
        batch = buffer.take(500)
        assert batch is not None
        assert [buffer.settle(batch, count) for count in (1, 3, 0, 1)] == [1, 3, 0, 1]
        assert buffer.depth() == (1, 100, 1)
        assert buffer.take(100_000) == self.messages(5)

    def test_take_stays_within_the_bytes(self) -> None:
        """A first message that has more comes alone."""
        buffer = self.make_buffer(100_000)
        self.fill(buffer, 1, 2, 3)
        assert buffer.take(200) == self.messages(1, 2)
        assert buffer.take(199) == self.messages(1)
        assert buffer.take(1) == self.messages(1)
        assert buffer.take(300) == self.messages(1, 2, 3)

    def test_depth_counts_what_is_not_settled(self) -> None:
        """Messages that are not in the smaller batch wait again."""
        buffer = self.make_buffer(100_000)
        self.fill(buffer, 1, 2, 3)
        assert buffer.depth() == (3, 300, 3)
        buffer.take(200)
        assert buffer.depth() == (3, 300, 1)
        batch = buffer.take(100)
        assert buffer.depth() == (3, 300, 2)
        assert batch is not None
        buffer.settle(batch, 1)
        assert buffer.depth() == (2, 200, 2)

    def test_a_full_buffer_says_so_and_stores_nothing(self) -> None:
        """Messages that are handed out take room until they are settled."""
        buffer = self.make_buffer(10_000)
        held = self.fill_up(buffer)
        assert held > 2, "a bound of 10,000 bytes has no room for 3 messages of 100"
        assert buffer.depth() == (held, held * 100, held)
        buffer.take(_ENOUGH * 100)
        try:
            buffer.put(self.message(held))
        except QueueFullError:
            pass
        else:
            raise AssertionError("what was handed out, and is not settled, made room")
        assert self.everything(buffer) == self.messages(*range(held))
        self.fill(buffer, 7)
        assert buffer.take(100_000) == self.messages(7)

    def test_it_goes_on_for_ever(self) -> None:
        """Far more passes through than fits at once."""
        buffer = self.make_buffer(10_000)
        found = []
        for number in range(0, 1_000, 4):
            self.fill(buffer, *range(number, number + 4))
            batch = buffer.take(100_000)
            assert batch is not None
            buffer.settle(batch, 3)
            found += batch[:3]
            found += self.everything(buffer)
        assert found == self.messages(*range(1_000))
        assert buffer.depth() == (0, 0, 0)

    def test_close_loses_nothing(self) -> None:
        """The next call opens it again."""
        buffer = self.make_buffer(100_000)
        self.fill(buffer, 1, 2)
        buffer.take(100)
        buffer.close()
        self.fill(buffer, 3)
        assert self.everything(buffer) == self.messages(1, 2, 3)
        buffer.close()
        buffer.close()
        self.fill(buffer, 4)
        assert self.everything(buffer) == self.messages(4)

    # Of one that can do more.

    def test_evict_makes_room(self) -> None:
        """The oldest go that are not handed out; the rest stays in order."""
        buffer: Any = self.make_buffer(10_000)
        if not hasattr(buffer, "evict"):
            return
        held = self.fill_up(buffer)
        assert buffer.take(100) == self.messages(0)
        evicted = buffer.evict(100)
        assert evicted, "there was room to be made"
        assert not buffer.evict(100), "there is room by now"
        self.fill(buffer, held)
        left = [item for item in self.messages(*range(held + 1)) if item not in evicted]
        assert evicted == [item for item in self.messages(*range(held)) if item not in left]
        assert buffer.depth()[:2] == (len(left), len(left) * 100)
        assert left[0] == self.message(0), "what was handed out was dropped"
        assert self.everything(buffer) == left

    def test_evict_drops_nothing_in_vain(self) -> None:
        """None is the answer where all that waits would not make room."""
        buffer: Any = self.make_buffer(10_000)
        if not hasattr(buffer, "evict"):
            return
        held = self.fill_up(buffer)
        assert buffer.evict(1_000_000) is None
        buffer.take(1_000_000)
        assert buffer.evict(100) is None
        assert self.everything(buffer) == self.messages(*range(held))

    def test_after_fork_it_begins_empty(self) -> None:
        """Waiting messages are the parent's, and stay with it."""
        buffer: Any = self.make_buffer(100_000)
        if not (hasattr(os, "fork") and hasattr(buffer, "after_fork")):
            return
        self.fill(buffer, 1, 2)
        buffer.take(100)
        child = os.fork()
        if not child:
            try:
                buffer.after_fork()
                is_empty = buffer.depth() == (0, 0, 0) and buffer.take(100_000) is None
                self.fill(buffer, 3)
                is_well = is_empty and self.everything(buffer) == self.messages(3)
                os._exit(0 if is_well else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0, "the child did not begin empty, or did not go on"
        assert self.everything(buffer) == self.messages(1, 2)

    def test_abandon_returns_what_the_process_takes_with_it(self) -> None:
        """All else is still there."""
        buffer: Any = self.make_buffer(100_000)
        if not hasattr(buffer, "abandon"):
            return
        self.fill(buffer, 1, 2, 3)
        buffer.take(100)
        gone = buffer.abandon()
        left = [item for item in self.messages(1, 2, 3) if item not in gone]
        assert sorted([*gone, *left]) == self.messages(1, 2, 3)
        assert buffer.depth()[:2] == (len(left), len(left) * 100)
        assert self.everything(buffer) == left

    def test_recover_takes_nothing_of_its_own_for_anothers(self) -> None:
        """It may be called at any time."""
        buffer: Any = self.make_buffer(100_000)
        if not hasattr(buffer, "recover"):
            return
        buffer.recover()
        self.fill(buffer, 1, 2)
        buffer.take(100)
        buffer.recover()
        assert buffer.depth()[:2] == (2, 200)
        assert self.everything(buffer) == self.messages(1, 2)
