"""`stackproof report`: write the page of a run again, from its record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click

from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError

from .options import json_option, write_result

SCHEMA = "stackproof-report/1"


@click.command()
@click.argument("run")
@json_option
def report(run: str, json_file: str | None) -> int:
    """Write the page of RUN (its id, or its directory) again, from the record that it kept."""
    from stackproof.verification.runs import find_run, keep

    directory = find_run(run)
    writers: dict[str, tuple[str, Callable[[str], str]]] = {
        "certificate.json": ("certificate.html", _certificate),
        "run.json": ("measurement.html", _measurement),
    }
    kept = [name for name in writers if (directory / name).is_file()]
    if not kept:
        raise ConfigurationError(f"{directory} holds neither {' nor '.join(writers)}: that run kept no record")
    written = []
    for name in kept:
        page, render = writers[name]
        keep(directory / page, _rendered(directory / name, render))
        click.echo(directory / page, err=json_file == "-")
        written.append({"record": str(directory / name), "page": str(directory / page)})
    if json_file is not None:
        told = {"schema": SCHEMA, "run": str(directory), "pages": written}
        write_result(json_file, json.dumps(told, indent=2) + "\n")
    return Exit.HOLDS


def _rendered(record: Path, render: Callable[[str], str]) -> str:
    try:
        return render(record.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{record} cannot be read: {error}") from error


def _certificate(text: str) -> str:
    from stackproof.reports import certificate_page
    from stackproof.verification.certificate import from_json

    return certificate_page.render(from_json(text))


def _measurement(text: str) -> str:
    from stackproof.measurement.record import from_json
    from stackproof.reports import measurement

    return measurement.render(from_json(text))
