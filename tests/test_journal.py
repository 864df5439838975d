"""The journal of calls: whose error it is, and what became of an event."""

from __future__ import annotations

import pytest

from stackproof.adapters.events.memory import MemoryEventPublisher
from stackproof.contracts import EventContract
from stackproof.contracts.evidence import Evidence
from stackproof.contracts.expectations import ContractViolation
from stackproof.contracts.journal import Journal, Journalled
from stackproof.contracts.listeners import Failing, Listener, numbered
from stackproof.contracts.machines.events_model import Published, TopicLog, Watch
from stackproof.contracts.mutants.events import AcknowledgesFirst, ExitEndsTheThread, GivesUpAfterFiveAttempts
from stackproof.interfaces import Delivery, EventCapabilities


class Store:
    def fail(self) -> None:
        raise KeyError("x")


def test_an_error_whose_causes_go_in_a_circle_ends_the_search() -> None:
    own, cause = ValueError("own"), ValueError("cause")
    own.__cause__, cause.__context__ = cause, own
    assert not Journal().came_from_backend(own)


def test_an_error_of_the_backend_is_known_through_its_wrapping() -> None:
    journal = Journal()
    try:
        Journalled(Store(), journal, "store").fail()
    except KeyError as error:
        wrapped = RuntimeError("of the clause")
        wrapped.__cause__ = error
        assert journal.came_from_backend(wrapped)
    assert not journal.came_from_backend(KeyError("x"))


def _publish_and_fail(bus: MemoryEventPublisher, failing: Failing, count: int = 3) -> tuple[Journal, str]:
    """The journal, and what is said to be seen, when a failed event is waited for."""
    journal, listener = Journal(), Listener(failing)
    events = Journalled(bus, journal, "events")
    events.subscribe("orders", listener)
    for number in range(count):
        events.publish("orders", numbered(number))
    with pytest.raises(ContractViolation) as caught:
        listener.await_numbers(range(count), "events", 0.1)
    return journal, caught.value.seen


def test_an_event_whose_handler_raised_is_not_said_to_have_not_arrived() -> None:
    journal, seen = _publish_and_fail(AcknowledgesFirst(), Failing([1]))
    assert seen.endswith(
        "missing: [1]; 1 was delivered once, its handler raised ValueError on purpose, and it was not delivered again"
    )
    lines = journal.lines(30)
    assert "handler 1 called with number 1 raised ValueError: this handler fails on purpose" in lines
    assert "handler 1 called with number 2 -> done" in lines
    assert lines[0].startswith("events.subscribe('orders', handler 1)")


def test_a_call_that_raised_long_ago_is_told() -> None:
    journal, _ = _publish_and_fail(AcknowledgesFirst(), Failing([1]), count=60)
    assert journal.lines(1)[:2] == (
        "handler 1 called with number 1 raised ValueError: this handler fails on purpose",
        "...",
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_ended_the_delivery_is_told() -> None:
    listener = Listener(Failing([0], error=SystemExit))
    bus = ExitEndsTheThread()
    bus.subscribe("orders", listener)
    for number in range(3):
        bus.publish("orders", numbered(number))
    with pytest.raises(ContractViolation) as caught:
        listener.await_numbers([1, 2], "later events", 0.1)
    assert caught.value.seen.endswith(
        "none of these was delivered; before, the handler had raised on purpose: SystemExit at 0"
    )


def test_calls_of_a_handler_in_a_row_are_one_line() -> None:
    journal, listener = Journal(), Listener()
    journal.follow(listener)
    for number in range(5):
        listener(numbered(number))
    assert journal.lines() == ("handler 1 called with number 0 to number 4, 5 calls -> done",)


def test_a_sequence_says_what_became_of_a_failed_event() -> None:
    listener, log, failed, lost = Listener(Failing([0])), TopicLog(), numbered(0), numbered(1)
    with pytest.raises(ValueError, match="on purpose"):
        listener(failed)
    for event in (failed, lost):
        log.add(Published(event, publisher="0", failing=event is failed))
    watch = Watch(None, listener, "orders", None, begin=0, since=0, settled=0)
    declared = EventCapabilities(delivery=Delivery.AT_LEAST_ONCE)
    with pytest.raises(ContractViolation) as caught:
        log.await_all([watch], 0.01, declared)
    assert f"[{lost.event_id!r}] did not arrive; {failed.event_id!r} was delivered once" in caught.value.seen
    assert "its handler raised ValueError on purpose, and it was not delivered again" in caught.value.seen


def test_deliveries_count_as_they_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EventContract, "patience", 0.05)
    contract, evidence = EventContract(), Evidence()
    contract.capabilities = GivesUpAfterFiveAttempts.capabilities
    with pytest.raises(ContractViolation):
        contract.test_a_failed_event_comes_again(GivesUpAfterFiveAttempts(), evidence)
    assert evidence.counts()["deliveries of the failed event"] == 5
