"""A number needs a contract: bench publishes figures only for backends whose core contract has passed in this build."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console

from stackproof.contracts import contract_for
from stackproof.contracts.clauses import planned_clauses
from stackproof.contracts.smoke import Trouble
from stackproof.contracts.verdicts import Verdict
from stackproof.exits import Exit
from stackproof.servers import Server
from stackproof.targets import Target
from stackproof.verification.certificate import Certificate, TargetRecord, from_json
from stackproof.verification.digests import backend_digest, suite_digest

GOOD = {Verdict.PASS, Verdict.NOT_SUPPORTED, Verdict.PROVISIONAL}


@dataclass(frozen=True, slots=True)
class Proof:
    """That a target keeps its contract, and where that is written."""

    certificate: str
    record: TargetRecord


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no figures are published, and the exit code that says so."""

    reasons: tuple[str, ...]
    code: Exit


@contextmanager
def told_with(not_kept: Sequence[str]) -> Iterator[None]:
    """Whatever ends the block before its time tells of these sentences, too."""
    try:
        yield
    except BaseException as error:
        for sentence in not_kept:
            error.add_note(sentence)
        raise


@dataclass(frozen=True, slots=True)
class Gate:
    """Where every target shows its contract before anything of it is measured."""

    origin: str
    runs: Path
    """Where certificates are looked for, and kept."""
    console: Console
    not_kept: list[str] = field(default_factory=list)
    """Sentences on certificates that found no place, and where they are: that costs nobody what they say."""

    def prove(self, targets: Sequence[Target], servers: Sequence[Server]) -> dict[str, Proof] | Refusal:
        """A proof for each target: from a kept certificate, or from a verification that is done now."""
        emulated = [server.name for server in servers if server.fidelity == "emulator"]
        if emulated:
            return Refusal((f"an emulator ({', '.join(emulated)}) says nothing about speed",), Exit.BROKEN)
        proofs = self._kept(targets, servers)
        missing = [target for target in targets if target.name not in proofs]
        if not missing:
            return proofs
        certificate, found = self._verified(missing, servers)
        return proofs | found if len(found) == len(missing) else _refusal(certificate, missing)

    def prove_each(
        self, targets: Sequence[Target], servers: Sequence[Server]
    ) -> tuple[dict[str, Proof], dict[str, Refusal]]:
        """As `prove`, but each target for itself: proofs, and refusals of those that have none, by their names."""
        emulated = {server.name for server in servers if server.fidelity == "emulator"}
        refused = {
            target.name: Refusal((f"an emulator ({target.server}) says nothing about speed",), Exit.BROKEN)
            for target in targets
            if emulated & {*target.servers}
        }
        rest = [target for target in targets if target.name not in refused]
        proofs = self._kept(rest, servers)
        missing = [target for target in rest if target.name not in proofs]
        if missing:
            certificate, found = self._verified(missing, servers)
            proofs |= found
            refused |= {target.name: _refusal(certificate, [target]) for target in missing if target.name not in found}
        return proofs, refused

    def _kept(self, targets: Sequence[Target], servers: Sequence[Server]) -> dict[str, Proof]:
        versions = {server.name: server.version() or "" for server in servers}
        return kept_proofs(targets, versions, self.origin, self.runs)

    def _verified(self, missing: Sequence[Target], servers: Sequence[Server]) -> tuple[Certificate, dict[str, Proof]]:
        """Verify these now: the certificate, and the proofs of those that keep their contract."""
        from stackproof.verification.runs import USE_OUT, StorageError, new_run_id, new_run_in

        run_id, names = new_run_id(), ", ".join(target.name for target in missing)
        try:
            directory = new_run_in(self.runs, run_id)  # before anything is verified that could not be kept
        except StorageError as error:
            why = str(error).removesuffix(USE_OUT)  # which is for the run, not for what is verified before it
            raise StorageError(f"{names} must be verified first; {why}; begin in another directory") from error
        self._say(f"No certificate of this build covers {names} on this server: verifying that first.")
        certificate = self._verify(missing, servers, directory, run_id)
        records = {target.name: _holding(certificate, target) for target in missing}
        found = {name: Proof(certificate.id, record) for name, record in records.items() if record is not None}
        if len(found) == len(missing):
            self._say(f"Their contracts hold (certificate {certificate.id}).")
        return certificate, found

    def _verify(
        self, targets: Sequence[Target], servers: Sequence[Server], directory: Path, run_id: str
    ) -> Certificate:
        """Verify, and keep the certificate where the next bench run finds it."""
        from stackproof.reports import certificate_page
        from stackproof.reports.terminal import LiveView
        from stackproof.verification.certificate import to_json
        from stackproof.verification.run import VerifyOptions, verify
        from stackproof.verification.runs import keep_run

        with LiveView(self.console) as view:
            certificate = verify(targets, servers, VerifyOptions(origin=self.origin), directory, run_id, view)
        files = {
            "certificate.json": partial(to_json, certificate),
            "certificate.html": partial(certificate_page.render, certificate),
        }
        self.not_kept.extend(keep_run(directory, files))
        return certificate

    def _say(self, sentence: str) -> None:
        self.console.print(sentence, style="dim", markup=False)


