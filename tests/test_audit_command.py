"""`stackproof audit`, with measuring stubbed; and once with real servers and hardly any time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ceiling_samples import FOUND, SERVER, searched
from command_line import stackproof as typed

import stackproof
from stackproof.cli import _run
from stackproof.commands import series
from stackproof.commands.audit_measuring import why_not
from stackproof.commands.series import Series, Wanted
from stackproof.measurement.record import BackendRecord, to_json
from stackproof.planning.audit_record import Audit, from_json
from stackproof.reports.json_page import FORMS
from stackproof.scenarios.catalogue import find_scenario
from stackproof.servers import ServerError
from stackproof.verification.digests import suite_digest
from stackproof.verification.environment import describe_environment

SCHEMA = next(form for form in FORMS if form.name == "audit").schema()
Measure = Callable[..., Series]
ONE_CLAIM = """
schema = "stackproof-claims/1"
[[claim]]
id = "mine"
sentence = "fast enough"
verbatim = true
where = "a note"
concern = "interactions"
backend = "interactions=postgres"
dimension = "throughput"
quantity = 50
unit = "writes/s"
comparison = "at-most"
reading = "It carries 50 writes a second."
judged_by = "rate"
scenarios = [{ name = "ingest" }]
testable = true
why = "It runs here."
"""


def keep(runs: Path, wanted: Wanted, holds: float, fails: float, origin: str = "embedded", **changes: Any) -> Path:
    """A run of this build and machine, as a series keeps it."""
    sizes = "".join(f"-{name}-{value}" for name, value in wanted.settings.items())
    directory = runs / f"2026-{wanted.scenario}{sizes}-{'-'.join(wanted.backends)}"
    directory.mkdir(parents=True)
    backends = tuple(
        BackendRecord(name, name.partition("=")[0], "x.Y", "digest", "", "native", "certificate-1")
        for name in wanted.backends
    )
    run = searched(
        replace(FOUND, holds=holds, fails=fails, promises=tuple(promise.name for promise in wanted.promises)),
        id=directory.name,
        backends=backends,
        servers=(SERVER,),
        scenario=find_scenario(wanted.scenario, wanted.settings).describe(),
        version=stackproof.__version__,
        suite_digest=suite_digest(),
        environment=describe_environment(),
        origin=origin,
    )
    (directory / "run.json").write_text(to_json(replace(run, **changes)))
    return directory


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Measure], list[dict[str, Any]]]:
    """Replace measuring; what it was called with comes back."""
    monkeypatch.chdir(tmp_path)
    calls: list[dict[str, Any]] = []

    def instead(measure: Measure) -> list[dict[str, Any]]:
        def called(wanted: Sequence[Wanted], **options: Any) -> Series:
            calls.append({"wanted": wanted, **options})
            return measure(wanted, **options)

        monkeypatch.setattr(series, "as_far_as_it_goes", called)
        return calls

    return instead


def the_first(wanted: Sequence[Wanted], *, origin: str, runs: Path, **_: Any) -> Series:
    """There was time for one search."""
    return Series(
        (keep(runs, wanted[0], 400.0, 420.0, origin),), tuple((one, "no time was left for it") for one in wanted[1:])
    )


def everything(wanted: Sequence[Wanted], *, origin: str, runs: Path, **_: Any) -> Series:
    return Series(
        tuple(
            keep(runs / f"{number}", one, 400.0, 420.0, origin).rename(runs / f"run-{number}")
            for number, one in enumerate(wanted)
        ),
        (),
    )


def refuse(wanted: Sequence[Wanted], **_: object) -> Series:
    raise AssertionError(f"nothing was to be measured, and these were wanted: {wanted}")


def kept(out: str = "out") -> Audit:
    text = (Path(out) / "audit.json").read_text()
    jsonschema.validate(json.loads(text), SCHEMA)
    return from_json(text)


def test_what_is_missing_is_measured_and_stands_beside_the_claim(stub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    calls = stub(the_first)
    assert _run(["audit", "--out", "out", "--minutes", "7"]) == 3  # there was no time for everything
    (call,) = calls
    assert call["origin"] == "embedded"
    assert 400 < call["seconds"] <= 420
    first = call["wanted"][0]
    assert (first.scenario, first.backends[2]) == ("decision", "interactions=postgres")
    assert [promise.text for promise in first.promises] == ["p99=20ms"]
    made = kept()
    assert len(made.findings) == 14
    assert made.beside[0].headroom.text == "3,456 to 3,629 times"
    assert [run.new for run in made.runs] == [True]
    assert {one.reason for one in made.not_measured if one.reachable} == {"no time was left for it"}
    assert any("opensearch" in one.reason for one in made.not_measured if not one.reachable)
    output = capsys.readouterr().out
    begins = " ".join(output.split())
    assert re.match(r"\d+ searches are missing, and 7 min are time for about \d+, the most deciding first\.", begins)
    assert "0.12/s" in output
    assert "3,456 to 3,629 times" in output
    page = (Path("out") / "audit.html").read_text()
    assert "3,456 to 3,629 times" in page


def test_what_is_known_is_not_measured_again_and_then_all_is_done(stub: Any) -> None:
    calls = stub(everything)
    assert _run(["audit", "--out", "first"]) == 0
    stub(refuse)
    assert _run(["audit", "--out", "second"]) == 0
    assert len(calls) == 1
    made = kept("second")
    assert made.beside
    assert not any(run.new for run in made.runs)
    assert not made.partial
    assert _run(["audit", "--no-measure", "--out", "third"]) == 0


def test_without_measuring_a_verdict_is_given_by_what_is_there(stub: Any) -> None:
    stub(refuse)
    assert _run(["audit", "--no-measure", "--out", "out"]) == 3
    made = kept()
    assert made.partial
    assert "The audit is partial" in (Path("out") / "audit.html").read_text()
    assert made.counts["not-measured"] >= 4
    assert {one.reason for one in made.not_measured if one.reachable} == {"--no-measure was given"}


def test_too_little_time_is_told_before_it_is_spent(stub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []

    def nothing(wanted: Sequence[Wanted], **_: Any) -> Series:
        told.append(capsys.readouterr().out)
        return Series((), tuple((one, "no time") for one in wanted))

    stub(nothing)
    assert _run(["audit", "--minutes", "1", "--out", "out"]) == 3
    (before,) = told
    assert before.startswith("Nothing can be measured in 1 min: ")
    assert (found := re.search(r"Give --minutes (\d+) or more", before)) is not None
    stub(the_first)
    assert _run(["audit", "--minutes", found[1], "--out", "enough"]) == 3
    assert "are time for about" in capsys.readouterr().out


def test_kept_runs_elsewhere_and_a_promise_of_ones_own(stub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stub(the_first)
    Path("mine").mkdir()
    assert _run(["audit", "--runs", "mine", "--slo", "p99=50ms", "--out", "a"]) == 3
    assert len(kept("a").beside) == 1
    stub(refuse)
    assert _run(["audit", "--runs", "mine", "--no-measure", "--out", "b"]) == 3
    made = kept("b")
    assert made.beside == ()
    assert "with p99 within 50 ms, and the question is" in made.left_out[0].reason
    assert "The ceilings that come with the package" in " ".join(capsys.readouterr().out.split())


def test_runs_of_another_machine_and_damaged_ones_are_left_out(stub: Any) -> None:
    stub(refuse)
    wanted = Wanted(("interactions=postgres",), "ingest", {}, ())
    keep(Path("mine"), wanted, 400.0, 420.0, environment={"cores": "999"})
    (Path("mine") / "bad").mkdir()
    (Path("mine") / "bad" / "run.json").write_bytes(b"\xff{")
    assert _run(["audit", "--runs", "mine", "--no-measure", "--out", "out"]) == 3
    reasons = {one.run: one.reason for one in kept().left_out}
    assert "another environment" in reasons["2026-ingest-interactions=postgres"]
    assert "cannot be read" in reasons["mine/bad"]


def test_a_file_of_ones_own_claims(stub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    calls = stub(the_first)
    Path("claims.toml").write_text(ONE_CLAIM)
    assert _run(["audit", "--claims", "claims.toml", "--out", "out", "--json", "-"]) == 0
    assert [wanted.scenario for wanted in calls[0]["wanted"]] == ["ingest"]
    captured = capsys.readouterr()
    made = from_json(captured.out)
    assert [(finding.claim, str(finding.verdict)) for finding in made.findings] == [("mine", "supported")]
    assert made == kept()
    assert "--claims claims.toml" in made.command
    assert "mine" in captured.err


def test_an_unsupported_claim_is_a_finding_and_no_failure(stub: Any) -> None:
    stub(the_first)
    Path("claims.toml").write_text(ONE_CLAIM.replace("quantity = 50", "quantity = 5_000"))
    assert _run(["audit", "--claims", "claims.toml", "--out", "out"]) == 0
    assert str(kept().findings[0].verdict) == "unsupported"


@pytest.mark.parametrize("how", ["raised", "told"])
def test_ctrl_c_keeps_what_was_measured_before(how: str, stub: Any) -> None:
    def measure(wanted: Sequence[Wanted], **options: Any) -> Series:
        done = the_first(wanted, **options)
        if how == "raised":
            raise KeyboardInterrupt
        return replace(done, interrupted=True)

    stub(measure)
    assert _run(["audit", "--out", "out"]) == 130
    made = kept()
    assert made.interrupted
    assert len(made.beside) == 1
    assert "Cut short" in (Path("out") / "audit.html").read_text()


NO_SERVER = ServerError("The embedded PostgreSQL did not start: no memory.")


def test_servers_that_do_not_start_end_the_measuring_and_not_the_audit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Measuring is not stubbed: it is told of the servers, and tells of them."""

    @contextmanager
    def servers(*_: object) -> Iterator[Sequence[object]]:
        raise NO_SERVER
        yield ()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(series, "provided_servers", servers)
    assert _run(["audit", "--out", "out"]) == 4
    made = kept()
    assert made.trouble == str(NO_SERVER)
    assert len(made.findings) == 14
    assert str(NO_SERVER) in {one.reason for one in made.not_measured if one.reachable}
    shown = capsys.readouterr()
    assert f"Not all could be measured: {NO_SERVER}" in shown.out
    assert str(NO_SERVER) in shown.err


