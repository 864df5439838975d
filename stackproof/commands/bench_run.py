"""From the options of `stackproof bench` to its runs: what is measured, on which proof, and where the record is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console

from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError
from stackproof.interruption import held_interruptions
from stackproof.measurement.environment import read_environment
from stackproof.measurement.evidence import kept_evidence
from stackproof.measurement.promises import Promise, tightest_seconds
from stackproof.measurement.record import Measurement, to_json
from stackproof.measurement.search_journal import SearchSettings
from stackproof.measurement.window_log import WINDOWS, kept_windows
from stackproof.reports.evidence import print_evidence
from stackproof.reports.measurement import render
from stackproof.reports.measurement_terminal import print_measurement
from stackproof.scenarios.arrivals import natural_rate, schedule_of
from stackproof.scenarios.catalogue import find_scenario, settings_of
from stackproof.scenarios.orders import CLOSED, IN_FLIGHT, Order
from stackproof.targets import Target, find_stack, load_object, parse_target
from stackproof.verification.provision import provided_servers
from stackproof.verification.runs import RUNS, StorageError, check_place, id_of, keep_run, new_run_id, open_run

from .bench import Asked
from .bench_gate import Gate, Refusal, told_with
from .bench_going_on import going_on, is_left
from .bench_load import Load, Run, described, offer
from .bench_pair import SIDES, offer_pairs
from .bench_resume import to_go_on_with
from .bench_search import exit_code, may_go_on, search
from .bench_sweep import check_waiting, levels_of, sweep
from .bench_workers import check_bind
from .options import address, result_console, write_result

DEFAULT_RATE = 100.0


def run(asked: Asked) -> Exit:
    """Measure what was asked for, keep the record, and show it."""
    load = load_of(asked)
    targets = _targets(load, asked.backends)
    others = _targets(load, _kept(asked), asked.against) if asked.against else []
    levels = levels_of(asked.sweep) if asked.sweep is not None else ()
    wanted = asked.find.settings(load.order, load.promises) if asked.find is not None else None
    kept = to_go_on_with(asked, load, wanted, levels)
    if levels:
        check_waiting(targets)
    everything = list(dict.fromkeys([*targets, *others]))
    for target in everything:
        if target.entry is None:
            load_object(target.name, target.spec)  # now, so that a mistyped factory is told before servers start
    if load.bind:
        check_bind(load.bind)
    run_id = new_run_id() if kept is None else id_of(kept)
    if kept is None:
        check_place(asked.out, run_id)
    console = result_console(asked.json_file)
    environment = read_environment()  # before anything of ours keeps the machine busy
    gate = Gate(asked.origin, RUNS, console)
    with told_with(gate.not_kept), provided_servers(everything, asked.origin) as servers:
        proofs = gate.prove(everything, servers)
        if isinstance(proofs, Refusal):
            _say_refused(proofs.reasons, console)
            results, troubles = [], []
        else:
            directory = open_run(asked.out, run_id) if kept is None else kept
            told = described(servers)
            one = Run(load, tuple(targets), proofs, tuple(servers), run_id, directory, environment, told)
            if not console.is_terminal:
                _say_begun(one, console)
            two = _other(one, others, asked) if others else None
            with held_interruptions():  # from the first window on, until the record is there
                with _gone_on_with(one, console):
                    results = _measured(one, two, levels, wanted, console)
                troubles = _shown(results, asked, console)
    if troubles := [*gate.not_kept, *troubles]:
        raise StorageError("; ".join(troubles))  # last, so that the figures are on the screen all the same
    if isinstance(proofs, Refusal):
        return proofs.code
    return max((_exit_code(result) for _, result in results), key=_GRAVITY.index)


def _say_begun(one: Run, console: Console) -> None:
    """Where nobody looks, who finds the log of a run that was killed finds there how to go on with it."""
    load, lines = one.load, [f"run: {one.directory}"]
    if not load.against:  # pairs are not gone on with
        lines.append(f"where it is cut short, go on with it: {load.going_on(one.directory)}")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _say_going_on(one: Run, console: Console) -> None:
    if command := going_on(one.directory, one.load.command()):
        console.print(f"go on with it: {command}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _gone_on_with(one: Run, console: Console) -> Iterator[None]:
    """Where the run ends in trouble, or before it has a record, who has windows of it is told what goes on with it."""
    try:
        yield
    except ConfigurationError:
        raise  # what was asked for is refused: the same once more would be, too
    except BaseException:
        kept = kept_windows(one.directory)
        if kept is not None and kept.windows and not one.load.against:  # pairs are not gone on with
            _say_going_on(one, console)
        raise


def _measured(
    one: Run, two: Run | None, levels: Sequence[int], wanted: SearchSettings | None, console: Console
) -> list[tuple[Run, Measurement]]:
    """Each run with what was measured in it."""
    if two is not None:
        return list(zip((one, two), offer_pairs(one, two, console), strict=True))
    if levels:
        return [(one, sweep(one, levels, console))]
    return [(one, search(one, wanted, console) if wanted is not None else offer(one, console))]


def _shown(results: Sequence[tuple[Run, Measurement]], asked: Asked, console: Console) -> list[str]:
    """Keep and show what was measured, and say what to do with it; what could not be written."""
    troubles = [trouble for done, result in results for trouble in _kept_and_shown(done, result, console)]
    if len(results) == 1:
        ((one, result),) = results
        if (one.directory / WINDOWS).exists() and is_left(one.directory, result):
            _say_going_on(one, console)
    if len(results) > 1:
        both = " ".join(str(run.directory) for run, _ in results)
        console.print(f"compare them: stackproof compare {both} --accept backend", markup=False)
    if results and asked.json_file is not None:
        try:
            write_result(asked.json_file, to_json(results[0][1]))
        except StorageError as error:
            troubles.append(str(error))
    return troubles


_GRAVITY = (Exit.HOLDS, Exit.BROKEN, Exit.INCONCLUSIVE, Exit.INTERRUPTED)


def load_of(asked: Asked) -> Load:
    """The load that the options describe; `ConfigurationError` where they describe none."""
    given = settings_of(asked.settings)
    workload = find_scenario(asked.scenario, given)
    arrivals = asked.arrivals or workload.arrivals
    promises = tuple(Promise.parse(text) for text in asked.promises)
    order = Order(
        rate=(natural_rate(arrivals) or DEFAULT_RATE) if asked.rate is None else asked.rate,
        seconds=_seconds("--duration", asked.duration, 1.0),
        warmup=_seconds("--warmup", asked.warmup, 0.0),
        arrivals=arrivals,
        seed=workload.seed if asked.seed is None else asked.seed,
        in_flight=asked.in_flight or workload.in_flight or IN_FLIGHT,
        # An answer that breaks the tightest promise came, but late.
        limit=tightest_seconds(promises),
    )
    if asked.find is None:
        if order.arrivals == CLOSED and asked.rate is not None:
            raise ConfigurationError(
                "--arrivals closed has no rate: each caller begins when its last answer has come; leave out --rate, or choose "
                "how many there are by --in-flight"
            )
        _check_load(order)
    if asked.against:
        _check_pairs(asked)
    if asked.sweep is not None:
        _check_sweep(asked)
    return Load(
        stack=asked.stack,
        backends=asked.backends,
        scenario=asked.scenario,
        settings=given,
        order=order,
        repeat=asked.repeat,
        workers=asked.workers,
        promises=promises,
        origin=asked.origin,
        bind=address("--bind", asked.bind) if asked.bind else None,
        calibrated=asked.calibrated,
        search=asked.find.words() if asked.find is not None else (),
        against=asked.against,
        sweep=asked.sweep or "",
    )


def _check_pairs(asked: Asked) -> None:
    for option, given in (
        ("--find-max", asked.find),
        ("--bind", asked.bind),
        ("--resume", asked.resume),
        ("--sweep", asked.sweep),
    ):
        if given:
            raise ConfigurationError(f"--against measures two runs in turns, which {option} cannot take part in")


def _check_sweep(asked: Asked) -> None:
    others = (
        ("--find-max", asked.find),
        ("--rate", asked.rate),
        ("--in-flight", asked.in_flight),
    )
    for option, given in others:
        if given is not None:
            raise ConfigurationError(
                f"--sweep chooses the number of callers, and each waits for its answers: no {option}"
            )


def _kept(asked: Asked) -> list[str]:
    """The backends that both sides have."""
    replaced = {parse_target(text).concern for text in asked.against}
    return [text for text in asked.backends if parse_target(text).concern not in replaced]


def _other(one: Run, targets: Sequence[Target], asked: Asked) -> Run:
    """The run of the other side, in a directory beside the first one's."""
    run_id = f"{one.run_id}-against"
    out = None if asked.out is None else asked.out.with_name(f"{asked.out.name}-against")
    load = replace(one.load, backends=(*_kept(asked), *asked.against), against=())
    return replace(one, load=load, targets=tuple(targets), run_id=run_id, directory=open_run(out, run_id))


