"""What a certificate does not show, said as plainly as what it does. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from stackproof.contracts.verdicts import Verdict
from stackproof.verification.certificate import Certificate, TargetRecord

from .words import counted

CONCERNS = ("interactions", "events", "search", "cache", "logs")

_FIDELITY = {
    "compatible-engine": "ran on an engine that speaks the same protocol, not on the technology itself, "
    "which may differ where the protocol leaves room.",
    "emulator": "ran on an emulator: it shows how the adapter speaks, and nothing about the limits, delays and "
    "failures of the real service.",
}


def not_shown(certificate: Certificate) -> list[str]:
    """One or two sentences for each thing that a reader might take this certificate for, and that it is not."""
    return [*_about_the_clauses(certificate), *_about_the_servers(certificate), *_about_the_run(certificate)]


def _about_the_clauses(certificate: Certificate) -> Iterator[str]:
    verified = {record.result.concern for record in certificate.clauses}
    missing = [concern for concern in CONCERNS if concern not in verified]
    if missing:
        yield f"Concerns that were not part of this run: {', '.join(missing)}."
    if certificate.interrupted:
        yield "The run was interrupted: what had not ended by then is not decided."
    if certificate.selected:
        yield f"Only a selection was planned: {', '.join(certificate.selected)}. The contract has more clauses."
    if certificate.profile == "core":
        yield "Only clauses of the core profile were planned; the full profile asks for more."
    number = certificate.counts
    if undecided := number.get(Verdict.SKIPPED, 0) + number.get(Verdict.INCONCLUSIVE, 0):
        yield f"Nothing is known about {counted(undecided, 'clause')}: not executed, or not decided."
    if absent := number.get(Verdict.NOT_SUPPORTED, 0):
        about = "is about a capability" if absent == 1 else "are about capabilities"
        yield f"{counted(absent, 'clause')} {about} that the backend does not claim, and was shown to lack."
    if new := number.get(Verdict.PROVISIONAL, 0):
        yield f"{counted(new, 'new clause')} in the first release: reported, not counted."
    if altered := [record.result.clause for record in certificate.clauses if record.result.altered]:
        yield f"Clauses that were altered speak for the altered text only: {', '.join(altered)}."


def _about_the_servers(certificate: Certificate) -> Iterator[str]:
    for target in certificate.targets:
        if target.fidelity in _FIDELITY:
            yield f"{target.target} {_FIDELITY[target.fidelity]}"
        if stand_in := stand_in_of(certificate, target):
            yield f"{target.technology} itself: {target.target} was shown on {stand_in}."
    versions = [f"{server.name} {server.version}" for server in certificate.servers]
    if versions:
        yield f"Other versions and other settings than those named here: it speaks for {', '.join(versions)}."
    if any(server.origin == "embedded" for server in certificate.servers):
        yield "The embedded servers are single ones on this machine: no replication, no failover, no network between."


def stand_in_of(certificate: Certificate, target: TargetRecord) -> str:
    """What stood in for the technology that a backend is for, with its version; empty where nothing did."""
    for server in certificate.servers:
        if server.name == target.server and target.fidelity != "native" and server.technology != target.technology:
            return f"{server.technology or server.name} {server.version}".strip()
    return ""


def _about_the_run(certificate: Certificate) -> Iterator[str]:
    yield "Load: clauses run a few operations at a time. How much the backend carries is measured by stackproof bench."
    yield (
        "Faults while in use: servers that die, lose their disk or answer slowly, and networks that split, "
        "beyond what the clauses listed here do themselves."
    )
    yield f"Time: the run took {certificate.seconds:.0f} s; what goes wrong after hours or months was not waited for."
    if not certificate.selftest:
        yield "That the suite itself can fail was not shown in this run: stackproof selftest does that."
