"""`stackproof audit`: published thresholds and costs, held against what was measured here and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
from click.core import ParameterSource

from stackproof.interfaces import ConfigurationError

from .options import Directory, check_targets, json_option, origin_option, out_option

MINUTES = 12.0


@dataclass(frozen=True, slots=True)
class Asked:
    """The options."""

    origin: str
    runs: Path
    claims: Path | None
    prices: Path | None
    minutes: float
    measured: bool
    promises: tuple[str, ...]
    out: Path | None
    json_file: str | None


@click.command()
@origin_option
@click.option(
    "--runs",
    type=Directory(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where kept runs are, and where new ones go.  [default: .stackproof/runs]",
)
@click.option(
    "--claims",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Your own claims, instead of those of the platform's documentation.",
)
@click.option(
    "--prices", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Your own prices, before ours."
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, 1440, min_open=True),
    default=MINUTES,
    show_default=True,
    metavar="M",
    help="For measuring what is missing, the most deciding first.",
)
@click.option("--measure/--no-measure", default=True, help="Measure what is missing; or judge by what is there.")
@click.option(
    "--slo",
    "promises",
    multiple=True,
    default=("p99=20ms",),
    show_default=True,
    metavar="p99=20ms",
    help="What a rate must hold with, for all backends. May be repeated.",
)
@out_option
@json_option
def audit(
    origin: str,
    runs: Path | None,
    claims: Path | None,
    prices: Path | None,
    minutes: float,
    measure: bool,
    promises: tuple[str, ...],
    out: Path | None,
    json_file: str | None,
) -> int:
    """Hold every published threshold and cost against what was measured on this machine, and what it costs.

    Kept runs of this build and machine are used; what is missing is measured first. A claim that turns out to be wrong is a
    finding, and no failure.

    Exit codes: 0 each claim has a verdict; 3 something that decides and can be measured here was not (with --no-measure, too);
    4 servers could not be started (what was kept is judged all the same); 130 interrupted (so is what was measured before).
    """
    from stackproof.verification.runs import RUNS

    from .audit_run import run

    if not measure and click.get_current_context().get_parameter_source("minutes") is ParameterSource.COMMANDLINE:
        raise ConfigurationError("--minutes is for measuring, and --no-measure measures nothing")
    if runs is not None and not runs.is_dir():
        raise ConfigurationError(f"--runs {runs} is no directory")
    check_targets(json_file)
    return run(Asked(origin, runs or RUNS, claims, prices, minutes, measure, promises, out, json_file))
