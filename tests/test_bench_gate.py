"""A number needs a contract: which certificates count for bench, and what happens without one."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_samples import TARGETS, certificate, keep_certificate, with_first
from rich.console import Console

import stackproof.commands.bench_gate as gate
from stackproof.cli import main
from stackproof.contracts.verdicts import Verdict
from stackproof.exits import Exit
from stackproof.servers.embedded import EmbeddedRedis
from stackproof.targets import parse_target
from stackproof.verification import runs
from stackproof.verification.certificate import Certificate, ServerRecord, TargetRecord
from stackproof.verification.digests import backend_digest, suite_digest


def quiet(runs_kept: Path) -> gate.Gate:
    return gate.Gate("embedded", runs_kept, Console(quiet=True))


class TestGate:
    def test_a_whole_certificate_of_this_build_is_proof(self, tmp_path: Path) -> None:
        keep_certificate(tmp_path, certificate())
        proofs = gate.kept_proofs(TARGETS, {}, "embedded", tmp_path)
        assert {name: proof.certificate for name, proof in proofs.items()} == {
            target.name: "20260102-030405-abcd" for target in TARGETS
        }

    @pytest.mark.parametrize(
        "changes",
        [
            {"suite_digest": "of another build"},
            {"origin": "external"},
            {"clauses": with_first(Verdict.FAIL)},
            {"clauses": with_first(Verdict.INCONCLUSIVE)},
            {"clauses": with_first(Verdict.SKIPPED)},
            {"clauses": certificate().clauses[1:]},
            {"targets": tuple(replace(target, digest="other source") for target in certificate().targets)},
            {"targets": tuple(replace(target, digest="") for target in certificate().targets)},
            {"targets": tuple(replace(target, trouble="backend") for target in certificate().targets)},
        ],
        ids=[
            "suite",
            "origin",
            "failed",
            "inconclusive",
            "skipped",
            "clause missing",
            "source",
            "no source",
            "trouble",
        ],
    )
    def test_anything_less_is_none(self, tmp_path: Path, changes: dict[str, Any]) -> None:
        keep_certificate(tmp_path, certificate(**changes))
        assert TARGETS[0].name not in gate.kept_proofs(TARGETS, {}, "embedded", tmp_path)

    def test_another_version_of_the_server_is_another_backend(self, tmp_path: Path) -> None:
        redis = parse_target("cache=redis")
        backend = "stackproof.adapters.cache.redis.RedisCache"
        record = TargetRecord(redis.name, "cache", backend, backend_digest(backend), "redis", "native")
        rows = tuple(
            replace(row, result=replace(row.result, target=redis.name))
            for row in certificate().clauses
            if row.result.concern == "cache"
        )
        servers = (ServerRecord("redis", "embedded", "native", "6.2.14"),)
        keep_certificate(tmp_path, certificate(targets=(record,), clauses=rows, servers=servers))
        assert gate.kept_proofs([redis], {"redis": "6.2.14"}, "embedded", tmp_path)
        assert not gate.kept_proofs([redis], {"redis": "8.0.0"}, "embedded", tmp_path)

    def test_files_that_are_no_certificate_are_passed_over(self, tmp_path: Path) -> None:
        keep_certificate(tmp_path, certificate())
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "certificate.json").write_text("{", encoding="utf-8")
        assert gate.kept_proofs(TARGETS, {}, "embedded", tmp_path)

    @pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE])
    def test_a_broken_contract_is_a_refusal_that_says_why(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: Verdict
    ) -> None:
        monkeypatch.setattr(gate.Gate, "_verify", lambda *_: certificate(clauses=with_first(verdict)))
        refusal = quiet(tmp_path).prove(TARGETS, [])
        assert isinstance(refusal, gate.Refusal)
        assert refusal.code == Exit.BROKEN
        assert (
            f"cache=memory: {certificate().clauses[0].result.clause} {verdict}: because of the test" in refusal.reasons
        )

    def test_an_interrupted_verification_is_no_refusal(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = certificate(clauses=with_first(Verdict.SKIPPED), interrupted=True)
        monkeypatch.setattr(gate.Gate, "_verify", lambda *_: broken)
        with pytest.raises(KeyboardInterrupt):
            quiet(tmp_path).prove(TARGETS, [])

    def test_an_emulator_is_never_measured(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        server = EmbeddedRedis(None)
        monkeypatch.setattr(server, "fidelity", "emulator")
        monkeypatch.setattr(server, "version", lambda: "1")
        refusal = quiet(tmp_path).prove(TARGETS, [server])
        assert isinstance(refusal, gate.Refusal)
        assert "emulator (redis)" in refusal.reasons[0]


class TestNoPlaceForTheCertificate:
    """As `verify` does on a full disk: what was found is told, and kept where there is room."""

    @pytest.fixture
    def no_room(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The certificate finds no place in its run; where it goes instead."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        other = tmp_path / "other"
        other.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(other))
        suite_digest.cache_clear()
        monkeypatch.setattr("stackproof.verification.run.verify", lambda *_: certificate())
        real = runs.open_run

        def open_run(out: Path | None, run_id: str) -> Path:
            made = real(out, run_id)
            if out is None:
                (made / "certificate.json").mkdir()
            return made

        monkeypatch.setattr(runs, "open_run", open_run)
        return other

    @pytest.fixture
    def ended(self, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
        def run(*options: str) -> tuple[int, str, str]:
            with pytest.raises(SystemExit) as ended:
                main(["bench", "--stack", "memory", *options])
            told = capsys.readouterr()
            code = ended.value.code
            assert isinstance(code, int)
            return code, told.out, told.err.replace("\n", " ").strip()

        return run

    def told(self, no_room: Path) -> str:
        (kept,) = no_room.glob("stackproof-run-*/certificate.json")
        assert gate.from_json(kept.read_text()) == certificate()
        (run,) = Path(".stackproof/runs").iterdir()
        assert list(run.glob(".*")) == [], "nothing half-written"
        return f"{run}/certificate.json cannot be written: Is a directory; it is kept as {kept}"

    def test_the_figures_are_measured_and_told_all_the_same(
        self, no_room: Path, ended: Callable[..., tuple[int, str, str]]
    ) -> None:
        code, out, err = ended("--no-calibration", "--rate", "50", "--duration", "1", "--warmup", "0", "--out", "run")
        assert code == Exit.ENVIRONMENT
        assert err == f"stackproof: {self.told(no_room)}"
        assert "Their contracts hold (certificate 20260102-030405-abcd)" in out
        assert "achieved" in out
        assert Path("run/run.json").exists()

    def test_a_refusal_is_told_too(
        self, no_room: Path, ended: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = certificate(clauses=with_first(Verdict.FAIL))
        monkeypatch.setattr("stackproof.verification.run.verify", lambda *_: broken)
        code, out, err = ended("--out", "run")
        assert code == Exit.ENVIRONMENT
        assert "No figures" in out
        assert "because of the test" in out
        assert "; it is kept as " in err
        assert not Path("run").exists()

    def test_what_ends_the_run_after_it_tells_of_it_too(
        self, no_room: Path, ended: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def while_another_run_takes_the_place(*_: object) -> Certificate:
            Path("run").mkdir()
            Path("run", runs.LOCK).touch()
            return certificate()

        monkeypatch.setattr("stackproof.verification.run.verify", while_another_run_takes_the_place)
        code, _, err = ended("--out", "run")
        assert code == Exit.USAGE
        assert err.endswith(f"give --out another directory; {self.told(no_room)}")
