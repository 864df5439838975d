"""The pure half of bench: schedules, scenario, recorder, and the judgement of what was recorded. No server, no clock."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from bench_samples import CHECKS, GAP, ORDER, judged, offered, recorded
from rich.console import Console

from stackproof.interfaces import ConfigurationError
from stackproof.measurement.figures import unanswered_percentile
from stackproof.measurement.judgement import window_of
from stackproof.measurement.promises import Promise
from stackproof.measurement.record import from_json, to_json
from stackproof.reports.measurement_terminal import print_measurement
from stackproof.scenarios.arrivals import Constant, Poisson, Schedule, dispatch, schedule_of
from stackproof.scenarios.catalogue import DECISION, find_scenario
from stackproof.scenarios.distributions import Sizes, Zipf
from stackproof.scenarios.histogram import Histogram, supported
from stackproof.scenarios.item import text_of
from stackproof.scenarios.orders import NULL, Offering, Order, merged
from stackproof.scenarios.recorder import Recorder
from stackproof.scenarios.window import Nothing, Window


class SimulatedClock:
    """A clock that only sleeping and stalling move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def started(schedule: Schedule, end: float, stall_at: int = -1, stall: float = 0.0) -> list[tuple[int, float, float]]:
    """Number, lateness and due time (from the beginning) of each start; the client stalls once."""
    clock = SimulatedClock()
    began = clock()
    found: list[tuple[int, float, float]] = []

    def start(number: int, due: float) -> None:
        found.append((number, clock() - due, due - began))
        if number == stall_at:
            clock.now += stall

    assert dispatch(schedule, end, clock=clock, sleep=clock.sleep, start=start) == len(found)
    return found


class TestSchedules:
    def test_constant_arrivals_do_not_drift(self) -> None:
        rows = started(Constant(300.0), 100.0)
        assert len(rows) == 30_000
        assert rows[-1][2] == pytest.approx(29_999 / 300.0, abs=1e-6)
        assert max(late for _, late, _ in rows) < 1e-6

    def test_a_stall_of_the_client_moves_no_intended_start(self) -> None:
        rows = started(Constant(100.0), 5.0, stall_at=100, stall=1.0)
        assert [number for number, _, _ in rows] == list(range(500))
        late = [number for number, lateness, _ in rows if lateness > 0.001]
        assert late == list(range(101, 200))
        assert rows[101][1] == pytest.approx(0.99, abs=1e-6)
        assert rows[300][1] == pytest.approx(0.0, abs=1e-6)

    def test_poisson_arrivals_have_the_rate_and_independent_gaps(self) -> None:
        schedule = Poisson(200.0, seed=3)
        due = [schedule.intended(number) for number in range(20_001)]
        gaps = [later - earlier for earlier, later in pairwise(due)]
        assert statistics.fmean(gaps) == pytest.approx(1 / 200.0, rel=0.05)
        assert statistics.pstdev(gaps) == pytest.approx(1 / 200.0, rel=0.05)
        assert min(gaps) >= 0

    def test_the_seed_decides_poisson_arrivals_in_any_order_of_asking(self) -> None:
        forward, backward = Poisson(50.0, seed=9), Poisson(50.0, seed=9)
        backward.intended(99)
        assert [forward.intended(n) for n in range(100)] == [backward.intended(n) for n in range(100)]
        assert Poisson(50.0, seed=10).intended(7) != forward.intended(7)

    @pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf, 2e6])
    def test_a_rate_that_is_none_is_refused(self, rate: float) -> None:
        with pytest.raises(ConfigurationError):
            Constant(rate)

    def test_an_unknown_process_names_the_known_ones(self) -> None:
        with pytest.raises(ConfigurationError, match="constant, poisson"):
            schedule_of("bursty", 1.0, 0)


class StillWindow(Window):
    """A window in which nothing moves."""

    def run(self, begin: float) -> None:
        self._began = begin

    def close(self, drain: float) -> None:
        """Nothing runs."""


class TestParts:
    @pytest.mark.parametrize("uptime", [1.0, 40_000.123456789, 9_876_543.21])
    def test_what_is_due_with_the_beginning_of_the_measured_part_is_measured_however_long_the_machine_runs(
        self, uptime: float
    ) -> None:
        window = StillWindow(Order(100.0, 1.0, 0.2), Nothing(int))
        window.run(uptime)
        parts = [window.offset_of(uptime + number / 100.0) for number in range(120)]
        assert sum(offset < 0 for offset in parts) == 20
        assert [int(offset) for offset in parts[20:]] == [0] * 100


