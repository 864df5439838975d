"""One run of `stackproof bench`: the windows that were asked for, and the record of them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

import stackproof
from stackproof.adapters.settings import Settings
from stackproof.interruption import interruptible
from stackproof.measurement.calibrating import Witness, calibrate, calibrate_each
from stackproof.measurement.calibration import of_workers, quick_form
from stackproof.measurement.environment import Environment
from stackproof.measurement.judgement import calibration_of, measurement_of, window_of
from stackproof.measurement.promises import Promise
from stackproof.measurement.record import BackendRecord, Facts, Measurement, WindowRecord
from stackproof.measurement.record_names import MEASURED
from stackproof.measurement.window_log import WindowLog
from stackproof.reports.measurement_terminal import LoadView
from stackproof.scenarios.alone import Alone
from stackproof.scenarios.catalogue import find_scenario
from stackproof.scenarios.deferred import engine_name
from stackproof.scenarios.orders import CLOSED, NULL, Offered, Order, Setup, Workload
from stackproof.scenarios.scenario import Scenario
from stackproof.scenarios.session import Observer, Session, new_namespace
from stackproof.scenarios.steps.base import Value
from stackproof.scenarios.stub import StubServer
from stackproof.scenarios.work import drop_namespace
from stackproof.servers import Server
from stackproof.targets import Target
from stackproof.verification.digests import suite_digest
from stackproof.verification.environment import describe_environment
from stackproof.verification.run import describe_server

from . import bench_stored
from .bench_evidence import gather_and_keep
from .bench_gate import Proof
from .bench_going_on import resumed
from .bench_workers import machines_of
from .bench_workers import say_waiting as say_waiting_for_workers

CALIBRATION_SECONDS = 2.0
"""Of the null step, at the rate of the run, before anything else."""
_OF_EACH_WINDOW = ("number", "rate", "seconds", "warmup")
"""What a search chooses for its windows itself; how long they may be is among its settings, in its journal."""


@dataclass(frozen=True, slots=True)
class Load:
    """What was asked for on the command line."""

    stack: str
    backends: tuple[str, ...]
    scenario: str
    settings: Mapping[str, Value]
    """Of the scenario, as typed."""
    order: Order
    repeat: int
    workers: int
    promises: tuple[Promise, ...]
    origin: str
    bind: tuple[str, int] | None = None
    """Where workers of other machines are waited for."""
    calibrated: bool = True
    """Whether the generator must first show that it sees what a stub server really does."""
    search: tuple[str, ...] = ()
    """The options of a search for the highest rate that holds, where one was asked for."""
    against: tuple[str, ...] = ()
    """Backends of a second run that is measured in turns with this one."""
    sweep: str = ""
    """The concurrencies of a closed-loop sweep, as typed."""

    @property
    def workload(self) -> Scenario:
        """The scenario, with its settings."""
        return find_scenario(self.scenario, self.settings)

    @property
    def on_stub(self) -> bool:
        """Whether there is a stub server. Workers on other machines do not reach it: it listens on this one only."""
        return self.calibrated and self.bind is None

    def setup(self, backends: Mapping[str, str], stub: StubServer | None) -> Setup:
        """A session of its own namespace."""
        at = stub.url if stub is not None else ""
        engine = engine_name(backends)
        return Setup(self.scenario, backends, new_namespace(), self.order.seed, engine, self.settings, at)

    def identity(self) -> dict[str, Any]:
        """What must be the same for windows of an earlier part to belong to this run."""
        chosen = _OF_EACH_WINDOW if self.search else ("number",)
        order = {name: value for name, value in self.order.to_data().items() if name not in chosen}
        return {
            "stack": self.stack,
            "backends": list(self.backends),
            "scenario": self.scenario,
            # As the scenario reads them: who goes on types them again, and "50" of a command line is the number.
            "settings": {name: value for name, value in self.workload.settings.items() if name in self.settings},
            "origin": self.origin,
            "order": order,
            "workers": self.workers,
            "find_max": bool(self.search),
            "build": suite_digest(),
        }

    def planned(self, levels: Sequence[int] = ()) -> int:
        """How many windows were asked for, of each concurrency of a sweep; 0 for a search, which finds that out."""
        return 0 if self.search else self.repeat * max(1, len(levels))

    def going_on(self, directory: Path) -> str:
        """What goes on with this run, kept in this directory, where it was cut short."""
        return resumed(self.command(), directory)

    def command(self) -> str:
        """What repeats this run."""
        order = self.order
        words = ["stackproof", "bench", "--stack", self.stack]
        for backend in self.backends:
            words += ["--backend", backend]
        for other in self.against:
            words += ["--against", other]
        words += ["--scenario", self.scenario]
        for name, value in self.settings.items():
            words += ["--set", f"{name}={value}"]
        if self.search:
            words += self.search
        elif self.sweep:
            words += ["--sweep", self.sweep, "--duration", f"{order.seconds:g}", "--warmup", f"{order.warmup:g}"]
            words += ["--repeat", str(self.repeat)]
        else:
            words += [] if order.arrivals == CLOSED else ["--rate", f"{order.rate:.12g}"]
            words += ["--duration", f"{order.seconds:g}"]
            words += ["--warmup", f"{order.warmup:g}"]
            words += ["--in-flight", str(order.in_flight), "--repeat", str(self.repeat)]
        words += [] if self.sweep else ["--arrivals", order.arrivals]
        words += ["--workers", str(self.workers)]
        words += ["--bind", f"{self.bind[0]}:{self.bind[1]}"] if self.bind else []
        words += [] if self.calibrated else ["--no-calibration"]
        words += ["--origin", self.origin, "--seed", str(order.seed)]
        for promise in self.promises:
            words += ["--slo", promise.text]
        return shlex.join(words)


@dataclass(frozen=True, slots=True)
class Run:
    """One run: a load on these backends, each with the proof that it may be measured, and where it is kept."""

    load: Load
    targets: tuple[Target, ...]
    proofs: Mapping[str, Proof]
    servers: tuple[Server, ...]
    run_id: str
    directory: Path
    environment: Environment
    described: tuple[dict[str, Any], ...]
    """What the record says of each server (`described`): asked before the load, under which one may die."""

    @property
    def backends(self) -> dict[str, str]:
        """Concern -> what makes its adapter."""
        return {target.concern: target.spec for target in self.targets}

    @property
    def variables(self) -> dict[str, str]:
        """What points a process at the servers."""
        return {name: value for server in self.servers for name, value in server.variables().items()}

    @property
    def identity(self) -> dict[str, Any]:
        """What this run is told by: its load, and the digest of each of its backends. Only the same one goes on with it."""
        return self.load.identity() | {
            "digests": {target.name: self.proofs[target.name].record.digest for target in self.targets}
        }

    def remove(self, namespace: str) -> tuple[str, ...]:
        """Remove what a generator left behind that could not do it itself; what went wrong, as sentences."""
        return tuple(drop_namespace(self.backends, Settings({**os.environ, **self.variables}), namespace))

    @contextmanager
    def session(self, stub: StubServer | None, observer: Observer, more: Sequence[Workload] = ()) -> Iterator[Session]:
        """The generator of this run, and of more workloads than its own. Where it ends in trouble, what it stored is removed
        from here; what cannot be is a note of the error."""
        load = self.load
        setup = replace(load.setup(self.backends, stub), more=tuple(more))
        session = Session(setup, self.variables, self.directory, observer, workers=load.workers, bind=load.bind)
        if load.origin == "external":  # other servers end with the run
            bench_stored.note(self.directory, session.namespace)
        try:
            with session:
                machines_of(session.introduced, setup.engine)  # before anything is offered: who must not take part
                yield session
        except BaseException as error:
            if left := self.left_behind_by(session):
                error.add_note(f"not everything that the run stored could be removed: {'; '.join(left)}")
            raise

    def left_behind_by(self, session: Session) -> tuple[str, ...]:
        """What neither the generator nor we could remove after it ended."""
        left = self.remove(session.namespace) if session.left_behind else ()
        if not left and self.load.origin == "external":
            bench_stored.forget(self.directory, session.namespace)
        return left

    def gather_evidence(self, session: Session) -> None:
        """Ask the servers for their settings, and keep them beside the record, with what other machines say of themselves."""
        machines = machines_of(session.introduced, engine_name(self.backends))
        with interruptible():  # it asks servers, and may wait for them
            gather_and_keep(self.directory, self.targets, self.servers, session.namespace, self.environment, machines)


def offer(run: Run, console: Console) -> Measurement:
    """Offer the load; afterwards nothing of the run is left on the servers. Its evidence is kept before the first window."""
    load = run.load
    say_waiting(load, run.backends, console)
    log = WindowLog(run.directory, run.identity, load.command(), load.planned())
    kept = log.begin()
    with ExitStack() as stack:
        stub = stack.enter_context(StubServer()) if load.on_stub else None
        view = stack.enter_context(LoadView(console, load.repeat, len(kept)))
        session = stack.enter_context(run.session(stub, view))

        def connect() -> None:
            session.connect()
            view({"phase": "asking the servers for their settings"})
            run.gather_evidence(session)

        done = windows(connect, session.offer, log, load, len(kept), stub, alone_in(session, load), view.ended)
    result = measurement_of(
        load.workload,
        done.calibration,
        [*kept, *done.windows],
        facts_of(run, load),
        load.promises,
        interrupted=done.interrupted,
        left_behind=run.left_behind_by(session),
        planned=load.repeat,
        earlier=log.checks,
    )
    return log.told_by(result)


def say_waiting(load: Load, backends: Mapping[str, str], console: Console) -> None:
    """Where workers are started on other machines, what has to be typed there."""
    if load.bind:
        say_waiting_for_workers(load.bind, load.workers, engine_name(backends), console)


@dataclass(frozen=True, slots=True)
class Done:
    """What was offered in this session."""

    calibration: Mapping[str, Any]
    windows: tuple[WindowRecord, ...]
    interrupted: bool


def windows(
    connect: Callable[[], None],
    offer: Callable[[Order], Offered],
    log: WindowLog,
    load: Load,
    before: int = 0,
    stub: Witness | None = None,
    alone: Sequence[Alone] = (),
    show: Callable[[WindowRecord], None] = lambda _window: None,
) -> Done:
    """The null step and the stub server, then each window beyond those from before; an interruption ends it. ``show`` gets
    each that is kept.

    `KeyboardInterrupt` if nothing was measured at all.
    """
    calibration = self_check(offer, load.order, stub, alone)
    connect()
    done: list[WindowRecord] = []
    try:
        for number in range(before, load.repeat):
            # Fresh windows: none repeats the keys or the arrivals of another one, also where they are of several sessions.
            offered = offer(replace(load.order, seed=load.order.seed + number, number=number))
            if offered.interrupted or not offered.complete:
                # Of one in which nothing had begun there is nothing to tell, where there are others.
                if offered.recorder.offered or not (done or before):
                    done.append(window_of(MEASURED, offered, calibration))
                log.keep_untrue(offered.checks)
                return Done(calibration, tuple(done), offered.interrupted)
            done.append(window_of(MEASURED, offered, calibration))
            log.keep(done[-1], calibration)
            show(done[-1])
    except KeyboardInterrupt:  # between two windows: those that were measured are in the record all the same
        if not (done or before):
            raise
        return Done(calibration, tuple(done), interrupted=True)
    return Done(calibration, tuple(done), interrupted=False)


def alone_in(session: Session, load: Load) -> tuple[Alone, ...]:
    """The workers that have to be calibrated by themselves: those of other machines, where anything is to be calibrated."""
    return session.each() if load.calibrated else ()


def self_check(
    offer: Callable[[Order], Offered], order: Order, stub: Witness | None, alone: Sequence[Alone] = ()
) -> dict[str, Any]:
    """What a step that does nothing shows of the generator at this rate, and the stub server, where there is one.

    Workers of other machines have one of their own each (``alone``); then the step that does nothing is offered by all together.
    """
    verdicts = None
    if alone:
        share = replace(order, rate=order.rate / len(alone))
        verdicts = calibrate_each(alone, quick_form(share.rate), null_order(share))
    if stub is not None:
        done = calibrate(offer, stub, quick_form(order.rate), null_order(order))
        return calibration_of(done.null) | {"stub": done.verdict.to_data()}
    null = offer(null_order(order))
    if null.interrupted:
        raise KeyboardInterrupt
    return calibration_of(null) | ({"stub": of_workers(verdicts)} if verdicts else {})


def null_order(order: Order) -> Order:
    """The self-check before an order: the same load on a step that does nothing."""
    return replace(order, target=NULL, warmup=0.0, seconds=min(CALIBRATION_SECONDS, order.seconds), limit=None)


def facts_of(run: Run, load: Load) -> Facts:
    """What the record says about a run beside its windows; ``load`` is what its figures are of."""
    order = load.order
    return Facts(
        id=run.run_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=stackproof.__version__,
        command=load.command(),
        stack=load.stack,
        origin=load.origin,
        scenario=load.workload.describe(),
        load={
            "rate": None if order.arrivals == CLOSED else order.rate,
            "arrivals": order.arrivals,
            "duration": order.seconds,
            "warmup": order.warmup,
            "repeat": load.repeat,
            "in_flight": order.in_flight,
            "workers": load.workers,
            "seed": order.seed,
        },
        backends=tuple(_backend(target, run.proofs[target.name]) for target in run.targets),
        servers=run.described,
        environment=describe_environment(),
        suite_digest=suite_digest(),
    )


def described(servers: Iterable[Server]) -> tuple[dict[str, Any], ...]:
    """Asks each who it is. What it is set to is told by the evidence, and in one place only."""
    return tuple(
        {name: value for name, value in asdict(describe_server(server)).items() if name != "facts"}
        for server in servers
    )


def _backend(target: Target, proof: Proof) -> BackendRecord:
    record = proof.record
    return BackendRecord(
        target.name, target.concern, record.backend, record.digest, target.server, record.fidelity, proof.certificate
    )
