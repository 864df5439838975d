"""Several searches for a ceiling, one after the other, within one budget of time.

Backends are connected to once, data is filled in once, and the generator's own ceiling is measured once for all searches that can
share a session. Each search is a run of its own, kept as that of `stackproof bench --find-max`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError, StackproofError
from stackproof.interruption import held_interruptions
from stackproof.measurement.environment import Environment, read_environment
from stackproof.measurement.promises import Promise, tightest_seconds
from stackproof.measurement.record import Measurement
from stackproof.measurement.search_journal import SHORT
from stackproof.measurement.search_words import a_time
from stackproof.measurement.series_plan import LEAST, Begun, Job, Pace, Share, in_turn, paced, shares
from stackproof.planning.ceilings import ceiling_of
from stackproof.reports.ceiling_words import headline_of
from stackproof.reports.text import one_line, told
from stackproof.scenarios.catalogue import find_scenario
from stackproof.scenarios.orders import IN_FLIGHT, Order
from stackproof.scenarios.session import GeneratorError, UnusableError
from stackproof.scenarios.steps.base import Value
from stackproof.servers import Server, ServerError
from stackproof.servers.sets import servers_for
from stackproof.targets import Target, load_object, parse_target
from stackproof.verification.provision import provided_servers
from stackproof.verification.runs import StorageError, forget_run, new_run_id, new_run_in
from stackproof.verification.worker import WorkerError

from .bench_gate import Gate, Proof, Refusal, told_with
from .bench_load import Load, Run, described
from .bench_search import may_go_on
from .search_options import Find
from .series_session import SharedSession, Task, sessions_of, shared_session

SEED = 7
"""Of operations and arrivals, the same for all: what is measured of the generator once holds for all of them."""
MOST_MINUTES = SHORT.most_seconds / 60
RESERVE = 5.0
"""Seconds of the budget that are kept for removing what was stored."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A ceiling that is to be measured."""

    backends: tuple[str, ...]
    """CONCERN=SPEC for each concern that the scenario uses."""
    scenario: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    """Of the scenario, where they differ from its own."""
    promises: tuple[Promise, ...] = ()
    """What has to hold; empty: the one that a search derives from the base service time."""


@dataclass(frozen=True, slots=True)
class Series:
    """What came of it."""

    measured: tuple[Path, ...]
    """The run directories, in the order in which they were measured. Each has a record, also where its search was cut short:
    `planning.ceilings` says which of them may be used."""
    not_measured: tuple[tuple[Wanted, str], ...]
    """What has no ceiling that may be used, with the reason as one sentence."""
    interrupted: bool = False
    """Whether somebody pressed Ctrl-C; what was done before is kept."""
    bounded: tuple[tuple[Wanted, str], ...] = ()
    """What has one end of a bracket only, or two that are far apart: its search did not converge, or no rate holds. With what was
    shown, which may be used."""
    trouble: Exception | None = None
    """The first that was wrong with what a run stands on: servers or a generator that did not start, a disk that is full, else
    what has to be installed or set; or what `ended` it."""
    ended: bool = False
    """Whether that ended it before its time; what was done before is kept."""
    unfinished: tuple[str, ...] = ()
    """For each search that was cut short, or has no answer yet, the command that goes on with it, for longer."""
    not_kept: tuple[str, ...] = ()
    """For each file of a certificate that found no place in its run, a sentence that says where it is."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What may be expected of a series before it begins."""

    fit: int
    """Searches for which there should be time."""
    first: float
    """Seconds without which nothing could come of the first one; 0 where none is wanted."""


def outlook(wanted: Sequence[Wanted], *, origin: str, seconds: float) -> Outlook:
    """How far this time reaches, as `measure` shares it; `ConfigurationError` as there."""
    tasks = [task_of(each, origin) for each in wanted]
    jobs = [Job(session, task.documents) for session, task in zip(sessions_of(tasks), tasks, strict=True)]
    found = shares(jobs, seconds - RESERVE, Pace(), {})
    return Outlook(sum(share.fits for share in found), min((share.needs + RESERVE for share in found), default=0.0))


