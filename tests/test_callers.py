"""Clauses with several callers: when one of them fails, that is told, and at once, and nobody seems to hang."""

from __future__ import annotations

import threading
import time
from typing import NoReturn

import pytest

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.adapters.events.memory import MemoryEventPublisher
from stackproof.contracts import CacheContract, EventContract
from stackproof.contracts.callers import Callers, in_step
from stackproof.contracts.evidence import Evidence
from stackproof.contracts.expectations import ContractViolation
from stackproof.interfaces import CacheValue, Event, UnavailableError

AT_ONCE = 5.0
"""Seconds, where waiting in vain would take ten at least."""


class Forgets(MemoryCache):
    def get(self, key: str) -> CacheValue:
        return None


class Refuses(MemoryCache):
    def get(self, key: str) -> NoReturn:
        raise UnavailableError("too busy")


class Breaks(MemoryCache):
    def get(self, key: str) -> NoReturn:
        raise ZeroDivisionError("of the backend")


def close_under_load(cache: MemoryCache) -> Evidence:
    evidence, began = Evidence(), time.monotonic()
    try:
        CacheContract().test_operations_in_flight_at_disconnect_end(cache, Callers(), evidence)
    finally:
        assert time.monotonic() - began < AT_ONCE
    return evidence


def test_a_wrong_answer_before_the_disconnect_is_told_as_what_it_is() -> None:
    with pytest.raises(ContractViolation) as raised:
        close_under_load(Forgets())
    assert raised.value.seen == "None"


def test_without_an_operation_in_flight_there_is_no_evidence() -> None:
    assert close_under_load(Refuses()).counts()["operations in flight"] == 0


def test_any_other_error_is_told_itself() -> None:
    with pytest.raises(ZeroDivisionError):
        close_under_load(Breaks())


def test_the_first_error_is_the_one_that_came_first() -> None:
    """And not one of those who waited for the caller that failed."""
    barrier = threading.Barrier(3)

    def waits() -> None:
        with in_step(barrier):
            barrier.wait(20.0)

    def fails() -> None:
        with in_step(barrier):
            raise ZeroDivisionError

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        Callers().each([waits, waits, fails], within=20.0)
    assert time.monotonic() - began < AT_ONCE


def test_the_first_error_is_told_also_where_those_who_waited_end_before_it() -> None:
    """The thread of the one that failed may get no time between letting them go and its end."""
    barrier, gone = threading.Barrier(2), threading.Event()

    def waits() -> None:
        try:
            with in_step(barrier):
                barrier.wait(20.0)
        finally:
            gone.set()

    def fails() -> None:
        try:
            with in_step(barrier):
                raise ZeroDivisionError
        finally:
            assert gone.wait(20.0)
            time.sleep(0.05)  # the other one's end is seen from outside only

    with pytest.raises(ZeroDivisionError):
        Callers().each([waits, fails])


def test_a_publisher_that_fails_does_not_leave_the_others_waiting() -> None:
    class Fails(MemoryEventPublisher):
        def publish(self, topic: str, event: Event) -> None:
            if event.payload["n"] == 85:
                raise ZeroDivisionError("of the backend")
            super().publish(topic, event)

    bus, began, contract = Fails(), time.monotonic(), EventContract()
    contract.capabilities = bus.capabilities
    with pytest.raises(ZeroDivisionError):
        contract.test_concurrent_publishers(bus, lambda: bus, Callers(), Evidence())
    assert time.monotonic() - began < AT_ONCE
    bus.disconnect()
