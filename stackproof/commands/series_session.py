"""One session of the generator for several searches: connected once, filled once, and its generator measured once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rich.console import Console

from stackproof.measurement.ceiling import JOURNAL, find_ceiling, find_generator_ceiling
from stackproof.measurement.judgement import window_of
from stackproof.measurement.record import Measurement, WindowRecord, to_json
from stackproof.measurement.search_journal import Entry, Step
from stackproof.measurement.window_log import WINDOWS, WindowLog
from stackproof.reports.ceiling_terminal import SearchView
from stackproof.scenarios.deferred import engine_name
from stackproof.scenarios.orders import Offered, Order, Workload
from stackproof.scenarios.session import Session
from stackproof.scenarios.steps import Search
from stackproof.scenarios.stub import StubServer
from stackproof.targets import Target
from stackproof.verification.runs import keep

from .bench_load import Load, Run, facts_of, self_check
from .bench_search import as_found, may_go_on, measured
from .search_options import Find

GOES_ON = "its session has not ended yet, and removes everything when it does"


@dataclass(frozen=True, slots=True)
class Task:
    """A search of a series: what is offered, and to what."""

    load: Load
    targets: tuple[Target, ...]

    @property
    def documents(self) -> int:
        """That it searches in."""
        return max((step.records for step in self.load.workload.steps if isinstance(step, Search)), default=0)

    @property
    def title(self) -> str:
        settings = "".join(f" {name}={value}" for name, value in self.load.settings.items())
        return f"{self.load.scenario}{settings} on {', '.join(target.name for target in self.targets)}"


def sessions_of(tasks: Sequence[Task]) -> tuple[int, ...]:
    """The number of the session that each task belongs to. Pure.

    Tasks share a session where no concern has two backends, the generator works in the same way for both (engine, arrivals,
    places in flight), and the servers of one are among those of the other: nothing runs beside a search that would not run
    beside another one of its session anyway.
    """
    sessions: list[list[Task]] = []
    found: dict[int, int] = {}
    # Those with most servers first, for the others to join them, whatever the order in which they were named.
    for index in sorted(range(len(tasks)), key=lambda index: -len(_servers(tasks[index].targets))):
        task = tasks[index]
        number = next((n for n, others in enumerate(sessions) if _get_along(task, others)), len(sessions))
        if number == len(sessions):
            sessions.append([])
        sessions[number].append(task)
        found[index] = number
    return tuple(found[index] for index in range(len(tasks)))


def _servers(targets: Iterable[Target]) -> set[str]:
    return {server for target in targets for server in target.servers}


def _get_along(task: Task, others: Sequence[Task]) -> bool:
    mine, theirs = set(task.targets), {target for other in others for target in other.targets}
    if len({target.concern for target in mine | theirs}) < len(mine | theirs):
        return False
    if {_way(task)} != {_way(other) for other in others}:
        return False
    return _servers(mine) <= _servers(theirs) or _servers(theirs) <= _servers(mine)


def _way(task: Task) -> tuple[str, str, int]:
    """How the generator works for a task."""
    engine = engine_name({target.concern: target.spec for target in task.targets})
    return engine, task.load.order.arrivals, task.load.order.in_flight


@dataclass(frozen=True, slots=True)
class Kept:
    """A search that is over: its run, and what makes its record from what the session could not remove."""

    run: Run
    make: Callable[[Sequence[str]], Measurement]

    def keep(self, left: Sequence[str]) -> Measurement:
        """Write the record."""
        result = self.make(left)
        keep(self.run.directory / "run.json", to_json(result))
        return result


class SharedSession:
    """Searches, one after the other, over one session. Made by `shared_session`."""

    def __init__(self, session: Session, stub: StubServer | None, console: Console, shown: _Shown) -> None:
        self.session = session
        self._stub = stub
        self._console = console
        self._shown = shown
        self._check: Mapping[str, Any] = {}
        self._known: tuple[Entry, ...] = ()
        self._windows: list[WindowRecord] = []
        self._before: list[str] = []
        self.kept: list[Kept] = []

    def measure_generator(self, load: Load, find: Find) -> None:
        """Its check against the stub server, and its own ceiling: once for all searches. `KeyboardInterrupt` ends it."""
        settings = find.settings(load.order, load.promises)
        with SearchView(self._console, settings, lines=False) as view:
            self._shown.view = view
            self._check = self_check(self.session.offer, replace(load.order, rate=settings.idle_rate), self._stub)

            def keep(step: Step, offered: Offered) -> None:
                self._windows.append(window_of(str(step.role), offered, self._check))

            self._known = find_generator_ceiling(self.session.offer, settings, view.step, keep=keep)

    def prepare(self, number: int, within: float) -> float:
        """Connect what a workload needs and fill in what it lacks; how long that took, in seconds."""
        began = time.monotonic()
        self.session.connect(number, within)
        return time.monotonic() - began

    def search(self, number: int, run: Run, find: Find, title: str) -> Measurement:
        """Search on a workload that is prepared. The record is written; `finish` writes it again when everything is removed."""
        load = run.load
        settings = find.settings(load.order, load.promises)
        log = WindowLog(run.directory, run.identity, load.command())
        log.begin()
        windows = list(self._windows)
        for window in windows:
            log.keep(window, self._check)

        def offer(order: Order) -> Offered:
            return self.session.offer(replace(order, workload=number))

        def keep(step: Step, offered: Offered) -> None:
            windows.append(window_of(str(step.role), offered, self._check))
            log.keep(windows[-1], self._check)

        with SearchView(self._console, settings, lines=False) as view:
            self._shown.view = view
            run.gather_evidence(self.session)
            path = run.directory / JOURNAL
            found = find_ceiling(
                offer, settings, path, run.identity, view.step,
                keep=keep, keep_untrue=log.keep_untrue, known=self._known,
            )  # fmt: skip
        found = replace(found, notes=(*found.notes, *self._notes()))
        facts = facts_of(run, as_found(load, found))
        record = partial(measured, found, settings, load, windows, self._check, facts)
        self.kept.append(Kept(run, lambda left: log.told_by(record(left))))
        self._before.append(title)
        return self.kept[-1].keep((GOES_ON,))

    def _notes(self) -> Iterator[str]:
        """What a reader must know that a search of its own would not have."""
        last = len(self._known)
        yield (
            f"the generator's own ceiling (steps 1 to {last}) and its check against a server of known speed were measured once, "
            "for all searches of this session"
        )
        if self._before:
            yield f"this session had measured before, under the same namespace: {'; '.join(self._before)}"


class _Shown:
    """Progress of the generator, for whichever view is there."""

    def __init__(self) -> None:
        self.view: SearchView | None = None

    def __call__(self, state: Mapping[str, Any]) -> None:
        if self.view is not None:
            self.view.progress(state)


@contextmanager
def shared_session(whole: Run, tasks: Sequence[Task], console: Console) -> Iterator[SharedSession]:
    """A session for these tasks, of which ``whole`` is the first one's run on the targets and servers of all of them.

    At its end, however it comes, everything is removed and every record says whether it was.
    """
    shown, shared = _Shown(), None
    more = [Workload(task.load.scenario, task.load.settings) for task in tasks[1:]]
    try:
        with ExitStack() as stack:
            stub = stack.enter_context(StubServer()) if whole.load.on_stub else None
            session = stack.enter_context(whole.session(stub, shown, more))
            shared = SharedSession(session, stub, console, shown)
            yield shared
    finally:
        if shared is not None:
            _finish(whole, shared)


def _finish(whole: Run, shared: SharedSession) -> None:
    left = whole.left_behind_by(shared.session)
    for kept in shared.kept:
        if not may_go_on(kept.keep(left)):
            (kept.run.directory / WINDOWS).unlink(missing_ok=True)  # everything of it is in the record now
