"""The outbox of services that take batches in part: what is sent again, in which order, and what callers are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from stackproof.adapters.events.outbox import Outbox, Refusal
from stackproof.contracts.expectations import eventually
from stackproof.interfaces import BackendError, IndeterminateError, RejectedError, UnavailableError

BUSY = Refusal("Busy", "come again", passing=True)


@dataclass(frozen=True)
class Item:
    name: str
    lane: str = ""
    size: int = 1


class Service:
    """Takes batches; keeps the first one waiting until `let_go`, so that others gather behind it."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.refuse: Callable[[Item], Refusal | None] = lambda _: None
        self.go = threading.Event()
        self.held = threading.Event()

    def put(self, items: Sequence[Item]) -> Sequence[Refusal | None]:
        self.batches.append([item.name for item in items])
        self.held.set()
        assert self.go.wait(10.0)
        return [self.refuse(item) for item in items]


@pytest.fixture
def service() -> Service:
    return Service()


def send_behind(service: Service, outbox: Outbox[Item], items: Sequence[Item]) -> dict[str, BackendError | None]:
    """The ends of these, which come one after the other while the first batch (of one) is on its way."""
    ends: dict[str, BackendError | None] = {}

    def send(item: Item) -> None:
        try:
            outbox.send(item)
        except BackendError as error:
            ends[item.name] = error
        else:
            ends[item.name] = None

    threads = [threading.Thread(target=send, args=(item,)) for item in [Item("first"), *items]]
    threads[0].start()
    assert service.held.wait(10.0)
    for number, thread in enumerate(threads[1:], start=1):
        thread.start()
        eventually(lambda n=number: len(outbox._queue) == n + 1, "the entry waits", 10.0)  # type: ignore[misc]
    service.go.set()
    for thread in threads:
        thread.join(10.0)
    return ends


def test_what_waits_goes_together_up_to_the_limits(service: Service) -> None:
    outbox = Outbox(service.put, most_entries=3, most_bytes=10, seconds=5.0)
    items = [Item("a"), Item("b"), Item("c"), Item("d"), Item("large", size=10), Item("e")]
    assert set(send_behind(service, outbox, items).values()) == {None}
    assert service.batches == [["first"], ["a", "b", "c"], ["d"], ["large"], ["e"]]


def test_only_what_was_refused_goes_again(service: Service) -> None:
    refusals = iter([BUSY])
    service.refuse = lambda item: next(refusals, None) if item.name == "b" else None
    outbox = Outbox(service.put, most_entries=10, most_bytes=100, seconds=5.0)
    ends = send_behind(service, outbox, [Item("a"), Item("b"), Item("c")])
    assert service.batches == [["first"], ["a", "b", "c"], ["b"]]
    assert set(ends.values()) == {None}


def test_what_was_refused_is_not_overtaken_in_its_lane(service: Service) -> None:
    refusals = iter([BUSY, BUSY])
    service.refuse = lambda item: next(refusals, None) if item.name == "k1" else None
    outbox = Outbox(service.put, most_entries=10, most_bytes=100, seconds=5.0)
    send_behind(service, outbox, [Item("k1", "k"), Item("k2", "k"), Item("other", "o")])
    sent = [name for batch in service.batches for name in batch]
    assert sent.count("k1") == 3
    assert sent.index("k2") > max(place for place, name in enumerate(sent) if name == "k1")
    assert all(not {"k1", "k2"} <= set(batch) for batch in service.batches)


def test_a_refusal_for_good_is_the_error_of_its_caller_alone(service: Service) -> None:
    never = Refusal("Malformed", "", passing=False)
    service.refuse = lambda item: never if item.name == "bad" else None
    outbox = Outbox(service.put, most_entries=10, most_bytes=100, seconds=5.0)
    ends = send_behind(service, outbox, [Item("bad"), Item("good")])
    assert isinstance(ends["bad"], RejectedError)
    assert ends["good"] is None
    assert service.batches == [["first"], ["bad", "good"]]


def test_refused_without_end_is_unavailable_in_time(service: Service) -> None:
    service.refuse = lambda _: BUSY
    service.go.set()
    outbox = Outbox(service.put, most_entries=10, most_bytes=100, seconds=0.3)
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="nothing was applied: Busy"):
        outbox.send(Item("a"))
    assert time.monotonic() - began < 5.0
    assert 2 <= len(service.batches) <= 10


def test_an_error_of_the_call_is_that_of_all_in_it(service: Service) -> None:
    def put(items: Sequence[Item]) -> Sequence[Refusal | None]:
        service.put(items)
        if len(items) > 1:
            raise IndeterminateError("the connection broke")
        return [None for _ in items]

    outbox = Outbox(put, most_entries=10, most_bytes=100, seconds=5.0)
    ends = send_behind(service, outbox, [Item("a"), Item("b")])
    assert ends["first"] is None
    assert isinstance(ends["a"], IndeterminateError)
    assert isinstance(ends["b"], IndeterminateError)
    assert ends["a"] is not ends["b"]
    assert service.batches == [["first"], ["a", "b"]]


def test_who_is_interrupted_leaves_nothing_behind(service: Service) -> None:
    class Interruption(BaseException):
        pass

    def put(items: Sequence[Item]) -> Sequence[Refusal | None]:
        if items[0].name == "a":
            raise Interruption
        return [None for _ in items]

    outbox = Outbox(put, most_entries=10, most_bytes=100, seconds=5.0)
    with pytest.raises(Interruption):
        outbox.send(Item("a"))
    outbox.send(Item("b"))
    assert not outbox._queue