def _kept_and_shown(done: Run, result: Measurement, console: Console) -> list[str]:
    """Write the record and the page, and print the figures; what could not be written."""
    evidence = kept_evidence(done.directory)
    files = {"run.json": lambda: to_json(result), "measurement.html": lambda: render(result, evidence)}
    troubles = list(keep_run(done.directory, files))
    if not may_go_on(result) and not troubles:
        (done.directory / WINDOWS).unlink(missing_ok=True)  # everything of it is in the record now
    print_measurement(result, console, done.directory)
    if evidence is not None:
        print_evidence(evidence, console)
    return troubles


def _targets(load: Load, backends: Sequence[str], against: Sequence[str] = ()) -> list[Target]:
    """One target for each concern that the scenario uses: the named one, else the stack's. An error names the option."""
    scenario = load.workload
    concerns = scenario.concerns
    chosen = {target.concern: target for target in find_stack(load.stack).targets()}
    named = [
        (option, parse_target(text)) for option, given in zip(SIDES, (backends, against), strict=True) for text in given
    ]
    for option, target in named:
        if target.concern not in concerns:
            raise ConfigurationError(
                f"{option} {target.name}: the scenario {scenario.name} uses no {target.concern}, only "
                + ", ".join(concerns)
            )
        if sum(other.concern == target.concern for _, other in named) > 1:
            raise ConfigurationError(f"{option} names {target.concern} more than once; one run measures one of each")
        chosen[target.concern] = target
    return [chosen[concern] for concern in concerns]