@pytest.mark.parametrize(("interrupted", "code"), [(False, 4), (True, 130)])
def test_what_was_measured_beside_servers_that_do_not_start_is_not_called_missing(
    interrupted: bool, code: int, stub: Any
) -> None:
    def measure(wanted: Sequence[Wanted], **options: Any) -> Series:
        done = the_first(wanted, **options)
        return replace(done, trouble=NO_SERVER, interrupted=interrupted)

    calls = stub(measure)
    assert _run(["audit", "--out", "out"]) == code
    made = kept()
    assert made.trouble == str(NO_SERVER)
    assert len(made.beside) == 1
    (call,) = calls
    assert sum(one.reachable for one in made.not_measured) == len(call["wanted"]) - 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--claims", "nowhere.toml"], "cannot be read"),
        (["--claims", "bad.toml"], "bad.toml"),
        (["--claims", "binary.toml"], "not UTF-8"),
        (["--prices", "nowhere.toml"], "cannot be read"),
        (["--prices", "euro.toml"], "EUR"),
        (["--runs", "nowhere"], "no directory"),
        (["--slo", "fast"], "must look like p99=20ms"),
        (["--no-measure", "--minutes", "5"], "measures nothing"),
        (["--minutes", "0"], "minutes"),
        (["--origin", "moon"], "moon"),
        (["--json", "nowhere/x.json"], "cannot be written"),
    ],
)
def test_what_is_wrong_is_one_sentence_before_anything_is_measured(
    arguments: list[str], words: str, stub: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stub(refuse)
    Path("bad.toml").write_text(ONE_CLAIM.replace('"rate"', '"feeling"'))
    Path("binary.toml").write_bytes(b"\xff\xfe")
    Path("euro.toml").write_text('schema = "stackproof-prices/1"\ncurrency = "EUR"\n')
    assert _run(["audit", "--out", "out", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not Path("out").exists()


def test_the_page_again(stub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stub(refuse)
    assert _run(["audit", "--no-measure", "--out", "out"]) == 3
    before = (Path("out") / "audit.html").read_text()
    (Path("out") / "audit.html").unlink()
    assert _run(["report", "out"]) == 0
    assert (Path("out") / "audit.html").read_text() == before
    assert _run(["audit", "--no-measure", "--out", "out"]) == 2  # it holds a run already
    (Path("out") / "audit.json").write_text("{}")
    assert _run(["report", "out"]) == 5
    assert "no audit of schema" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "origin", "words"),
    [
        ("interactions=postgres", "embedded", ""),
        ("logs=console", "embedded", ""),
        ("cache=a.b:c", "embedded", ""),
        ("search=opensearch", "container", ""),
        ("search=opensearch", "embedded", "use --origin container"),
        ("interactions=dynamodb", "embedded", "only an emulator"),
        ("interactions=dynamodb", "container", "only an emulator"),
        ("events=kinesis", "container", "only an emulator"),
        ("cache=redis", "external", "REDIS_URL"),
    ],
)
def test_what_cannot_be_had_here(target: str, origin: str, words: str) -> None:
    reason = why_not(target, origin, {})
    assert words in reason
    assert bool(reason) == bool(words)


def test_servers_of_ones_own_are_taken_where_they_are_named() -> None:
    assert why_not("cache=redis", "external", {"REDIS_URL": "redis://10.0.0.1"}) == ""


def test_with_real_servers_and_hardly_any_time_it_ends_honestly(tmp_path: Path) -> None:
    done = typed("audit", "--minutes", "0.02", "--out", "out", cwd=tmp_path, seconds=300)
    assert done.returncode == 3, done.stderr
    made = from_json((tmp_path / "out" / "audit.json").read_text())
    assert len(made.findings) == 14
    assert any(one.reachable and one.reason for one in made.not_measured)
    assert made.beside == ()
    assert "No rate that is claimed was measured" in (tmp_path / "out" / "audit.html").read_text()
