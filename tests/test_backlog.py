"""A rate that was not held, although everything that was offered ended in the end."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from bench_samples import ORDER, judged, offered
from ceiling_samples import fixed

from stackproof.measurement.judgement import window_of
from stackproof.planning.ceilings import ceiling_of
from stackproof.scenarios.orders import CLOSED, Offered, Offering
from stackproof.scenarios.recorder import Recorder


def queued(rate: float, seconds: float, latency: list[float], arrivals: str = "constant") -> Offered:
    """A window in which the operations that came at a constant rate took so long, one after the other."""
    recorder, ended = Recorder(), 0
    for number in range(round(rate * seconds)):
        offset, took = number / rate, latency[number]
        recorder.offer(offset)
        recorder.sent(0.0002)
        recorder.succeed(offset, took, took)
        ended += offset + took <= seconds
    last = max(number / rate + took for number, took in enumerate(latency))
    return offered(
        recorder,
        order=replace(ORDER, rate=rate, seconds=seconds, arrivals=arrivals),
        elapsed=max(seconds, last),
        offering=Offering(seconds, ended, 0.1),
    )


def overloaded(rate: float, seconds: float, capacity: float, warmup: float = 0.0) -> list[float]:
    """Latencies at one server that does so many a second; a warm-up leaves its own backlog behind."""
    free, found = warmup * (rate / capacity - 1), []
    for number in range(round(rate * seconds)):
        at = number / rate
        free = max(free, at) + 1 / capacity
        found.append(free - at)
    return found


@pytest.mark.parametrize("warmup", [0.0, 2.0])
@pytest.mark.parametrize(("seconds", "capacity"), [(5.0, 83.0), (15.0, 83.0), (15.0, 95.0), (60.0, 95.0)])
def test_a_server_whose_backlog_grows_did_not_hold_the_rate(seconds: float, capacity: float, warmup: float) -> None:
    window = window_of("measured", queued(100.0, seconds, overloaded(100.0, seconds, capacity, warmup)))
    assert window.limiter == "server"
    assert "a backlog grew" in window.limiter_reason


@pytest.mark.parametrize("seconds", [1.0, 5.0, 15.0])
@pytest.mark.parametrize("latency", [0.001, 0.1, 0.5])
def test_what_is_in_flight_at_the_end_of_a_short_window_is_no_backlog(seconds: float, latency: float) -> None:
    source = random.Random(7)
    count = round(100 * seconds)
    for taken in ([latency] * count, [source.expovariate(1 / latency) for _ in range(count)]):
        assert window_of("measured", queued(100.0, seconds, taken)).limiter == "none"


def test_callers_who_wait_for_their_answers_have_no_rate_to_hold() -> None:
    slow = overloaded(100.0, 5.0, 83.0)
    assert window_of("measured", queued(100.0, 5.0, slow, CLOSED)).limiter == "none"


def test_a_run_that_fell_behind_says_so() -> None:
    behind = queued(100.0, 10.0, overloaded(100.0, 10.0, 83.0))
    result = judged(behind.recorder, elapsed=behind.elapsed, offering=behind.offering)
    assert result.limiter == "server"
    assert any("The rate was not held" in warning for warning in result.warnings)


def test_no_plan_rests_on_windows_that_achieved_less_than_was_offered() -> None:
    """Also where an older record calls their rate held."""
    run = fixed()
    slow = [{**row, "p50": 1700.0} for row in run.windows[0].series[4:]]
    windows = tuple(
        replace(window, rates={"offered": 100.0, "achieved": 82.7}, series=(*window.series[:4], *slow))
        for window in run.windows
    )
    [refused] = ceiling_of(replace(run, windows=windows)).refused
    assert "its fixed rate was not held" in refused
    in_flight = tuple(
        replace(window, rates={"offered": 100.0, "achieved": 95.5}, series=({**window.series[0], "p50": 500.0},))
        for window in run.windows
    )
    assert ceiling_of(replace(run, windows=in_flight)).valid
