"""The contract of event buses, the part about histories: subscriptions that come and go while others publish."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from stackproof.interfaces import Event

from .callers import Callers
from .clauses import clause
from .events_groups import EventGroupContract
from .evidence import Evidence
from .histories import Operation, Recorder, check_queue
from .judged_history import DECIDED, ENOUGH, OVERLAPPING, must_be_valid

TOPIC = "orders"
PUBLISHERS = 3
VISITORS = 3
VISITS = 5
"""Subscriptions of each visitor, one after the other."""
LEAST, MOST = 30, 400
"""Events of each publisher: at least so many, and on as long as visitors come, up to so many."""
STAYING = (1, 2)
"""The subscriptions that stay; the second one is slow, so that events wait for it."""


class EventHistoryContract(EventGroupContract):
    """The clause about concurrent publishers and changing subscriptions."""

    @clause(
        "EVENT-33",
        "While subscriptions come and go, each gets every event of its time, once and in order as declared, and no other.",
        because="a service that scales up and down must not cost the others an event, nor see what is not meant for it",
        learnt_from=("E19", "E44"),
        profile="full",
        sees=((OVERLAPPING, ENOUGH), (DECIDED, 1), ("subscriptions that came and went", 10), ("deliveries", 150)),
        seconds=90.0,
    )
    def test_subscriptions_come_and_go(
        self, events: Any, another: Callable[[], Any], callers: Callers, evidence: Evidence
    ) -> None:
        recorder = Recorder()
        instances = [events, another() if self.capabilities.shared else events]
        for number in STAYING:
            handle = recorder.handler(number, (lambda _: time.sleep(0.001)) if number == STAYING[-1] else None)
            subscribe = partial(instances[number % 2].subscribe, TOPIC, handle)
            recorder.call("subscribe", TOPIC, subscribe, process=number)
        visits = _Visits(recorder, self.patience)
        publishing = [partial(_publish, instances[n % 2], -1 - n, visits, recorder) for n in range(PUBLISHERS)]
        visiting = [partial(visits.make, instances[n % 2], 10 * (n + 1)) for n in range(VISITORS)]
        began = time.monotonic()
        callers.each([*publishing, *visiting], within=45.0)
        _await_all(recorder, self.patience + 2.0)
        self.let_settle(began)
        history = recorder.history()
        evidence.saw("subscriptions that came and went", visits.ended)
        evidence.saw("deliveries", sum(each.kind == "deliver" for each in history))
        declared = self.capabilities
        verdict = check_queue(history, delivery=declared.delivery, order=declared.order)
        what = "what subscriptions got while others came and went"
        must_be_valid(verdict, history, evidence, what, "every event of their time, and no other")


class _Visits:
    """Subscriptions that end as soon as they have got something."""

    def __init__(self, recorder: Recorder, patience: float) -> None:
        self._recorder = recorder
        self._patience = patience
        self._numbers = itertools.count(1)
        self._left = itertools.count(VISITORS - 1, -1)
        self.ended = 0
        self.over = False

    def make(self, events: Any, first: int) -> None:
        try:
            for number in range(first, first + VISITS):
                self._visit(events, number)
                self.ended = max(self.ended, next(self._numbers))
        finally:
            self.over = next(self._left) <= 0

    def _visit(self, events: Any, number: int) -> None:
        got: list[Event] = []
        made: list[Any] = []
        handler = self._recorder.handler(number, got.append)
        subscribed = self._recorder.call(
            "subscribe", TOPIC, lambda: made.append(events.subscribe(TOPIC, handler)), process=number
        )
        if not subscribed.ok:
            return
        until = time.monotonic() + self._patience
        while not got and time.monotonic() < until:
            time.sleep(0.001)
        self._recorder.call("unsubscribe", TOPIC, made[0].close, process=number)


def _publish(events: Any, publisher: int, visits: _Visits, recorder: Recorder) -> None:
    for number in range(MOST):
        if visits.over and number >= LEAST:
            return
        event = Event(
            type="test.happened.v1", payload={"n": number}, key="ab"[number % 2], event_id=f"{-publisher}.{number}"
        )
        publish = partial(events.publish, TOPIC, event)
        recorder.call("publish", event.key, publish, process=publisher, value=event.event_id)
        time.sleep(0.001)  # a pace: otherwise all is published before the first visitor has come


def _await_all(recorder: Recorder, within: float) -> None:
    """Wait until the subscriptions that stay have handled every event. What has not come by then, the checker explains."""
    until = time.monotonic() + within
    while _missing(recorder.history()) and time.monotonic() < until:
        time.sleep(0.02)


def _missing(history: list[Operation]) -> bool:
    published = {each.value for each in history if each.kind == "publish" and each.ok}
    handled = {(each.process, each.value) for each in history if each.kind == "deliver"}
    return any((number, event) not in handled for event in published for number in STAYING)
