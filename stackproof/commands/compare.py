"""`stackproof compare`: the regression gate between two runs of load."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

import stackproof
from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError

from .options import check_targets, json_option, result_console, write_result

if TYPE_CHECKING:
    from stackproof.measurement.compared import Comparison, Run

NEEDED = ("numpy", "scipy", "hdrh")
RECORD = "run.json"


@click.command()
@click.argument("run_a")
@click.argument("run_b")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="p50, p90, p99, p99_9, achieved, cpu or ceiling. May be repeated.  [default: p50, p99, achieved, cpu, ceiling]",
)
@click.option(
    "--threshold", default="5%", show_default=True, metavar="P%", help="A change up to this is none to speak of."
)
@click.option(
    "--accept",
    "accepted",
    multiple=True,
    type=click.Choice(["environment", "backend", "seed"]),
    help="Compare although this differs; the result says so. May be repeated.",
)
@click.option("--page", metavar="FILE", help="Write the comparison as an HTML page; - for standard output.")
@json_option
def compare(
    run_a: str,
    run_b: str,
    metrics: tuple[str, ...],
    threshold: str,
    accepted: tuple[str, ...],
    page: str | None,
    json_file: str | None,
) -> int:
    """Whether RUN_B is worse than RUN_A: a run's id, its directory, or a directory that holds one run for each window.

    Windows of the same name that were taken one after the other are compared as pairs.

    Exit codes: 0 no regression; 1 a regression; 3 it cannot be told; 5 a record is invalid; 6 there is no data;
    7 another workload, environment or backend.
    """
    if any(importlib.util.find_spec(package) is None for package in NEEDED):
        raise ConfigurationError("compare needs more packages; type: pip install 'stackproof[bench]'")
    from stackproof.measurement.compared import METRICS
    from stackproof.measurement.comparison_json import to_json
    from stackproof.reports.comparison_terminal import print_comparison

    share = _share(threshold)
    for name in metrics:
        if name not in METRICS:
            raise ConfigurationError(f"there is no metric {name!r}, only {', '.join(METRICS)}")
    if page is not None:
        _require_pages()
    check_targets(page, json_file)
    if page == json_file == "-":
        raise ConfigurationError("only one of --page and --json can have standard output (-)")
    result = _compared(run_a, run_b, tuple(dict.fromkeys(metrics)), share, accepted)
    if json_file is not None:
        write_result(json_file, to_json(result))
    if page is not None:
        from stackproof.reports import comparison_page

        write_result(page, comparison_page.render(result, stackproof.__version__, _command()))
    print_comparison(result, result_console("-" if "-" in (page, json_file) else None))
    return _CODES[result.outcome.value]


_CODES = {
    "no regression": Exit.HOLDS,
    "regression": Exit.BROKEN,
    "cannot tell": Exit.INCONCLUSIVE,
    "invalid": Exit.INVALID,
    "no data": Exit.NO_DATA,
    "other environment": Exit.OTHER,
}


def _require_pages() -> None:
    """Told before any work is done."""
    if any(importlib.util.find_spec(package) is None for package in ("jinja2", "matplotlib")):
        raise ConfigurationError("--page needs more packages; type: pip install 'stackproof[report]'")


def _command() -> str:
    """What repeats this comparison."""
    context = click.get_current_context()
    given = context.params
    words = ["stackproof", "compare", given["run_a"], given["run_b"], "--threshold", given["threshold"]]
    for option, name in (("--metric", "metrics"), ("--accept", "accepted")):
        words += [word for value in given[name] for word in (option, value)]
    return shlex.join(words)


def _compared(
    run_a: str, run_b: str, metrics: tuple[str, ...], threshold: float, accepted: tuple[str, ...]
) -> Comparison:
    from stackproof.measurement import comparison
    from stackproof.measurement.comparable import Unusable

    try:
        return comparison.compare(_read(run_a), _read(run_b), metrics, threshold=threshold, accepted=accepted)
    except Unusable as error:
        return comparison.no_answer(error.outcome, (str(error),), (run_a, run_b), threshold)


def _read(run: str) -> Run:
    """The run in a directory, or the runs in the directories below it."""
    from stackproof.measurement.comparable import comparable
    from stackproof.verification.runs import find_run

    directory = find_run(run)
    if (directory / RECORD).exists():
        return comparable(run, {"": _text(directory / RECORD)}, {"": _evidence(directory)})
    below = sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("."))
    records = {path.name: _text(path / RECORD) if (path / RECORD).exists() else None for path in below}
    return comparable(run, records, {path.name: _evidence(path) for path in below})


def _evidence(directory: Path) -> str | None:
    """What a run kept beside its record: machine and settings."""
    from stackproof.kept_json import text_of
    from stackproof.measurement.comparable import Unusable
    from stackproof.measurement.compared import Outcome
    from stackproof.measurement.evidence import FILE
    from stackproof.reports.text import what_happened

    path = directory / FILE
    if not path.exists():
        return None
    try:
        return text_of(path)
    except (ValueError, OSError) as error:
        raise Unusable(Outcome.INVALID, f"{path} cannot be read: {what_happened(error)}.") from error


def _text(path: Path) -> str:
    """A record, if it has the shape of one."""
    from stackproof.kept_json import read, text_of
    from stackproof.measurement.comparable import Unusable
    from stackproof.measurement.compared import Outcome
    from stackproof.reports.json_page import FORMS
    from stackproof.reports.text import what_happened
    from stackproof.shape import misshapen

    try:
        text = text_of(path)
        data = read(text) if text.strip() else None
    except (ValueError, OSError) as error:
        raise Unusable(Outcome.INVALID, f"{path} cannot be read: {what_happened(error)}.") from error
    if data is None:
        raise Unusable(Outcome.INVALID, f"{path} is empty: it was cut off or damaged.")
    schema = next(form for form in FORMS if form.name == "measurement").schema()
    if wrong := misshapen(data, schema):
        raise Unusable(Outcome.INVALID, f"{path} is no measurement of this version: {wrong[0]}.")
    return text


def _share(text: str) -> float:
    """From ``5%`` or ``2.5 %``."""
    number = text.strip()
    try:
        share = float(number.removesuffix("%")) / 100 if number.endswith("%") else -1.0
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ConfigurationError(f"--threshold {text!r} must look like 5%, above 0% and at most 100%")
    return share
