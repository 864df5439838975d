"""What the clauses about events listen with: a handler that remembers its calls, and numbered events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Protocol

from stackproof.interfaces import Event, JsonValue

from .expectations import ContractViolation, shown
from .timelimit import waiting

LONGEST_WAIT_SECONDS = 40.0
"""How long a clause waits for a number of events, as long as new ones keep coming."""
STALLED_SECONDS = 2.0
"""When no publish has returned for so long, the publishers wait for the handler: it is for this one to go on."""
SLOW_SECONDS = 0.005
"""What a handler that went on takes for each event: longer than a publisher takes for one."""


def numbered(number: int, key: str = "", padding: str = "") -> Event:
    """An event that is recognised by its number."""
    payload: dict[str, JsonValue] = {"n": number}
    if padding:
        payload["padding"] = padding
    return Event(type="test.happened.v1", payload=payload, key=key)


class Journal(Protocol):
    """Where a handler's calls are written down."""

    def handled(self, handler: str, event: str, error: str, began: float) -> None: ...


class Listener:
    """A handler. ``during`` runs inside each call; what it raises is what the handler raises.

    ``handled`` is called for each event that it handles for the first time: what is counted so was seen, whatever fails later.
    """

    def __init__(
        self, during: Callable[[Event], object] | None = None, *, handled: Callable[[], object] | None = None
    ) -> None:
        self._during = during
        self._first_time = handled
        self._ids: set[str] = set()
        self._lock = threading.Lock()
        self._calls: list[Event] = []
        self._handled: list[Event] = []
        self._raised: list[tuple[Event, str]] = []
        self._journal: Journal | None = None
        self._name = "handler"
        self.running = 0
        self.most_running = 0

    def __repr__(self) -> str:
        return self._name

    def tell(self, journal: Journal, name: str) -> None:
        """From now on its calls are written down under this name; the first one stays."""
        if self._journal is None:
            self._journal, self._name = journal, name

    def __call__(self, event: Event) -> None:
        began, error = time.monotonic(), ""
        with self._lock:
            self._calls.append(event)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            if self._during is not None:
                self._during(event)
            with self._lock:
                self._handled.append(event)
                is_new = event.event_id not in self._ids
                self._ids.add(event.event_id)
            if is_new and self._first_time is not None:
                self._first_time()
        except BaseException as raised:
            error = f"{type(raised).__name__}: {raised}"
            with self._lock:
                self._raised.append((event, type(raised).__name__))
            raise
        finally:
            if self._journal is not None:
                self._journal.handled(self._name, _named(event), error, began)
            with self._lock:
                self.running -= 1

    @property
    def calls(self) -> list[Event]:
        """The event of every call, in order of their beginning."""
        with self._lock:
            return list(self._calls)

    @property
    def handled(self) -> list[Event]:
        """The event of every call that returned, in order of their end."""
        with self._lock:
            return list(self._handled)

    @property
    def done(self) -> int:
        """How many calls returned."""
        return len(self._handled)

    @property
    def numbers(self) -> list[object]:
        """The numbers of the handled events."""
        return [event.payload.get("n") for event in self.handled]

    @property
    def raised(self) -> list[tuple[Event, str]]:
        """The event of every call that raised, and the name of what it raised, in order of their end."""
        with self._lock:
            return list(self._raised)

    @property
    def called_with(self) -> set[object]:
        """The numbers of all calls, handled or not. A set: at-least-once delivery may repeat an event."""
        return {event.payload.get("n") for event in self.calls}

    def await_numbers(self, numbers: Iterable[int], what: str, within: float) -> None:
        """Wait until events with all these numbers were handled: so long from the start, and from each new one of them.

        A bus that takes its time for each event is not one that loses events; but nobody waits for more than
        `LONGEST_WAIT_SECONDS` in all.
        """
        __tracebackhide__ = True
        longest = max(LONGEST_WAIT_SECONDS, within)
        with waiting(longest):
            self._await_numbers(set(numbers), what, within, time.monotonic() + longest)

    def _await_numbers(self, missing: set[int], what: str, within: float, latest: float) -> None:
        __tracebackhide__ = True
        wanted = len(missing)
        deadline = time.monotonic() + within
        while True:
            if here := missing & set(self.numbers):
                missing -= here
                deadline = min(latest, time.monotonic() + within)
            if not missing:
                return
            if time.monotonic() > deadline:
                seen = f"{wanted - len(missing)} of them; missing: {shown(sorted(missing))}"
                seen += told_of([self], missing, _number_of)
                raise ContractViolation(what, f"{wanted} events, the next one within {within:g} s", seen)
            time.sleep(0.002)


