"""`stackproof report`: write the page of a run again, from its record."""

from __future__ import annotations

import click

from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError


@click.command()
@click.argument("run")
def report(run: str) -> int:
    """Write the page of RUN (its id, or its directory) again, from the record that it kept."""
    from stackproof.reports import certificate_page
    from stackproof.verification.certificate import from_json
    from stackproof.verification.runs import find_run, keep

    directory = find_run(run)
    record = directory / "certificate.json"
    if not record.is_file():
        raise ConfigurationError(f"{directory} holds no certificate.json: that run kept no certificate")
    try:
        certificate = from_json(record.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{record} cannot be read: {error}") from error
    keep(directory / "certificate.html", certificate_page.render(certificate))
    click.echo(directory / "certificate.html")
    return Exit.HOLDS
