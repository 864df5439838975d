"""The contract of event buses, the part about the members of a group: they are killed, and they come and go."""

from __future__ import annotations

import itertools
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from stackproof.interfaces import Delivery, Event, Handler, Order

from .callers import Callers
from .children import Child, Ended, say
from .clauses import absence, clause
from .events_content import MARGIN_SECONDS
from .events_log import EventLogContract
from .evidence import Evidence
from .expectations import ContractViolation, expect
from .journal import unwrapped
from .listeners import Listener, numbered

TOPIC = "orders"
STAYS, COMES = "stays", "comes"
"""The group that has a member when one of its members is killed, and the one that gets one afterwards."""
BEFORE, AFTER = 21, 7
"""Events that are published while the member lives that will be killed, and after it is dead."""
FINISHES = 2
"""Events of each group that it finishes, before it is killed in the middle of the next one."""
KEYS = "abcdefg"
JOIN_SECONDS = 30.0
"""How long a child may need to make its bus and to join its groups."""
CHILD_SECONDS = 90.0
"""So long a child waits for its end: where its parent was killed, it must not stay."""

ROUNDS = ((False, False), (True, False), (False, True), (True, True))
"""Members that come and go, one after the other: whether handlers fail all the while when it comes, and when it goes."""
UNDER_WAY = 60
"""So many events may wait for their handler: whoever publishes waits then."""
MOST_TIMES = 3
"""So often an event may be handled by a group that its members come to and leave in good order, at least once."""
PACE_SECONDS = 0.002
GO_ON = 20
"""Between two changes so many events are handled, where it takes no longer than an event may take."""


