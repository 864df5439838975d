"""What SQS is asked for while messages are handled, seen by a client that only notes it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from stackproof.adapters.aws_client import Effect
from stackproof.adapters.events import sqs_delivery
from stackproof.adapters.events.common import to_json
from stackproof.adapters.events.eventbridge_names import detail_of
from stackproof.adapters.events.sqs_delivery import QueueSubscription, VisibilityKeeper
from stackproof.contracts.expectations import eventually
from stackproof.contracts.listeners import Listener, numbered
from stackproof.interfaces import UnavailableError

VISIBILITY_SECONDS = 1
LONG = 20.0


class Queue:
    """Gives out two messages at once, and notes which were kept from others, given back and deleted."""

    place = SimpleNamespace(operation_timeout=1.0)

    def __init__(self) -> None:
        self.waiting = [_message(0), _message(1)]
        self.kept: list[set[str]] = []
        self.given_back: set[str] = set()
        self.deleted: set[str] = set()
        self.failing: set[str] = set()
        """Operations that fail."""

    def call(self, operation: str, _effect: Effect, /, **parameters: Any) -> dict[str, Any]:
        receipts = {entry["ReceiptHandle"] for entry in parameters.get("Entries", ())}
        if operation in self.failing:
            raise UnavailableError(f"{operation} fails on purpose")
        if operation == "receive_message":
            waiting, self.waiting = self.waiting, []
            return {"Messages": waiting}
        if operation == "delete_message_batch":
            self.deleted |= receipts
        elif any(entry["VisibilityTimeout"] for entry in parameters["Entries"]):
            self.kept.append(receipts)
        else:
            self.given_back |= receipts
        return {}


def _message(number: int) -> dict[str, Any]:
    detail = detail_of(to_json(numbered(number), 1_000))
    body = json.dumps({"detail-type": "orders", "detail": json.loads(detail)})
    return {"MessageId": f"m{number}", "ReceiptHandle": f"r{number}", "Body": body}


Begin = Callable[[Queue, Listener], QueueSubscription]


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Begins subscriptions, with a keeper, that delete what was handled at the end of a batch only."""
    monkeypatch.setattr(sqs_delivery, "DELETE_SECONDS", 3_600.0)
    keeper, begun = VisibilityKeeper(VISIBILITY_SECONDS), list[QueueSubscription]()

    def one(queue: Queue, listener: Listener) -> QueueSubscription:
        sqs: Any = queue
        begun.append(QueueSubscription(sqs, "url", "orders", listener, VISIBILITY_SECONDS, lambda: None))
        begun[-1].start()
        keeper.watch(begun[-1])
        return begun[-1]

    yield one
    for each in begun:
        each.close()
    keeper.close()


def test_a_handled_message_is_kept_from_others_until_it_is_deleted(begin: Begin) -> None:
    """The handler of the next one may take longer than what is handled stays invisible by itself."""
    queue, done = Queue(), threading.Event()
    listener = Listener(lambda event: event.payload["n"] == 0 or done.wait(LONG))
    subscription = begin(queue, listener)
    eventually(lambda: 1 in listener.called_with, "the second handler is called", LONG)
    before = len(queue.kept)
    eventually(lambda: len(queue.kept) >= before + 3, "what is held is kept from others", LONG)
    assert queue.deleted == set(), "otherwise nothing is shown"
    kept = queue.kept[before:]
    assert kept == [{"r0", "r1"}] * len(kept)
    done.set()
    eventually(lambda: queue.deleted == {"r0", "r1"}, "both are deleted", LONG)
    eventually(lambda: not subscription._held, "nothing is held any more", LONG)


def test_what_could_not_be_deleted_comes_again(begin: Begin) -> None:
    """If it were kept from others still, it would be held for ever and never be done."""
    queue, listener = Queue(), Listener()
    queue.failing.add("delete_message_batch")
    subscription = begin(queue, listener)
    listener.await_numbers([0, 1], "both events", LONG)
    eventually(lambda: not subscription._held, "nothing is held any more", LONG)
    assert queue.deleted == set()


def test_what_was_handled_is_deleted_also_where_the_rest_cannot_be_given_back(begin: Begin) -> None:
    queue, entered, done = Queue(), threading.Event(), threading.Event()

    def during(_: object) -> None:
        entered.set()
        done.wait(LONG)

    subscription = begin(queue, Listener(during))
    eventually(entered.is_set, "the first handler is called", LONG)
    queue.failing.add("change_message_visibility_batch")
    subscription.stop()
    done.set()
    subscription.wait(LONG)
    assert queue.deleted == {"r0"}
