"""What was last shown of each backend: the newest run counts, and one that is no certificate does not disturb."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import certificate_samples
import pytest
from command_line import stackproof

from stackproof.contracts.verdicts import Verdict
from stackproof.verification import latest
from stackproof.verification.certificate import Certificate, ClauseRecord, to_json


def kept(place: Path, certificate: Certificate) -> None:
    place.mkdir(parents=True)
    (place / "certificate.json").write_text(to_json(certificate), encoding="utf-8")


def broken(certificate: Certificate) -> Certificate:
    first, *rest = certificate.clauses
    failed = ClauseRecord(first.planned, replace(first.result, verdict=Verdict.FAIL), first.fidelity)
    return replace(certificate, clauses=(failed, *rest))


def test_each_backend_is_judged_alone() -> None:
    certificate = broken(certificate_samples.holds())
    levels = {shown.target: shown.level for shown in latest.shown_in(certificate)}
    failed = certificate.clauses[0].result.target
    assert levels.pop(failed) == "BROKEN"
    assert set(levels.values()) == {"HOLDS"}


def test_the_newest_run_counts_and_what_is_no_certificate_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latest, "RUNS", tmp_path)
    certificate = certificate_samples.holds()
    name = certificate.clauses[0].result.target
    kept(tmp_path / "20260101-000000-aaaa", broken(certificate))
    assert latest.latest()[name].level == "BROKEN"
    kept(tmp_path / "20260102-000000-aaaa", certificate)
    kept(tmp_path / "20260103-000000-aaaa", replace(broken(certificate), selected=("CACHE-01",)))
    (tmp_path / "20260104-000000-aaaa").mkdir()
    (tmp_path / "20260104-000000-aaaa" / "certificate.json").write_text("{")
    assert (latest.latest()[name].level, latest.latest()[name].published) == ("HOLDS", False)


def test_what_is_published_stands_where_no_run_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest, "RUNS", tmp_path / "none")
    monkeypatch.setattr(latest, "PUBLISHED", tmp_path / "published.json")
    assert latest.latest() == {}
    kept(tmp_path / "run", certificate_samples.holds())
    latest.publish([tmp_path / "run"])
    assert {shown.published for shown in latest.latest().values()} == {True}


def test_eighteen_backends_are_listed_with_everything(tmp_path: Path) -> None:
    data = json.loads(stackproof("backends", "--json", "-", cwd=tmp_path).stdout)
    ours = [row for row in data["backends"] if row["adapter"].startswith("stackproof.")]
    assert len(ours) == 18
    for row in ours:
        assert row["last_verdict"].keys() <= row["fidelity"].keys()
        assert row["last_verdict"], f"nothing was published of {row['name']}"
        for column in ("concern", "name", "adapter", "summary", "fidelity"):
            assert row[column], (row["name"], column)
    every = json.loads(stackproof("backends", "--references", "--json", "-", cwd=tmp_path).stdout)["backends"]
    assert len(every) == len(data["backends"]) + 6