class EventGroupContract(EventLogContract):
    """The clauses about groups whose members change while there is work."""

    @clause(
        "EVENT-41",
        "What a member of a group had begun and not finished, when its process was killed, comes again at another member.",
        because="processes are killed: for want of memory or patience, or with their machine; what they held must be done",
        learnt_from=("E1", "E23", "E41"),
        needs="takeover_seconds",
        profile="full",
        sees=(("handler calls that were killed", 1), ("events finished before", FINISHES), ("events taken over", 10)),
        seconds=180.0,
    )
    def test_another_member_takes_over_from_a_killed_one(
        self, events: Any, another: Callable[[], Any], namespace: str, evidence: Evidence
    ) -> None:
        groups = (STAYS, COMES) if self.capabilities.durable else (STAYS,)
        seen = {group: _Seen() for group in groups}
        since: dict[str, float] = {}
        child = self._member_to_kill(namespace, groups, FINISHES)
        try:
            for number in range(BEFORE):
                events.publish(TOPIC, _keyed(number))
            for group in groups:
                _must_say(child, f"begun {group} ", self.patience, "an event at the only member of a group")
            events.subscribe(TOPIC, seen[STAYS].listener, group=STAYS)
        finally:
            ended = child.kill()
            since[STAYS] = time.monotonic()
        for number in range(BEFORE, BEFORE + AFTER):
            events.publish(TOPIC, _keyed(number))
        if COMES in groups:
            another().subscribe(TOPIC, seen[COMES].listener, group=COMES)
            since[COMES] = time.monotonic()
        for group in groups:
            self._must_be_taken_over(group, seen[group], since[group], ended, evidence)

    def _must_be_taken_over(self, group: str, seen: _Seen, since: float, ended: Ended, evidence: Evidence) -> None:
        finished, begun = _numbers_said(ended, "finished", group), _numbers_said(ended, "begun", group)
        left = set(range(BEFORE + AFTER)) - finished
        evidence.saw("handler calls that were killed", len(begun) * int(ended.status == -signal.SIGKILL))
        evidence.saw("events finished before", len(finished))
        who = "one that came afterwards" if group == COMES else "the other one"
        what = f"what a killed member of a group had not finished, at {who}"
        seen.listener.await_numbers(left, what, self.capabilities.takeover_seconds + self.patience)
        evidence.saw("events taken over", len(left & set(seen.listener.numbers)))
        late = max(seen.called[number] for number in begun) - since
        expect(late, f"seconds until {who} was called with what a killed member had begun").at_most(
            self.capabilities.takeover_seconds + MARGIN_SECONDS
        )
        if self.capabilities.order is Order.PER_KEY:
            _must_be_in_order_per_key(seen.listener, f"at {who}, when a member of a group was killed")

    @absence("EVENT-41")
    def prove_that_nobody_takes_over(self, events: Any, namespace: str, evidence: Evidence) -> None:
        """In another process nothing arrives at all, or what its member had in hand when it was killed stays away."""
        if not self.capabilities.groups:
            self.prove_groups_are_refused(events, [STAYS], evidence)
            return
        other, witness = Listener(), Listener()
        child = self._member_to_kill(namespace, [STAYS], 0)
        try:
            events.subscribe(TOPIC, witness)
            began = time.monotonic()
            events.publish(TOPIC, _keyed(0))
            witness.await_numbers([0], "an event at a subscription without a group", self.patience)
            self.let_settle(began)
            called = child.says(f"begun {STAYS} ", 0.01)
            events.subscribe(TOPIC, other, group=STAYS)
        finally:
            child.kill()
        until = time.monotonic() + self.patience
        while called and time.monotonic() < until and not other.calls:
            time.sleep(0.01)
        expect(other.called_with, "events at another member, of those that a killed one had begun").equals(
            set(), why="a bus whose members take over declares takeover_seconds, so that it is verified"
        )
        evidence.saw("absence probes", len(witness.handled))

    def _member_to_kill(self, namespace: str, groups: Collection[str], finishes: int) -> Child:
        """A process with a member in each of these groups: it finishes some events, and then begins one that it never ends."""

        def work() -> str:
            bus = unwrapped(self.make_backend(namespace))
            for group in groups:
                bus.subscribe(TOPIC, _until_killed(group, finishes), group=group)
            say("joined\n")
            threading.Event().wait(CHILD_SECONDS)
            return "nobody killed it"

        child = Child(work)
        try:
            _must_say(child, "joined\n", JOIN_SECONDS, "a forked process that becomes a member of a group")
        except BaseException:
            child.kill()
            raise
        return child

    @clause(
        "EVENT-42",
        "Members of a group come and go while events flow and handlers fail, and no event is lost to the group by that.",
        because="a service is scaled while it works; what was in hand just then would be done by nobody, or twice, or too early",
        learnt_from=("E7", "E24", "E25", "E26", "E27", "E28"),
        needs="groups",
        profile="full",
        sees=(
            ("members that came and went", len(ROUNDS)),
            ("members that were called", 2),
            ("changes while handlers failed", 2),
            ("events handled", 5 * GO_ON),
        ),
        seconds=150.0,
    )
    def test_members_come_and_go(
        self, events: Any, another: Callable[[], Any], callers: Callers, evidence: Evidence
    ) -> None:
        work = _Work(events, self.patience, self.capabilities.delivery)
        staying = work.member()
        events.subscribe(TOPIC, staying, group="workers")

        def change() -> None:
            try:
                for number, (fails_at_first, fails_at_last) in enumerate(ROUNDS):
                    instance = another() if self.capabilities.shared else events
                    leaves = instance.disconnect if number % 2 and self.capabilities.shared else None
                    visitor = work.member()
                    with work.failing(fails_at_first, staying, evidence):
                        subscription = instance.subscribe(TOPIC, visitor, group="workers")
                    work.go_on(visitor)
                    with work.failing(fails_at_last, visitor, evidence):
                        (leaves or subscription.close)()
                    work.go_on(staying)
                    evidence.saw("members that came and went")
                    evidence.saw("members that were called", int(visitor.calls > 0))
            finally:
                work.over = True

        callers.each([change, work.publish], within=100.0)
        self._must_all_be_handled(work, evidence)

    def _must_all_be_handled(self, work: _Work, evidence: Evidence) -> None:
        wanted = set(work.published) - (work.failed if work.lossy else set())
        what = "the events of a group whose members came and went"
        work.listener.await_numbers(wanted, what, 2 * self.patience)
        times = Counter(work.listener.numbers)
        evidence.saw("events handled", len(times))
        evidence.saw("events handled again", sum(count > 1 for count in times.values()))
        # A change may bring again what was handled just before it, and not what had been handled before the last one, too.
        what = f"how often one of {len(times)} events was handled by a group whose members came and went {len(ROUNDS)} times"
        expect(max(times.values()), what).at_most(1 if work.lossy else MOST_TIMES)
        if self.capabilities.order is Order.PER_KEY:
            _must_be_in_order_per_key(work.listener, "in a group whose members came and went")

    @absence("EVENT-42")
    def prove_that_no_member_can_come(self, events: Any, evidence: Evidence) -> None:
        self.prove_groups_are_refused(events, ["workers"], evidence)


