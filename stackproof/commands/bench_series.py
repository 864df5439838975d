"""`stackproof bench --find-max` with several scenarios: a series, and what to say of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.evidence import kept_evidence
from stackproof.measurement.promises import Promise
from stackproof.measurement.record import from_json
from stackproof.reports.measurement import render
from stackproof.scenarios.catalogue import find_scenario, settings_of
from stackproof.targets import find_stack, parse_target
from stackproof.verification.runs import RUNS, StorageError, keep_run

from .bench import Asked
from .options import result_console
from .search_options import MINUTES, is_given
from .series import Wanted, measure

_OF_ONE = (
    *(
        "duration",
        "warmup",
        "in_flight",
        "arrivals",
        "workers",
        "bind",
        "calibrated",
        "against",
        "sweep",
        "seed",
        "out",
    ),
    *("resume", "json_file", "max_steps"),
)
"""Options that are about a single run."""


def run_series(asked: Asked, context: click.Context) -> Exit:
    """Search for the ceiling of each scenario, one after the other, within the minutes that were given for all."""
    if asked.find is None:
        raise ConfigurationError("--scenario is given more than once, which only --find-max can do")
    for option in context.command.params:
        if option.name in _OF_ONE and is_given(context, option.name):
            raise ConfigurationError(f"{option.opts[0]} is about a single run; --scenario is given more than once")
    console = result_console(None)
    minutes = context.params["max_minutes"] or MINUTES
    series = measure(wanted_of(asked), origin=asked.origin, seconds=60 * minutes, runs=RUNS, console=console)
    troubles = [*series.not_kept, *_pages(series.measured)]
    for wanted, reason in series.not_measured:
        console.print(f"no ceiling of {wanted.scenario}: {reason}", style="yellow", markup=False, highlight=False)
    for wanted, sentence in series.bounded:
        console.print(f"of {wanted.scenario}, bounds only: {sentence}", style="yellow", markup=False, highlight=False)
    for command in series.unfinished:
        console.print(f"go on with it: {command}", markup=False, highlight=False, soft_wrap=True)
    if troubles:
        raise StorageError("; ".join(troubles))
    if series.interrupted:
        return Exit.INTERRUPTED
    if series.trouble is not None:
        raise series.trouble  # told above with what it cost; here with the exit code that a single search has for it
    return Exit.INCONCLUSIVE if series.not_measured or series.bounded else Exit.HOLDS


def wanted_of(asked: Asked) -> list[Wanted]:
    """The searches that the options describe: each scenario with the backends and the settings that it knows."""
    named = [parse_target(text) for text in asked.backends]
    chosen = {target.concern: target for target in (*find_stack(asked.stack).targets(), *named)}
    scenarios = [find_scenario(name) for name in asked.scenarios]
    used = {concern for scenario in scenarios for concern in scenario.concerns}
    for target in named:
        if target.concern not in used:
            raise ConfigurationError(f"--backend {target.name}: none of the scenarios uses {target.concern}")
    given = settings_of(asked.settings)
    known = {parameter.name for scenario in scenarios for parameter in scenario.parameters}
    if unknown := sorted(given.keys() - known):
        raise ConfigurationError(f"--set {unknown[0]}: none of the scenarios has such a setting")
    return [
        Wanted(
            backends=tuple(chosen[concern].name for concern in scenario.concerns),
            scenario=name,
            settings={each.name: given[each.name] for each in scenario.parameters if each.name in given},
            promises=tuple(Promise.parse(text) for text in asked.promises),
        )
        for name, scenario in zip(asked.scenarios, scenarios, strict=True)
    ]


def _pages(runs: Sequence[Path]) -> list[str]:
    """The page of each run, after the measurements: making it takes a second of the processor."""
    troubles: list[str] = []
    for run in runs:
        result = from_json((run / "run.json").read_text(encoding="utf-8"))
        troubles += keep_run(run, {"measurement.html": lambda: render(result, kept_evidence(run))})  # noqa: B023
    return troubles
