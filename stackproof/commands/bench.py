"""`stackproof bench`: offer a stack load, at a fixed arrival rate or in a search for the highest one that holds."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from stackproof.interfaces import ConfigurationError

from .options import json_option, origin_option, out_option
from .search_options import Find, asked_for, search_options

NEEDED = {
    "locust": "bench",
    "hdrh": "bench",
    "redis": "bench",
    "scipy": "bench",
    "jinja2": "report",
    "matplotlib": "report",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of one call, as they were typed; None where nothing was."""

    stack: str
    backends: tuple[str, ...]
    against: tuple[str, ...]
    sweep: str | None
    scenarios: tuple[str, ...]
    """One, but for a series of searches."""
    settings: tuple[str, ...]
    rate: float | None
    duration: float
    warmup: float
    repeat: int
    arrivals: str | None
    in_flight: int | None
    workers: int
    bind: str | None
    calibrated: bool
    origin: str
    promises: tuple[str, ...]
    seed: int | None
    out: Path | None
    resume: str | None
    json_file: str | None
    find: Find | None
    """What was asked of a search for the highest rate; None for a fixed rate."""

    @property
    def scenario(self) -> str:
        return self.scenarios[0]


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
    "scenarios",
    multiple=True,
    default=("decision",),
    show_default=True,
    metavar="NAME",
    help="The workload: a name or package.module:NAME. With --find-max it may be repeated: one short search for each, in one "
    "session, within --max-minutes in all.",
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
@click.option(
    "--sweep",
    metavar="1,2,4,...",
    help="A closed loop with each of these numbers of callers, and the Universal Scalability Law fitted to them.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="CONCERN=SPEC",
    help="Measure this backend, too, in interleaved windows: a second run, for `stackproof compare`. May be repeated.",
)
@origin_option
@click.option("--slo", "promises", multiple=True, metavar="p99=20ms", help="A promise to judge. May be repeated.")
@click.option("--seed", type=click.IntRange(0), help="Of decisions and arrivals.  [default: the scenario's own]")
@out_option
@click.option(
    "--resume",
    metavar="RUN",
    help="Go on with a run that was cut short; the other options as they were, or more --repeat, --max-steps, --max-minutes.",
)
@json_option
def bench(find_max: bool, short: bool, max_steps: int | None, max_minutes: float | None, **typed: Any) -> int:  # noqa: ARG001
    """Measure a stack under load: operations arrive at a fixed rate, whether or not it keeps up.

    With --find-max, windows of ever more load find the rate that holds and the one that does not. --slo is what has to
    hold, and --duration the length of the first windows (5 s unless given).

    Only backends whose core contract has passed in this build are measured; where no certificate says so, they are
    verified first.
    """
    require_packages("bench")
    context = click.get_current_context()
    asked = Asked(**typed, find=asked_for(context))
    if len(asked.scenarios) > 1:
        from .bench_series import run_series

        return run_series(asked, context)
    from .bench_run import run

    return run(asked)


def require_packages(command: str, otherwise: str = "") -> None:
    """A `ConfigurationError` with the line to type, and what is had without it, where an extra is not installed."""
    missing = {extra for package, extra in NEEDED.items() if importlib.util.find_spec(package) is None}
    if missing:
        raise ConfigurationError(
            f"{command} needs more packages; type: pip install 'stackproof[{','.join(sorted(missing))}]'{otherwise}"
        )
