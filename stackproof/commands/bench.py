"""`stackproof bench`: offer a stack load at a fixed arrival rate, and record what it does to latency."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import stackproof
from stackproof.adapters.settings import Settings
from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError
from stackproof.targets import Target, find_stack, load_object, parse_target

from .options import json_option, origin_option, out_option, write_result

if TYPE_CHECKING:
    from stackproof.measurement.record import Facts, Measurement
    from stackproof.scenarios.plan import Plan
    from stackproof.servers import Server

    from .bench_gate import Proof

NEEDED = {"locust": "bench", "hdrh": "bench", "jinja2": "report", "matplotlib": "report"}


@click.command()
@click.option("--stack", metavar="NAME", default="development", show_default=True, help="One backend for each concern.")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="CONCERN=SPEC",
    help="Instead of the stack's: a known name or package.module:factory. May be repeated.",
)
@click.option("--scenario", default="decision", show_default=True, metavar="NAME", help="The workload.")
@click.option("--rate", type=float, default=100.0, show_default=True, help="Decisions that are due each second.")
@click.option("--duration", type=float, default=20.0, show_default=True, metavar="S", help="Seconds that are measured.")
@click.option("--warmup", type=float, default=3.0, show_default=True, metavar="S", help="Seconds before, not measured.")
@click.option("--arrivals", type=click.Choice(["constant", "poisson"]), default="constant", show_default=True)
@click.option(
    "--in-flight",
    type=click.IntRange(1, 10_000),
    default=64,
    show_default=True,
    help="Decisions at the same time; arrivals beyond that are dropped and counted.",
)
@origin_option
@click.option("--slo", "promises", multiple=True, metavar="p99=20ms", help="A promise to judge. May be repeated.")
@click.option("--seed", type=click.IntRange(0), help="Of decisions and arrivals.  [default: the scenario's own]")
@out_option
@json_option
def bench(
    stack: str,
    backends: tuple[str, ...],
    scenario: str,
    rate: float,
    duration: float,
    warmup: float,
    arrivals: str,
    in_flight: int,
    origin: str,
    promises: tuple[str, ...],
    seed: int | None,
    out: Path | None,
    json_file: str | None,
) -> int:
    """Measure a stack under load: decisions arrive at a fixed rate, whether or not it keeps up.

    Only backends whose core contract has passed in this build are measured; where no certificate says so, they are
    verified first.
    """
    _require_packages()
    from rich.console import Console

    from stackproof.measurement.judgement import measurement_of
    from stackproof.measurement.promises import Promise
    from stackproof.measurement.record import to_json
    from stackproof.reports.measurement import render
    from stackproof.reports.measurement_terminal import print_measurement
    from stackproof.scenarios.plan import Plan
    from stackproof.scenarios.scenario import find_scenario
    from stackproof.verification.provision import provided_servers
    from stackproof.verification.runs import RUNS, keep, new_run_id, open_run

    from .bench_gate import Refusal, ensure_proven

    targets = _targets(stack, backends, scenario)
    judged = [Promise.parse(text) for text in promises]
    plan = Plan(
        scenario=scenario,
        backends={target.concern: target.spec for target in targets},
        namespace=f"bench{secrets.token_hex(5)}",
        rate=rate,
        duration=_seconds("--duration", duration, 1.0),
        warmup=_seconds("--warmup", warmup, 0.0),
        arrivals=arrivals,
        seed=find_scenario(scenario).seed if seed is None else seed,
        in_flight=in_flight,
        calibration=min(2.0, duration),
    )
    _check_load(plan)
    for target in targets:
        if target.entry is None:
            load_object(target.name, target.spec)  # now, so that a mistyped factory is told before servers start
    console = Console(stderr=json_file == "-")
    with provided_servers(targets, origin) as servers:
        proofs = ensure_proven(targets, servers, origin, RUNS, console)
        if isinstance(proofs, Refusal):
            _say_refused(proofs.reasons, console)
            return proofs.code
        run_id = new_run_id()
        directory = open_run(out, run_id)
        data = _offer(plan, servers, directory, console)
        facts = _facts(run_id, stack, backends, plan, promises, origin, targets, proofs, servers)
    result = measurement_of(plan, data, facts, judged)
    keep(directory / "run.json", to_json(result))
    keep(directory / "measurement.html", render(result))
    if json_file is not None:
        write_result(json_file, to_json(result))
    print_measurement(result, console, directory)
    return _exit_code(result)


def _require_packages() -> None:
    missing = {extra for package, extra in NEEDED.items() if importlib.util.find_spec(package) is None}
    if missing:
        raise ConfigurationError(
            f"bench needs more packages; type: pip install 'stackproof[{','.join(sorted(missing))}]'"
        )


def _targets(stack: str, backends: Sequence[str], scenario: str) -> list[Target]:
    """One target for each concern that the scenario uses: the named one, else the stack's."""
    from stackproof.scenarios.scenario import find_scenario

    concerns = find_scenario(scenario).concerns
    chosen = {target.concern: target for target in find_stack(stack).targets()}
    named = [parse_target(text) for text in backends]
    for target in named:
        if target.concern not in concerns:
            raise ConfigurationError(
                f"--backend {target.name}: the scenario {scenario} uses no {target.concern}, only {', '.join(concerns)}"
            )
        if sum(other.concern == target.concern for other in named) > 1:
            raise ConfigurationError(f"--backend names {target.concern} more than once; one run measures one of each")
        chosen[target.concern] = target
    return [chosen[concern] for concern in concerns]


