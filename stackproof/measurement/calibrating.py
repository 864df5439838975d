"""Runs a calibration: offers its windows to the stub server, again where the machine was to blame, and has them judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from stackproof.scenarios.orders import CLOSED, STUB, Offered, Order
from stackproof.scenarios.pressure import waited_seconds
from stackproof.scenarios.stub import Injection, Truth

from .calibration import (
    PRESSURE_LIMIT,
    STARVED_SHARE,
    CalibrationVerdict,
    Form,
    NullFigures,
    Observed,
    Shown,
    Trial,
    judge,
)
from .judgement import calibration_of

ATTEMPTS = 3
"""So often in all, while the machine is to blame for the outcome."""
NEAR_ATTEMPTS = 2
"""So often in all, where the outcome was nearly right."""
REHEARSALS = 3
"""So often connections are opened, until all were open at once."""
REHEARSAL_SECONDS = 0.3
CONNECTION_SECONDS = 0.001
"""What opening a connection may take of the client's time. It costs more than a request, and belongs to no figure."""

Offer = Callable[[Order], Offered]
Waited = Callable[[], float]


class Witness(Protocol):
    """What a calibration needs of a stub server: `scenarios.stub.StubServer`, or a simulated one."""

    def inject(self, injection: Injection) -> None: ...

    def truth(self) -> Truth: ...


class Apart(Witness, Protocol):
    """A worker that is calibrated by itself: `scenarios.alone.Alone`."""

    def offer(self, order: Order) -> Offered: ...


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A verdict, and the windows that it is drawn from (of the last attempt)."""

    verdict: CalibrationVerdict
    null: Offered
    windows: tuple[Offered, ...]


def calibrate(offer: Offer, stub: Witness, form: Form, null: Order, waited: Waited = waited_seconds) -> Calibrated:
    """Do one form of calibration, from the null step on. `KeyboardInterrupt` where a window was interrupted."""
    attempt = 0
    while True:
        attempt += 1
        ordered = _Windows(offer, stub, waited)
        offered, pressure = ordered.offer(null)
        figures = null_figures(offered, pressure)
        pairs = []
        for rate in form.rates:
            base, stalled = form.base(rate), form.stalled(rate)
            ordered.rehearse(stalled)
            pairs.append((ordered.shown(base), ordered.shown(stalled)))
        verdict = replace(judge(form.name, figures, pairs), attempts=attempt)
        if verdict.trusted or not _worth_another(verdict):
            return Calibrated(verdict, offered, tuple(ordered.kept))


def _worth_another(verdict: CalibrationVerdict) -> bool:
    return (verdict.starved and verdict.attempts < ATTEMPTS) or (verdict.near_miss and verdict.attempts < NEAR_ATTEMPTS)


def calibrate_each(workers: Sequence[Apart], form: Form, null: Order) -> tuple[CalibrationVerdict, ...]:
    """One form of calibration for each worker of another machine, one after the other, each against a stub server of its own.

    What this machine is busy with does not matter: who waited for a processor is told by the machine of the worker.
    """
    return tuple(calibrate(worker.offer, worker, form, null, waited=lambda: 0.0).verdict for worker in workers)


def null_figures(null: Offered, pressure: float = 0.0) -> NullFigures:
    """What the step that does nothing showed."""
    found, lag = calibration_of(null), null.recorder.lag.percentiles([50.0, 99.0])
    return NullFigures(
        rate=null.order.rate,
        held=found["held"],
        offered=found["offered"],
        ok=found["ok"],
        lag_p50=lag.get(50.0, 0.0),
        lag_p99=lag.get(99.0, 0.0),
        cpu_us_per_operation=found["cpu_us_per_operation"],
        starved=pressure > PRESSURE_LIMIT or starved_seconds(null) > 0,
    )


def starved_seconds(offered: Offered) -> float:
    """The longest gap of the generator in which it did not compute either: the machine gave it no time."""
    return max((gap.seconds for gap in offered.gaps if gap.cpu_seconds < STARVED_SHARE * gap.seconds), default=0.0)


class _Windows:
    """The windows of one attempt."""

    def __init__(self, offer: Offer, stub: Witness, waited: Waited) -> None:
        self._offer = offer
        self._stub = stub
        self._waited = waited
        self.kept: list[Offered] = []

    def offer(self, order: Order) -> tuple[Offered, float]:
        """What came of it, and the share of the time in which somebody waited for a processor, here or where it was offered."""
        before, began = self._waited(), time.monotonic()
        offered = self._offer(order)
        if offered.interrupted:
            raise KeyboardInterrupt
        here = (self._waited() - before) / max(time.monotonic() - began, order.seconds)
        return offered, max(here, offered.pressure)

    def rehearse(self, trial: Trial) -> None:
        """Open as many connections as will be needed: nobody gets an answer before everybody has sent a request."""
        places = trial.in_flight
        seconds = REHEARSAL_SECONDS + CONNECTION_SECONDS * places
        for _ in range(REHEARSALS):
            self._stub.inject(Injection(0.0, stall_from=0.0, stall=seconds))
            order = Order(trial.rate, seconds, arrivals=CLOSED, in_flight=places, target=STUB)
            if self.offer(order)[0].most_in_flight >= places:
                return

    def shown(self, trial: Trial) -> Shown:
        """Offer one trial, and ask both sides."""
        self._stub.inject(trial.injection)
        offered, pressure = self.offer(
            Order(
                trial.rate,
                trial.seconds,
                arrivals=trial.arrivals,
                seed=trial.seed,
                in_flight=trial.in_flight,
                target=STUB,
            )
        )
        self.kept.append(offered)
        # Windows of a session have arrivals of their own, as drawn from the seed and from which window it is.
        trial = replace(trial, seed=trial.seed + offered.order.number)
        return Shown(trial, Observed.of(offered.recorder, starved_seconds(offered), pressure), self._stub.truth())
