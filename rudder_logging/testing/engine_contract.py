"""`EngineContract`: the tests that an engine of the relay has to pass.

class TestTopicEngine(EngineContract):
    def make_engine(self, max_bytes=0):
        return TopicEngine("localhost:9092", "shop", shards=self.SHARDS)
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..common.clock import monotonic
from ..relay.engine import Appended, Appender, Claim, Engine, Entry, Settlement, Wanted
from ..sinks.base import Failure

__all__ = ["EngineContract"]

_PATIENCE = 60.0
_LONG = 600.0  # seconds of a lease that lasts for a whole test
_SHORT = 0.05


class EngineContract:
    """Tests that each engine passes. Inherit them in a class that pytest collects.

    A test makes one source, which is empty at its beginning, and any number of engines for it.

    .. versionadded:: 0.1.0
    """

    SHARDS = 4

    # What a subclass has to say.

    def make_engine(self, max_bytes: int = 0) -> Engine:
        """Connect to the test's source: as many shards, as many bytes for all; 0: very many."""
        raise NotImplementedError

    def make_appender(self, engine: Engine) -> Appender:
        """Make what appends to that engine's source."""
        raise NotImplementedError

    # Small helpers.

    def fill(self, engine: Engine, *frames: bytes, shard: int = 0) -> list[Entry]:
        """Append frames of 3 events each, by a producer that has never appended before."""
        appender = self.make_appender(engine)
        producer = f"filler-{secrets.token_hex(8)}"
        for number, frame in enumerate(frames):
            assert appender.append(shard, producer, number, frame, 3) is Appended.STORED
        return self.entries(engine, shard)

    def entries(self, engine: Engine, shard: int = 0) -> list[Entry]:
        """All that a shard has."""
        (found,) = engine.read([Wanted(shard, None, 10_000)])
        assert not isinstance(found, Failure)
        return list(found)

    def frames(self, engine: Engine, shard: int = 0) -> list[bytes]:
        """All frames of a shard."""
        return [entry.frame for entry in self.entries(engine, shard)]

    def claim(self, engine: Engine, token: str, shard: int = 0) -> Claim:
        """Take a shard that is free."""
        claim = engine.acquire(shard, token, _LONG)
        assert claim is not None, "the shard is another's"
        return claim

    def settle(
        self,
        engine: Engine,
        token: str,
        settled: Sequence[Entry],
        head: bytes | None = None,
        skip: int = 0,
    ) -> bool:
        """Acknowledge entries of shard 0."""
        (result,) = engine.acknowledge([Settlement(0, token, settled, head, skip)])
        assert not isinstance(result, Failure), result
        return result

    def expire(self, engine: Engine, token: str, shard: int = 0) -> None:
        """Have a lease run out."""
        assert engine.renew({shard: token}, _SHORT) == {shard: True}
        _wait_for(lambda: engine.owners([shard])[shard] is None)

    # A source and its members.

    def test_a_new_source_has_its_shards_and_nothing_in_them(self) -> None:
        """Before anybody has made it, there is nothing either."""
        engine = self.make_engine()
        assert engine.lag() == (0, 0, 0)
        look = engine.enrol("a", _LONG)
        assert (look.shards, list(look.members)) == (self.SHARDS, ["a"])
        every = range(self.SHARDS)
        assert engine.owners(every) == dict.fromkeys(every)
        assert engine.lengths(every) == dict.fromkeys(every, 0)
        assert [list(found) for found in _all(engine.read([Wanted(0, None, 5)]))] == [[]]
        assert engine.lag() == (0, 0, 0)
        engine.close()

    def test_members_see_each_other(self) -> None:
        """In the order of their ids, through engines of their own, until they leave."""
        one, other = self.make_engine(), self.make_engine()
        one.enrol("b", _LONG)
        assert list(other.enrol("a", _LONG).members) == ["a", "b"]
        assert list(one.enrol("b", _LONG).members) == ["a", "b"]
        other.leave("a")
        other.leave("a")
        assert list(one.enrol("b", _LONG).members) == ["b"]
        one.close()
        other.close()

    def test_a_silent_member_is_forgotten(self) -> None:
        """Who enrols again in time is not."""
        engine = self.make_engine()
        engine.enrol("a", _SHORT)
        engine.enrol("b", _SHORT)
        engine.enrol("b", _LONG)
        _wait_for(lambda: list(engine.enrol("c", _LONG).members) == ["b", "c"])
        engine.close()

    # Persons who are to be forgotten.

    def test_it_tells_whom_to_forget_and_up_to_where(self) -> None:
        """All that waits is covered, in each shard, and nothing later. The number changes."""
        one, other = self.make_engine(), self.make_engine()
        before = one.enrol("a", _LONG).forgotten
        assert list(one.forgotten()) == []
        early = self.fill(one, b"1", b"2") + self.fill(one, b"3", shard=1)
        people = ["user-1", '\u00e4 "b"']
        other.forget(people)
        assert one.enrol("a", _LONG).forgotten != before
        late = self.fill(one, b"4")[-1]
        later = self.fill(one, b"5", shard=2)[-1]
        found = list(one.forgotten())
        assert sorted(tombstone.person for tombstone in found) == sorted(people)
        for tombstone in found:
            assert all(tombstone.covers(*place) for place in [(0, early[0].id), (0, early[1].id)])
            assert tombstone.covers(1, early[2].id)
            assert not tombstone.covers(0, late.id)
            assert not tombstone.covers(2, later.id)
        one.close()
        other.close()

    def test_a_tombstone_is_gone_when_nothing_waits_that_it_covers(self) -> None:
        """Ids of persons do not stay in the engine. A person may be forgotten again."""
        engine = self.make_engine()
        early = self.fill(engine, b"1")
        engine.forget(["u"])
        late = self.fill(engine, b"2")[-1]
        assert len(engine.forgotten()) == 1
        self.claim(engine, "a:1")
        assert self.settle(engine, "a:1", early)
        assert list(engine.forgotten()) == []
        engine.forget(["u"])
        (tombstone,) = engine.forgotten()
        assert tombstone.covers(0, late.id)
        engine.close()

    def test_the_later_tombstone_of_a_person_counts(self) -> None:
        """It covers all that the earlier one did, and what came since."""
        engine = self.make_engine()
        self.fill(engine, b"1")
        engine.forget(["u", "v"])
        late = self.fill(engine, b"2")[-1]
        engine.forget(["u"])
        covered = {one.person: one.covers(0, late.id) for one in engine.forgotten()}
        assert covered == {"u": True, "v": False}
        engine.close()

    def test_forgetting_where_nothing_waits(self) -> None:
        """It leaves nothing behind, be the source there or not."""
        engine = self.make_engine()
        engine.forget(["u"])
        assert list(engine.forgotten()) == []
        engine.enrol("a", _LONG)
        engine.forget(["u"])
        assert list(engine.forgotten()) == []
        late = self.fill(engine, b"1")[-1]
        assert not any(one.covers(0, late.id) for one in engine.forgotten())
        engine.close()

    # Appending and reading.

    def test_entries_come_out_as_they_went_in(self) -> None:
        """Byte for byte, in order, with their number of events, each shard apart."""
        engine = self.make_engine()
        odd = [bytes(range(256)), b"", b"\r\n\x00", b"x" * 300_000]
        found = self.fill(engine, *odd)
        assert [(entry.frame, entry.events) for entry in found] == [(one, 3) for one in odd]
        self.fill(engine, b"other", shard=1)
        assert self.frames(engine) == odd
        assert self.frames(engine, 1) == [b"other"]
        assert engine.lengths([0, 1, 2]) == {0: 4, 1: 1, 2: 0}
        engine.close()

    def test_reading_goes_on_behind_an_entry(self) -> None:
        """Several parts of several shards are read at once, and nothing is taken away."""
        engine = self.make_engine()
        a = self.fill(engine, b"0", b"1", b"2", b"3")
        b = self.fill(engine, b"4", b"5", shard=1)
        wanted = [Wanted(0, a[0].id, 2), Wanted(1, None, 1), Wanted(0, a[3].id, 9)]
        assert [list(x) for x in _all(engine.read(wanted))] == [a[1:3], b[:1], []]
        assert self.entries(engine) == a
        engine.close()

    def test_a_frame_is_stored_once(self) -> None:
        """A number that is not over the producer's last one in that shard stores nothing."""
        engine = self.make_engine()
        appender = self.make_appender(engine)
        results = [appender.append(0, "p", number, b"%d" % number, 1) for number in (3, 3, 7, 5)]
        assert results == [Appended.STORED, Appended.BEFORE, Appended.STORED, Appended.BEFORE]
        assert appender.append(0, "other", 3, b"o", 1) is Appended.STORED
        assert appender.append(1, "p", 3, b"s", 1) is Appended.STORED
        assert self.frames(engine) == [b"3", b"7", b"o"]
        engine.close()

    def test_it_is_known_that_a_frame_was_stored_when_it_is_gone(self) -> None:
        """A producer that asks again late makes no duplicate."""
        engine = self.make_engine()
        appender = self.make_appender(engine)
        appender.append(0, "p", 1, b"x", 1)
        self.claim(engine, "a:1")
        assert self.settle(engine, "a:1", self.entries(engine))
        assert appender.append(0, "p", 1, b"x", 1) is Appended.BEFORE
        assert self.frames(engine) == []
        engine.close()

    def test_a_full_shard_stores_nothing(self) -> None:
        """An acknowledgement makes room; other shards have theirs; an empty one takes any."""
        engine = self.make_engine(max_bytes=1_000 * self.SHARDS)
        appender = self.make_appender(engine)
        full = next(
            number
            for number in range(100)
            if appender.append(0, "p", number, b"x" * 100, 1) is Appended.FULL
        )
        assert full > 1, "not even two frames of 100 bytes fit into 1,000"
        assert len(self.frames(engine)) == full
        assert appender.append(1, "p", 0, b"x" * 5_000, 1) is Appended.STORED
        assert appender.append(1, "p", 1, b"x", 1) is Appended.FULL
        self.claim(engine, "a:1")
        assert self.settle(engine, "a:1", self.entries(engine)[:1])
        assert appender.append(0, "p", full, b"y" * 100, 1) is Appended.STORED
        assert len(self.frames(engine)) == full
        engine.close()

    def test_the_lag_is_what_is_stored(self) -> None:
        """Events and bytes of all shards; nothing of it grows with the time."""
        engine = self.make_engine()
        entries = self.fill(engine, b"12345", b"123")
        self.fill(engine, b"1", shard=3)
        lag = engine.lag()
        assert (lag.events, lag.bytes) == (9, 9)
        assert 0 <= lag.seconds < _PATIENCE
        _wait_for(lambda: engine.lag().seconds > lag.seconds)
        self.claim(engine, "a:1")
        for _ in range(2):
            assert self.settle(engine, "a:1", entries[:1])
            assert engine.lag()[:2] == (6, 4)
        engine.close()

    # Leases.

    def test_a_shard_has_one_owner(self) -> None:
        """Who has it may ask again; others get it when it was released."""
        one, other = self.make_engine(), self.make_engine()
        assert self.claim(one, "a:1") == (None, 0, 0)
        assert self.claim(one, "a:1") == (None, 0, 0)
        assert other.acquire(0, "b:1", _LONG) is None
        assert other.owners([0, 1]) == {0: "a:1", 1: None}
        other.release(0, "b:1")
        assert other.owners([0]) == {0: "a:1"}
        one.release(0, "a:1")
        one.release(0, "a:1")
        assert self.claim(other, "b:1") == (None, 0, 0)
        one.close()
        other.close()

    def test_of_many_at_once_one_gets_it(self) -> None:
        """However they meet."""
        engine = self.make_engine()
        claims = _at_once(8, lambda number: engine.acquire(0, f"r:{number}", _LONG))
        assert sum(claim is not None for claim in claims) == 1
        engine.close()

    def test_a_lease_runs_out_unless_it_is_renewed(self) -> None:
        """Then it is not renewed any more, and another gets it."""
        engine = self.make_engine()
        engine.acquire(0, "a:1", 5.0)
        assert engine.renew({0: "a:1", 1: "a:2"}, _LONG) == {0: True, 1: False}
        assert engine.owners([0, 1]) == {0: "a:1", 1: None}
        self.expire(engine, "a:1")
        assert engine.renew({0: "a:1"}, _LONG) == {0: False}
        assert engine.owners([0]) == {0: None}
        self.claim(engine, "b:1")
        assert engine.renew({0: "a:1"}, _LONG) == {0: False}
        assert engine.owners([0]) == {0: "b:1"}
        engine.close()

    def test_who_has_lost_a_lease_changes_nothing(self) -> None:
        """Neither while the shard is free nor when it is another's."""
        engine = self.make_engine()
        entries = self.fill(engine, b"0", b"1")
        self.claim(engine, "a:1")
        self.expire(engine, "a:1")
        for owner in (None, "b:1"):
            if owner:
                self.claim(engine, owner)
            assert not self.settle(engine, "a:1", entries[:1], entries[1].id, 2)
            assert not engine.suspect(0, "a:1")
            assert not engine.bury(0, "a:1", entries[0], "unreadable")
            engine.release(0, "a:1")
            assert engine.owners([0]) == {0: owner}
            assert self.entries(engine) == entries
            assert engine.lag()[:2] == (6, 2)
        engine.release(0, "b:1")
        assert self.claim(engine, "c:1").skip == 0
        engine.close()

    # Acknowledging.

    def test_what_is_acknowledged_is_gone_and_nothing_else(self) -> None:
        """Even where others are older. Asking again changes nothing."""
        engine = self.make_engine()
        entries = self.fill(engine, b"0", b"11", b"222", b"3333")
        self.claim(engine, "a:1")
        for _ in range(2):
            assert self.settle(engine, "a:1", [entries[0], entries[2]])
            assert self.entries(engine) == [entries[1], entries[3]]
            assert engine.lag()[:2] == (6, 6)
        assert self.settle(engine, "a:1", entries)
        assert self.entries(engine) == []
        assert engine.lag() == (0, 0, 0)
        assert engine.lengths([0]) == {0: 0}
        engine.close()

    def test_the_next_owner_learns_how_much_of_an_entry_is_settled(self) -> None:
        """After a release and after a death, until that entry is gone."""
        engine = self.make_engine()
        entries = self.fill(engine, b"0", b"1", b"2")
        self.claim(engine, "a:1")
        assert self.settle(engine, "a:1", entries[:1], entries[1].id, 2)
        engine.release(0, "a:1")
        assert self.claim(engine, "b:1") == (entries[1].id, 2, 0)
        self.expire(engine, "b:1")
        assert self.claim(engine, "c:1").skip == 2
        assert self.settle(engine, "c:1", entries[1:2])
        engine.release(0, "c:1")
        assert self.claim(engine, "d:1").skip == 0
        engine.close()

    def test_an_acknowledgement_that_comes_late_spoils_nothing(self) -> None:
        """Not of an entry before, nor of the same one when it knew of less."""
        engine = self.make_engine()
        entries = self.fill(engine, b"0", b"1", b"2")
        self.claim(engine, "a:1")
        assert self.settle(engine, "a:1", entries[:2], entries[2].id, 2)
        assert self.settle(engine, "a:1", entries[:1], entries[1].id, 1)
        assert self.settle(engine, "a:1", [], entries[2].id, 1)
        assert self.entries(engine) == entries[2:]
        engine.release(0, "a:1")
        assert self.claim(engine, "b:1").skip == 2
        engine.close()

    def test_a_skip_is_for_the_first_entry(self) -> None:
        """One that is not first is not noted."""
        engine = self.make_engine()
        entries = self.fill(engine, b"0", b"1")
        self.claim(engine, "a:1")
        assert self.settle(engine, "a:1", [], entries[1].id, 2)
        assert self.claim(engine, "a:1").skip == 0
        assert self.settle(engine, "a:1", entries[:1])
        assert self.claim(engine, "a:1").skip == 0
        engine.close()

    def test_several_shards_are_acknowledged_at_once(self) -> None:
        """Each for itself: one of which the lease is lost harms no other."""
        engine = self.make_engine()
        found = [self.fill(engine, b"0", b"1", shard=shard) for shard in range(3)]
        for shard in (0, 2):
            self.claim(engine, f"a:{shard}", shard)
        parts = [Settlement(shard, f"a:{shard}", found[shard][:1], None, 0) for shard in range(3)]
        assert list(engine.acknowledge(parts)) == [True, False, True]
        assert [self.frames(engine, shard) for shard in range(3)] == [[b"1"], [b"0", b"1"], [b"1"]]
        engine.close()

    # Deaths.

    def test_owners_that_die_are_counted(self) -> None:
        """By the entry that was first; who releases, has nothing, or comes again has not died."""
        engine = self.make_engine()
        self.claim(engine, "r0:1")
        self.expire(engine, "r0:1")
        assert self.claim(engine, "r1:1").deaths == 0, "at an empty shard"
        engine.release(0, "r1:1")
        entries = self.fill(engine, b"0", b"1")
        assert self.claim(engine, "r2:1").deaths == 0
        self.expire(engine, "r2:1")
        assert [self.claim(engine, "r3:1").deaths for _ in range(2)] == [1, 1]
        engine.release(0, "r3:1")
        assert self.claim(engine, "r4:1").deaths == 1
        self.expire(engine, "r4:1")
        assert self.claim(engine, "r5:1").deaths == 2
        assert self.settle(engine, "r5:1", entries[:1])
        self.expire(engine, "r5:1")
        assert self.claim(engine, "r6:1").deaths == 1, "at the next entry"
        self.expire(engine, "r6:1")
        assert self.claim(engine, "r6:2").deaths == 1, "its lease ran out, and it is alive"
        self.expire(engine, "r6:2")
        assert self.claim(engine, "r7:1").deaths == 2
        engine.close()

    def test_from_two_deaths_on_only_a_suspect_is_blamed(self) -> None:
        """It was about to be handed out alone; a release acquits it."""
        engine = self.make_engine()
        self.fill(engine, b"0", b"1")
        for number, deaths in enumerate([0, 1, 2, 2]):
            assert self.claim(engine, f"r{number}:1").deaths == deaths
            self.expire(engine, f"r{number}:1")
        assert self.claim(engine, "b1:1").deaths == 2
        assert engine.suspect(0, "b1:1")
        assert self.claim(engine, "b1:1").deaths == 2
        self.expire(engine, "b1:1")
        assert self.claim(engine, "b2:1").deaths == 3
        assert engine.suspect(0, "b2:1")
        engine.release(0, "b2:1")
        assert self.claim(engine, "b3:1").deaths == 3
        self.expire(engine, "b3:1")
        assert self.claim(engine, "b4:1").deaths == 3
        engine.close()

    def test_an_entry_is_buried(self) -> None:
        """It is out of the way, and counts no more; asking again changes nothing."""
        engine = self.make_engine()
        entries = self.fill(engine, b"00", b"1")
        self.claim(engine, "a:1")
        assert not engine.bury(0, "a:1", entries[1], "deadly"), "it is not the first one"
        for _ in range(2):
            assert engine.bury(0, "a:1", entries[0], "deadly")
            assert self.entries(engine) == entries[1:]
            assert engine.lag()[:2] == (3, 1)
        engine.close()

    # All at once.

    def test_appends_at_once_are_all_stored(self) -> None:
        """Each producer's in its order, and the counts are right."""
        engine = self.make_engine()

        def produce(producer: int) -> None:
            appender = self.make_appender(engine)
            for number in range(20):
                frame = b"%d %d" % (producer, number)
                assert appender.append(0, f"p{producer}", number, frame, 2) is Appended.STORED

        _at_once(4, produce)
        found = self.frames(engine)
        for producer in range(4):
            own = [frame for frame in found if frame.startswith(b"%d " % producer)]
            assert own == [b"%d %d" % (producer, number) for number in range(20)]
        assert engine.lag()[:2] == (160, sum(map(len, found)))
        engine.close()

    def test_it_opens_again_after_close(self) -> None:
        """Entries and leases stay."""
        engine = self.make_engine()
        self.fill(engine, b"0")
        self.claim(engine, "a:1")
        engine.close()
        engine.close()
        assert self.frames(engine) == [b"0"]
        assert engine.owners([0]) == {0: "a:1"}
        engine.close()


def _all(found: Sequence[Sequence[Entry] | Failure]) -> list[Sequence[Entry]]:
    for one in found:
        assert not isinstance(one, Failure), one
    return [one for one in found if not isinstance(one, Failure)]


def _wait_for(is_so: Callable[[], bool]) -> None:
    deadline = monotonic() + _PATIENCE
    while not is_so():
        assert monotonic() < deadline, "it is not so after a minute"
        time.sleep(0.01)


def _at_once(threads: int, work: Callable[[int], object]) -> list[object]:
    """Run the same in so many threads that begin together."""
    ready = threading.Barrier(threads)

    def run(number: int) -> object:
        ready.wait(_PATIENCE)
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))
