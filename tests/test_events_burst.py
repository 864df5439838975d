"""The burst of EVENT-07: it ends by the clock as well, so that a bus that became slow is not told to hang."""

from __future__ import annotations

import time

import pytest

from stackproof.adapters.events.memory import MemoryEventPublisher
from stackproof.contracts import events as contract
from stackproof.contracts.callers import Callers
from stackproof.contracts.events import EventContract
from stackproof.contracts.evidence import Evidence
from stackproof.interfaces import Event


class SlowBus(MemoryEventPublisher):
    """Takes its time for each event of the burst, and none for those before it."""

    def publish(self, topic: str, event: Event) -> None:
        if topic == "orders":
            time.sleep(0.005)
        super().publish(topic, event)


class Contract(EventContract):
    capabilities = MemoryEventPublisher.capabilities


def test_a_bus_that_became_slow_is_judged_by_what_it_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "BURST_SECONDS", 0.5)
    evidence = Evidence()
    began = time.monotonic()
    Contract().test_a_burst_is_not_lost(SlowBus(), Callers(), evidence)
    assert time.monotonic() - began < 20.0
    assert 0 < evidence.counts()["accepted events"] <= 2 * 0.5 / 0.005 + 2
