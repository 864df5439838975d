"""The certificate as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackproof.contracts.ledger import counts
from stackproof.contracts.verdicts import Verdict
from stackproof.verification.certificate import Certificate, ClauseRecord, Level, TargetRecord

from . import words
from .dates import for_people
from .limits import not_shown, stand_in_of
from .pages import render_page, require
from .text import one_line

__all__ = ["render", "require"]

_MARK = {Level.HOLDS: "✓", Level.BROKEN: "✗", Level.INCONCLUSIVE: "?", Level.PARTIAL: "◐"}


def render(certificate: Certificate) -> str:
    """The page: what holds and what does not first, then every clause, then all that is needed to repeat it."""
    records = list(certificate.clauses)
    return render_page(
        "certificate.html.j2",
        c=certificate,
        mark=_MARK[certificate.level],
        tone=words.TONE[certificate.level],
        meaning=words.meaning(certificate),
        title=title(certificate),
        date=for_people(certificate.created),
        facts=_facts(certificate),
        contents=_contents(certificate),
        anchor={(r.result.target, r.result.clause): f"clause-{number}" for number, r in enumerate(records, 1)},
        failed=_failed(certificate),
        undecided=words.by_reason(_undecided(certificate)),
        altered=_altered(certificate),
        troubled=_troubled(certificate),
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


def title(certificate: Certificate) -> str:
    """What was verified, and on what where that is not the technology itself."""
    named = ", ".join(target.target for target in certificate.targets) or "no backend"
    subject = f"{certificate.stack} stack" if certificate.stack else named
    standing_in = [
        f"{target.technology or target.target} on {stand_in} ({target.fidelity})"
        for target in certificate.targets
        if (stand_in := stand_in_of(certificate, target))
    ]
    return f"{subject}: {', '.join(dict.fromkeys(standing_in))}" if standing_in else subject


def _facts(certificate: Certificate) -> list[tuple[str, str]]:
    fidelity = ", ".join(dict.fromkeys(target.fidelity for target in certificate.targets)) or "unknown"
    return [
        ("Fidelity", fidelity),
        ("Date", f"{for_people(certificate.created)}, took {certificate.seconds:.1f} s"),
        ("Suite", f"stackproof {certificate.version}, {certificate.profile} profile"),
        ("Servers", f"{certificate.origin}"),
    ]


def _contents(certificate: Certificate) -> list[tuple[str, str]]:
    """(anchor, title) of the parts that this page has."""
    parts = (
        ("trouble", "Trouble before the first clause", bool(_troubled(certificate))),
        ("broken", "What is broken", bool(_failed(certificate))),
        ("not-known", "What is not known", bool(_undecided(certificate))),
        ("altered", "What was altered", bool(_altered(certificate))),
    )
    concerns = [
        (f"group-{number}", concern.capitalize())
        for number, (concern, _) in enumerate(words.groups(certificate), start=1)
    ]
    always = (
        ("not-shown", "What is not shown"),
        ("capabilities", "Capabilities"),
        ("servers", "Servers"),
        ("repeat", "Repeat it"),
        ("environment", "Environment"),
    )
    return [*((anchor, title) for anchor, title, there in parts if there), *concerns, *always]


def _failed(certificate: Certificate) -> list[ClauseRecord]:
    return [r for r in certificate.clauses if r.result.failure is not None or r.result.verdict is Verdict.FAIL]


def _undecided(certificate: Certificate) -> list[ClauseRecord]:
    return [r for r in certificate.clauses if r.result.verdict in (Verdict.INCONCLUSIVE, Verdict.SKIPPED)]


def _altered(certificate: Certificate) -> list[ClauseRecord]:
    return [r for r in certificate.clauses if r.result.altered]


def _troubled(certificate: Certificate) -> list[TargetRecord]:
    return [target for target in certificate.targets if target.trouble != "none"]


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
