"""`stackproof bench --find-max`: a search for the highest rate that holds, over one session of the generator, and its record.

A run directory of a search holds ``journal.jsonl``, and in ``windows/`` all of each window, so that a search that was killed is
gone on from (``--resume``), and its record made of all its windows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

import stackproof
from stackproof.adapters.settings import Settings
from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.ceiling import JOURNAL, find_ceiling
from stackproof.measurement.ceiling_record import record_of
from stackproof.measurement.environment import Environment
from stackproof.measurement.judgement import calibration_of, measurement_of, window_of
from stackproof.measurement.record import MEASURED, Measurement
from stackproof.measurement.search_journal import Ceiling, Entry, Limiter, Role, Search, SearchSettings, Step, Verdict
from stackproof.reports.ceiling_terminal import SearchView
from stackproof.scenarios.catalogue import find_scenario
from stackproof.scenarios.orders import NULL, Gap, Offered, Order
from stackproof.scenarios.recorder import Recorder
from stackproof.scenarios.session import Session
from stackproof.scenarios.stub import StubServer
from stackproof.scenarios.work import drop_namespace
from stackproof.servers import Server
from stackproof.targets import Target
from stackproof.verification.digests import suite_digest
from stackproof.verification.runs import keep

from .bench_evidence import gather_and_keep
from .bench_gate import Proof
from .bench_load import Load, facts_of, say_waiting, self_check

WINDOWS = "windows"


def search(
    load: Load,
    settings: SearchSettings,
    targets: Sequence[Target],
    proofs: Mapping[str, Proof],
    servers: Sequence[Server],
    run_id: str,
    directory: Path,
    console: Console,
    environment: Environment,
) -> Measurement:
    """Search, or go on with a search; afterwards nothing of it is left on the servers."""
    variables = {name: value for server in servers for name, value in server.variables().items()}
    backends = {target.concern: target.spec for target in targets}
    (directory / WINDOWS).mkdir(exist_ok=True)
    say_waiting(load, console)

    def connect() -> None:
        session.connect()
        gather_and_keep(directory, targets, servers, setup.namespace, environment)

    with ExitStack() as stack:
        stub = stack.enter_context(StubServer()) if load.on_stub else None
        setup = load.setup(backends, stub)
        view = stack.enter_context(SearchView(console, settings))
        session = Session(setup, variables, directory, view.progress, workers=load.workers, bind=load.bind)
        try:
            with session:
                check = self_check(session.offer, load.order, stub)
                found = find_ceiling(
                    _connecting(connect, session.offer),
                    settings,
                    directory / JOURNAL,
                    identity_of(load, targets, proofs),
                    view.step,
                    keep=lambda step, offered: keep_window(directory, step, offered),
                )
        except BaseException:
            drop_namespace(backends, Settings({**os.environ, **variables}), setup.namespace)
            raise
    left = session.left_behind
    if left:
        left = tuple(drop_namespace(backends, Settings({**os.environ, **variables}), setup.namespace))
    return measured(found, check, load, targets, proofs, servers, run_id, directory, left)


def _connecting(connect: Callable[[], None], offer: Callable[[Order], Offered]) -> Callable[[Order], Offered]:
    """Backends are connected to when the first window needs them: the generator's own ceiling is measured without."""
    connected = False

    def connecting(order: Order) -> Offered:
        nonlocal connected
        if order.target != NULL and not connected:
            connect()
            connected = True
        return offer(order)

    return connecting


def identity_of(load: Load, targets: Sequence[Target], proofs: Mapping[str, Proof]) -> dict[str, str]:
    """What a journal belongs to: with any of it changed, its windows are about something else."""
    backends = {f"backend {target.concern}": f"{target.name} {proofs[target.name].record.digest}" for target in targets}
    return {
        "scenario": " ".join([load.scenario, *(f"{name}={value}" for name, value in load.settings.items())]),
        **backends,
        "origin": load.origin,
        "workers": str(load.workers),
        "version": stackproof.__version__,
        "build": suite_digest(),
    }


# -- windows on disk ------------------------------------------------------------------------------------------------


def keep_window(directory: Path, step: Step, offered: Offered) -> None:
    """All of a window, whole or not at all, before the journal says that there is one."""
    data = {
        **{name: getattr(offered, name) for name in Offered.__dataclass_fields__},
        "order": offered.order.to_data(),
        "recorder": offered.recorder.to_data(),
        "gaps": [asdict(gap) for gap in offered.gaps],
    }
    keep(_window_file(directory, step), json.dumps(data))


