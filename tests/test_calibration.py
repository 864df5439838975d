"""What calibration expects, against a simulation in small steps; and that it refuses each kind of wrong generator."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from bench_samples import FACTS, judged, recorded
from calibration_samples import (
    NULL,
    OWN,
    STUB_LATE,
    Generator,
    averaged,
    averaged_percentiles,
    capped,
    caught_up,
    closed,
    cut,
    halved,
    observed_of,
    opened,
    rounded,
    shifted,
    shown_by,
    stretched,
    truth_of,
    verdict_on,
)

from stackproof import measurement
from stackproof.cli import main
from stackproof.commands import calibrate as command
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.calibration import (
    BASE_SECONDS,
    FULL,
    TOLERANCE,
    CalibrationVerdict,
    Comparison,
    Form,
    Observed,
    Shown,
    Trial,
    arrivals_at,
    expected_of,
    judge,
    quick_form,
)
from stackproof.measurement.judgement import measurement_of
from stackproof.measurement.record import from_json, to_json
from stackproof.reports.measurement import render
from stackproof.reports.measurement_terminal import stub_in_words
from stackproof.scenarios.catalogue import DECISION
from stackproof.scenarios.histogram import Histogram
from stackproof.scenarios.recorder import Recorder
from stackproof.scenarios.stub import Injection


def stepped(intended: Sequence[float], injection: Injection, step: float = 0.0001) -> list[float]:
    """The latencies by moving a clock in small steps: a server that finishes nothing while it stalls, and begins again then."""
    ends: list[float] = []
    left: dict[int, float] = {}
    waiting = list(enumerate(intended))
    number = 0
    while waiting or left:
        now = number * step
        number += 1
        while waiting and waiting[0][1] <= now:
            left[waiting.pop(0)[0]] = now + injection.service
        if injection.stall_from <= now < injection.stall_to:
            for one, due in left.items():
                if due <= now or intended[one] >= injection.stall_from or due < injection.stall_to:
                    left[one] = injection.stall_to + injection.service
            continue
        for one in [one for one, due in left.items() if due <= now]:
            del left[one]
            ends.append(now - intended[one])
    return ends


class TestExpectations:
    @pytest.mark.parametrize("arrivals", ["constant", "poisson"])
    @pytest.mark.parametrize("rate", [200.0, 731.0])
    @pytest.mark.parametrize("injection", [Injection(0.002), Injection(0.002, 0.9, 0.25), Injection(0.0304, 1.0, 1.2)])
    def test_they_are_those_of_a_clock_that_moves_in_small_steps(
        self, arrivals: str, rate: float, injection: Injection
    ) -> None:
        intended = Trial(rate, 3.0, injection, arrivals).intended()
        expected = expected_of(intended, injection)
        latencies = sorted(stepped(intended, injection))
        assert expected.count == len(latencies)
        for percentile, found in ((0.5, expected.p50), (0.99, expected.p99), (1.0, expected.largest)):
            assert found == pytest.approx(latencies[math.ceil(len(latencies) * percentile) - 1], abs=0.0003)

    def test_without_a_stall_everything_takes_the_service_time(self) -> None:
        expected = expected_of(Trial(200.0, 5.0, Injection(0.002)).intended(), Injection(0.002))
        assert (expected.p50, expected.p99, expected.largest) == pytest.approx((0.002, 0.002, 0.002))

    @pytest.mark.parametrize("rate", [200.0, 2000.0])
    def test_one_in_a_hundred_of_a_long_stall_can_be_written_down(self, rate: float) -> None:
        """Of 10 s the slowest 1 % are those that were due in the first 0.1 s of the stall, and wait 0.9 s at least."""
        trial = FULL.stalled(rate)
        expected = expected_of(trial.intended(), trial.injection)
        random = arrivals_at(rate) == "poisson"
        assert expected.count == pytest.approx(10 * rate, rel=0.02 if random else 0)
        assert expected.p50 == pytest.approx(0.002)
        assert expected.p99 == pytest.approx(0.902, abs=0.01 if random else 1 / rate + 0.002)
        assert expected.largest == pytest.approx(1.002, abs=0.005 if random else 1 / rate + 0.002)

    @pytest.mark.parametrize(
        ("rate", "arrivals"), [(200.0, "constant"), (499.0, "constant"), (500.0, "poisson"), (2000.0, "poisson")]
    )
    def test_no_answer_meets_the_next_request_in_step(self, rate: float, arrivals: str) -> None:
        trial = FULL.stalled(rate)
        assert (arrivals_at(rate), trial.arrivals, FULL.base(rate).arrivals) == (arrivals, arrivals, arrivals)
        intended = trial.intended()
        answers = [due + trial.injection.service for due in intended[:400]]
        client = 0.0001  # what the client does for a request
        met = sum(any(0 <= answer - due < client for due in intended[:500]) for answer in answers)
        assert met < 0.3 * len(answers)

    def test_percentiles_are_those_of_the_histogram(self) -> None:
        trial = FULL.stalled(200.0)
        histogram = Histogram()
        for due in trial.intended():
            histogram.record(trial.injection.answered(due) - due)
        found = histogram.percentiles([50.0, 99.0])
        expected = expected_of(trial.intended(), trial.injection)
        assert found[50.0] == pytest.approx(expected.p50, rel=0.001)
        assert found[99.0] == pytest.approx(expected.p99, rel=0.001)
        assert histogram.largest == pytest.approx(expected.largest, rel=0.001)


class TestForms:
    @pytest.mark.parametrize(("asked", "rate"), [(0.5, 200.0), (200.0, 200.0), (333.0, 333.0), (20_000.0, 500.0)])
    def test_the_quick_one_is_near_the_rate_asked_for_and_over_in_five_seconds(self, asked: float, rate: float) -> None:
        form = quick_form(asked)
        assert form.rates == (rate,)
        assert form.null_seconds + form.base_seconds + form.stall_seconds < 5.0
        trial = form.stalled(rate)
        assert trial.injection.stall_from + trial.injection.stall < trial.seconds - trial.injection.service
        assert trial.in_flight > rate * trial.injection.stall

    def test_a_window_without_a_p99_is_no_form(self) -> None:
        with pytest.raises(ConfigurationError, match="too short for a p99"):
            Form("short", (50.0,), 1.0, 1.0, 2.0, 0.2).stalled(50.0)

    def test_the_two_service_times_are_no_whole_milliseconds_apart(self) -> None:
        difference = FULL.stalled(200.0).injection.service - BASE_SECONDS
        assert abs(difference * 1000 - round(difference * 1000)) > 0.3


FORMS = [quick_form(100.0), quick_form(1000.0), replace(FULL, rates=(200.0,))]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.name}-{form.rates[0]:g}")
class TestTheJudge:
    @pytest.mark.parametrize("own", [0.00003, OWN, 0.0009])
    def test_a_true_generator_is_trusted(self, form: Form, own: float) -> None:
        for seed in range(5):
            verdict = verdict_on(opened, form, own, seed)
            assert verdict.reasons == ()
            assert verdict.trusted
            assert verdict.own[form.rates[0]] == pytest.approx(own, abs=own * 0.1)

    @pytest.mark.parametrize(
        "generator", [closed, caught_up, averaged, averaged_percentiles, capped, shifted, stretched, halved]
    )
    def test_a_wrong_one_is_not(self, form: Form, generator: Generator) -> None:
        self.refused(verdict_on(generator, form))

    @pytest.mark.parametrize("own", [0.00003, 0.0001, 0.00019, OWN, 0.0003, 0.0005, 0.0009])
    @pytest.mark.parametrize("generator", [rounded, cut])
    def test_whole_milliseconds_are_found_whatever_the_own_time(
        self, form: Form, generator: Generator, own: float
    ) -> None:
        self.refused(verdict_on(generator, form, own))

    @staticmethod
    def refused(verdict: CalibrationVerdict) -> None:
        assert not verdict.trusted
        assert verdict.reasons
        assert not verdict.starved

    def test_what_was_found_is_a_sentence(self, form: Form) -> None:
        reasons = " ".join(verdict_on(closed, form).reasons)
        assert "waits for answers before it sends" in reasons
        assert "the schedule was not kept" in reasons
        assert (
            f"at {form.rates[0]:g}/s the p99 from the intended start was 2.3" in verdict_on(caught_up, form).reasons[0]
        )

    def test_lost_samples_are_found_though_the_counters_know_them(self, form: Form) -> None:
        rate = form.rates[0]
        base = shown_by(opened, form.base(rate), OWN, 1)
        latencies, arrivals = opened(form.stalled(rate), OWN, random.Random(1))
        # What came at once after the stall did not fit into a queue; the counters were kept apart from it.
        kept = [latency for latency in latencies if latency < 0.1]
        seen = replace(observed_of(kept), offered=arrivals, ok=arrivals)
        verdict = judge(
            "quick", NULL, [(base, Shown(form.stalled(rate), seen, truth_of(form.stalled(rate), arrivals)))]
        )
        assert f"{arrivals} requests ended well, and {len(kept)} latencies were recorded" in " ".join(verdict.reasons)

    def test_samples_that_nobody_counted_are_missed_by_the_schedule_and_by_the_stub(self, form: Form) -> None:
        rate = form.rates[0]
        base = shown_by(opened, form.base(rate), OWN, 1)
        trial = form.stalled(rate)
        latencies, arrivals = opened(trial, OWN, random.Random(1))
        verdict = judge("quick", NULL, [(base, Shown(trial, observed_of(latencies[:-1]), truth_of(trial, arrivals)))])
        assert len(verdict.reasons) == 2
        assert "the schedule was not kept" in verdict.reasons[0]
        assert f"the stub saw {arrivals} requests" in verdict.reasons[1]


@pytest.mark.parametrize(
    ("recovered", "difference", "holds"),
    [
        (0.00229, "+1.3%", True),  # of 2 ms injected: 0.25 ms are the client's own, and the stub admits 0.01 ms
        (0.002255, "+0.0%", True),
        (0.00237, "+4.9%", True),
        (0.00238, "+5.3%", False),
        (0.00214, "-4.9%", True),
        (0.00213, "-5.3%", False),
    ],
)
def test_the_difference_is_from_what_is_judged(recovered: float, difference: str, holds: bool) -> None:
    one = Comparison(200.0, "p50", 0.002, own=0.00025, admitted=0.00001, recovered=recovered)
    assert (f"{one.deviation:+.1%}", one.holds) == (difference, holds)
    assert (abs(one.deviation) <= TOLERANCE) is holds


def test_both_rates_of_the_full_form_are_judged() -> None:
    verdict = verdict_on(opened, FULL)
    assert verdict.trusted
    assert [(one.rate, one.figure) for one in verdict.comparisons] == [
        (rate, figure) for rate in (200.0, 2000.0) for figure in ("p50", "p99", "largest")
    ]


class TestWitnesses:
    def shown(self, late: float = STUB_LATE, starved: float = 0.0, factor: float = 1.0) -> tuple[Shown, Shown]:
        form = quick_form(200.0)
        trial = form.stalled(200.0)
        latencies, arrivals = opened(trial, OWN, random.Random(1))
        seen = replace(observed_of([latency * factor for latency in latencies]), starved=starved)
        return shown_by(opened, form.base(200.0), OWN, 1), Shown(trial, seen, truth_of(trial, arrivals, late))

    def test_what_the_stub_admits_is_allowed(self) -> None:
        plain, admitting = self.shown(), self.shown(late=0.000_09)
        one, other = (judge("quick", NULL, [pair]).comparisons[0] for pair in (plain, admitting))
        assert other.most - one.most == pytest.approx(0.000_07 * 1.05, rel=0.02)

    def test_a_stub_that_was_too_late_itself_is_no_witness(self) -> None:
        verdict = judge("quick", NULL, [self.shown(late=0.000_3)])
        assert not verdict.trusted
        assert verdict.starved
        assert "it is no witness" in verdict.reasons[0]
        assert "again on a quieter one" in verdict.reasons[-1]

    def test_a_starved_generator_is_no_excuse_and_worth_another_attempt(self) -> None:
        verdict = judge("quick", NULL, [self.shown(starved=0.2, factor=1.2)])
        assert (verdict.trusted, verdict.starved) == (False, True)

    def test_pressure_is_no_excuse_either(self) -> None:
        base, stalled = self.shown(factor=1.2)
        under = replace(stalled, observed=replace(stalled.observed, pressure=0.6))
        assert not judge("quick", NULL, [(base, stalled)]).starved
        verdict = judge("quick", NULL, [(base, under)])
        assert (verdict.trusted, verdict.starved) == (False, True)

    def test_whoever_recovers_everything_although_starved_is_trusted(self) -> None:
        verdict = judge("quick", NULL, [self.shown(starved=0.2)])
        assert (verdict.trusted, verdict.starved) == (True, True)

    def test_a_rate_that_the_null_step_did_not_hold_is_not_measured(self) -> None:
        verdict = judge("quick", replace(NULL, held=False, rate=90_000.0, ok=3), [self.shown()])
        assert verdict.reasons == (
            "the generator cannot hold 90000/s on this machine: of a step that does nothing, 3 of 200 were done, "
            "or it took longer than planned",
        )

    def test_a_window_in_which_nothing_was_recorded_is_no_recovery(self) -> None:
        base, stalled = self.shown()
        empty = replace(stalled, observed=Observed.of(Recorder()))
        verdict = judge("quick", NULL, [(base, empty)])
        assert not verdict.trusted
        assert sum(one.holds for one in verdict.comparisons) == 0
        json.dumps(verdict.to_data(), allow_nan=False)

    def test_the_verdict_is_plain_data(self) -> None:
        data = judge("quick", NULL, [self.shown()]).to_data()
        assert json.loads(json.dumps(data, allow_nan=False)) == data
        (window,) = data["windows"]
        assert [figure["figure"] for figure in window["figures"]] == ["p50", "p99", "largest"]
        assert window["own_ms"] == pytest.approx(OWN * 1000, rel=0.1)
        assert data["null"]["ceiling"] == 50_000


class TestInARun:
    """What a measurement makes of the verdict."""

    def test_a_generator_that_is_not_trusted_makes_it_invalid(self) -> None:
        result = judged(recorded(600), generator=closed)
        assert result.level == "INVALID"
        assert any(
            sentence.startswith("Self-check: ") and "waits for answers before it sends" in sentence
            for sentence in result.invalid
        )
        assert "NOT recovered" in stub_in_words(result.calibration["stub"])

    def test_one_that_is_trusted_says_how_exact_it_was(self) -> None:
        result = judged(recorded(600))
        assert (result.level, result.warnings) == ("VALID", ())
        assert "recovered, its tail within 0." in stub_in_words(result.calibration["stub"])
        assert "own time is 0.23 ms" in stub_in_words(result.calibration["stub"])
        assert "Self-check before the run: a stall" in render(result)

    def test_without_the_stub_server_it_says_so(self) -> None:
        result = judged(recorded(600))
        stubless = {**result.calibration, "stub": None}
        again = measurement_of(DECISION, stubless, result.windows, FACTS, [])
        assert "are not to be published" in " ".join(again.warnings)
        assert from_json(to_json(again)).calibration["stub"] is None

    def test_its_form_is_the_same_in_both_schemas(self) -> None:
        package = Path(measurement.__file__).parent
        whole, alone = (
            json.loads((package / f"{name}.schema.json").read_text(encoding="utf-8"))
            for name in ("measurement", "calibration")
        )
        in_a_run = {name: part for name, part in whole["$defs"]["stub"]["properties"].items() if name != "by_worker"}
        assert in_a_run == {
            name: part for name, part in alone["properties"].items() if name not in ("schema", "workers")
        }
        data = judged(recorded(600)).calibration["stub"]
        jsonschema.validate({"schema": "stackproof-calibration/1", "workers": 1, **data}, alone)


class TestTheCommand:
    @pytest.fixture(autouse=True)
    def elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    @pytest.mark.parametrize(
        ("generator", "starved", "code"), [(opened, False, 0), (closed, False, 1), (closed, True, 3)]
    )
    def test_its_exit_code_tells_a_wrong_generator_from_a_busy_machine(
        self, generator: Generator, starved: bool, code: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        verdict = replace(verdict_on(generator, FULL), starved=starved)
        monkeypatch.setattr(command, "_run", lambda *_: verdict)
        with pytest.raises(SystemExit) as ended:
            main(["calibrate", "--json", "calibration.json"])
        assert ended.value.code == code
        data = json.loads(Path("calibration.json").read_text(encoding="utf-8"))
        schema = json.loads((Path(measurement.__file__).parent / "calibration.schema.json").read_text(encoding="utf-8"))
        jsonschema.validate(data, schema)
        assert data["trusted"] is (code == 0)

    def test_it_shows_what_was_injected_and_what_was_seen(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(command, "_run", lambda *_: verdict_on(caught_up, FULL))
        with pytest.raises(SystemExit):
            main(["calibrate"])
        told = capsys.readouterr().out
        assert re.search(r"p99 2000/s +901 ms +2\.\d\d ms +-99\.\d% +85\d ms to 9[45]\d ms +NO", told)
        assert re.search(r"p50 2000/s +2\.00 ms +2\.\d\d ms .* yes", told)
        assert "NOT TRUSTED" in told

    @pytest.mark.parametrize("rate", ["5", "100000", "fast"])
    def test_a_rate_that_cannot_be_is_wrong_usage(self, rate: str) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["calibrate", "--rate", rate])
        assert ended.value.code == 2
