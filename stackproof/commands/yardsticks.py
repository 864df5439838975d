"""`stackproof yardsticks`: our load beside that of the field's own tools, on the same server in the same run."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import stackproof
from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError
from stackproof.targets import Target, find_stack, parse_target

from .options import backend_option, check_targets, json_option, origin_option, out_option, result_console, write_result

if TYPE_CHECKING:
    from rich.console import Console

    from stackproof.benchmarks.yardsticks.record import Facts
    from stackproof.benchmarks.yardsticks.run import Outcome
    from stackproof.benchmarks.yardsticks.yardstick import Load
    from stackproof.servers import Server

    from .bench_gate import Proof, Refusal

DEFAULT = ("cache=redis", "interactions=postgres")
LEAST_ROUNDS, MOST_ROUNDS = 5, 1000


@click.command()
@click.option(
    "--stack", metavar="NAME", help="All backends of a stack that have a tool.  [default: cache and interactions]"
)
@backend_option
@origin_option
@click.option("--rounds", type=click.IntRange(LEAST_ROUNDS, MOST_ROUNDS), default=LEAST_ROUNDS, show_default=True)
@click.option("--seconds", type=click.FloatRange(1, 600), default=3.0, show_default=True, help="Of each window.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    help="Operations in flight on both sides.  [default: 16; Kafka 1000]",
)
@click.option(
    "--payload", type=click.IntRange(1, 65_536), default=400, show_default=True, help="Bytes of a value or event."
)
@click.option(
    "--core", type=click.IntRange(0), help="The processor that each client is held to.  [default: the first one]"
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the order in each round.")
@out_option
@json_option
def yardsticks(
    stack: str | None,
    backends: tuple[str, ...],
    origin: str,
    rounds: int,
    seconds: float,
    concurrency: int | None,
    payload: int,
    core: int | None,
    seed: int,
    out: Path | None,
    json_file: str | None,
) -> int:
    """Run our load and the field's own tools in turn, held to one core each, and say what the difference is.

    pgbench, redis-benchmark and so on: what is not on this machine is named, with the line to type.

    Exit codes: 0 every tool was compared; 3 a ratio is not to be used, a tool is missing or failed, or something was left on a
    server; 1 a backend breaks its contract.
    """
    _require_packages()
    from stackproof.benchmarks.yardsticks.record import to_json
    from stackproof.benchmarks.yardsticks.yardstick import Load
    from stackproof.verification.provision import provided_servers
    from stackproof.verification.runs import RUNS, StorageError, check_place, keep_run, new_run_id, open_run

    from .bench_gate import Gate, Refusal, told_with

    check_targets(json_file)
    targets = _targets(stack, backends)
    load = Load("", concurrency or 0, seconds, payload, _core(core))
    run_id = new_run_id()
    check_place(out, run_id)
    console = result_console(json_file)
    gate = Gate(origin, RUNS, console)
    with told_with(gate.not_kept), provided_servers(targets, origin) as servers:
        proofs = gate.prove(targets, servers)
        if isinstance(proofs, Refusal):
            return _refused(proofs, gate.not_kept, console)
        directory = open_run(out, run_id)
        outcomes, interrupted = _outcomes(targets, servers, load, rounds, seed, console)
        command = _command(stack, backends, origin, rounds, load, seed)
        facts = _facts(run_id, command, origin, proofs, servers, interrupted)
    text = to_json(facts, outcomes)
    troubles = keep_run(directory, {"yardsticks.json": partial(str, text), **dict(_outputs(outcomes))})
    _print(outcomes, console, None if troubles else directory)
    if json_file is not None:
        try:
            write_result(json_file, text)
        except StorageError as error:
            troubles = (*troubles, str(error))
    if gate.not_kept or troubles:
        # Last, so that the result is on the screen all the same.
        raise StorageError("; ".join([*gate.not_kept, *troubles]))
    if interrupted:
        return Exit.INTERRUPTED
    good = outcomes and all(each.name == "compared" and not each.left_behind for each in outcomes)
    return Exit.HOLDS if good else Exit.INCONCLUSIVE


def _refused(refusal: Refusal, not_kept: Sequence[str], console: Console) -> Exit:
    """Say why there are no figures."""
    from stackproof.verification.runs import StorageError

    console.print("No figures: not every backend keeps its core contract in this build.", style="bold")
    for reason in refusal.reasons:
        console.print(f"  {reason}", markup=False)
    if not_kept:  # its caller adds what that was, and where it is now
        raise StorageError("the certificate is not where the next run would find it")
    return refusal.code


def _require_packages() -> None:
    missing = [name for name in ("locust", "hdrh", "scipy") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError("yardsticks needs more packages; type: pip install 'stackproof[bench]'")


def _targets(stack: str | None, backends: Sequence[str]) -> list[Target]:
    """Those that were named; each of them has a tool, or that is said."""
    from stackproof.benchmarks.yardsticks.registry import known, yardsticks_of

    if stack is not None and backends:
        raise ConfigurationError("--stack and --backend are both given; choose one of them")
    if stack is not None:
        found = [target for target in find_stack(stack).targets() if yardsticks_of(target)]
        if not found:
            raise ConfigurationError(f"the field has a tool for no backend of the stack {stack}")
        return found
    named = [parse_target(text) for text in dict.fromkeys(backends or DEFAULT)]
    for target in named:
        if not yardsticks_of(target):
            listed = ", ".join(f"{concern} on {technology}" for concern, technology in known())
            raise ConfigurationError(
                f"--backend {target.name}: no tool of the field is known for it; known are: {listed}"
            )
    return named


def _core(core: int | None) -> int:
    """The core that was asked for, else the first that this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    if core is None:
        return allowed[0]
    if core not in allowed:
        raise ConfigurationError(f"--core {core} is none that this process may use: {', '.join(map(str, allowed))}")
    return core


