"""`stackproof report`: the page of a run again, from its record; its figures as tables; or an index over a folder of runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import click

from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError
from stackproof.kept_json import text_of
from stackproof.reports.pages import require_charts
from stackproof.reports.text import what_happened
from stackproof.verification.runs import (
    RECORD,
    RUNS,
    DamagedRecordError,
    NoRecordError,
    find_run,
    keep,
    keep_bytes,
    records_in,
)

from .options import Directory, check_targets, json_option, write_result
from .publishing import badge_option, publish_kept, summary_option

SCHEMA = "stackproof-report/1"

T = TypeVar("T")


@click.command()
@click.argument("run", required=False)
@click.option(
    "--index",
    type=Directory(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write DIR/index.html over all runs below DIR instead.",
)
@click.option("--csv", "csv_file", metavar="FILE", help="Write a table of the run as CSV (needs pandas).")
@click.option("--parquet", "parquet_file", metavar="FILE", help="Write it as Parquet (needs pandas and pyarrow).")
@click.option("--jsonl", "jsonl_file", metavar="FILE", help="Write it as JSON lines.")
@click.option(
    "--table",
    type=click.Choice(["seconds", "windows"]),
    default="seconds",
    show_default=True,
    help="Which table: a row for each second, or a row for each window of load.",
)
@summary_option
@badge_option
@json_option
def report(
    run: str | None,
    index: Path | None,
    csv_file: str | None,
    parquet_file: str | None,
    jsonl_file: str | None,
    table: str,
    summary_file: str | None,
    badge_file: Path | None,
    json_file: str | None,
) -> int:
    """Write the page of RUN (its id, or its directory) again, from the record that it kept.

    With --csv, --parquet or --jsonl, write the figures of a measurement as a tidy table instead; the unit of a number is in
    the name of its column. FILE may be - for standard output.

    With --summary or --badge, write those of a verification instead: of a certificate that is sound, and a badge only where it
    is complete and of what is installed.

    With --index, write a page that lists each run below DIR with what it shows and a link to its page; a run that is damaged or
    unfinished is listed as such. The exit code says whether the page was written, not what is on it.
    """
    from .bench_stored import sentence

    exports = {"csv": csv_file, "parquet": parquet_file, "jsonl": jsonl_file}
    wanted = {form: file for form, file in exports.items() if file is not None}
    published = summary_file is not None or badge_file is not None
    if wanted and published:
        raise ConfigurationError(
            "tables are of a measurement, --summary and --badge of a verification: ask for one of them"
        )
    check_targets(*wanted.values(), json_file, summary_file, badge_file)
    if [*wanted.values(), json_file, summary_file].count("-") > 1:
        raise ConfigurationError(
            "only one of --csv, --parquet, --jsonl, --summary and --json can have standard output (-)"
        )
    if index is not None:
        if run is not None or wanted or published:
            raise ConfigurationError("--index DIR stands alone: it takes neither a RUN nor anything else to write")
        return _index(index, json_file)
    if run is None:
        raise ConfigurationError("name a RUN (its id, or its directory), or --index DIR for all runs in a folder")
    directory = find_run(run)
    code, told = publish_kept(directory, summary_file, badge_file) if published else (Exit.HOLDS, {})
    tables = _export(directory, table, wanted) if wanted else []
    pages = [] if wanted or published else list(_pages(directory, quiet=json_file == "-"))
    resume = {} if published else _say_going_on(directory)
    if left := sentence(directory):
        click.echo(left, err=True)
    if json_file is not None:
        told = {"schema": SCHEMA, "run": str(directory), "pages": pages, "tables": tables, **resume, **told}
        write_result(json_file, json.dumps(told, indent=2) + "\n")
    return code


def _index(folder: Path, json_file: str | None) -> int:
    """The page over a folder of runs."""
    import stackproof
    from stackproof.reports import index_page
    from stackproof.reports.runs_index import overall, rows_of, to_data

    if not folder.is_dir():
        raise ConfigurationError(f"there is no folder {folder}; runs are kept in {RUNS}")
    page = folder / "index.html"
    if page.exists() and index_page.GENERATOR not in page.read_text(encoding="utf-8", errors="replace"):
        raise ConfigurationError(f"{page} is not a page of stackproof, and is not overwritten; move it away")
    rows = rows_of(folder)
    keep(page, index_page.render(rows, folder.resolve().name or str(folder), stackproof.__version__))
    click.echo(page, err=json_file == "-")
    if json_file is not None:
        told = {
            "schema": SCHEMA,
            "run": str(folder),
            "pages": [],
            "tables": [],
            "index": {"page": str(page), "standing": overall(rows).value, "runs": to_data(rows)},
        }
        write_result(json_file, json.dumps(told, indent=2) + "\n")
    return Exit.HOLDS


def _pages(directory: Path, *, quiet: bool) -> Iterable[dict[str, str]]:

    writers: dict[str, tuple[str, Callable[[Path], str]]] = {
        "certificate.json": ("certificate.html", _certificate),
        "run.json": ("measurement.html", _measurement),
        "audit.json": ("audit.html", _audit),
        "plan.json": ("plan.html", _plan),
    }
    kept = [name for name in writers if (directory / name).is_file()]
    if not kept:
        for name in records_in(directory):
            raise ConfigurationError(f"{directory} holds {name}, of which there is no page")
        raise _without_record(directory, list(writers))
    for name in kept:
        page, render = writers[name]
        keep(directory / page, _read(directory / name, render))
        click.echo(directory / page, err=quiet)
        yield {"record": str(directory / name), "page": str(directory / page)}


def _say_going_on(directory: Path) -> dict[str, object]:
    """Say what goes on with a measurement, and which windows of it are newer than its record; the same for the JSON form."""
    from stackproof.measurement.record import from_json
    from stackproof.measurement.window_log import WINDOWS

    if not (directory / WINDOWS).exists() or not (directory / RECORD).is_file():
        return {}
    from .bench_going_on import with_record

    try:
        found = with_record(directory, _read(directory / RECORD, lambda path: from_json(text_of(path))))
    except ConfigurationError as error:  # the page of the record is written all the same
        click.echo(f"stackproof: it cannot be gone on with: {error}", err=True)
        return {}
    if found is None:
        return {}
    if found.newer:
        windows = "1 window is" if found.newer == 1 else f"{found.newer} windows are"
        click.echo(f"the record is older than what was measured: {windows} kept beside it, and not in it", err=True)
    if found.command:
        click.echo(f"go on with it: {found.command}", err=True)
    return {"resume": {"command": found.command, "newer_windows": found.newer}}


def _without_record(directory: Path, records: Iterable[str]) -> NoRecordError:
    """Why there is no record, and of a measurement that has none yet, what goes on with it."""
    from stackproof.measurement.window_log import head_of

    from .bench_going_on import going_on, is_of_a_pair
    from .bench_stored import sentence

    if (head := head_of(directory)) is None:
        return NoRecordError(f"{directory} holds none of {', '.join(records)}: that run kept no record")
    command, name = str(head.get("command", "")), shlex.quote(str(directory))
    what = f"{directory} has no record yet: that run goes on, or was cut short"
    if not command:
        return NoRecordError(f"{what}; then go on with it by its command and --resume {name}")
    if is_of_a_pair(head):
        return NoRecordError(f"{what}; pairs are not gone on with, then begin a new run: {command}")
    again = going_on(directory, command)
    stored = f" ({left})" if (left := sentence(directory)) else ""
    return NoRecordError(
        f"{what}{stored}; then {f'go on with it: {again}' if again else f'begin a new run: {command}'}"
    )


def _export(directory: Path, table: str, wanted: dict[str, str]) -> list[dict[str, str]]:
    """Each wanted file, from the record of a measurement."""
    from stackproof.measurement.record import from_json
    from stackproof.measurement.tables import TABLES
    from stackproof.measurement.window_log import WINDOWS
    from stackproof.reports.export import FORMATS

    record = directory / RECORD
    if not record.is_file():
        if (directory / WINDOWS).exists() or not records_in(directory):
            raise _without_record(directory, [RECORD])
        raise ConfigurationError(f"{directory} holds no run.json: only a measurement has tables")
    rows = _read(record, lambda path: TABLES[table](from_json(text_of(path))))
    # All of them first: a package that is missing is told before anything is written.
    contents = {form: FORMATS[form](rows) for form in wanted}
    for form, file in wanted.items():
        if file == "-":
            click.echo(contents[form], nl=False)
        else:
            keep_bytes(Path(file), contents[form])
    return [{"record": str(record), "table": table, "format": form, "file": file} for form, file in wanted.items()]


def _read(record: Path, reader: Callable[[Path], T]) -> T:
    """What a reader makes of a record; `DamagedRecordError` where it is none, or not whole."""

    try:
        return reader(record)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else what_happened(error)
        raise DamagedRecordError(f"{record} cannot be read: {why}") from error


def _certificate(record: Path) -> str:
    from stackproof.reports import certificate_page
    from stackproof.verification.certificate import from_json

    return certificate_page.render(from_json(text_of(record)))


def _measurement(record: Path) -> str:
    require_charts()
    from stackproof.measurement.evidence import kept_evidence
    from stackproof.measurement.record import from_json
    from stackproof.reports import measurement

    return measurement.render(from_json(text_of(record)), kept_evidence(record.parent))


def _audit(record: Path) -> str:
    require_charts()
    from stackproof.planning.audit_record import from_json
    from stackproof.reports import audit_page

    return audit_page.render(from_json(text_of(record)))


def _plan(record: Path) -> str:
    require_charts()
    from stackproof.planning.plan_record import from_json
    from stackproof.reports import plan_page

    return plan_page.render(from_json(text_of(record)))
