"""aiocache, blinker, sqlite-utils and tinydb against the contracts: every verdict is pinned. docs/findings.md repeats each
finding without stackproof, and its blocks run here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pytest
from command_line import stackproof
from documents import FINDINGS, ROOT, Block, blocks

from stackproof.contracts import contract_for
from stackproof.contracts.clauses import planned_clauses

PLACE = "examples.third_party_backends"
NOT_ASKED = {
    "EVENT-07": "its publishers wait the whole 20 s for handlers that wait for them",
    "LIFE-06": "whether an interruption does harm depends on where it hits",
    "SEARCH-22": "whether two connections of sqlite-utils write at the moment at which one is refused is chance",
    "STORE-26": "it failed on tinydb in one run and passed in another; the cause was not looked into",
}
PINNED: Mapping[str, tuple[str, str, str]] = {
    # spec -> what fails, what stays without evidence, what is not declared
    f"cache={PLACE}.aio_caches:make_aiocache": (
        "CACHE-01 CACHE-02 CACHE-03 CACHE-06 CACHE-08 CACHE-10 CACHE-11 CACHE-13 CACHE-14 CACHE-19 CACHE-21 CACHE-40",
        "CACHE-20",
        "CACHE-17 CACHE-18 CACHE-22 LIFE-08",
    ),
    f"events={PLACE}.buses:Blinker": (
        "EVENT-01 EVENT-02 EVENT-03 EVENT-15 EVENT-16 EVENT-23 EVENT-25 EVENT-26 EVENT-40",
        "EVENT-12",
        "EVENT-05 EVENT-21 EVENT-28 EVENT-31 EVENT-32 EVENT-35 EVENT-36 LIFE-08",
    ),
    f"search={PLACE}.indexes:make_sqlite_utils": (
        "SEARCH-01 SEARCH-02 SEARCH-06 SEARCH-08 SEARCH-10 SEARCH-11 SEARCH-13 SEARCH-14 SEARCH-17 SEARCH-40 LIFE-02 LIFE-04",
        "",
        "SEARCH-18 SEARCH-24 SEARCH-25 SEARCH-26 SEARCH-27 LIFE-08",
    ),
    f"interactions={PLACE}.stores:make_tinydb": (
        "STORE-10 STORE-19 STORE-40 LIFE-02 LIFE-04",
        "",
        "STORE-01 STORE-24 LIFE-08",
    ),
}


@pytest.mark.parametrize("spec", PINNED)
def test_the_verdict_of_every_clause(spec: str, tmp_path: Path) -> None:
    concern = spec.partition("=")[0]
    planned = [each.clause.id for each in planned_clauses(contract_for(concern), "core")]
    asked = [clause for clause in planned if clause not in NOT_ASKED]
    options = [text for clause in asked for text in ("--clause", clause)]
    out = tmp_path / "out.json"
    done = stackproof("verify", "--backend", spec, "--json", str(out), "--out", str(tmp_path), *options, cwd=ROOT)
    assert done.returncode == 1, done.stdout + done.stderr
    found = {row["clause"]: row["verdict"] for row in json.loads(out.read_text())["clauses"] if row["clause"] in asked}
    expected = dict.fromkeys(asked, "PASS")
    for verdict, clauses in zip(("FAIL", "INCONCLUSIVE", "NOT_SUPPORTED"), PINNED[spec], strict=True):
        expected |= dict.fromkeys(clauses.split(), verdict)
    assert found == expected


@pytest.mark.parametrize("block", blocks(FINDINGS, "python"), ids=lambda block: block.code.count("\n"))
def test_a_finding_is_repeated_without_stackproof(block: Block, tmp_path: Path) -> None:
    assert "stackproof" not in block.code
    done = subprocess.run(
        [sys.executable, "-c", block.code],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # what a finding leaves there is removed with the test's
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_findings_name_the_versions_that_were_tried() -> None:
    rows = re.findall(r"^\| \[([a-z-]+)\]\(\S+\) \| (\S+) \|", FINDINGS.read_text(encoding="utf-8"), re.MULTILINE)
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 9
    assert [f"{name}=={tried}" for name, tried in rows if f"{name}=={tried}" not in constraints] == []
    assert {name for name, tried in rows if version(name).partition(".")[0] != tried.partition(".")[0]} == set()


def test_the_findings_table_names_what_is_pinned() -> None:
    text = FINDINGS.read_text(encoding="utf-8")
    for spec, (fails, _, _) in PINNED.items():
        concern = spec.partition("=")[0]
        row = next(
            line for line in text.splitlines() if line.startswith("| [") and f"| {concern}" in line and _is(line, spec)
        )
        named, prefix = set(), ""
        for text_of in re.findall(r"(?:([A-Z]+)-)?(\d\d)\b", row.rpartition("|")[0].rpartition("|")[2]):
            prefix = text_of[0] or prefix
            named.add(f"{prefix}-{text_of[1]}")
        assert named - NOT_ASKED.keys() == set(fails.split())


def _is(line: str, spec: str) -> bool:
    library = line.partition("[")[2].partition("]")[0]
    return library.replace("-", "_") in spec.casefold()
