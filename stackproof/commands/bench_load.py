"""One run of `stackproof bench`: the windows that were asked for, and the record of them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

import stackproof
from stackproof.adapters.settings import Settings
from stackproof.measurement.judgement import measurement_of, scenario_facts
from stackproof.measurement.promises import Promise
from stackproof.measurement.record import BackendRecord, Facts, Measurement
from stackproof.reports.measurement_terminal import LoadView
from stackproof.scenarios.orders import CLOSED, NULL, Offered, Order, Setup
from stackproof.scenarios.scenario import find_scenario
from stackproof.scenarios.session import Session, new_namespace
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
    order: Order
    repeat: int
    workers: int
    promises: tuple[Promise, ...]
    origin: str
    bind: tuple[str, int] | None = None
    """Where workers of other machines are waited for."""

    search: tuple[str, ...] = ()
    """The options of a search for the highest rate that holds, where one was asked for."""

    def command(self) -> str:
        """What repeats this run."""
        order = self.order
        words = ["stackproof", "bench", "--stack", self.stack]
        for backend in self.backends:
            words += ["--backend", backend]
        words += ["--scenario", self.scenario]
        if self.search:
            words += self.search
        else:
            words += ["--rate", f"{order.rate:g}", "--duration", f"{order.seconds:g}", "--warmup", f"{order.warmup:g}"]
            words += ["--in-flight", str(order.in_flight), "--repeat", str(self.repeat)]
        words += ["--arrivals", order.arrivals, "--workers", str(self.workers)]
        words += ["--bind", f"{self.bind[0]}:{self.bind[1]}"] if self.bind else []
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
    setup = Setup(load.scenario, backends, new_namespace(), load.order.seed)
    say_waiting(load, console)
    with LoadView(console, load.repeat) as view:
        session = Session(setup, variables, directory, view, workers=load.workers, bind=load.bind)
        try:
            with session:
                null, offered = windows(session.connect, session.offer, load)
        except BaseException:
            drop_namespace(backends, Settings({**os.environ, **variables}), setup.namespace)
            raise
    left = session.left_behind
    if left:
        left = tuple(drop_namespace(backends, Settings({**os.environ, **variables}), setup.namespace))
    facts = facts_of(load, targets, proofs, servers, run_id)
    return measurement_of(
        find_scenario(load.scenario), null, offered, facts, load.promises, left_behind=left, planned=load.repeat
    )


def say_waiting(load: Load, console: Console) -> None:
    """Where workers are started on other machines, what has to be typed there."""
    if load.bind:
        host, port = load.bind
        wanted = "a worker" if load.workers == 1 else f"{load.workers} workers"
        console.print(f"Waiting for {wanted}; type there: stackproof worker --master {host}:{port}", markup=False)


def windows(
    connect: Callable[[], None], offer: Callable[[Order], Offered], load: Load
) -> tuple[Offered, list[Offered]]:
    """The null step, then each measured window; an interruption ends the list. `KeyboardInterrupt` if nothing was measured."""
    null = offer(null_order(load.order))
    if null.interrupted:
        raise KeyboardInterrupt
    connect()
    done: list[Offered] = []
    for _ in range(load.repeat):
        done.append(offer(load.order))
        if done[-1].interrupted:
            break
    return null, done


def null_order(order: Order) -> Order:
    """The self-check before an order: the same load on a step that does nothing."""
    return replace(order, target=NULL, warmup=0.0, seconds=min(CALIBRATION_SECONDS, order.seconds), limit=None)


def facts_of(
    load: Load, targets: Sequence[Target], proofs: Mapping[str, Proof], servers: Sequence[Server], run_id: str
) -> Facts:
    """What the record says about a run beside its windows."""
    order = load.order
    return Facts(
        id=run_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=stackproof.__version__,
        command=load.command(),
        stack=load.stack,
        origin=load.origin,
        scenario=scenario_facts(find_scenario(load.scenario)),
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
