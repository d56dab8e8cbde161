"""What of a relay's partitions is handed out and settled, without a broker."""

from __future__ import annotations

import threading
from time import sleep

from rudder_logging.common.clock import monotonic
from rudder_logging.relay.kafka_partitions import KafkaBatch, Partitions, Record

MUCH = 1_000_000


def filled(**counts: int) -> Partitions:
    """Partitions p0, p1 and so on, with so many messages each."""
    partitions = Partitions()
    partitions.certain_until = monotonic() + 1_000
    for name, count in counts.items():
        number = int(name[1:])
        partitions.gain([number])
        if count:
            partitions.read(number, [Record(at, b"%d:%d" % (number, at)) for at in range(count)])
    return partitions


def taken(partitions: Partitions, max_bytes: int = MUCH) -> KafkaBatch:
    """What there is."""
    batch = partitions.take(max_bytes, 0)
    assert batch is not None
    return batch


def test_small_partitions_go_together_and_each_in_one_batch() -> None:
    """So uploads are large; nobody else gets more of them until they are settled."""
    partitions = filled(p0=2, p1=1)
    batch = taken(partitions)
    assert batch == [b"0:0", b"0:1", b"1:0"]
    partitions.read(0, [Record(2, b"0:2")])
    assert partitions.take(MUCH, 0) is None
    partitions.settle(batch, 3)
    assert taken(partitions) == [b"0:2"]
    assert partitions.positions() == {0: 2, 1: 1}


def test_what_is_not_settled_comes_again_in_order() -> None:
    """Before what was read meanwhile; only what is settled is committed."""
    partitions = filled(p0=3, p1=2)
    batch = taken(partitions)
    partitions.read(0, [Record(3, b"0:3")])
    partitions.settle(batch, 4)
    assert partitions.positions() == {0: 3, 1: 1}
    assert sorted(taken(partitions)) == [b"0:3", b"1:1"]
    assert partitions.positions() == {}


def test_a_position_is_committed_once_unless_that_fails() -> None:
    """Each look says what has changed."""
    partitions = filled(p0=1)
    partitions.settle(taken(partitions), 1)
    assert partitions.positions() == {0: 1}
    assert partitions.positions() == {}
    partitions.not_committed([0])
    assert partitions.positions() == {0: 1}


def test_what_is_no_message_is_settled_with_what_is_before_it() -> None:
    """And at once, if nothing is."""
    partitions = filled(p0=0)
    partitions.read(0, [Record(5, None), Record(6, b"a"), Record(7, None), Record(9, b"b")])
    assert partitions.positions() == {0: 6}
    batch = taken(partitions)
    assert batch == [b"a", b"b"]
    partitions.settle(batch, 1)
    assert partitions.positions() == {0: 8}
    assert taken(partitions) == [b"b"]


def test_a_lost_partition_counts_for_nothing_any_more() -> None:
    """Not even if it is this relay's again: its records are read anew."""
    partitions = filled(p0=2)
    batch = taken(partitions)
    assert partitions.holds(batch)
    assert partitions.lose([0]) == 1
    assert not partitions.holds(batch)
    partitions.gain([0])
    partitions.settle(batch, 2)
    assert partitions.positions() == {}
    assert partitions.take(MUCH, 0) is None


def test_a_partition_that_leaves_is_waited_for() -> None:
    """Its batch is to end soon, and what is settled by then is known."""
    partitions = filled(p0=2, p1=1)
    batch = taken(partitions, 1)
    found: list[dict[int, int]] = []
    thread = threading.Thread(target=lambda: found.append(partitions.leave([0, 1], 100)))
    thread.start()
    while partitions.holds(batch):
        sleep(0.01)
    assert partitions.take(MUCH, 0) is None
    partitions.settle(batch, 1)
    thread.join(100)
    assert found == [{0: 1, 1: 0}]


def test_doubt_about_the_group_is_doubt_about_all() -> None:
    """A relay that has not heard of its group for long sends nothing."""
    partitions = filled(p0=1)
    batch = taken(partitions)
    partitions.certain_until = monotonic()
    assert not partitions.holds(batch)


def test_the_fullest_pause_when_there_is_no_room() -> None:
    """And go on when there is: neither is memory unbounded, nor do slow ones stop the others."""
    partitions = filled(p0=100, p1=1)
    assert partitions.to_pause(MUCH) == ([], [])
    assert filled(p0=100).to_pause(6_000) == ([], [])
    assert partitions.to_pause(500) == ([0], [])
    assert partitions.to_pause(500) == ([], [])
    batch = taken(partitions)
    assert partitions.to_pause(500) == ([], [0])
    partitions.settle(batch, 0)
    assert partitions.to_pause(500) == ([0], [])


def test_what_is_settled_of_a_lost_partition_is_not_another_ones() -> None:
    """The first of a batch are settled, be their partition lost: those behind it come again."""
    for settled, left in ((1, [b"1:0", b"1:1"]), (3, [b"1:1"]), (4, None)):
        partitions = filled(p0=2, p1=2)
        batch = taken(partitions)
        assert batch == [b"0:0", b"0:1", b"1:0", b"1:1"]
        partitions.lose([0])
        partitions.settle(batch, settled)
        assert partitions.take(MUCH, 0) == left


def test_nothing_is_handed_out_while_it_is_in_doubt_whose_it_is() -> None:
    """A batch that must not be sent would be given back at once, and taken again, without end."""
    partitions = filled(p0=1)
    partitions.certain_until = monotonic() - 1
    assert partitions.take(MUCH, 0) is None
    partitions.certain_until = monotonic() + 1_000
    assert taken(partitions) == [b"0:0"]