def _seconds(option: str, value: float, least: float) -> float:
    if not least <= value <= 86_400:
        raise ConfigurationError(f"{option} lies between {least:g} and 86400 seconds, not at {value:g}")
    return value


def _check_load(order: Order) -> None:
    """Refuse a rate that is none, and a window in which nothing would arrive."""
    if order.arrivals == CLOSED:
        return
    lasts = schedule_of(order.arrivals, order.rate, order.seed).lasts
    if lasts < order.warmup + order.seconds:
        raise ConfigurationError(
            f"--arrivals {order.arrivals} ends after {lasts:.4g} s at {order.rate:.6g}/s, and nothing would be offered for the "
            f"rest of --warmup {order.warmup:g} and --duration {order.seconds:g}; make both together no longer than that"
        )
    if order.rate * order.seconds < 1:
        raise ConfigurationError(
            f"--rate {order.rate:g} for --duration {order.seconds:g} s is less than one operation; make one of them larger"
        )


def _say_refused(reasons: Sequence[str], console: Console) -> None:
    console.print("No figures: not every backend keeps its core contract in this build.", style="bold", markup=False)
    for reason in reasons:
        console.print(f"  {reason}", markup=False)


def _exit_code(result: Measurement) -> Exit:
    if result.ceiling is not None:
        return exit_code(result)
    if result.interrupted and not result.complete:
        return Exit.INTERRUPTED
    if result.invalid or not result.complete or result.client_limited:
        return Exit.INCONCLUSIVE
    verdicts = {promise.verdict for promise in result.slo}
    if "missed" in verdicts or result.fails:
        return Exit.BROKEN
    return Exit.INCONCLUSIVE if "unknown" in verdicts else Exit.HOLDS
