"""`stackproof bench`: offer a stack load at a fixed arrival rate, and record what it does to latency."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError
from stackproof.targets import Target, find_stack, load_object, parse_target

from .options import address, json_option, origin_option, out_option, write_result
from .search_options import asked_for, search_options

if TYPE_CHECKING:
    from stackproof.measurement.record import Measurement
    from stackproof.scenarios.orders import Order
    from stackproof.scenarios.scenario import Scenario

NEEDED = {
    "locust": "bench",
    "hdrh": "bench",
    "redis": "bench",
    "scipy": "bench",
    "jinja2": "report",
    "matplotlib": "report",
}
DEFAULT_RATE = 100.0


@click.command()
@click.option("--stack", metavar="NAME", default="development", show_default=True, help="One backend for each concern.")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="CONCERN=SPEC",
    help="Instead of the stack's: a known name or package.module:factory. May be repeated.",
)
@click.option(
    "--scenario",
    default="decision",
    show_default=True,
    metavar="NAME",
    help="The workload: a name or package.module:NAME.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the scenario. May be repeated."
)
@click.option("--rate", type=float, help="Operations that are due each second.  [default: 100, or that of a replay]")
@click.option("--duration", type=float, default=20.0, show_default=True, metavar="S", help="Seconds that are measured.")
@click.option("--warmup", type=float, default=3.0, show_default=True, metavar="S", help="Seconds before, not measured.")
@click.option("--repeat", type=click.IntRange(1, 1000), default=1, show_default=True, help="Windows of that duration.")
@click.option(
    "--arrivals",
    metavar="PROCESS",
    help="When operations are due: constant, poisson, step:10s@1,5s@3 (times the rate), replay:FILE, or closed: each of "
    "--in-flight callers starts one when its last one ended.  [default: the scenario's own]",
)
@click.option(
    "--in-flight",
    type=click.IntRange(1, 10_000),
    help="Operations at the same time; arrivals beyond that are dropped and counted.  [default: 64, or the scenario's own]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that share the load: Locust's own master and workers.",
)
@click.option(
    "--bind",
    metavar="HOST:PORT",
    help="Wait there for --workers that `stackproof worker` starts on other machines, instead of starting them here.",
)
@click.option(
    "--no-calibration",
    "calibrated",
    flag_value=False,
    default=True,
    help="Leave out the check (5 s) that the generator sees what a server of known speed does.",
)
@search_options
@origin_option
@click.option("--slo", "promises", multiple=True, metavar="p99=20ms", help="A promise to judge. May be repeated.")
@click.option("--seed", type=click.IntRange(0), help="Of decisions and arrivals.  [default: the scenario's own]")
@out_option
@click.option("--resume", metavar="RUN", help="Go on with a run that was cut short; the other options as they were.")
@json_option
def bench(
    stack: str,
    backends: tuple[str, ...],
    scenario: str,
    settings: tuple[str, ...],
    rate: float | None,
    duration: float,
    warmup: float,
    repeat: int,
    arrivals: str | None,
    in_flight: int | None,
    workers: int,
    bind: str | None,
    calibrated: bool,
    find_max: bool,  # noqa: ARG001 - this and the next two are read by `asked_for`
    max_steps: int | None,  # noqa: ARG001
    max_minutes: float | None,  # noqa: ARG001
    origin: str,
    promises: tuple[str, ...],
    seed: int | None,
    out: Path | None,
    resume: str | None,
    json_file: str | None,
) -> int:
    """Measure a stack under load: operations arrive at a fixed rate, whether or not it keeps up.

    With --find-max, windows of ever more load find the rate that holds and the one that does not. --slo is what has to
    hold, and --duration the length of the first windows (5 s unless given).

    Only backends whose core contract has passed in this build are measured; where no certificate says so, they are
    verified first.
    """
    require_packages()
    from rich.console import Console

    from stackproof.measurement.environment import read_environment
    from stackproof.measurement.evidence import kept_evidence
    from stackproof.measurement.promises import Promise
    from stackproof.measurement.record import to_json
    from stackproof.measurement.window_log import WINDOWS
    from stackproof.reports.evidence import print_evidence
    from stackproof.reports.measurement import render
    from stackproof.reports.measurement_terminal import print_measurement
    from stackproof.scenarios.arrivals import natural_rate
    from stackproof.scenarios.catalogue import find_scenario, settings_of
    from stackproof.scenarios.orders import IN_FLIGHT, Order
    from stackproof.verification.provision import provided_servers
    from stackproof.verification.runs import RUNS, StorageError, keep_run, new_run_id, open_run, reopen_run

    from .bench_gate import Refusal, ensure_proven
    from .bench_load import Load, offer
    from .bench_search import exit_code, search

    find = asked_for(click.get_current_context())
    given = settings_of(settings)
    workload = find_scenario(scenario, given)
    targets = _targets(stack, backends, workload)
    judged = tuple(Promise.parse(text) for text in promises)
    arrivals = arrivals or workload.arrivals
    order = Order(
        rate=(natural_rate(arrivals) or DEFAULT_RATE) if rate is None else rate,
        seconds=_seconds("--duration", duration, 1.0),
        warmup=_seconds("--warmup", warmup, 0.0),
        arrivals=arrivals,
        seed=workload.seed if seed is None else seed,
        in_flight=in_flight or workload.in_flight or IN_FLIGHT,
    )
    if find is None:
        _check_load(order)
    wanted = find.settings(order, judged) if find is not None else None
    words = find.words() if find is not None else ()
    at = address("--bind", bind) if bind else None
    load = Load(stack, backends, scenario, given, order, repeat, workers, judged, origin, at, calibrated, words)
    kept = reopen_run(resume, kept=WINDOWS) if resume is not None else None
    for target in targets:
        if target.entry is None:
            load_object(target.name, target.spec)  # now, so that a mistyped factory is told before servers start
    console = Console(stderr=json_file == "-")
    environment = read_environment()  # before anything of ours keeps the machine busy
    with provided_servers(targets, origin) as servers:
        proofs = ensure_proven(targets, servers, origin, RUNS, console)
        if isinstance(proofs, Refusal):
            _say_refused(proofs.reasons, console)
            return proofs.code
        run_id = new_run_id()
        directory = kept if kept is not None else open_run(out, run_id)
        run_id = run_id if kept is None else directory.name
        if wanted is not None:
            result = search(load, wanted, targets, proofs, servers, run_id, directory, console, environment)
        else:
            result = offer(load, targets, proofs, servers, run_id, directory, console, environment)
    evidence = kept_evidence(directory)
    files = {"run.json": lambda: to_json(result), "measurement.html": lambda: render(result, evidence)}
    troubles = list(keep_run(directory, files))
    if result.complete and result.limiter != "not-converged" and not troubles:  # else a search may go on
        (directory / WINDOWS).unlink(missing_ok=True)  # everything of it is in the record now
    print_measurement(result, console, directory)
    if evidence is not None:
        print_evidence(evidence, console)
    if json_file is not None:
        try:
            write_result(json_file, to_json(result))
        except StorageError as error:
            troubles.append(str(error))
    if troubles:
        raise StorageError("; ".join(troubles))  # last, so that the figures are on the screen all the same
    return exit_code(result) if wanted is not None else _exit_code(result)


def require_packages() -> None:
    """A `ConfigurationError` with the line to type, where an extra is not installed."""
    missing = {extra for package, extra in NEEDED.items() if importlib.util.find_spec(package) is None}
    if missing:
        raise ConfigurationError(
            f"bench needs more packages; type: pip install 'stackproof[{','.join(sorted(missing))}]'"
        )


def _targets(stack: str, backends: Sequence[str], scenario: Scenario) -> list[Target]:
    """One target for each concern that the scenario uses: the named one, else the stack's."""
    concerns = scenario.concerns
    chosen = {target.concern: target for target in find_stack(stack).targets()}
    named = [parse_target(text) for text in backends]
    for target in named:
        if target.concern not in concerns:
            raise ConfigurationError(
                f"--backend {target.name}: the scenario {scenario.name} uses no {target.concern}, only "
                + ", ".join(concerns)
            )
        if sum(other.concern == target.concern for other in named) > 1:
            raise ConfigurationError(f"--backend names {target.concern} more than once; one run measures one of each")
        chosen[target.concern] = target
    return [chosen[concern] for concern in concerns]