def measure(wanted: Sequence[Wanted], *, origin: str, seconds: float, runs: Path, console: Console) -> Series:
    """Measure what is wanted, the first the most important, in ``seconds`` of wall time, and keep the runs in ``runs``.

    What does not fit is named with its reason, and so is what cannot be measured (no server of this origin, a contract that
    fails). `ConfigurationError` for a scenario or a backend that does not exist; what ends it before its time is raised.
    """
    found = as_far_as_it_goes(wanted, origin=origin, seconds=seconds, runs=runs, console=console)
    if found.ended and found.trouble is not None:
        with told_with(found.not_kept):
            raise found.trouble
    return found


def as_far_as_it_goes(wanted: Sequence[Wanted], *, origin: str, seconds: float, runs: Path, console: Console) -> Series:
    """As `measure`; but what ends it before its time is told beside what was measured until then."""
    measuring = _Measuring([task_of(each, origin) for each in wanted], origin, seconds, runs, console)
    interrupted = ended = False
    try:
        measuring.run()
    except (ServerError, StorageError, WorkerError, StackproofError) as error:
        ended, measuring.trouble = True, error
        measuring.give_up(measuring.open, f"measuring ended early: {one_line(told(error))}")
    except KeyboardInterrupt as error:
        interrupted = True
        reason = one_line(told(error, "the series was interrupted before it was measured"))
        measuring.give_up(measuring.open, reason)
    reasons = sorted(measuring.reasons.items())
    bounded = tuple((wanted[number], sentence) for number, sentence in sorted(measuring.bounded.items()))
    missing = tuple((wanted[number], reason) for number, reason in reasons)
    return Series(
        tuple(measuring.measured),
        missing,
        interrupted,
        bounded,
        measuring.trouble,
        ended,
        tuple(measuring.unfinished),
        tuple(measuring.gate.not_kept),
    )


def task_of(wanted: Wanted, origin: str) -> Task:
    """What is offered, to what; `ConfigurationError` where something of it does not exist, or does not go together."""
    workload = find_scenario(wanted.scenario, wanted.settings)
    named = {target.concern: target for target in map(parse_target, wanted.backends)}
    if {*named} != {*workload.concerns} or len(named) < len(wanted.backends):
        raise ConfigurationError(
            f"the scenario {workload.name} needs one backend for each of {', '.join(workload.concerns)}, and was given "
            f"{', '.join(wanted.backends) or 'none'}"
        )
    targets = tuple(named[concern] for concern in workload.concerns)
    for target in targets:
        if target.entry is None:
            load_object(target.name, target.spec)
    order = Order(
        rate=SHORT.idle_rate,
        seconds=SHORT.window,
        warmup=SHORT.warmup,
        arrivals=workload.arrivals,
        seed=SEED,
        in_flight=workload.in_flight or IN_FLIGHT,
        limit=tightest_seconds(wanted.promises),
    )
    # The settings as the scenario reads them: "1000" of a command line is the number.
    settings = {name: value for name, value in workload.settings.items() if name in wanted.settings}
    load = Load(
        stack="development",
        backends=tuple(target.name for target in targets),
        scenario=wanted.scenario,
        settings=settings,
        order=order,
        repeat=1,
        workers=1,
        promises=wanted.promises,
        origin=origin,
    )
    find_for(MOST_MINUTES).settings(order, wanted.promises)  # what has no rate cannot be searched: told now
    return Task(load, targets)


def find_for(minutes: float, steps: int = SHORT.most_steps) -> Find:
    """The short form of a search, within so many minutes."""
    return Find(steps, minutes, None, None, None, short=True)


