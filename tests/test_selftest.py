"""The self-test: it must notice a mutant that lives, a clause without one, and a reference that does not hold."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import certificate_samples
import pytest
from click.testing import CliRunner
from command_line import stackproof

from stackproof.commands.selftest import selftest
from stackproof.contracts.ledger import Ledger
from stackproof.contracts.mutants import Mutant, all_mutants
from stackproof.contracts.stream import ClauseEnded, PlannedClause, TargetPlanned
from stackproof.contracts.verdicts import ClauseResult, Verdict
from stackproof.exits import Exit
from stackproof.reports.words import meaning
from stackproof.verification import selftest as selftest_module
from stackproof.verification.certificate import Level
from stackproof.verification.plan import Plan, PlannedTarget
from stackproof.verification.selftest import SelfTest, judge_mutants, one_mutant_a_clause, summary
from stackproof.verification.worker import WorkerRun

CONCERN = "search"
ROOT = Path(selftest_module.__file__).parents[2]
WEAKENED = "SEARCH-13"
ASSERTION = 'expect(ids(index, text), f"ids found by {text!r}").equals([])'
"""What is taken out of that clause. Its evidence and the rest of it stay."""


def mutants() -> list[Mutant]:
    return [mutant for mutant in all_mutants() if mutant.concern == CONCERN]


def ledger(kills: Verdict = Verdict.FAIL, reference: Verdict = Verdict.PASS) -> Ledger:
    """What a run tells in which every mutant ends so, and every clause of the reference so."""
    made = Ledger()
    expected = [(mutant.name, mutant.killed_by, kills) for mutant in mutants()]
    expected += [(f"reference:{CONCERN}", clause, reference) for clause in {m.killed_by for m in mutants()}]
    by_target: dict[str, list[tuple[str, Verdict]]] = {}
    for target, clause, verdict in expected:
        by_target.setdefault(target, []).append((clause, verdict))
    for target, ends in by_target.items():
        planned = tuple(PlannedClause(clause, "rule", "why", (), (), "") for clause, _ in ends)
        made.feed(TargetPlanned(target, CONCERN, planned))
        for clause, verdict in ends:
            made.feed(ClauseEnded(ClauseResult(clause, CONCERN, target, verdict, "because")))
    return made


def judged(found: Ledger, of: list[Mutant] | None = None) -> SelfTest:
    return judge_mutants(mutants() if of is None else of, found, [CONCERN], 1)


def test_it_holds_when_every_mutant_is_killed_and_the_reference_passes() -> None:
    outcome = judged(ledger())
    assert outcome.holds
    assert len(outcome.rows) == len(mutants()) > 5
    assert all(row.killed for row in outcome.rows)
    assert judged(ledger(reference=Verdict.NOT_SUPPORTED)).holds


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.FAIL])
def test_only_a_failure_kills(verdict: Verdict) -> None:
    outcome = judged(ledger(kills=verdict))
    assert not outcome.holds
    assert {row.seen for row in outcome.rows} == {f"{verdict} because"}


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.SKIPPED, Verdict.PROVISIONAL])
def test_a_reference_that_does_not_pass_is_a_trouble(verdict: Verdict) -> None:
    outcome = judged(ledger(reference=verdict))
    assert not outcome.holds
    assert outcome.reference_troubles
    assert all(f": {verdict} because" in trouble for trouble in outcome.reference_troubles)


def test_a_mutant_of_a_clause_that_does_not_exist_is_alive() -> None:
    stray = replace(mutants()[0], killed_by="SEARCH-99")
    outcome = judged(ledger(), [stray, *mutants()[1:]])
    assert not outcome.holds
    assert outcome.rows[0].seen == "its clause does not exist"


def test_a_clause_without_a_mutant_is_bare(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = next(m.killed_by for m in mutants() if m.killed_by.startswith("SEARCH"))
    kept = tuple(mutant for mutant in all_mutants() if mutant.killed_by != bare)
    monkeypatch.setattr("stackproof.verification.selftest.all_mutants", lambda: kept)
    outcome = judged(ledger())
    assert outcome.uncovered == (f"{CONCERN} {bare}",)
    assert not outcome.holds


def test_a_mutant_of_another_concern_covers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clause that all contracts share is run by each concern's own self-test, with its own mutants only."""
    kept = tuple(m for m in all_mutants() if (m.concern, m.killed_by) != (CONCERN, "LIFE-01"))
    assert any(m.killed_by == "LIFE-01" for m in kept)
    monkeypatch.setattr("stackproof.verification.selftest.all_mutants", lambda: kept)
    assert f"{CONCERN} LIFE-01" in judged(ledger()).uncovered


def test_no_mutant_at_all_proves_nothing() -> None:
    assert not judged(ledger(), []).holds


# The command


def test_the_command_proves_a_concern(tmp_path: Path) -> None:
    done = stackproof("selftest", "--concern", CONCERN, "--seeds", "2", "--json", "-", cwd=tmp_path, seconds=150)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["holds"] is True
    assert len(outcome["mutants"]) == len(mutants())
    for row in outcome["mutants"]:
        assert row["killed"] is True
        assert row["mutant"]
        assert row["clause"]


