"""The certificate as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stackproof.contracts.ledger import counts
from stackproof.contracts.verdicts import Verdict
from stackproof.verification.certificate import Certificate, Level

from . import words
from .limits import not_shown, stand_in_of
from .pages import render_page, require
from .text import one_line

__all__ = ["render", "require"]

_MARK = {Level.HOLDS: "✓", Level.BROKEN: "✗", Level.INCONCLUSIVE: "?", Level.PARTIAL: "◐"}


def render(certificate: Certificate) -> str:
    """The page: what holds and what does not first, then every clause, then all that is needed to repeat it."""
    records = list(certificate.clauses)
    undecided = [r for r in records if r.result.verdict in (Verdict.INCONCLUSIVE, Verdict.SKIPPED)]
    return render_page(
        "certificate.html.j2",
        c=certificate,
        mark=_MARK[certificate.level],
        tone=words.TONE[certificate.level],
        meaning=words.meaning(certificate),
        title=_title(certificate),
        date=_date(certificate.created),
        fidelity=", ".join(dict.fromkeys(target.fidelity for target in certificate.targets)) or "unknown",
        anchor={(r.result.target, r.result.clause): f"clause-{number}" for number, r in enumerate(records, 1)},
        failed=[r for r in records if r.result.failure is not None or r.result.verdict is Verdict.FAIL],
        undecided=words.by_reason(undecided),
        altered=[r for r in records if r.result.altered],
        troubled=[target for target in certificate.targets if target.trouble != "none"],
        groups=words.groups(certificate),
        tally=lambda these: counts(record.result for record in these),
        versions={server.name: server.version for server in certificate.servers},
        targets={target.target: target for target in certificate.targets},
        not_shown=not_shown(certificate),
        plain=_plain,
        symbol=words.SYMBOL,
        sightings=words.sightings,
        one_line=one_line,
        counted=words.counted,
    )


def _title(certificate: Certificate) -> str:
    """What was verified, and on what where that is not the technology itself."""
    named = ", ".join(target.target for target in certificate.targets) or "no backend"
    subject = f"{certificate.stack} stack" if certificate.stack else named
    standing_in = [
        f"{target.technology or target.target} on {stand_in} ({target.fidelity})"
        for target in certificate.targets
        if (stand_in := stand_in_of(certificate, target))
    ]
    return f"{subject}: {', '.join(dict.fromkeys(standing_in))}" if standing_in else subject


def _date(created: str) -> str:
    """A date for people; as it is where it is not ISO 8601."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return created
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _plain(value: Any) -> str:
    """A capability's or a fact's value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:f}".rstrip("0").rstrip(".")
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_plain(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(part) for part in value)
    return "none" if value is None else str(value) or "empty"