def kept_window(directory: Path, step: Step) -> Offered:
    """The window of a step; `ConfigurationError` where the file is gone or damaged."""
    path = _window_file(directory, step)
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        data["order"] = Order.from_data(data["order"])
        data["recorder"] = Recorder.from_data(data["recorder"])
        data["gaps"] = tuple(Gap(**gap) for gap in data["gaps"])
        return Offered(**data)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is needed for the record of the search and cannot be read ({error}); begin a new search"
        ) from error


def _window_file(directory: Path, step: Step) -> Path:
    return directory / WINDOWS / f"{step.number:03d}.json"


# -- the record -----------------------------------------------------------------------------------------------------


def measured(
    found: Search,
    check: Mapping[str, Any],
    load: Load,
    targets: Sequence[Target],
    proofs: Mapping[str, Proof],
    servers: Sequence[Server],
    run_id: str,
    directory: Path,
    left_behind: Sequence[str],
) -> Measurement:
    """The record: its figures are those of the fresh windows that confirmed the holding rate."""
    nulls = [entry for entry in found.journal if entry.step.role is Role.CALIBRATION]
    if not nulls:
        raise KeyboardInterrupt
    ceiling = found.ceiling
    null = kept_window(directory, _null_for(nulls, ceiling).step)
    calibration = {**calibration_of(null), "stub": check["stub"]}
    confirming = [entry for entry in found.journal if _confirms(entry, ceiling)]
    windows = [
        window_of(
            MEASURED if entry in confirming else str(entry.step.role), kept_window(directory, entry.step), calibration
        )
        for entry in found.journal
    ]
    result = measurement_of(
        find_scenario(load.scenario, load.settings),
        calibration,
        windows,
        facts_of(_as_found(load, ceiling, confirming), targets, proofs, servers, run_id),
        ceiling.promises,
        left_behind=left_behind,
        planned=len(confirming),
    )
    return replace(
        result,
        interrupted=found.interrupted,
        complete=not found.interrupted and not found.trouble,
        invalid=tuple(dict.fromkeys([*ceiling.invalid, *result.invalid, *_no_figures(confirming)])),
        limiter=str(ceiling.limiter),
        limiter_reason="; ".join(ceiling.reasons),
        ceiling=record_of(found),
    )


def _confirms(entry: Entry, ceiling: Ceiling) -> bool:
    step = entry.step
    return step.role is Role.CONFIRM and step.rate == ceiling.holds and entry.verdict is Verdict.HOLDS


def _null_for(nulls: Sequence[Entry], ceiling: Ceiling) -> Entry:
    """The self-check of the figures: the lowest null rate that held at or above theirs, else the highest that held."""
    held = [entry for entry in nulls if entry.verdict is Verdict.HOLDS] or list(nulls)
    enough = [entry for entry in held if entry.step.rate >= ceiling.holds]
    return min(enough or held[-1:], key=lambda entry: entry.step.rate)


def _as_found(load: Load, ceiling: Ceiling, confirming: Sequence[Entry]) -> Load:
    """The load of the figures, as if somebody had asked for it."""
    seconds = confirming[0].step.seconds if confirming else 0.0
    rate = ceiling.holds or ceiling.fails or 0.0
    return replace(load, order=replace(load.order, rate=rate, seconds=seconds), repeat=max(1, len(confirming)))


def _no_figures(confirming: Sequence[Entry]) -> tuple[str, ...]:
    return () if confirming else ("No rate was confirmed in fresh windows: there are no figures of one that holds.",)


def exit_code(result: Measurement) -> Exit:
    """What the shell is told: a rate that holds was found, none holds, or there is no answer."""
    assert result.ceiling is not None
    if result.interrupted:
        return Exit.INTERRUPTED
    if not result.complete or result.ceiling.invalid or result.ceiling.limiter == Limiter.NOT_CONVERGED:
        return Exit.INCONCLUSIVE
    if not result.ceiling.holds:
        return Exit.INCONCLUSIVE if result.ceiling.limiter == Limiter.CLIENT else Exit.BROKEN
    return Exit.INCONCLUSIVE if result.invalid else Exit.HOLDS
