"""`stackproof calibrate`: whether the load generator, on this machine, now, sees what is really there."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stackproof.exits import Exit

from .options import json_option, result_console, write_result

if TYPE_CHECKING:
    from rich.console import Console

    from stackproof.measurement.calibration import CalibrationVerdict, Form

SCHEMA = "stackproof-calibration/1"
MOST_RATE = 5_000.0
"""Requests a second: more would need more connections than a process may open."""


@click.command()
@click.option(
    "--rate",
    "rates",
    type=click.FloatRange(100.0, MOST_RATE),
    multiple=True,
    metavar="R",
    help="Requests that are due each second. May be repeated.  [default: 200 and 2000]",
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that share the load."
)
@json_option
def calibrate(rates: tuple[float, ...], workers: int, json_file: str | None) -> int:
    """Let the load generator measure a server whose service time (2 ms) and stall (1 s) are known.

    What it must see is computed, not measured; p50, p99 and the longest latency must be that and the client's own time (1 ms at
    most), within 5 % of both together. A short form of this runs before every measurement. Exit codes: 0 it sees what is there;
    1 it does not; 3 the machine was too busy to tell.
    """
    from .bench import require_packages

    require_packages("calibrate")
    from stackproof.measurement.calibration import FULL

    console = result_console(json_file)
    form = replace(FULL, rates=rates) if rates else FULL
    verdict = _run(form, workers, console)
    if json_file is not None:
        write_result(
            json_file, json.dumps({"schema": SCHEMA, "workers": workers, **verdict.to_data()}, indent=2) + "\n"
        )
    _print(verdict, console)
    if verdict.trusted:
        return Exit.HOLDS
    return Exit.INCONCLUSIVE if verdict.starved else Exit.BROKEN


def _run(form: Form, workers: int, console: Console) -> CalibrationVerdict:
    from stackproof.measurement.calibrating import calibrate as calibrated
    from stackproof.reports.measurement_terminal import LoadView
    from stackproof.scenarios.orders import NULL, Order, Setup
    from stackproof.scenarios.session import Session, new_namespace
    from stackproof.scenarios.stub import StubServer

    with (
        tempfile.TemporaryDirectory(prefix="stackproof-") as directory,
        StubServer() as stub,
        LoadView(console) as view,
        Session(
            Setup("decision", {}, new_namespace(), stub=stub.url), {}, Path(directory), view, workers=workers
        ) as session,
    ):
        return calibrated(session.offer, stub, form, Order(max(form.rates), form.null_seconds, target=NULL)).verdict


def _print(verdict: CalibrationVerdict, console: Console) -> None:
    from rich.table import Table

    from stackproof.reports.measurement_terminal import milliseconds

    table = Table("", "injected", "seen", "difference", "allowed", "recovered", box=None, pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[1:5]:
        column.justify = "right"
    for one in verdict.comparisons:
        table.add_row(
            f"{one.figure} {one.rate:g}/s",
            milliseconds(one.injected * 1000),
            "nothing" if math.isnan(one.recovered) else milliseconds(one.recovered * 1000),
            f"{one.deviation:+.1%}",
            f"{milliseconds(one.least * 1000)} to {milliseconds(one.most * 1000)}",
            "yes" if one.holds else "NO",
        )
    console.print(table)
    for rate, own in verdict.own.items():
        _say(console, f"the client's own time at {rate:g}/s: {milliseconds(own * 1000)}, which is part of what is seen")
    _say(console, "difference: beyond what was injected, the client's own time and what the stub admits; 5 % at most")
    _say(console, f"null step: {verdict.null.cpu_us_per_operation:,.0f} us of processor time an operation")
    if verdict.attempts > 1:
        _say(console, f"attempt {verdict.attempts}: the machine was busy, or a p50 nearly right, in what came before")
    for sentence in verdict.reasons:
        _say(console, f"not trusted: {sentence}", style="yellow" if verdict.starved else "red")
    _say(
        console, "TRUSTED" if verdict.trusted else "NOT TRUSTED", style="bold green" if verdict.trusted else "bold red"
    )


def _say(console: Console, sentence: str, **options: Any) -> None:
    console.print(sentence, markup=False, highlight=False, **options)