class _Measuring:
    """A series that goes on: what is still open, what was measured, and why something was not."""

    def __init__(self, tasks: list[Task], origin: str, seconds: float, runs: Path, console: Console) -> None:
        self._tasks = tasks
        self._origin = origin
        self._seconds = seconds
        self._ends = time.monotonic() + seconds - RESERVE
        self._runs = runs
        self._console = console
        self._jobs = [Job(session, task.documents) for session, task in zip(sessions_of(tasks), tasks, strict=True)]
        self._pace = Pace()
        self.gate = Gate(origin, runs, console)
        self._took: list[float] = []
        self._begun: dict[int, Begun] = {}
        self._proofs: dict[str, Proof] = {}
        self._refused: dict[str, Refusal] = {}
        self.open = list(range(len(tasks)))
        """Numbers of the tasks about which nothing is decided yet, the most important first."""
        self.measured: list[Path] = []
        self.reasons: dict[int, str] = {}
        self.bounded: dict[int, str] = {}
        self.trouble: Exception | None = None
        self.unfinished: list[str] = []
        """The commands that go on with searches which have no answer yet."""

    def run(self) -> None:
        environment = read_environment()  # before anything of ours keeps the machine busy
        self._leave_out_what_has_no_server()
        for session in dict.fromkeys(self._jobs[number].session for number in in_turn(self._jobs)):
            mine = [
                number
                for number in in_turn(self._jobs)
                if number in self.open and self._jobs[number].session == session
            ]
            if any(self._shares()[number].fits for number in mine):
                try:
                    self._session(session, mine, environment)
                except (ServerError, ConfigurationError, GeneratorError) as error:
                    self.give_up(mine, one_line(told(error)))
                    self._note(error)
            self._give_up_for_time(mine)

    def _note(self, error: Exception) -> None:
        """The first trouble stands; but that repeating will not help says less than that something did not come up."""
        if self.trouble is None or (
            isinstance(self.trouble, ConfigurationError) and not isinstance(error, ConfigurationError)
        ):
            self.trouble = error

    def give_up(self, numbers: Iterable[int], reason: str) -> None:
        """Those of them that are still open are not measured, for this reason."""
        for number in [number for number in numbers if number in self.open]:
            self.open.remove(number)
            self.reasons[number] = reason

    # -- time

    def _shares(self) -> dict[int, Share]:
        """By task, what each of the open ones gets of the time that is left."""
        left = self._ends - time.monotonic()
        found = shares([self._jobs[number] for number in self.open], left, self._pace, self._begun)
        return dict(zip(self.open, found, strict=True))

    def _give_up_for_time(self, numbers: Sequence[int]) -> None:
        left = max(0.0, self._ends - time.monotonic())
        for number, share in self._shares().items():
            if number in numbers:
                reason = (
                    f"no time: it takes {a_time(share.needs)} at least, and of {a_time(self._seconds)} {a_time(left)} were left"
                    " for it and what is more important"
                )
                self.give_up([number], reason)

    # -- sessions

    def _leave_out_what_has_no_server(self) -> None:
        for number in list(self.open):
            try:
                servers_for(_servers_of(self._tasks[number].targets), self._origin, os.environ)
            except ServerError as error:
                self.give_up([number], f"there is no server for it: {error}")
                if not self.open and len(self.reasons) == len(
                    self._tasks
                ):  # of none: there is nothing to measure at all
                    self._note(ConfigurationError(str(error)))

    def _session(self, session: int, mine: list[int], environment: Environment) -> None:
        """All searches of one session, as far as there is time for them."""
        targets = list(dict.fromkeys(target for number in mine for target in self._tasks[number].targets))
        with provided_servers(targets, self._origin) as servers:
            unproven = [target for target in targets if target.name not in {*self._proofs, *self._refused}]
            self._prove(unproven, servers)
            for number in mine:
                for target in self._tasks[number].targets:
                    if target.name in self._refused:
                        self._leave_out(number, self._refused[target.name])
            able = [number for number in mine if number in self.open]
            if not any(self._shares()[number].fits for number in able):
                return
            tasks = [self._tasks[number] for number in able]
            first = self._run_of(tasks[0], servers, environment)
            whole = replace(first, targets=tuple(targets), servers=tuple(servers))
            try:
                with held_interruptions(), shared_session(whole, tasks, self._console) as shared:
                    shared.measure_generator(tasks[0].load, find_for(MOST_MINUTES))
                    self._begun[session] = Begun()
                    self._searches(shared, able, whole)
            finally:
                forget_run(whole.directory)

    def _prove(self, targets: Sequence[Target], servers: Sequence[Server]) -> None:
        proofs, refused = self.gate.prove_each(targets, servers)
        self._proofs |= proofs
        self._refused |= refused

    def _leave_out(self, number: int, refusal: Refusal) -> None:
        """What its contract does not hold on is not measured; where the server of it is not there, that is the trouble."""
        reason = f"no figures without a contract: {refusal.reasons[0]}"
        self.give_up([number], reason)
        if refusal.code is Exit.ENVIRONMENT:
            self._note(ServerError(reason))

    def _searches(self, shared: SharedSession, able: list[int], whole: Run) -> None:
        """The next search that fits, until none does."""
        while (number := self._next(able)) is not None:
            self._console.print(f"{self._tasks[number].title} …", style="dim", markup=False)
            try:
                seconds = self._prepared(shared, number, able.index(number))
            except UnusableError as error:
                self.give_up([number], one_line(str(error)))
                continue
            if seconds < LEAST:
                self.give_up([number], f"no time: filling in what it needs left {a_time(seconds)} for its search")
                continue
            there = None if whole.directory in self.measured else whole  # the log of the generator is kept there
            run = self._run_of(self._tasks[number], whole.servers, whole.environment, there)
            self._search(shared, number, able.index(number), run, seconds)

    def _next(self, able: Sequence[int]) -> int | None:
        share = self._shares()
        return next((number for number in able if number in self.open and share[number].fits), None)

    def _prepared(self, shared: SharedSession, number: int, workload: int) -> float:
        """Connect, and fill in what is lacking; the seconds that the search may take after that."""
        job, share = self._jobs[number], self._shares()[number]
        before = self._begun[job.session].documents
        took = shared.prepare(workload, max(1.0, self._ends - time.monotonic() - LEAST))
        if (added := job.documents - before) > 0:
            self._pace = replace(self._pace, documents=added / took)
            self._begun[job.session] = Begun(job.documents)
        return min(share.search, self._ends - time.monotonic())

    def _search(self, shared: SharedSession, number: int, workload: int, run: Run, seconds: float) -> None:
        """One search, its record, and what to say of it."""
        find = find_for(seconds / 60)
        run = replace(run, load=replace(run.load, search=find.words()))
        if not self._console.is_terminal:  # for who finds the log of a series that was killed
            again = f"  where it is cut short, go on with it: {run.load.going_on(run.directory)}"
            self._console.print(again, markup=False, highlight=False, soft_wrap=True)
        began = time.monotonic()
        result = shared.search(workload, run, find, self._tasks[number].title)
        self._took.append(time.monotonic() - began)
        self._pace = replace(self._pace, search=paced(self._took))
        self.open.remove(number)
        self.measured.append(run.directory)
        found = ceiling_of(result)
        if found.refused:
            self.reasons[number] = f"{found.refused[0]} (run {run.run_id})"
        elif not found.searched or not found.low:
            self.bounded[number] = found.sentence
        if may_go_on(result):
            longer = find_for(math.ceil(seconds / 60 + MOST_MINUTES), 2 * SHORT.most_steps)
            self.unfinished.append(replace(run.load, search=longer.words()).going_on(run.directory))
        self._say(result, run, found.refused)
        if result.interrupted:
            raise KeyboardInterrupt
        if not shared.session.running:
            raise GeneratorError("the load generator ended during the search before it")

    def _say(self, result: Measurement, run: Run, refused: Sequence[str]) -> None:
        assert result.ceiling is not None
        self._console.print(f"  {headline_of(result)}  run {run.run_id}", markup=False, highlight=False)
        if refused:
            self._console.print(f"  not used: {one_line(refused[0])}", style="yellow", markup=False, highlight=False)

    def _run_of(self, task: Task, servers: Sequence[Server], environment: Environment, there: Run | None = None) -> Run:
        """The run of a search, in a directory of its own, or in the one of ``there``."""
        names = _servers_of(task.targets)
        mine = tuple(server for server in servers if server.name in names)
        run_id = new_run_id() if there is None else there.run_id
        return Run(
            load=task.load,
            targets=task.targets,
            proofs={target.name: self._proofs[target.name] for target in task.targets},
            servers=mine,
            run_id=run_id,
            directory=new_run_in(self._runs, run_id) if there is None else there.directory,
            environment=environment,
            described=described(mine),
        )


def _servers_of(targets: Iterable[Target]) -> list[str]:
    return list(dict.fromkeys(name for target in targets for name in target.servers))