def _seconds(option: str, value: float, least: float) -> float:
    if not least <= value <= 86_400:
        raise ConfigurationError(f"{option} lies between {least:g} and 86400 seconds, not at {value:g}")
    return value


def _check_load(plan: Plan) -> None:
    """Refuse a rate that is none, and a window in which nothing, or too much, would arrive."""
    from stackproof.scenarios.arrivals import schedule_of

    schedule_of(plan.arrivals, plan.rate, plan.seed)
    if plan.rate * plan.duration < 1:
        raise ConfigurationError(
            f"--rate {plan.rate:g} for --duration {plan.duration:g} s is less than one decision; make one of them larger"
        )


def _offer(plan: Plan, servers: Sequence[Server], directory: Path, console: Any) -> dict[str, Any]:
    """Run the generator; afterwards nothing of the run is left on the servers."""
    from stackproof.reports.measurement_terminal import LoadView
    from stackproof.scenarios.launch import GeneratorError, run_generator
    from stackproof.scenarios.work import drop_namespace

    variables = {name: value for server in servers for name, value in server.variables().items()}
    settings = Settings({**os.environ, **variables})
    try:
        with LoadView(console, plan) as view:
            data = run_generator(plan, variables, directory, view)
    except BaseException:
        drop_namespace(plan.backends, settings, plan.namespace)
        raise
    if not data["removed"]:
        left = drop_namespace(plan.backends, settings, plan.namespace)
        data |= {"removed": not left, "left_behind": left}
    if "recorder" not in data:
        if data["interrupted"]:
            raise KeyboardInterrupt
        raise GeneratorError(f"the load cannot be offered: {data['trouble'] or 'the generator gave no figures'}")
    return data


def _facts(
    run_id: str,
    stack: str,
    backends: Sequence[str],
    plan: Plan,
    promises: Sequence[str],
    origin: str,
    targets: Sequence[Target],
    proofs: Mapping[str, Proof],
    servers: Sequence[Server],
) -> Facts:
    from stackproof.measurement.record import BackendRecord, Facts
    from stackproof.verification.digests import suite_digest
    from stackproof.verification.environment import describe_environment
    from stackproof.verification.run import describe_server

    return Facts(
        id=run_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=stackproof.__version__,
        command=_command(stack, backends, plan, promises, origin),
        stack=stack,
        origin=origin,
        backends=tuple(
            BackendRecord(
                target.name,
                target.concern,
                (proof := proofs[target.name]).record.backend,
                proof.record.digest,
                target.server,
                proof.record.fidelity,
                proof.certificate,
            )
            for target in targets
        ),
        servers=tuple(asdict(describe_server(server)) for server in servers),
        environment=describe_environment(),
        suite_digest=suite_digest(),
    )


def _command(stack: str, backends: Sequence[str], plan: Plan, promises: Sequence[str], origin: str) -> str:
    """What repeats this run."""
    words = ["stackproof", "bench", "--stack", stack]
    for backend in backends:
        words += ["--backend", backend]
    words += ["--scenario", plan.scenario, "--rate", f"{plan.rate:g}", "--duration", f"{plan.duration:g}"]
    words += ["--warmup", f"{plan.warmup:g}", "--arrivals", plan.arrivals, "--in-flight", str(plan.in_flight)]
    words += ["--origin", origin, "--seed", str(plan.seed)]
    for promise in promises:
        words += ["--slo", promise]
    return shlex.join(words)


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