class TestScenario:
    def test_a_decision_is_a_function_of_seed_and_number(self) -> None:
        assert DECISION.item(12_345) == DECISION.item(12_345)
        assert DECISION.item(1) != DECISION.item(2)
        assert DECISION.item(1, seed=8) != DECISION.item(1)

    def test_zipf_ranks_have_their_probabilities(self) -> None:
        zipf = Zipf(1_000, exponent=1.1)
        total = sum(rank**-1.1 for rank in range(1, 1_001))
        seen = Counter(zipf.rank((number + 0.5) / 100_000) for number in range(100_000))
        assert seen[1] / 100_000 == pytest.approx(1 / total, rel=0.001)
        assert seen[10] / 100_000 == pytest.approx(10**-1.1 / total, rel=0.01)
        assert min(seen) == 1
        assert max(seen) == 1_000
        assert zipf.rank(0.0) == 1

    def test_decisions_spread_over_the_customers_as_zipf_says(self) -> None:
        seen = Counter(DECISION.item(number).key for number in range(5_000))
        assert all(1 <= customer <= 1_000_000 for customer in seen)
        assert 0.08 < seen[1] / 5_000 < 0.16
        assert len(seen) > 1_500

    def test_sizes_have_their_median_and_p99(self) -> None:
        sizes = Sizes.p50_p99(400, 2_000)
        drawn = sorted(sizes.size((number + 0.5) / 10_000) for number in range(10_000))
        assert drawn[5_000] == pytest.approx(400, rel=0.01)
        assert drawn[9_900] == pytest.approx(2_000, rel=0.02)
        assert 1 <= drawn[0] <= drawn[-1] <= 65_536

    def test_text_is_a_function_of_its_key(self) -> None:
        assert text_of("a", 500) == text_of("a", 500) != text_of("b", 500)
        assert len(text_of("a", 65_536)) == 65_536

    def test_an_unknown_scenario_names_the_known_ones(self) -> None:
        with pytest.raises(ConfigurationError, match="decision"):
            find_scenario("nonsense")


class TestRecorder:
    def test_every_offered_decision_has_one_end(self) -> None:
        recorder = recorded(150, failed=20, dropped=30)
        assert recorder.adds_up
        recorder.offer(0.5)
        assert not recorder.adds_up

    def test_it_survives_its_own_serialisation(self) -> None:
        before = recorded(600, failed=3, dropped=2)
        after = Recorder.from_data(json.loads(json.dumps(before.to_data())))
        assert after.to_data() == before.to_data()
        assert after.intended.percentile(99.0) == before.intended.percentile(99.0)
        assert after.adds_up

    def test_merged_percentiles_are_those_of_all_samples(self) -> None:
        quick, slow, both = Histogram(), Histogram(), Histogram()
        for _ in range(900):
            quick.record(0.001)
            both.record(0.001)
        for _ in range(100):
            slow.record(1.0)
            both.record(1.0)
        quick.add(slow)
        assert quick.count == 1_000
        assert quick.percentiles([50.0, 95.0]) == both.percentiles([50.0, 95.0])
        assert quick.percentiles([95.0])[95.0] == pytest.approx(1.0, rel=0.001)

    def test_merging_recorders_adds_everything(self) -> None:
        whole = recorded(100, failed=1)
        whole.merge(recorded(50, dropped=9))
        assert (whole.offered, whole.ok, whole.failed, whole.dropped) == (160, 150, 1, 9)
        assert whole.steps["publish"].count == 150
        assert whole.adds_up

    def test_microseconds_are_kept(self) -> None:
        histogram = Histogram()
        for _ in range(10):
            histogram.record(0.000_123)
        assert histogram.percentile(50.0) == pytest.approx(0.000_123, abs=1e-9)

    def test_a_percentile_needs_a_sample_that_supports_it(self) -> None:
        assert supported(500, 99.0)
        assert not supported(499, 99.0)
        assert not supported(4_999, 99.9)
        assert supported(5_000, 99.9)
        assert recorded(100).intended.percentile(99.0) is None

    def test_a_clock_that_runs_backwards_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="negative"):
            Histogram().record(-0.001)


