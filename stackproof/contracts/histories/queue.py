"""The queue checker: did each subscription get the events that it had to get, and no others, in order?"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from stackproof.interfaces import Delivery, JsonValue, Order

from .operation import Operation
from .verdict import Budget, BudgetExhausted, HistoryVerdict, invalid, refuse_other_kinds, unknown, valid_if_seen

KINDS = ("publish", "deliver", "subscribe", "unsubscribe")
STEPS = 2_000_000
"""The default budget: some seconds."""


def check_queue(
    history: Iterable[Operation],
    *,
    delivery: Delivery = Delivery.AT_LEAST_ONCE,
    order: Order = Order.NONE,
    delivered_within: float = math.inf,
    steps: int = STEPS,
) -> HistoryVerdict:
    """Whether the history of one topic keeps what an event bus promises to each of its subscriptions.

    Operations: ``publish`` (its value identifies the event, its key is what order is kept by, its process is the publisher),
    ``subscribe``, ``deliver`` and ``unsubscribe`` of the subscription that is their process. A ``deliver`` is a call of the
    handler; it fails when the handler raised, which is no acknowledgement. The history was recorded to the end: what had not
    arrived by then is lost.

    Rules, by the name that the verdict gives: *lost* (published after the subscription began, and it never ended, or only
    ``delivered_within`` seconds later), *unexpected* (never published, not yet published, or over before the subscription
    began), *duplicated* (twice, at most once being declared), *out of order*, *after unsubscribe*, *redelivered while running*,
    *two at a time* (handler calls of one subscription). At least once, order is that of the calls that succeeded.

    *Blind spots*: groups are not modelled; nor is a handler that closes its own subscription. Content is not compared. An event
    that was published while the subscription began or ended may come or not. Order is judged between events of one publisher.

    *Cost*: n log n in the number of operations, for each subscription once; each operation of each takes a step of ``steps``.
    """
    history = list(history)
    refuse_other_kinds(history, KINDS)
    try:
        topic = _Topic(history, delivery, order, delivered_within, Budget(steps))
        found = [verdict for subscription in topic.subscriptions for verdict in topic.judge(subscription)]
    except BudgetExhausted as error:
        return unknown(str(error))
    if found:
        first = found[0]
        more = f" (and {len(found) - 1} more findings)" if len(found) > 1 else ""
        return invalid(first.rule, first.argument + more, first.bad_part)
    argument = "every subscription got what it had to get, and nothing else"
    return valid_if_seen(history, ("publish", "subscribe", "deliver"), argument)


@dataclass(slots=True)
class _Subscription:
    process: int
    began: Operation | None = None
    ended: Operation | None = None
    calls: list[Operation] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"subscription {self.process}"


class _Topic:
    def __init__(
        self, history: list[Operation], delivery: Delivery, order: Order, within: float, budget: Budget
    ) -> None:
        self._delivery = delivery
        self._order = order
        self._within = within
        self._budget = budget
        found: dict[int, _Subscription] = {}
        self._published: defaultdict[JsonValue, list[Operation]] = defaultdict(list)
        for operation in sorted(history, key=lambda each: (each.start, each.end)):
            budget.spend()
            if operation.kind == "publish":
                self._published[operation.value].append(operation)
                continue
            subscription = found.setdefault(operation.process, _Subscription(operation.process))
            if operation.kind == "deliver":
                subscription.calls.append(operation)
            elif operation.kind == "subscribe" and operation.may_have_happened:
                subscription.began = operation
            elif operation.kind == "unsubscribe" and operation.ok:
                subscription.ended = operation
        self.subscriptions = list(found.values())

    def judge(self, subscription: _Subscription) -> Iterator[HistoryVerdict]:
        """Everything that is wrong with one subscription."""
        self._budget.spend(len(self._published) + len(subscription.calls))
        yield from self._unexpected(subscription)
        yield from _after_unsubscribe(subscription)
        yield from _running_together(subscription)
        if self._delivery is Delivery.AT_MOST_ONCE:
            yield from self._duplicated(subscription)
        yield from self._lost(subscription)
        yield from self._out_of_order(subscription)

    def _unexpected(self, subscription: _Subscription) -> Iterator[HistoryVerdict]:
        for call in subscription.calls:
            publishes = self._published.get(call.value, [])
            possible = [each for each in publishes if each.may_have_happened]
            got = f"{subscription.name} got event {call.value!r} at {call.start:.6g}"
            if not possible:
                why = "its publish failed, so nothing was accepted" if publishes else "nobody ever published it"
                yield invalid("unexpected", f"{got}; {why}: a contradiction", [*publishes, call])
            elif all(call.end < each.start for each in possible):
                argument = f"{got}; its publish began only at {possible[0].start:.6g}: a contradiction"
                yield invalid("unexpected", argument, [*possible, call])
            elif subscription.began is not None and all(each.precedes(subscription.began) for each in possible):
                argument = (
                    f"{got}; its publish was over at {possible[-1].end:.6g}, before the subscription began to be made at "
                    f"{subscription.began.start:.6g}: a subscription sees what is published from now on"
                )
                yield invalid("unexpected", argument, [*possible, subscription.began, call])

    def _duplicated(self, subscription: _Subscription) -> Iterator[HistoryVerdict]:
        for event, calls in _by_event(subscription).items():
            if len(calls) > max(1, len(self._published.get(event, []))):
                argument = f"{subscription.name} got event {event!r} {len(calls)} times: at most once is declared"
                yield invalid("duplicated", argument, [*self._published.get(event, []), *calls[:2]])

    def _lost(self, subscription: _Subscription) -> Iterator[HistoryVerdict]:
        began, ended = subscription.began, subscription.ended
        if began is None or not began.ok:
            return
        at_least_once = self._delivery is Delivery.AT_LEAST_ONCE
        got = {call.value for call in subscription.calls if call.may_have_happened or not at_least_once}
        for event, publishes in self._published.items():
            due = [
                each
                for each in publishes
                if each.ok and began.precedes(each) and (ended is None or each.end + self._within < ended.start)
            ]
            if due and event not in got:
                calls = [call for call in subscription.calls if call.value == event]
                how = "its handler never returned" if calls else "it never came"
                until = "was never closed" if ended is None else f"was closed only at {ended.start:.6g}"
                argument = (
                    f"event {event!r} was accepted at {due[0].end:.6g}; {subscription.name} had been made at {began.end:.6g} "
                    f"and {until}, but {how}"
                )
                part = [began, due[0], *calls, *([] if ended is None else [ended])]
                yield invalid("lost", argument, part)

    def _out_of_order(self, subscription: _Subscription) -> Iterator[HistoryVerdict]:
        if self._order is Order.NONE:
            return
        handled: dict[JsonValue, Operation] = {}
        for call in subscription.calls:
            if call.ok:
                handled.setdefault(call.value, call)
        lines: defaultdict[tuple[int, str], list[Operation]] = defaultdict(list)
        for event, publishes in self._published.items():
            if event in handled and len(publishes) == 1:
                key = publishes[0].key if self._order is Order.PER_KEY else ""
                lines[publishes[0].process, key].append(publishes[0])
        for line in lines.values():
            for earlier, later in pairwise(sorted(line, key=lambda each: each.start)):
                first, second = handled[earlier.value], handled[later.value]
                if earlier.precedes(later) and second.precedes(first):
                    argument = (
                        f"process {earlier.process} published event {earlier.value!r} until {earlier.end:.6g} and event "
                        f"{later.value!r} after it, from {later.start:.6g}; {subscription.name} handled {later.value!r} "
                        f"first: the order is {self._order.value}"
                    )
                    yield invalid("out of order", argument, [earlier, later, first, second])


def _by_event(subscription: _Subscription) -> dict[JsonValue, list[Operation]]:
    found: defaultdict[JsonValue, list[Operation]] = defaultdict(list)
    for call in subscription.calls:
        found[call.value].append(call)
    return found


def _after_unsubscribe(subscription: _Subscription) -> Iterator[HistoryVerdict]:
    ended = subscription.ended
    for call in subscription.calls:
        if ended is not None and call.end > ended.end:
            what = "began" if call.start > ended.end else "was still running"
            argument = (
                f"{subscription.name} was closed at {ended.end:.6g}, but a handler call of event {call.value!r} {what} after "
                f"that (it ended at {call.end:.6g})"
            )
            yield invalid("after unsubscribe", argument, [ended, call])


def _running_together(subscription: _Subscription) -> Iterator[HistoryVerdict]:
    for earlier, later in pairwise(subscription.calls):
        if later.start < earlier.end:
            same = earlier.value == later.value
            what = f"event {later.value!r} came again" if same else f"event {later.value!r} came"
            argument = (
                f"{what} to {subscription.name} at {later.start:.6g}, while its handler was still running for event "
                f"{earlier.value!r} until {earlier.end:.6g}"
            )
            yield invalid("redelivered while running" if same else "two at a time", argument, [earlier, later])
