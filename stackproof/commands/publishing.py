"""What a CI shows of a certificate: the summary of a step, and a badge. Where they are written, and when they are not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError

from .check import findings_of
from .options import check_targets

if TYPE_CHECKING:
    from stackproof.verification.certificate import Certificate

summary_option = click.option(
    "--summary",
    "summary_file",
    metavar="FILE",
    help="Append a summary in Markdown, as to $GITHUB_STEP_SUMMARY; - for standard output.",
)
badge_option = click.option(
    "--badge",
    "badge_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a badge (SVG) where the certificate is complete; else remove the one that is there.",
)


def prepare(summary_file: str | None, badge_file: Path | None) -> None:
    """Refuse what cannot be written, and take an old badge away.

    It goes before anything is verified: however that ends (a failure, a dead server, a lost power supply), no green badge of
    an earlier verification is left. A file that is no badge of ours is not touched.
    """
    if summary_file == "":
        raise ConfigurationError("--summary is empty; give a file, or - for standard output")
    check_targets(summary_file, badge_file)
    if badge_file is None:
        return
    if str(badge_file) == "-":
        raise ConfigurationError("--badge needs a file: what stands at its address is replaced or removed")
    from stackproof.reports.badge import is_badge

    if not badge_file.exists() and not badge_file.is_symlink():
        return
    try:
        text = badge_file.read_text(encoding="utf-8", errors="replace") if badge_file.is_file() else None
        if text is None or (text and not is_badge(text)):
            raise ConfigurationError(f"--badge {badge_file} is no badge of stackproof, and is not replaced")
        badge_file.unlink()
    except OSError as error:
        raise ConfigurationError(f"--badge {badge_file} cannot be replaced: {error.strerror}") from error


def append_summary(certificate: Certificate, target: str) -> None:
    """Add the summary at the end of a file, which may hold those of other verifications; or print it."""
    from stackproof.reports import summary
    from stackproof.verification.runs import append

    text = summary.render(certificate)
    if target == "-":
        click.echo(text, nl=False)
    else:
        append(Path(target), text)


def write_badge(certificate: Certificate, target: Path) -> bool:
    """Write the badge, and say whether it was; for a certificate that is not complete, tell in one sentence why not."""
    from stackproof.reports import badge
    from stackproof.verification.runs import keep

    if why := badge.refusal(certificate):
        click.echo(f"stackproof: {target} was not written: {why}", err=True)
        return False
    keep(target, badge.render(certificate))
    return True


def publish_kept(directory: Path, summary_file: str | None, badge_file: Path | None) -> tuple[int, dict[str, object]]:
    """Summary and badge of a run that was kept: the exit code, and what was written, for the JSON form.

    A certificate that is not sound is refused for both. A badge says what is, not what was: there is none for a certificate of
    something else than what is installed, or where that cannot be told.
    """
    from stackproof.reports.text import one_line
    from stackproof.verification.certificate import from_json
    from stackproof.verification.run import exit_code
    from stackproof.verification.runs import NoRecordError, records_in

    prepare(summary_file, badge_file)
    path = directory / "certificate.json"
    if not path.is_file():
        if not records_in(directory):
            raise NoRecordError(f"{directory} holds no certificate.json: that run kept no record")
        raise ConfigurationError(
            f"{directory} holds no certificate.json: only a verification has a summary and a badge"
        )
    text = path.read_bytes().decode("utf-8", "replace")
    findings = findings_of(text)[0]
    unsound = [finding for finding in findings if finding.kind.unusable]
    if unsound:
        click.echo(f"stackproof: {path} is not sound, it proves nothing: {one_line(unsound[0].sentence)}", err=True)
        return Exit.INVALID, {}
    certificate = from_json(text)
    written: dict[str, object] = {}
    if summary_file is not None:
        append_summary(certificate, summary_file)
        written["summary"] = summary_file
    if badge_file is None:
        return Exit.HOLDS, written
    if findings:
        click.echo(f"stackproof: {badge_file} was not written: {one_line(findings[0].sentence)}", err=True)
        return Exit.INCONCLUSIVE, {**written, "badge": None}
    done = write_badge(certificate, badge_file)
    return exit_code(certificate), {**written, "badge": str(badge_file) if done else None}