def kept_proofs(targets: Iterable[Target], versions: dict[str, str], origin: str, runs: Path) -> dict[str, Proof]:
    """What kept certificates prove about these targets. An external server is never the same one for sure: nothing."""
    found: dict[str, Proof] = {}
    for certificate in _kept(runs):
        if certificate.suite_digest != suite_digest() or certificate.origin != origin:
            continue
        then = {server.name: server.version for server in certificate.servers}
        for target in targets:
            if target.entry is None or not target.entry.adapter.startswith("stackproof."):
                continue  # a third party's source may have changed in modules that no digest of ours covers
            if target.server and (origin == "external" or then.get(target.server) != versions.get(target.server)):
                continue
            record = _holding(certificate, target)
            if record is not None:
                found.setdefault(target.name, Proof(certificate.id, record))
    return found


def _kept(runs: Path) -> Iterator[Certificate]:
    """The certificates in the run directories, newest first; files that are none are passed over."""
    for path in sorted(runs.glob("*/certificate.json"), reverse=True):
        try:
            yield from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError):
            continue


def _holding(certificate: Certificate, target: Target) -> TargetRecord | None:
    """The certificate's record of this target, if every core clause was executed unaltered, and holds, on the same source."""
    planned = {planned.clause.id for planned in planned_clauses(contract_for(target.concern), "core")}
    rows = [record.result for record in certificate.clauses if record.result.target == target.name]
    holds = all(row.verdict in GOOD and not row.altered for row in rows) and planned <= {row.clause for row in rows}
    for record in certificate.targets:
        same = record.target == target.name and record.digest and record.digest == backend_digest(record.backend)
        if same and holds and record.trouble == Trouble.NONE:
            return record
    return None


def _refusal(certificate: Certificate, targets: list[Target]) -> Refusal:
    from stackproof.verification.run import exit_code

    if certificate.interrupted:
        raise KeyboardInterrupt
    names = {target.name for target in targets}
    reasons = [
        f"{target.target}: {target.trouble_sentence}"
        for target in certificate.targets
        if target.trouble != "none" and target.target in names
    ]
    for record in certificate.clauses:
        result = record.result
        if result.target in names and result.verdict not in GOOD:
            why = result.failure.headline if result.failure is not None else result.reason
            reasons.append(f"{result.target}: {result.clause} {result.verdict}: {why}")
    code = exit_code(certificate)
    # What could not be shown is as good a reason to publish nothing as what was shown to be broken.
    refused = code if code in (Exit.USAGE, Exit.ENVIRONMENT) else Exit.BROKEN
    return Refusal((*(reasons or ["the verification has no result"]), f"certificate {certificate.id}"), refused)
