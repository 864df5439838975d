"""Steps on the event bus: publish, publish until it is handled, and the catch-up of a backlog."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event as Signal
from threading import Lock, Semaphore
from typing import Any

from stackproof.interfaces import (
    ConfigurationError,
    Delivery,
    Event,
    EventPublisher,
    OperationTimeoutError,
    ReplayableEvents,
    Subscription,
)
from stackproof.scenarios.item import Item

from .base import Action, Bench, Deferrable, Done, Step, Tell
from .filling import fill

TYPE = "decision.made.v1"
UNDER_WAY = 1_000
"""Publications of a backlog that are under way at once, where they need not be waited for."""
STILL_SECONDS = 5.0
"""A bus that owes events and brings none for so long is not working through a backlog: they are lost."""
_HANDLED = "handled"
_EXCUSED = "excused"
_GONE = "gone"


class Publish(Step):
    """An `EventPublisher.publish` of the decision, with a payload of the scenario's sizes."""

    name = "publish"
    concern = "events"

    def bind(self, bench: Bench) -> Action | Deferrable:
        publish = bench.events.publish
        publish_deferred: Any = getattr(bench.events, "publish_deferred", None)

        def act(item: Item, _turn: int) -> None:
            publish("decisions", event_of(item, item.event_id))

        def begin(item: Item, _turn: int, done: Done) -> None:
            publish_deferred("decisions", event_of(item, item.event_id), done)

        return act if publish_deferred is None else Deferrable(act, begin)


@dataclass(frozen=True)
class PublishToHandled(Step):
    """An `EventPublisher.publish`, which is done when the handler of a subscription in this process was called with the event.

    Checked: that every accepted event comes, once, and as it was published.
    """

    patience: float = 10.0
    """Seconds after which an event that has not come counts as a failure. If it has not come when all is settled, it is part of a
    backlog where others still come, and lost where none does."""

    name = "publish to handled"
    concern = "events"

    def bind(self, bench: Bench) -> Action | Deferrable:
        handled = _Handled(bench)
        publish_deferred: Any = getattr(bench.events, "publish_deferred", None)
        publish = bench.events.publish
        # A topic for each worker: what others publish is not this one's to count.
        topic = f"{bench.apart}handled-{bench.worker}"
        running: list[Subscription] = []

        def prepare(tell: Tell, _deadline: float) -> None:
            tell("subscribing", 0.0)
            running.append(bench.events.subscribe(topic, handled.handle))

        def act(item: Item, _turn: int) -> None:
            event = event_of(item, item.event_id)
            came = Lock()
            came.acquire()
            expected = handled.expect(event, came.release)
            try:
                publish(topic, event)
            except Exception:
                handled.excuse(event)
                raise
            expected.accepted = True
            if not came.acquire(timeout=self.patience):
                raise OperationTimeoutError(f"an event was not handled within {self.patience:g} s of its publication")

        def begin(item: Item, _turn: int, done: Done) -> None:
            event = event_of(item, item.event_id)

            def accepted(error: BaseException | None) -> None:
                if error is None:
                    expected.accepted = True
                elif handled.excuse(event):
                    done(error)

            expected = handled.expect(event, lambda: done(None))
            try:
                publish_deferred(topic, event, accepted)
            except Exception:
                handled.excuse(event)
                raise

        def end() -> None:
            for subscription in running:
                subscription.close()

        bench.prepare_with(prepare)
        bench.settle_with(handled.settle)
        bench.end_with(end)
        return act if publish_deferred is None else Deferrable(act, begin)


@dataclass(slots=True)
class _Expected:
    """An event that was published and has not come."""

    event: Event
    came: Callable[[], None]
    accepted: bool = False
    told: bool = False
    """Whether it was missing when the window in which it was published had settled."""


