"""`stackproof verify --check`: whether a certificate is sound, and still holds for what is installed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError

from .options import write_result

if TYPE_CHECKING:
    from stackproof.verification.soundness import Finding

SCHEMA = "stackproof-check/1"


def check(name: str, json_file: str | None) -> int:
    """Say everything that is wrong with a certificate (a file, or the directory or id of a run)."""
    from stackproof.reports.text import one_line
    from stackproof.verification.certificate import Level
    from stackproof.verification.soundness import Kind

    path = _certificate_of(name)
    try:
        text = path.read_bytes().decode("utf-8", "replace")  # what is no UTF-8 cannot fit its seal
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    findings, level = findings_of(text)
    unsound = any(finding.kind.unusable for finding in findings)
    if json_file is not None:
        told: dict[str, object] = {"schema": SCHEMA, "sound": not unsound, "current": not findings, "level": level}
        told["findings"] = [asdict(finding) for finding in findings]
        write_result(json_file, json.dumps(told, indent=2) + "\n")
    beside = json_file == "-"
    for finding in findings:
        click.echo(f"{finding.kind.upper():<9} {one_line(finding.sentence)}", err=beside)
    if unsound:
        click.echo(f"{path} is not sound: it proves nothing.", err=beside)
        return Exit.INVALID
    if findings and all(finding.kind is Kind.UNKNOWN for finding in findings):
        click.echo(f"{path} is sound, but it cannot be told whether it holds for what is installed.", err=beside)
        return Exit.INCONCLUSIVE
    if findings:
        click.echo(f"{path} is sound, but no longer for what is installed: verify again.", err=beside)
        return Exit.INCONCLUSIVE
    if level == Level.HOLDS:
        click.echo(f"{path} is sound, and holds for what is installed: {level}.", err=beside)
        return Exit.HOLDS
    # What is known about a backend does not become better by being written down.
    click.echo(f"{path} is sound, and what it says of what is installed is: {level}.", err=beside)
    return Exit.BROKEN if level == Level.BROKEN else Exit.INCONCLUSIVE


def findings_of(text: str) -> tuple[list[Finding], str]:
    """What is wrong with a certificate, for what is installed here, and the level that it names (empty: unreadable)."""
    from stackproof.verification.installed import installed_for
    from stackproof.verification.soundness import check as find_wrong

    backends, level = _of_what(text)
    return find_wrong(text, installed_for(backends)), level


def _certificate_of(name: str) -> Path:
    from stackproof.verification.runs import find_run

    if Path(name).is_file():
        return Path(name)
    try:
        path = find_run(name) / "certificate.json"
    except ConfigurationError as error:
        raise ConfigurationError(f"there is no certificate {name!r}: neither a file nor a run") from error
    if not path.is_file():
        raise ConfigurationError(f"there is no certificate in {path.parent}")
    return path


def _of_what(text: str) -> tuple[list[tuple[str, str]], str]:
    """The backends and the level that a certificate names; nothing where it cannot be read, which the check then says."""
    from stackproof.verification.certificate import from_json

    try:
        certificate = from_json(text)
    except (ValueError, KeyError, TypeError, AttributeError):
        return [], ""
    named = [(target.target, target.backend) for target in certificate.targets]
    return [
        (target, name) for target, name in named if isinstance(target, str) and isinstance(name, str)
    ], certificate.level