def _number_of(event: Event) -> Hashable:
    number = event.payload.get("n")
    return number if isinstance(number, int) else event.event_id


def _named(event: Event) -> str:
    """An event in a few words: by its number, unless it has a telling id or no number."""
    number = event.payload.get("n")
    telling = len(event.event_id) <= TELLING or not isinstance(number, int)
    return f"event {shown(event.event_id)}" if telling else f"number {number}"


TELLING = 16
"""An id of so many characters was made by a clause; one that is longer, by chance."""
_TOLD = 4
"""Of so many events it is told one by one what became of them."""


def told_of(listeners: Sequence[Listener], missing: Iterable[Hashable], name: Callable[[Event], Hashable]) -> str:
    """What is known of events that no handler has done: whether they were delivered at all, and what was raised before.

    It begins with a semicolon, and is empty where no handler ever raised or was called with one of them.
    """
    called = [name(event) for listener in listeners for event in listener.calls]
    raised = [(name(event), error) for listener in listeners for event, error in listener.raised]
    missing = sorted(missing, key=str)
    delivered = [each for each in missing if each in called]
    told = [
        _told(each, called.count(each), [error for of, error in raised if of == each]) for each in delivered[:_TOLD]
    ]
    if len(delivered) > _TOLD:
        told.append(f"{len(delivered) - _TOLD} more were delivered, and not handled")
    never = len(missing) - len(delivered)
    if never and delivered:
        told.append(f"{never} never {'was' if never == 1 else 'were'} delivered")
    elif never and raised:
        what = ", ".join(f"{error} at {shown(of)}" for of, error in raised[-_TOLD:])
        told.append(f"none of these was delivered; before, the handler had raised on purpose: {what}")
    return "".join(f"; {each}" for each in told)


def _told(event: Hashable, times: int, errors: Sequence[str]) -> str:
    often = {1: "once", 2: "twice"}.get(times, f"{times} times")
    if len(errors) < times:
        return f"{shown(event)} was delivered {often}, and its handler has not returned"
    each = "" if times == 1 else " each time"
    kinds = ", ".join(dict.fromkeys(errors))
    return f"{shown(event)} was delivered {often}, its handler raised {kinds} on purpose{each}, and it was not delivered again"


class Failing:
    """What a handler does that fails on some numbers: so many times each, then no more."""

    def __init__(self, numbers: Iterable[int], times: int = 1, error: type[BaseException] = ValueError) -> None:
        self._left = dict.fromkeys(numbers, times)
        self._error = error
        self.failures = 0

    def __call__(self, event: Event) -> None:
        number = event.payload.get("n")
        if isinstance(number, int) and self._left.get(number, 0):
            self._left[number] -= 1
            self.failures += 1
            raise self._error("this handler fails on purpose")


class HeldUp:
    """What a handler does that must be slower than its publishers: it waits until they are done.

    A bus may make them wait for the handler instead of keeping whatever comes. So where none of them has got on for
    `STALLED_SECONDS`, the handler does, slowly.
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._goes_on = False
        self._got_on = time.monotonic()

    def got_on(self) -> None:
        """A publish has returned, whether its event was accepted or refused."""
        self._got_on = time.monotonic()

    def let_go(self) -> None:
        """The publishers are done."""
        self._over.set()

    def __call__(self, _: Event) -> None:
        while not self._goes_on and not self._over.wait(0.05):
            self._goes_on = time.monotonic() - self._got_on > STALLED_SECONDS
        self._over.wait(SLOW_SECONDS)
