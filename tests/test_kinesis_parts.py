"""The parts of the Kinesis adapter that need no server: leases, windows, turns, and the order of shards."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from stackproof.adapters.events import kinesis_members, kinesis_tail
from stackproof.adapters.events.kinesis_checkpoints import Lease, group_id, plan
from stackproof.adapters.events.kinesis_members import Member
from stackproof.adapters.events.kinesis_stream import RECORD_BYTES, Page, Record, Shard, entry_of, head_of
from stackproof.adapters.events.kinesis_subscription import Cursor, OwnShards, from_marks, from_the_start
from stackproof.adapters.events.kinesis_tail import Pace, Tail, Window
from stackproof.contracts.expectations import eventually
from stackproof.interfaces import OperationTimeoutError, RejectedError, UnavailableError

# Records


def test_the_head_of_a_record_is_that_of_its_topic_only() -> None:
    topics = ("orders", "orders2", 'or"ders', "or\\ders", "órders", "order", "orders\n", '","event":')
    for topic in topics:
        data = entry_of(topic, "", b"{}").data
        assert [other for other in topics if data.startswith(head_of(other))] == [topic]
        assert data[len(head_of(topic)) : -1] == b"{}"


def test_topic_and_key_decide_the_shard_and_keys_are_lanes() -> None:
    pairs = (("a", "bc"), ("ab", "c"), ("a", ""), ("ab", ""), ("a", "k" * 600))
    entries = [entry_of(topic, key, b"{}") for topic, key in pairs]
    assert len({entry.partition_key for entry in entries}) == len(pairs)
    assert all(len(entry.partition_key) <= 256 for entry in entries)
    assert [bool(entry.lane) for entry in entries] == [True, True, False, False, True]


def test_a_record_is_at_most_a_mebibyte_with_its_key() -> None:
    rest = entry_of("t", "k", b"").size
    assert entry_of("t", "k", b"x" * (RECORD_BYTES - rest)).size == RECORD_BYTES
    with pytest.raises(RejectedError, match=str(RECORD_BYTES)):
        entry_of("t", "k", b"x" * (RECORD_BYTES - rest + 1))


# The end of a stream


def page(*sequences: int, size: int = 1, following: str = "on") -> Page:
    return Page([Record(each, b"x" * size) for each in sequences], following, size * len(sequences))


def test_a_window_has_all_after_its_start_and_says_where_it_does_not() -> None:
    window = Window(10)
    window.add(page(11, 12, 15))
    assert window.after(9) is None
    assert [record.sequence for record in (window.after(10) or ([], False))[0]] == [11, 12, 15]
    assert [record.sequence for record in (window.after(12) or ([], False))[0]] == [15]
    assert window.after(99) == ([], False)
    window.add(page(following=""))
    assert window.after(15) == ([], True)


def test_a_window_forgets_the_oldest_and_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinesis_tail, "WINDOW_BYTES", 25)
    window = Window(0)
    window.add(page(1, 2, 3, size=10))
    assert window.after(0) is None
    assert [record.sequence for record in (window.after(1) or ([], False))[0]] == [2, 3]
    window.add(page(4, size=100))
    assert (window.start, window.end) == (3, 4)


def test_turns_at_a_shard_are_paced_and_go_to_who_waited_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pace = Pace()
    assert pace.ready("s", "tail")
    assert not pace.ready("s", "late")
    assert not pace.ready("s", "tail")
    assert pace.ready("other", "tail")
    now += kinesis_tail.POLL_SECONDS
    assert not pace.ready("s", "tail"), "the other one came first"
    assert pace.ready("s", "late")
    now += kinesis_tail.POLL_SECONDS
    assert pace.ready("s", "tail")
    pace.gave("s", 10 * kinesis_tail.READ_BYTES)
    now += 9.0
    assert not pace.ready("s", "tail")
    now += 1.1
    assert pace.ready("s", "tail")


def test_who_has_gone_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pace = Pace()
    assert pace.ready("s", "first")
    assert not pace.ready("s", "gone")
    now += kinesis_tail.FORGOTTEN_SECONDS + 0.1
    assert pace.ready("s", "first")


class Stuck:
    """A stream whose first reading ends in an error, when it is let go."""

    name = "stuck"

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()

    def iterator(self, shard: str, after: int) -> str:
        return f"{shard} {after}"

    def read(self, iterator: str) -> Page:
        if not self.asked.is_set():
            self.asked.set()
            assert self.go.wait(10.0)
            raise OperationTimeoutError("no answer came")
        return page(int(iterator.split()[1]) + 1)


def test_a_question_that_fails_too_late_is_no_outage_for_who_came_after_it() -> None:
    stream: Any = Stuck()
    tail = Tail(stream)
    tail.hold({"s": 1})
    assert stream.asked.wait(10.0)
    tail.hold({"s": 5})  # the service has answered this one
    stream.go.set()
    seen = []
    eventually(lambda: seen.append(tail.connected) or tail.after("s", 1) != ([], False), "it is read again", 10.0)
    assert all(seen)
    tail.close(10.0)


def test_a_tail_whose_thread_has_ended_is_not_called_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Stuck):
        def iterator(self, shard: str, after: int) -> str:
            raise TypeError("a defect")

    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    stream: Any = Broken()
    tail = Tail(stream)
    tail.hold({"s": 1})
    eventually(lambda: not tail.reading, "it says that nothing is read", 10.0)
    tail.close(10.0)


# Parents before children


def shard(name: str, *parents: str, is_open: bool = True) -> Shard:
    return Shard(name, parents, "0", is_open)


def names(source: OwnShards) -> set[str]:
    return {cursor.shard for cursor in source.cursors()}


def finish(source: OwnShards, name: str) -> None:
    source.ended(next(cursor for cursor in source.cursors() if cursor.shard == name))


def test_a_replay_reads_children_when_all_their_parents_are_done() -> None:
    listed = [
        shard("a", is_open=False),
        shard("b", is_open=False),
        shard("ab", "a", "b", is_open=False),
        shard("left", "ab"),
        shard("orphan", "trimmed"),
    ]
    source = from_the_start(lambda: listed)
    assert names(source) == {"a", "b", "orphan"}
    finish(source, "a")
    assert names(source) == {"b", "orphan"}
    finish(source, "b")
    assert names(source) == {"ab", "orphan"}
    finish(source, "ab")
    assert names(source) == {"left", "orphan"}


def test_a_subscription_reads_no_shard_that_was_closed_before_it() -> None:
    listed = [shard("old", is_open=False), shard("now", "old"), shard("other")]
    source = from_marks(lambda: listed, {"now": 7, "other": 8})
    assert {cursor.shard: cursor.after for cursor in source.cursors()} == {"now": 7, "other": 8}
    listed[1] = shard("now", "old", is_open=False)
    listed += [shard("x", "now"), shard("y", "now")]
    finish(source, "now")
    assert {cursor.shard: cursor.after for cursor in source.cursors()} == {"other": 8, "x": 0, "y": 0}


# Leases


def held(*holders: str, **changes: Any) -> list[Lease]:
    return [replace(Lease(f"s{place}", 0, holder=holder), **changes) for place, holder in enumerate(holders)]


def test_one_member_takes_all() -> None:
    found = plan(held("", "", ""), "me", ())
    assert [lease.shard for lease in found.take] == ["s0", "s1", "s2"]
    assert found.settled


def test_a_newcomer_asks_the_one_who_has_most() -> None:
    found = plan(held("a", "b", "b", "b"), "me", {"a", "b"})
    assert (found.take, found.give, found.settled) == ([], [], False)
    assert found.ask is not None
    assert found.ask.holder == "b"


def test_who_asked_once_waits() -> None:
    leases = held("b", "b")
    leases[0] = replace(leases[0], asker="me")
    assert plan(leases, "me", {"b"}).ask is None


def test_who_is_asked_keeps_a_fair_part() -> None:
    leases = held("me", "me", asker="new")
    assert len(plan(leases, "me", {"me"}).give) == 1
    assert plan(held("me", asker="new"), "me", {"me"}).give == []


def test_more_members_than_shards_wait_and_are_settled() -> None:
    found = plan(held("a", "b"), "me", {"a", "b"})
    assert (found.take, found.ask, found.settled) == ([], None, True)


def test_leases_of_the_dead_are_taken_and_those_of_the_living_are_not() -> None:
    assert [lease.shard for lease in plan(held("dead", "alive"), "me", {"alive"}).take] == ["s0"]


def test_a_child_is_not_taken_before_its_parents_have_ended() -> None:
    leases = [Lease("p", 0, holder="a"), Lease("c", 0, ("p",))]
    assert plan(leases, "me", {"a"}).take == []
    leases[0] = replace(leases[0], ended=True)
    assert [lease.shard for lease in plan(leases, "me", {"a"}).take] == ["c"]


def test_groups_are_told_apart_by_topic_and_name() -> None:
    pairs = (("a", "bc"), ("ab", "c"), ("a", "b"), ("a", "B"))
    assert len({group_id(*pair) for pair in pairs}) == len(pairs)


class Store:
    """Leases in memory."""

    def __init__(self, *leases: Lease) -> None:
        self.rows = {lease.shard: lease for lease in leases}
        self.fails = False

    def begin(self, group: str, marks: Mapping[str, int]) -> None:
        raise NotImplementedError

    def leases(self, group: str) -> Sequence[Lease]:
        if self.fails:
            raise UnavailableError("the store is away")
        return list(self.rows.values())

    def add(self, group: str, lease: Lease) -> None:
        self.rows.setdefault(lease.shard, lease)

    def take(self, group: str, lease: Lease, member: str) -> bool:
        return self._change(lease, beat=lease.beat + 1, holder=member)

    def renew(self, group: str, lease: Lease, after: int, ended: bool) -> bool:
        return self._change(lease, beat=lease.beat + 1, after=after, ended=ended)

    def hand_over(self, group: str, lease: Lease, after: int, to: str) -> bool:
        return self._change(lease, after=after, holder=to, asker="")

    def ask(self, group: str, lease: Lease, member: str) -> bool:
        return self._change(lease, asker=member)

    def drop(self) -> None:
        self.rows = {}

    def _change(self, lease: Lease, **changes: Any) -> bool:
        if self.fails:
            raise UnavailableError("the store is away")
        now = self.rows[lease.shard]
        if now.holder != lease.holder:
            return False
        self.rows[lease.shard] = replace(now, **changes)
        return True


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {
        "LEASE_SECONDS": 0.5,
        "SURE_SECONDS": 0.4,
        "BEAT_SECONDS": 0.05,
        "HASTY_SECONDS": 0.02,
        "RENEW_SECONDS": 0.1,
    }
    for name, value in times.items():
        monkeypatch.setattr(kinesis_members, name, value)


@pytest.fixture
def members() -> Iterator[list[Member]]:
    made: list[Member] = []
    yield made
    for member in made:
        member.end()


def joined(store: Store, members: list[Member], shards: Sequence[Shard] = ()) -> Member:
    members.append(Member(store, "group", "orders", lambda: shards))
    members[-1].begin()
    return members[-1]


def cursors(member: Member) -> dict[str, Cursor]:
    return {cursor.shard: cursor for cursor in member.cursors()}


@pytest.mark.usefixtures("quick")
def test_members_share_and_a_handler_that_runs_keeps_its_shard(members: list[Member]) -> None:
    store = Store(*held("", ""))
    first = joined(store, members)
    busy = cursors(first)["s0"]
    busy.after = 5
    with busy.lock:  # its handler runs
        second = joined(store, members)
        assert set(cursors(second)) == {"s1"}
    assert set(cursors(first)) == {"s0"}
    first.end()
    eventually(lambda: set(cursors(second)) == {"s0", "s1"}, "the other one takes what was left", 5.0)
    assert cursors(second)["s0"].after == 5


@pytest.mark.usefixtures("quick")
def test_a_member_that_stands_still_loses_its_shards_and_knows_it(members: list[Member]) -> None:
    store = Store(*held("dead", after=7))
    member = joined(store, members)
    assert not cursors(member)
    eventually(lambda: cursors(member), "the lease of the dead is taken", 5.0)
    taken = cursors(member)["s0"]
    assert taken.after == 7
    store.rows["s0"] = replace(store.rows["s0"], holder="thief")
    eventually(lambda: taken.dead, "the lease is lost", 5.0)
    assert taken.resting(time.monotonic())


@pytest.mark.usefixtures("quick")
def test_who_cannot_renew_stops_before_others_begin(members: list[Member]) -> None:
    store = Store(*held(""))
    member = joined(store, members)
    cursor = cursors(member)["s0"]
    store.fails = True
    eventually(lambda: cursor.resting(time.monotonic()), "nothing more is handled", 5.0)
    assert not member.working()
    store.fails = False
    eventually(lambda: not cursor.resting(time.monotonic()) and member.working(), "it goes on", 5.0)


@pytest.mark.usefixtures("quick")
def test_a_shard_that_ended_makes_room_for_its_children(members: list[Member]) -> None:
    store = Store(*held(""))
    shards = [shard("s0", is_open=False), shard("x", "s0"), shard("y", "s0")]
    member = joined(store, members, shards)
    member.ended(cursors(member)["s0"])
    eventually(lambda: set(cursors(member)) == {"x", "y"}, "the children are read", 5.0)
    assert store.rows["s0"].ended
