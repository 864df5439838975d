"""One run of `stackproof bench`: the windows that were asked for, and the record of them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

import stackproof
from stackproof.adapters.settings import Settings
from stackproof.measurement.calibrating import Witness, calibrate
from stackproof.measurement.calibration import quick_form
from stackproof.measurement.judgement import calibration_of, measurement_of, window_of
from stackproof.measurement.promises import Promise
from stackproof.measurement.record import MEASURED, BackendRecord, Facts, Measurement, WindowRecord
from stackproof.measurement.window_log import WindowLog
from stackproof.reports.measurement_terminal import LoadView
from stackproof.scenarios.catalogue import find_scenario
from stackproof.scenarios.deferred import engine_name
from stackproof.scenarios.orders import CLOSED, NULL, Offered, Order, Setup
from stackproof.scenarios.session import Session, new_namespace
from stackproof.scenarios.steps.base import Value
from stackproof.scenarios.stub import StubServer
from stackproof.scenarios.work import drop_namespace
from stackproof.servers import Server
from stackproof.targets import Target
from stackproof.verification.digests import suite_digest
from stackproof.verification.environment import describe_environment
from stackproof.verification.run import describe_server

from .bench_gate import Proof

CALIBRATION_SECONDS = 2.0
"""Of the null step, at the rate of the run, before anything else."""


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

    @property
    def on_stub(self) -> bool:
        """Whether there is a stub server. Workers on other machines do not reach it: it listens on this one only."""
        return self.calibrated and self.bind is None

    def identity(self) -> dict[str, Any]:
        """What must be the same for windows of an earlier part to belong to this run."""
        order = {name: value for name, value in self.order.to_data().items() if name != "number"}
        return {
            "stack": self.stack,
            "backends": list(self.backends),
            "scenario": self.scenario,
            "settings": dict(self.settings),
            "origin": self.origin,
            "order": order,
            "workers": self.workers,
            "build": suite_digest(),
        }

    def command(self) -> str:
        """What repeats this run."""
        order = self.order
        words = ["stackproof", "bench", "--stack", self.stack]
        for backend in self.backends:
            words += ["--backend", backend]
        words += ["--scenario", self.scenario]
        for name, value in self.settings.items():
            words += ["--set", f"{name}={value}"]
        words += ["--rate", f"{order.rate:.12g}", "--duration", f"{order.seconds:g}"]
        words += ["--warmup", f"{order.warmup:g}", "--arrivals", order.arrivals, "--in-flight", str(order.in_flight)]
        words += ["--repeat", str(self.repeat), "--workers", str(self.workers)]
        words += ["--bind", f"{self.bind[0]}:{self.bind[1]}"] if self.bind else []
        words += [] if self.calibrated else ["--no-calibration"]
        words += ["--origin", self.origin, "--seed", str(order.seed)]
        for promise in self.promises:
            words += ["--slo", promise.text]
        return shlex.join(words)


def offer(
    load: Load,
    targets: Sequence[Target],
    proofs: Mapping[str, Proof],
    servers: Sequence[Server],
    run_id: str,
    directory: Path,
    console: Console,
) -> Measurement:
    """Offer the load; afterwards nothing of the run is left on the servers."""
    variables = {name: value for server in servers for name, value in server.variables().items()}
    backends = {target.concern: target.spec for target in targets}
    if load.bind:
        host, port = load.bind
        wanted = "a worker" if load.workers == 1 else f"{load.workers} workers"
        console.print(f"Waiting for {wanted}; type there: stackproof worker --master {host}:{port}", markup=False)
    log = WindowLog(directory, load.identity())
    kept = log.begin()
    with ExitStack() as stack:
        stub = stack.enter_context(StubServer()) if load.on_stub else None
        at = stub.url if stub is not None else ""
        engine = engine_name(backends)
        setup = Setup(load.scenario, backends, new_namespace(), load.order.seed, engine, load.settings, at)
        view = stack.enter_context(LoadView(console, load.repeat - len(kept)))
        session = Session(setup, variables, directory, view, workers=load.workers, bind=load.bind)
        try:
            with session:
                done = windows(session.connect, session.offer, log.keep, load, len(kept), stub)
        except BaseException:
            drop_namespace(backends, Settings({**os.environ, **variables}), setup.namespace)
            raise
    left = session.left_behind
    if left:
        left = tuple(drop_namespace(backends, Settings({**os.environ, **variables}), setup.namespace))
    return measurement_of(
        find_scenario(load.scenario, load.settings),
        done.calibration,
        [*kept, *done.windows],
        _facts(load, targets, proofs, servers, run_id),
        load.promises,
        interrupted=done.interrupted,
        left_behind=left,
        planned=load.repeat,
    )


@dataclass(frozen=True, slots=True)
class Done:
    """What was offered in this session."""

    calibration: Mapping[str, Any]
    windows: tuple[WindowRecord, ...]
    interrupted: bool


def windows(
    connect: Callable[[], None],
    offer: Callable[[Order], Offered],
    keep: Callable[[WindowRecord], None],
    load: Load,
    before: int = 0,
    stub: Witness | None = None,
) -> Done:
    """The null step and the stub server, then each measured window beyond those from before; an interruption ends it.

    `KeyboardInterrupt` if nothing was measured at all.
    """
    null = offer(null_order(load.order))
    if null.interrupted:
        raise KeyboardInterrupt
    calibration = calibration_of(null)
    if stub is not None:
        calibration["stub"] = calibrate(offer, stub, quick_form(load.order.rate), null).verdict.to_data()
    connect()
    done: list[WindowRecord] = []
    for number in range(before, load.repeat):
        # Fresh windows: none repeats the keys or the arrivals of another one.
        offered = offer(replace(load.order, seed=load.order.seed + number))
        done.append(window_of(MEASURED, offered, calibration))
        if offered.interrupted or not offered.complete:
            return Done(calibration, tuple(done), offered.interrupted)
        keep(done[-1])
    return Done(calibration, tuple(done), interrupted=False)


def null_order(order: Order) -> Order:
    """The self-check before an order: the same load on a step that does nothing."""
    return replace(order, target=NULL, warmup=0.0, seconds=min(CALIBRATION_SECONDS, order.seconds), limit=None)


def _facts(
    load: Load, targets: Sequence[Target], proofs: Mapping[str, Proof], servers: Sequence[Server], run_id: str
) -> Facts:
    order = load.order
    return Facts(
        id=run_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=stackproof.__version__,
        command=load.command(),
        stack=load.stack,
        origin=load.origin,
        scenario=find_scenario(load.scenario, load.settings).describe(),
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
        backends=tuple(_backend(target, proofs[target.name]) for target in targets),
        servers=tuple(asdict(describe_server(server)) for server in servers),
        environment=describe_environment(),
        suite_digest=suite_digest(),
    )


def _backend(target: Target, proof: Proof) -> BackendRecord:
    record = proof.record
    return BackendRecord(
        target.name, target.concern, record.backend, record.digest, target.server, record.fidelity, proof.certificate
    )