def _outcomes(
    targets: Sequence[Target], servers: Sequence[Server], load: Load, rounds: int, seed: int, console: Any
) -> tuple[list[Outcome], bool]:
    """The outcome of each yardstick of each target; what was done before Ctrl-C is kept, and true says that it came."""
    from stackproof.benchmarks.yardsticks.registry import yardsticks_of
    from stackproof.benchmarks.yardsticks.run import outcome_of

    by_name = {server.name: server for server in servers}
    outcomes: list[Outcome] = []
    try:
        with console.status("starting") as status:
            for target in targets:
                variables = _variables(target, by_name)
                for yardstick in yardsticks_of(target):
                    named = replace(
                        load,
                        namespace=f"yard{secrets.token_hex(5)}",
                        concurrency=load.concurrency or yardstick.usual_concurrency,
                    )
                    outcome = outcome_of(
                        yardstick, target, variables, named, rounds=rounds, seed=seed, observer=status.update
                    )
                    if outcome.missing is None or not yardstick.optional:
                        outcomes.append(outcome)
    except KeyboardInterrupt:
        return outcomes, True
    return outcomes, False


def _variables(target: Target, servers: Mapping[str, Server]) -> dict[str, str]:
    return {name: value for server in target.servers for name, value in servers[server].variables().items()}


def _facts(
    run_id: str,
    command: str,
    origin: str,
    proofs: Mapping[str, Proof],
    servers: Sequence[Server],
    interrupted: bool,
) -> Facts:
    from stackproof.benchmarks.yardsticks.record import Facts
    from stackproof.verification.environment import describe_environment
    from stackproof.verification.run import describe_server

    return Facts(
        id=run_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=stackproof.__version__,
        command=command,
        origin=origin,
        servers=tuple(asdict(describe_server(server)) for server in servers),
        environment=describe_environment(),
        certificates={name: proof.certificate for name, proof in proofs.items()},
        interrupted=interrupted,
    )


def _command(stack: str | None, backends: Sequence[str], origin: str, rounds: int, load: Load, seed: int) -> str:
    """What repeats this run."""
    words = ["stackproof", "yardsticks", *(("--stack", stack) if stack else ())]
    for backend in backends:
        words += ["--backend", backend]
    words += ["--origin", origin, "--rounds", str(rounds), "--seconds", f"{load.seconds:g}"]
    words += ["--payload", str(load.payload_bytes), "--core", str(load.core), "--seed", str(seed)]
    return shlex.join([*words, *(("--concurrency", str(load.concurrency)) if load.concurrency else ())])


def _outputs(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, Callable[[], str]]]:
    """What each run of a tool wrote, by the name of a file beside the record."""
    for number, outcome in enumerate(outcomes, 1):
        for turn, each in enumerate(outcome.comparison.rounds if outcome.comparison else (), 1):
            text = f"$ {each.theirs.command}\n{each.theirs.output}\n"
            yield f"{number}-{outcome.tool}-round{turn}.txt", partial(str, text)


def _print(outcomes: Sequence[Outcome], console: Any, directory: Path | None) -> None:
    """``directory``: where all of it is kept, None where not all of it is."""
    from stackproof.reports.yardsticks_terminal import print_outcomes

    print_outcomes(outcomes, console)
    if directory is not None:
        console.print(f"Kept in {directory}", style="dim", markup=False)
