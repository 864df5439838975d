"""Runs a calibration: offers its windows to the stub server, again where the machine was to blame, and has them judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from stackproof.scenarios.orders import CLOSED, STUB, Offered, Order
from stackproof.scenarios.stub import Injection, Truth

from .calibration import STARVED_SHARE, CalibrationVerdict, Form, NullFigures, Observed, Shown, Trial, judge
from .judgement import calibration_of

ATTEMPTS = 3
"""So often in all, while the machine is to blame for the outcome."""
REHEARSALS = 3
"""So often connections are opened, until all were open at once."""
REHEARSAL_SECONDS = 0.3
CONNECTION_SECONDS = 0.001
"""What opening a connection may take of the client's time. It costs more than a request, and belongs to no figure."""

Offer = Callable[[Order], Offered]


class Witness(Protocol):
    """What a calibration needs of a stub server: `scenarios.stub.StubServer`, or a simulated one."""

    def inject(self, injection: Injection) -> None: ...

    def truth(self) -> Truth: ...


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A verdict, and the windows that it is drawn from (of the last attempt)."""

    verdict: CalibrationVerdict
    windows: tuple[Offered, ...]
    attempts: int


def calibrate(offer: Offer, stub: Witness, form: Form, null: Offered) -> Calibrated:
    """Do one form of calibration, after its null step. `KeyboardInterrupt` where a window was interrupted."""
    figures = null_figures(null)
    attempt = 0
    while True:
        attempt += 1
        windows: list[Offered] = []
        pairs = []
        for rate in form.rates:
            base, stalled = form.base(rate), form.stalled(rate)
            _rehearse(offer, stub, stalled)
            pairs.append((_shown(offer, stub, base, windows), _shown(offer, stub, stalled, windows)))
        verdict = judge(form.name, figures, pairs)
        if verdict.trusted or not verdict.starved or attempt == ATTEMPTS:
            return Calibrated(verdict, tuple(windows), attempt)


def null_figures(null: Offered) -> NullFigures:
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
    )


def starved_seconds(offered: Offered) -> float:
    """The longest gap of the generator in which it did not compute either: the machine gave it no time."""
    return max((gap.seconds for gap in offered.gaps if gap.cpu_seconds < STARVED_SHARE * gap.seconds), default=0.0)


def _rehearse(offer: Offer, stub: Witness, trial: Trial) -> None:
    """Open as many connections as will be needed: nobody gets an answer before everybody has sent a request."""
    places = trial.in_flight
    seconds = REHEARSAL_SECONDS + CONNECTION_SECONDS * places
    for _ in range(REHEARSALS):
        stub.inject(Injection(0.0, stall_from=0.0, stall=seconds))
        order = Order(trial.rate, seconds, arrivals=CLOSED, in_flight=places, target=STUB)
        if _uninterrupted(offer(order)).most_in_flight >= places:
            return


def _shown(offer: Offer, stub: Witness, trial: Trial, windows: list[Offered]) -> Shown:
    stub.inject(trial.injection)
    order = Order(
        trial.rate, trial.seconds, arrivals=trial.arrivals, seed=trial.seed, in_flight=trial.in_flight, target=STUB
    )
    offered = _uninterrupted(offer(order))
    windows.append(offered)
    observed = Observed.of(offered.recorder, starved_seconds(offered))
    return Shown(trial, observed, stub.truth())


def _uninterrupted(offered: Offered) -> Offered:
    if offered.interrupted:
        raise KeyboardInterrupt
    return offered