class TestJudgement:
    def test_a_good_run_is_valid_and_names_no_ceiling(self) -> None:
        result = judged(recorded(1_000))
        assert (result.level, result.limiter, result.invalid, result.warnings) == ("VALID", "none", (), ())
        assert result.slo[0].verdict == "held"

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"gaps": (GAP,)}, "publish (X)"),
            ({"checks": {**CHECKS, "wrong": 2, "examples": ["c1 counts 3"]}}, "c1 counts 3"),
            (
                {"checks": {**CHECKS, "lost": 3, "examples": ["e7"]}},
                "3 things that were acknowledged are gone; for example: e7",
            ),
            ({"checks": {**CHECKS, "unhandled": 3, "examples": ["e7"]}}, "3 things were accepted and not handled when"),
            (
                {"checks": {**CHECKS, "unchecked": ["after x: it is away"]}},
                "Not everything could be checked: after x: it",
            ),
            ({"checks": {**CHECKS, "duplicated": 1, "examples": ["e7"]}}, "1 things came or count more than once"),
            ({"lost_log_lines": 4}, "4 lines"),
            ({"locust": {"requests": 999, "failures": 0}}, "Locust counted 999"),
            ({"null": recorded(150, dropped=50)}, "cannot hold this rate"),
        ],
    )
    def test_what_makes_figures_unusable_is_said(self, changes: dict[str, Any], words: str) -> None:
        result = judged(recorded(1_000), **changes)
        assert result.level == "INVALID"
        assert words in " ".join(result.invalid)

    def test_a_run_that_was_cut_short_is_partial(self) -> None:
        assert judged(recorded(1_000), complete=False).level == "PARTIAL"

    def test_counters_that_do_not_add_up_are_noticed(self) -> None:
        recorder = recorded(1_000)
        recorder.offer(0.1)
        assert "do not add up" in " ".join(judged(recorder).invalid)

    def test_limiters(self) -> None:
        assert judged(recorded(700, dropped=300)).limiter == "server"
        assert judged(recorded(700, failed=300)).limiter == "error"
        assert judged(recorded(1_000), busiest=0.9).limiter == "client"
        assert judged(recorded(1_000), null=recorded(100, dropped=100)).limiter == "client"

    def test_a_straggler_changes_neither_the_rate_nor_what_the_generator_used(self) -> None:
        """It is waited for with nothing to do; the generator was no less busy for that while it offered load."""
        busy = Offering(10.0, 999, 9.5)
        result = judged(recorded(1_000), elapsed=20.0, cpu_seconds=9.6, busiest=0.95, offering=busy)
        assert (result.rates["achieved"], result.windows[0].rates["achieved"]) == (pytest.approx(99.9), 99.9)
        assert result.client["cpu_share"] == result.windows[0].client["cpu_share"] == 0.95
        assert result.client["cpu_seconds"] == 9.6
        assert result.limiter == "client"

    def test_without_stragglers_the_rate_is_that_until_the_last_one_ended(self) -> None:
        in_flight = Offering(10.0, 950, 2.0)
        result = judged(recorded(1_000), elapsed=10.2, offering=in_flight)
        assert (result.rates["achieved"], result.windows[0].rates["achieved"]) == (
            pytest.approx(1_000 / 10.2),
            1_000 / 10.2,
        )

    def test_the_busiest_worker_is_that_while_load_was_offered(self) -> None:
        def answer(seconds: float, cpu: float) -> dict[str, Any]:
            return {
                "worker": 0, "recorder": recorded(100).to_data(), "warmup": {}, "locust": {}, "checks": {}, "gaps": [],
                "trouble": "", "elapsed": 3.0, "cpu_seconds": cpu, "most_in_flight": 1, "lost_log_lines": 0, "complete": True,
                "interrupted": False, "offering": {"seconds": seconds, "answered": 99, "cpu_seconds": cpu},
            }  # fmt: skip

        whole = merged(Order(100.0, 2.0), [answer(2.0, 1.9), answer(2.0, 0.5)], workers=2)
        assert whole.busiest == 0.95
        assert whole.offering == Offering(2.0, 198, 2.4)
        assert whole.achieved == 99.0

    def test_a_generator_that_sends_too_late_is_the_limiter(self) -> None:
        recorder = Recorder()
        for number in range(1_000):
            recorder.offer(number / 100)
            recorder.sent(0.2)
            recorder.succeed(number / 100, 0.21, 0.01)
        assert judged(recorder).limiter == "client"

    def test_a_record_can_be_read_again(self) -> None:
        result = judged(recorded(700, failed=10, dropped=290))
        assert from_json(to_json(result)) == result
        with pytest.raises(ValueError, match="no measurement"):
            from_json("{}")

    def test_a_dropped_decision_was_never_answered(self) -> None:
        recorder = recorded(950, dropped=50)
        assert recorder.intended.percentile(99.0) == pytest.approx(0.0045, rel=0.01)
        assert unanswered_percentile(recorder, 99.0) == math.inf
        assert unanswered_percentile(recorder, 90.0) == pytest.approx(4.5, rel=0.01)
        result = judged(recorder)
        assert (result.slo[0].verdict, result.slo[0].seen_ms) == ("missed", None)
        assert result.latency["counted"].p99 is None

    def test_a_promise_is_unknown_where_the_sample_is_too_small(self) -> None:
        assert judged(recorded(100)).slo[0].verdict == "unknown"

    def test_send_lag_is_a_warning_also_where_the_run_is_too_short_for_p99(self) -> None:
        recorder = Recorder()
        for number in range(200):
            lag = 0.02 if number % 6 == 0 else 0.0001
            recorder.offer(number / 100)
            recorder.sent(lag)
            recorder.succeed(number / 100, 0.004 + lag, 0.004)
        assert recorder.lag.percentile(99.0) is None
        assert any(note.startswith("Send lag p9") for note in judged(recorder).warnings)

    def test_a_run_that_was_cut_short_makes_no_noise_about_its_counts(self) -> None:
        result = judged(recorded(704), complete=False, locust={"requests": 711, "failures": 0})
        assert not [sentence for sentence in result.invalid if "Locust counted" in sentence]
        result = judged(recorded(704), locust={"requests": 711, "failures": 0})
        assert [sentence for sentence in result.invalid if "Locust counted" in sentence]

    def test_a_percentile_that_is_none_is_said(self) -> None:
        with pytest.raises(ConfigurationError, match="a percentile lies above 0 and below 100"):
            Promise.parse("p100=1ms")

    def test_the_terminal_says_how_many_were_sent_late(self, capsys: pytest.CaptureFixture[str]) -> None:
        print_measurement(judged(recorded(200)), Console(width=200), Path())
        assert "sent late 0" in capsys.readouterr().out

    def test_send_lag_near_the_latency_is_a_warning(self) -> None:
        recorder = recorded(1_000, seconds=0.001)
        assert "and p99 (0.50 ms) is not far below the latency p99 (1.50 ms)" in " ".join(judged(recorder).warnings)

    def test_send_lag_is_told_beside_the_latency_of_the_same_percentile(self) -> None:
        def lagging(*, every: int, lag: float, slow: float) -> list[str]:
            recorder = Recorder()
            for number in range(1_000):
                late, took = (lag, slow) if number % every == 0 else (0.00004, 0.0005)
                recorder.offer(number / 100)
                recorder.sent(late)
                recorder.succeed(number / 100, took + late, took)
            return [note for note in judged(recorder).warnings if note.startswith("Send lag")]

        assert lagging(every=20, lag=0.0009, slow=0.02) == [], "p99 is beyond a median, and far below the latency p99"
        assert lagging(every=20, lag=0.0009, slow=0.0021) == [
            "Send lag p99 (0.90 ms) is not far below the latency p99 (3.00 ms): a good part of p99 from the intended start is "
            "the generator's own, which was not given the processor in time; p50 is not affected."
        ]
        [both] = lagging(every=1, lag=0.0009, slow=0.0021)
        assert "a good part of p50 and p99" in both

    def test_locust_knows_nothing_of_a_step_that_does_nothing(self) -> None:
        null = replace(ORDER, target=NULL)
        unknown = {"requests": 0, "failures": 0}
        assert window_of("calibration", offered(recorded(1_000), order=null, locust=unknown)).valid
        assert not window_of("ramp", offered(recorded(1_000), locust=unknown)).valid

    @pytest.mark.parametrize(
        "text",
        ["", "p99", "p99=", "99=20ms", "p0=1ms", "p100=1ms", "p99=20", "p99=-1ms", "p99=xms", "p99=20mms", "p99=1ss"],
    )
    def test_a_promise_that_cannot_be_read_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigurationError, match="p99=20ms"):
            Promise.parse(text)

    def test_promises_in_seconds_and_milliseconds(self) -> None:
        assert Promise.parse("p99.9=0.5s") == Promise(99.9, 500.0)
        assert Promise.parse("p50=7ms") == Promise(50.0, 7.0)