class _Handled:
    """Which events are expected and which came.

    An event that has not come when its window has settled is told once, and may still come while later windows run. Lost it is as
    soon as something is missing and nothing comes any more, in whichever window that is, of a bus that promises to deliver.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._checks = bench.checks
        self._guard = Lock()
        self._states: dict[str, _Expected | str] = {}
        capabilities = getattr(bench.events, "capabilities", None)
        self._promised = getattr(capabilities, "delivery", None) is not Delivery.AT_MOST_ONCE
        self._last = 0.0
        """When the last event came, of ``time.monotonic``."""

    def expect(self, event: Event, came: Callable[[], None]) -> _Expected:
        """``came()`` is called when the event comes; that it was accepted is noted in what is returned."""
        expected = self._states[event.event_id] = _Expected(event, came)
        return expected

    def excuse(self, event: Event) -> bool:
        """It was refused, or nobody knows: it need not come, and may come once. Whether it had not come yet."""
        with self._guard:
            open_ = self._states.get(event.event_id) != _HANDLED
            if open_:
                self._states[event.event_id] = _EXCUSED
            return open_

    def handle(self, event: Event) -> None:
        with self._guard:
            state = self._states.get(event.event_id)
            self._states[event.event_id] = _HANDLED
            self._last = time.monotonic()
        if isinstance(state, _Expected):
            if event != state.event:
                self._checks.wrong_answer(
                    f"the event {event.event_id} came with other contents than it was published with"
                )
            state.came()
        elif state == _GONE:
            self._checks.saw("events that came after they were given up")
        elif state == _HANDLED:
            self._checks.double(1, f"the event {event.event_id} was handled twice")
        elif state is None:
            self._checks.double(1, f"the event {event.event_id} was handled, which nobody is waiting for")

    def settle(self, deadline: float) -> None:
        """Wait for what is missing. What has not come then is a backlog where other events still come; else it is lost."""
        still = still_seconds(deadline - time.monotonic())
        while self._missing() and not self._bench.over(deadline):
            time.sleep(0.02)
        if self._bench.hurried:
            return  # what was not waited for is not missing
        with self._guard:
            came = sum(state == _HANDLED for state in self._states.values())
            moving = time.monotonic() - self._last < still
            missing = self._go_on(moving)
        self._checks.saw("events handled", came)
        new = [event_id for event_id, expected in missing.items() if not expected.told]
        for expected in missing.values():
            expected.told = True
        if missing and not moving:
            self._tell_gone(list(missing), new, still)
        elif new:
            self._checks.leave(
                len(new), f"the event {new[0]} was accepted, and not handled yet while others still came"
            )

    def _go_on(self, moving: bool) -> dict[str, _Expected]:
        """Forget what came, and keep what may still come; the accepted events that have not come."""
        missing: dict[str, _Expected] = {}
        kept: dict[str, _Expected | str] = {}
        for event_id, state in self._states.items():
            if not isinstance(state, _Expected):
                if state != _HANDLED:
                    kept[event_id] = state
            elif state.accepted:
                missing[event_id] = state
                kept[event_id] = state if moving else _GONE
            else:
                kept[event_id] = _EXCUSED  # nobody knows whether it was accepted
        self._states = kept
        return missing

    def _tell_gone(self, missing: list[str], new: list[str], still: float) -> None:
        said = f"was accepted and never handled, and for {still:g} s no other one came"
        if self._promised:
            self._checks.lose(len(missing), f"the event {missing[0]} {said}")
        elif new:
            self._checks.leave(len(new), f"the event {new[0]} {said}; this bus delivers at most once")

    def _missing(self) -> bool:
        with self._guard:
            return any(isinstance(state, _Expected) for state in self._states.values())


@dataclass(frozen=True)
class Drain(Step):
    """A backlog of events is published while nobody listens; then a subscriber comes and catches up.

    Its figure is the rate between the first and the last event that was handled; how long the first one took is another.
    Needs a bus that keeps events for a group that is away, or that can replay them. Checked: each event comes, once.
    """

    backlog: int = 10_000
    """Events."""
    patience: float = 120.0
    """Seconds within which the backlog has to be handled."""

    name = "drain"
    concern = "events"

    def bind(self, bench: Bench) -> Action:
        away = _way_to_be_away(bench.events)

        def act(item: Item, _turn: int) -> None:
            topic = f"backlog-{bench.worker}-{item.number}"
            again = away(topic)
            ids = [f"{item.event_id}-{number}" for number in range(self.backlog)]
            _publish_all(bench.events, topic, [event_of(item, event_id) for event_id in ids], self.patience)
            caught = _Backlog(ids)
            began = time.perf_counter()
            subscription = again(caught.handle)
            try:
                complete = caught.complete.wait(self.patience)
            finally:
                subscription.close()
            caught.judge(bench, began, self.patience)
            if not complete:
                raise OperationTimeoutError(f"the backlog was not handled within {self.patience:g} s")

        return act


class _Backlog:
    """What came of a backlog, and when."""

    def __init__(self, ids: list[str]) -> None:
        self._open = set(ids)
        self._all = frozenset(ids)
        self._doubled = 0
        self._first = self._last = 0.0
        self.complete = Signal()

    def handle(self, event: Event) -> None:
        now = time.perf_counter()
        if event.event_id in self._open:
            self._open.discard(event.event_id)
            self._first = self._first or now
            self._last = now
            if not self._open:
                self.complete.set()
        else:
            self._doubled += 1

    def judge(self, bench: Bench, began: float, patience: float) -> None:
        checks, came = bench.checks, len(self._all) - len(self._open)
        checks.saw("events handled", came)
        left, whole = len(self._open), len(self._all)
        if left and time.perf_counter() - self._last < still_seconds(patience):
            checks.leave(left, f"{left} events of a backlog of {whole} were not handled within {patience:g} s")
        elif left:
            checks.lose(left, f"{left} events of a backlog of {whole} were never handled")
        if self._doubled:
            checks.double(self._doubled, f"{self._doubled} events of a backlog came twice, or were never published")
        if came > 1 and not self._open:
            checks.figure("catch-up, events/s", (came - 1) / max(self._last - self._first, 1e-9))
            checks.figure("first event, s", self._first - began)


def still_seconds(patience: float) -> float:
    """Where nothing came for so long of what was waited for with this patience, nothing comes."""
    return min(STILL_SECONDS, patience / 2)


def _publish_all(bus: EventPublisher, topic: str, events: Sequence[Event], patience: float) -> None:
    """Publish many events, as many at once as the bus can; the first error is raised."""
    deadline = time.monotonic() + patience
    publish_deferred: Any = getattr(bus, "publish_deferred", None)
    if publish_deferred is None:
        what = "publishing a backlog, events"
        fill(what, events, len(events), lambda event: bus.publish(topic, event), _say_nothing, deadline)
        return
    places, errors = Semaphore(UNDER_WAY), []

    def done(error: BaseException | None) -> None:
        if error is not None:
            errors.append(error)
        places.release()

    def take(number: int) -> None:
        for _ in range(number):
            if not places.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise OperationTimeoutError(f"a backlog could not be published within {patience:g} s")

    for event in events:
        take(1)
        publish_deferred(topic, event, done)
    take(UNDER_WAY)
    if errors:
        raise errors[0]


def _way_to_be_away(events: EventPublisher) -> Callable[[str], Callable[[Callable[[Event], None]], Subscription]]:
    """For a topic: leave, so that what is published now waits; what comes back then is called to return."""
    capabilities = getattr(events, "capabilities", None)
    if getattr(capabilities, "groups", False) and getattr(capabilities, "durable", False):

        def leave(topic: str) -> Callable[[Callable[[Event], None]], Subscription]:
            events.subscribe(topic, _ignore, group="drain").close()
            return lambda handler: events.subscribe(topic, handler, group="drain")

        return leave
    if isinstance(events, ReplayableEvents) and getattr(capabilities, "replay", False):
        replay = events.replay
        return lambda topic: lambda handler: replay(topic, handler)
    raise ConfigurationError(
        f"{type(events).__name__} keeps nothing for a subscriber that is away: it has no backlog that could be drained"
    )


def event_of(item: Item, event_id: str) -> Event:
    """The event of an item, under an id."""
    customer = f"c{item.key}"
    return Event(
        type=TYPE,
        key=customer,
        event_id=event_id,
        payload={"customer": customer, "text": item.text},
    )


def _ignore(_event: Event) -> None:
    """Only there to be away."""


def _say_nothing(_what: str, _share: float) -> None:
    """What is filled in during a window is no preparation."""