def _seconds(option: str, value: float, least: float) -> float:
    if not least <= value <= 86_400:
        raise ConfigurationError(f"{option} lies between {least:g} and 86400 seconds, not at {value:g}")
    return value


def _check_load(order: Order) -> None:
    """Refuse a rate that is none, and a window in which nothing would arrive."""
    from stackproof.scenarios.arrivals import schedule_of
    from stackproof.scenarios.orders import CLOSED

    if order.arrivals == CLOSED:
        return
    schedule_of(order.arrivals, order.rate, order.seed)
    if order.rate * order.seconds < 1:
        raise ConfigurationError(
            f"--rate {order.rate:g} for --duration {order.seconds:g} s is less than one operation; make one of them larger"
        )


def _say_refused(reasons: Sequence[str], console: Any) -> None:
    console.print("No figures: not every backend keeps its core contract in this build.", style="bold", markup=False)
    for reason in reasons:
        console.print(f"  {reason}", markup=False)


def _exit_code(result: Measurement) -> Exit:
    if result.interrupted and not result.complete:
        return Exit.INTERRUPTED
    if result.invalid:
        return Exit.INCONCLUSIVE
    verdicts = {promise.verdict for promise in result.slo}
    if "missed" in verdicts:
        return Exit.BROKEN
    return Exit.INCONCLUSIVE if "unknown" in verdicts else Exit.HOLDS
