"""Time limits inside time limits: the one that ends earlier counts, and the outer one goes on."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace

import pytest

from stackproof.adapters.events.memory import MemoryEventPublisher
from stackproof.contracts import EventContract, events_content
from stackproof.contracts.evidence import Evidence
from stackproof.contracts.expectations import ContractViolation
from stackproof.contracts.mutants.events import AcknowledgesFirst, GivesUpAfterFiveAttempts
from stackproof.contracts.timelimit import OutOfTime, pause, time_limit, waiting

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="limits are signals")


def test_the_inner_limit_counts_where_it_ends_earlier() -> None:
    with pytest.raises(OutOfTime, match="inner"), time_limit(60, "outer"), time_limit(0.05, "inner"):
        time.sleep(30)


def test_the_outer_limit_counts_where_it_ends_earlier() -> None:
    with pytest.raises(OutOfTime, match="outer"), time_limit(0.05, "outer"), time_limit(60, "inner"):
        time.sleep(30)


def test_the_outer_limit_goes_on_after_the_inner_one() -> None:
    def inner_and_on() -> None:
        with time_limit(0.5, "inner"):
            pass  # also where the machine is slow, in less than its limit
        time.sleep(30)

    with pytest.raises(OutOfTime, match="outer"), time_limit(0.7, "outer"):
        inner_and_on()


def test_nothing_rings_afterwards() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(60, "outer"), time_limit(30, "inner"):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_what_is_waited_for_does_not_count() -> None:
    with time_limit(0.5, "outer"), time_limit(0.45, "inner"), waiting(5.0):  # a slow machine begins to wait in time
        time.sleep(0.6)


def test_what_was_not_waited_is_given_back() -> None:
    def wait_and_hang() -> None:
        pause(0.1)
        with waiting(30):
            pass
        time.sleep(20)

    began = time.monotonic()
    with pytest.raises(OutOfTime, match="inner"), time_limit(60, "outer"), time_limit(0.45, "inner"):
        wait_and_hang()
    assert 0.54 < time.monotonic() - began < 10


def test_a_wait_that_does_not_end_by_itself_is_ended() -> None:
    with pytest.raises(OutOfTime, match="limit"), time_limit(0.05, "limit"), waiting(0.05):
        time.sleep(30)


def test_a_thread_waits_beside_the_limit() -> None:
    with time_limit(60, "limit"):
        before = signal.getitimer(signal.ITIMER_REAL)[0]
        thread = threading.Thread(target=pause, args=(0.01,))
        thread.start()
        thread.join()
        assert signal.getitimer(signal.ITIMER_REAL)[0] <= before


@pytest.mark.parametrize("kind", [AcknowledgesFirst, GivesUpAfterFiveAttempts], ids=lambda kind: kind.__name__)
def test_a_clause_that_must_wait_longer_than_its_limit_fails_all_the_same(
    kind: type[MemoryEventPublisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The patience follows from what a backend declares, which may be anything."""
    monkeypatch.setattr(events_content, "MARGIN_SECONDS", 0.04)
    contract = EventContract()
    contract.capabilities = replace(kind.capabilities, delivery_seconds=0.01)
    with pytest.raises(ContractViolation, match="failed eight times"), time_limit(0.2, "the clause"):
        contract.test_a_failed_event_comes_again(kind(namespace="patience"), Evidence())