class _Seen:
    """What a member in this process handles, and when it was called with each event first."""

    def __init__(self) -> None:
        self.called: dict[object, float] = {}
        self.listener = Listener(lambda event: self.called.setdefault(event.payload["n"], time.monotonic()))


class _Member:
    """The handler of one member."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self.calls = 0
        self.failures = 0

    def __call__(self, event: Event) -> None:
        self.calls += 1
        try:
            self._handle(event)
        except ValueError:
            self.failures += 1
            raise


class _Work:
    """The events of a group, and what its members do with them."""

    def __init__(self, events: Any, patience: float, delivery: Delivery) -> None:
        self.listener = Listener(self._during)
        self.lossy = delivery is Delivery.AT_MOST_ONCE
        self.published: list[int] = []
        self.failed: set[object] = set()
        """The events that a handler failed on, each at least once."""
        self.over = False
        self._events = events
        self._patience = patience
        self._all_the_while = False

    def member(self) -> _Member:
        """The handler of a further member: what all of them do is seen together."""
        return _Member(self.listener)

    def publish(self) -> None:
        """One event after the other, as long as members come and go."""
        for number in itertools.count():
            while not self.over and number - self._done() > UNDER_WAY:
                time.sleep(PACE_SECONDS)
            if self.over:
                return
            self._events.publish(TOPIC, _keyed(number))
            self.published.append(number)
            time.sleep(PACE_SECONDS)

    @contextmanager
    def failing(self, all_the_while: bool, member: _Member, evidence: Evidence) -> Iterator[None]:
        """Let handlers fail on the same events again and again meanwhile; it begins when the member has failed on one."""
        if not all_the_while:
            yield
            return
        before = member.failures
        self._all_the_while = True
        try:
            self._wait_for(lambda: member.failures > before)
            evidence.saw("changes while handlers failed", int(member.failures > before))
            yield
        finally:
            self._all_the_while = False

    def go_on(self, member: _Member) -> None:
        """Until some more events were handled and this member was called, or it takes too long: that is judged in the end."""
        calls, enough = member.calls, self._done() + GO_ON
        self._wait_for(lambda: member.calls > calls and self._done() >= enough)

    def _done(self) -> int:
        return self.listener.done + (len(self.failed) if self.lossy else 0)

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + self._patience
        while not condition() and time.monotonic() < until:
            time.sleep(PACE_SECONDS)

    def _during(self, event: Event) -> None:
        number = event.payload["n"]
        if int(number) % 5 == 0 and (self._all_the_while or number not in self.failed):  # type: ignore[arg-type]
            self.failed.add(number)
            raise ValueError("this handler fails on purpose")
        time.sleep(0.001)


def _keyed(number: int) -> Event:
    return numbered(number, key=KEYS[number % len(KEYS)])


def _must_be_in_order_per_key(listener: Listener, where: str) -> None:
    """Each event where it was handled first: at-least-once delivery may handle it again later."""
    in_order: dict[str, list[Any]] = {}
    for event in listener.handled:
        of_key = in_order.setdefault(event.key, [])
        if event.payload["n"] not in of_key:
            of_key.append(event.payload["n"])
    for key, numbers in sorted(in_order.items()):
        early = [number for number, following in pairwise(numbers) if number > following]
        if early:
            what = f"the events with key {key!r}, in the order in which they were handled {where}"
            around = numbers[max(0, numbers.index(early[0]) - 2) :][:6]
            raise ContractViolation(what, "their own order", f"... {', '.join(map(str, around))} ...")


def _until_killed(group: str, finishes: int) -> Handler:
    """In a child: what the handler of a member does that is killed in the middle of its work."""
    left = itertools.count(finishes, -1)

    def handle(event: Event) -> None:
        number = event.payload["n"]
        if next(left) <= 0:
            say(f"begun {group} {number}\n")
            threading.Event().wait(CHILD_SECONDS)
        say(f"finished {group} {number}\n")

    return handle


def _must_say(child: Child, text: str, within: float, what: str) -> None:
    if child.says(text, within):
        return
    complaints = child.kill().complaints.strip().splitlines()
    raise ContractViolation(what, f"that it says {text.strip()!r} within {within:g} s", (complaints or ["nothing"])[-1])


def _numbers_said(ended: Ended, word: str, group: str) -> set[int]:
    """The numbers of the events of which a child said so."""
    return {int(number) for number in re.findall(rf"^{word} {group} (\d+)$", ended.said, re.MULTILINE)}