def test_a_weakened_clause_is_noticed(tmp_path: Path) -> None:
    """A clause that sees its evidence and judges nothing lets its mutant live."""
    weak = tmp_path / "site"
    weak.mkdir()
    (weak / "sitecustomize.py").write_text(
        "from stackproof.contracts.expectations import expect\n"
        "expect.equals = lambda self, *arguments, **options: None\n"
    )
    some = [
        m for m in mutants() if m.name.partition(":")[2] in ("TrimsTitles", "KindIgnored", "OneTooMany", "PingRaises")
    ]
    plan = Plan(tuple(PlannedTarget(m.name, m.concern, m.name, mutant=True, clauses=(m.killed_by,)) for m in some))
    killed = {}
    for name, path in (("strict", ""), ("weak", str(weak))):
        (tmp_path / name).mkdir()
        work = WorkerRun(tmp_path / name, {**os.environ, "PYTHONPATH": path}, lambda event: None)
        killed[name] = [row.killed for row in judged(work.execute(plan), some).rows]
    assert killed["strict"] == [True] * 4
    assert False in killed["weak"]


def test_a_clause_that_lost_an_assertion_fails_the_self_test(tmp_path: Path) -> None:
    """The clause runs, sees its evidence, and no longer looks at what the wildcards found."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        f"ASSERTION = {ASSERTION!r}\n"
        """
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader


class Weakened(SourceFileLoader):
    def get_data(self, path):
        source = super().get_data(path).decode()
        assert source.count(ASSERTION) == 1, source.count(ASSERTION)
        return source.replace(ASSERTION, "").encode()

    def path_stats(self, path):
        raise OSError("no compiled form: it has the assertion")


class Finder(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "stackproof.contracts.search_text":
            return None
        spec = PathFinder.find_spec(name, path, target)
        spec.loader = Weakened(name, spec.origin)
        return spec


sys.meta_path.insert(0, Finder())
"""
    )
    weakened = {"PYTHONPATH": f"{site}:{ROOT}"}
    done = stackproof("selftest", "--concern", CONCERN, "--seeds", "1", cwd=tmp_path, env=weakened, seconds=150)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"ALIVE  {CONCERN}:" in done.stdout
    assert f": {WEAKENED} did not catch it (PASS)" in done.stdout


def test_the_short_form_takes_one_mutant_of_each_clause() -> None:
    chosen = one_mutant_a_clause(["cache", "logs"], (), 1)
    named = [(mutant.concern, mutant.killed_by) for mutant in chosen]
    assert sorted(named) == sorted({(m.concern, m.killed_by) for m in all_mutants() if m.concern in ("cache", "logs")})
    assert [m.name for m in chosen] == [m.name for m in one_mutant_a_clause(["cache", "logs"], (), 1)]
    assert [m.name for m in chosen] != [m.name for m in one_mutant_a_clause(["cache", "logs"], (), 2)]
    assert {m.killed_by for m in one_mutant_a_clause(["cache"], ("CACHE-06",), 1)} == {"CACHE-06"}


def test_a_survivor_makes_a_certificate_inconclusive_and_is_named() -> None:
    outcome = judged(ledger(kills=Verdict.PASS))
    told = summary(outcome)
    assert (told["mutants"], told["killed"]) == (len(mutants()), 0)
    certificate = replace(certificate_samples.holds(), selftest=told)
    assert certificate.level is Level.INCONCLUSIVE
    assert f"{len(mutants())} of {len(mutants())} mutants survived" in meaning(certificate)
    assert mutants()[0].name in meaning(certificate)
    assert replace(certificate_samples.holds(), selftest=summary(judged(ledger()))).level is Level.HOLDS


def test_the_table_tells_each_clause_how_many_it_killed() -> None:
    table = judged(ledger()).table()
    assert sum(total for _, total in table.values()) == len(mutants())
    assert all(killed == total for killed, total in table.values())
    assert next(iter(table)) == (CONCERN, "SEARCH-01")
    assert {killed for killed, _ in judged(ledger(kills=Verdict.PASS)).table().values()} == {0}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"rows": False}, "ALIVE  search:"),
        ({"uncovered": ("search SEARCH-05",)}, "BARE   search SEARCH-05: no mutant proves that this clause can fail"),
        (
            {"reference_troubles": ("search SEARCH-05: FAIL x",)},
            "WRONG  the reference does not pass search SEARCH-05: FAIL x",
        ),
    ],
)
def test_the_command_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], line: str
) -> None:
    outcome = judged(ledger())
    if "rows" in change:
        change = {"rows": (replace(outcome.rows[0], killed=False, seen="PASS"), *outcome.rows[1:])}
    monkeypatch.setattr("stackproof.verification.selftest.run_selftest", lambda *_: replace(outcome, **change))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    shown = CliRunner().invoke(selftest, ["--concern", CONCERN, "--json", "out.json"], standalone_mode=False)
    assert shown.exception is None
    assert shown.return_value == Exit.BROKEN
    assert line in shown.output
    assert json.loads(Path("out.json").read_text())["holds"] is False
