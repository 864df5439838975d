"""How a calibration is run: its windows, the connections before them, and who is given another attempt. Simulated."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from bench_samples import offered
from calibration_samples import OWN, STUB_LATE, Generator, closed, opened, truth_of

from stackproof.measurement.calibrating import (
    ATTEMPTS,
    NEAR_ATTEMPTS,
    REHEARSALS,
    Calibrated,
    calibrate,
    null_figures,
    starved_seconds,
    waited_seconds,
)
from stackproof.measurement.calibration import FULL, Form, Trial, quick_form
from stackproof.scenarios import pressure
from stackproof.scenarios.orders import CLOSED, NULL, STUB, Gap, Offered, Order
from stackproof.scenarios.recorder import Recorder
from stackproof.scenarios.stub import Injection, Truth

STARVED = Gap(at=0.1, seconds=0.4, cpu_seconds=0.01, step="none")


class Simulated:
    """A generator and a stub server that need no time. In the first ``bad`` attempts the machine starves them; short latencies
    beside a stall are so many times what they should be in each attempt."""

    def __init__(
        self, generator: Generator = opened, *, bad: int = 0, opens: Sequence[int] = (), slow: Sequence[float] = ()
    ) -> None:
        self.generator = generator
        self.slow = list(slow)
        self.bad = bad
        self.opens = list(opens)
        self.orders: list[Order] = []
        self.injections: list[Injection] = []
        self.interrupts_at = -1
        self.nulls = [null()]

    def inject(self, injection: Injection) -> None:
        self.injections.append(injection)

    def truth(self) -> Truth:
        late = 0.08 if self.starving else STUB_LATE
        return truth_of(self.trial, self.arrivals, late)

    @property
    def starving(self) -> bool:
        return sum(order.arrivals == CLOSED for order in self.orders) <= self.bad

    def offer(self, order: Order) -> Offered:
        if order.target == NULL:
            return self.nulls.pop(0) if len(self.nulls) > 1 else self.nulls[0]
        assert order.target == STUB
        self.orders.append(order)
        recorder = Recorder()
        if order.arrivals != CLOSED:
            self.trial = Trial(order.rate, order.seconds, self.injections[-1], order.arrivals, order.seed)
            latencies, self.arrivals = self.generator(self.trial, OWN, random.Random(1))
            if self.trial.injection.stall and self.slow:
                slow = self.slow.pop(0)
                latencies = [latency * slow if latency < 0.01 else latency for latency in latencies]
            for latency in latencies:
                recorder.offer(0.0)
                recorder.succeed(0.0, latency * (1.3 if self.starving else 1.0), latency)
        places = self.opens.pop(0) if self.opens else order.in_flight
        return offered(
            recorder,
            order=order,
            most_in_flight=places,
            interrupted=len(self.orders) == self.interrupts_at,
            gaps=(STARVED,) if self.starving else (),
        )


def null(answered: int = 200, elapsed: float = 1.0) -> Offered:
    recorder = Recorder()
    for number in range(200):
        recorder.offer(0.0)
        recorder.sent(0.00004)
        if number < answered:
            recorder.succeed(0.0, 0.00005, 0.00001)
        else:
            recorder.drop(0.0)
    return offered(recorder, order=Order(200.0, 1.0, target=NULL), elapsed=elapsed, cpu_seconds=0.01)


def run(simulated: Simulated, form: Form, waited: Callable[[], float] = lambda: 0.0) -> Calibrated:
    return calibrate(simulated.offer, simulated, form, Order(200.0, 1.0, target=NULL), waited)


def test_a_true_generator_is_trusted_at_once() -> None:
    simulated = Simulated()
    done = run(simulated, FULL)
    assert done.verdict.trusted
    assert done.verdict.attempts == 1
    assert [(order.rate, order.arrivals) for order in simulated.orders] == [
        *((200.0, arrivals) for arrivals in (CLOSED, "constant", "constant")),
        *((2000.0, arrivals) for arrivals in (CLOSED, "poisson", "poisson")),
    ]
    assert [window.order.seconds for window in done.windows] == [FULL.base_seconds, FULL.stall_seconds] * 2


def test_every_place_has_its_connection_before_anything_counts() -> None:
    simulated = Simulated()
    run(simulated, quick_form(500.0))
    rehearsal, _, stalled = simulated.orders
    assert rehearsal.in_flight == stalled.in_flight > 500.0 * 0.25
    # Nobody gets an answer while connections are still opened.
    assert simulated.injections[0].answered(0.0) == pytest.approx(rehearsal.seconds)


def test_connections_are_opened_until_all_were_open() -> None:
    form = quick_form(200.0)
    places = form.stalled(200.0).in_flight
    simulated = Simulated(opens=[places // 2, places])
    assert run(simulated, form).verdict.trusted
    assert [order.arrivals for order in simulated.orders] == [CLOSED, CLOSED, "constant", "constant"]


def test_a_client_that_never_opens_so_many_is_not_waited_for() -> None:
    simulated = Simulated(opens=[1] * REHEARSALS)
    run(simulated, quick_form(200.0))
    assert [order.arrivals for order in simulated.orders].count(CLOSED) == REHEARSALS


def test_a_starved_machine_gets_another_attempt() -> None:
    simulated = Simulated(bad=1)
    done = run(simulated, quick_form(200.0))
    assert (done.verdict.trusted, done.verdict.attempts) == (True, 2)
    assert len(done.windows) == 2


def test_a_p50_that_is_nearly_right_gets_one_more_attempt_whose_outcome_counts() -> None:
    once, twice = (run(Simulated(slow=slow), quick_form(200.0)) for slow in ([1.07, 1.0], [1.07, 1.07]))
    assert (once.verdict.trusted, once.verdict.attempts) == (True, 2)
    assert (twice.verdict.trusted, twice.verdict.attempts) == (False, NEAR_ATTEMPTS)
    assert [reason.split(" was ")[0] for reason in twice.verdict.reasons] == [
        "at 200/s the p50 from the intended start"
    ]


def test_a_p50_that_is_far_off_gets_no_second_attempt() -> None:
    done = run(Simulated(slow=[1.2, 1.0]), quick_form(200.0))
    assert (done.verdict.trusted, done.verdict.attempts) == (False, 1)


def test_one_that_is_always_starved_ends_untrusted() -> None:
    simulated = Simulated(bad=100)
    done = run(simulated, quick_form(200.0))
    assert (done.verdict.trusted, done.verdict.starved, done.verdict.attempts) == (False, True, ATTEMPTS)


def test_a_null_step_that_was_starved_is_offered_again() -> None:
    simulated = Simulated()
    simulated.nulls = [replace(null(elapsed=1.5), gaps=(STARVED,)), null()]
    done = run(simulated, quick_form(200.0))
    assert (done.verdict.trusted, done.verdict.attempts) == (True, 2)
    assert done.null.elapsed == 1.0


def test_a_machine_under_pressure_is_starved() -> None:
    """Each reading is a second of waiting later, in windows that take 2.6 s at most by their orders."""
    done = run(Simulated(closed), quick_form(200.0), waited=itertools.count().__next__)
    assert (done.verdict.trusted, done.verdict.starved, done.verdict.attempts) == (False, True, ATTEMPTS)
    assert run(Simulated(), quick_form(200.0), waited=itertools.count().__next__).verdict.trusted


def test_the_kernel_is_asked_where_it_tells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = tmp_path / "cpu"
    monkeypatch.setattr(pressure, "PRESSURE", told)
    assert waited_seconds() == 0.0
    told.write_text("some avg10=29.02 avg60=65.53 avg300=79.55 total=2500000\nfull avg10=0.00 total=0\n")
    assert waited_seconds() == 2.5


def test_a_wrong_generator_gets_no_second_attempt() -> None:
    simulated = Simulated(closed)
    done = run(simulated, quick_form(200.0))
    assert (done.verdict.trusted, done.verdict.attempts) == (False, 1)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interruption_ends_it(at: int) -> None:
    simulated = Simulated()
    simulated.interrupts_at = at
    with pytest.raises(KeyboardInterrupt):
        run(simulated, quick_form(200.0))
    assert len(simulated.orders) == at


class TestTheNullStep:
    def test_what_it_shows_is_in_the_verdict(self) -> None:
        figures = null_figures(null())
        assert figures.held
        assert figures.cpu_us_per_operation == pytest.approx(50.0)
        assert figures.ceiling == pytest.approx(20_000.0)
        assert figures.lag_p99 == pytest.approx(0.00004)

    @pytest.mark.parametrize("slow", [null(answered=150), null(elapsed=1.5)])
    def test_a_rate_that_it_does_not_hold_is_not_trusted(self, slow: Offered) -> None:
        simulated = Simulated()
        simulated.nulls = [slow]
        done = run(simulated, quick_form(200.0))
        assert (done.verdict.trusted, done.verdict.attempts) == (False, 1)


def test_a_gap_in_which_the_generator_computed_is_its_own() -> None:
    computing = replace(STARVED, cpu_seconds=0.39)
    assert starved_seconds(offered(Recorder(), gaps=(computing,))) == 0.0
    assert starved_seconds(offered(Recorder(), gaps=(computing, STARVED))) == STARVED.seconds


def test_the_expectation_is_that_of_the_arrivals_that_were_really_drawn() -> None:
    class Numbered(Simulated):
        """As a session does: each window has a number, which its arrivals are drawn from."""

        def offer(self, order: Order) -> Offered:
            number = len(self.orders) + 3
            drawn = super().offer(replace(order, seed=order.seed + number))
            return replace(drawn, order=replace(order, number=number))

    done = run(Numbered(), FULL)
    assert done.verdict.reasons == ()
