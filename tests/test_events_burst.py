"""The burst of EVENT-07: neither a bus that became slow nor one that makes its publishers wait is told to lose or to hang."""

from __future__ import annotations

import time

import pytest

from stackproof.adapters.events.common import to_json
from stackproof.adapters.events.memory import MemoryEventPublisher, MemorySubscription
from stackproof.contracts import events as contract
from stackproof.contracts.callers import Callers
from stackproof.contracts.clauses import clause_of
from stackproof.contracts.events import EventContract
from stackproof.contracts.evidence import Evidence
from stackproof.contracts.mutants.events_bases import WithMembers
from stackproof.interfaces import Event


class SlowBus(MemoryEventPublisher):
    """Takes its time for each event of the burst, and none for those before it."""

    def publish(self, topic: str, event: Event) -> None:
        if topic == "orders":
            time.sleep(0.005)
        super().publish(topic, event)


class BackPressure(WithMembers):
    """Has room for so many events; who publishes one more waits until the handler has taken one. That is allowed."""

    room = 1_000

    class Member(MemorySubscription):
        def _next(self) -> bytes | None:
            envelope = super()._next()
            with self._space.lock:
                self._space.changed.notify_all()
            return envelope

    def publish(self, topic: str, event: Event) -> None:
        self._check_open()
        envelope = to_json(event, self.capabilities.max_payload_bytes)
        with self._space.lock:
            self._space.changed.wait_for(lambda: self._has_room(topic))
            self._space.hand_out(topic, envelope)

    def _has_room(self, topic: str) -> bool:
        return all(len(queue.events) < self.room for queue in self._space.queues.get(topic, {}).values())


class Narrow(BackPressure):
    """Has room for few."""

    room = 10


class Contract(EventContract):
    capabilities = MemoryEventPublisher.capabilities


def test_a_bus_that_became_slow_is_judged_by_what_it_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "BURST_SECONDS", 0.5)
    evidence = Evidence()
    began = time.monotonic()
    Contract().test_a_burst_is_not_lost(SlowBus(), Callers(), evidence)
    assert time.monotonic() - began < 20.0
    assert 0 < evidence.counts()["accepted events"] <= 2 * 0.5 / 0.005 + 2


@pytest.mark.parametrize("kind", [BackPressure, Narrow])
def test_a_bus_that_makes_its_publishers_wait_holds(kind: type[BackPressure], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "BURST_SECONDS", 5.0)
    evidence = Evidence()
    Contract().test_a_burst_is_not_lost(kind(), Callers(), evidence)
    clause = clause_of(EventContract.test_a_burst_is_not_lost)
    assert clause is not None
    assert evidence.missing(clause.sees) == []
