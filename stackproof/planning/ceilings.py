"""Measured ceilings: what each kept run of load says about how much a backend carries, and why some are not used. Pure.

Two kinds of runs say something. A search (``bench --find-max``) gives a bracket: what holds, and what does not; where it was not
done in time, what its windows say together. Windows at a fixed rate that was held give a lower bound. A run never gives more than
it can: where the generator was the limit, the upper end is unknown; an emulator, an invalid run, or one of a backend without a
certificate gives nothing, and says so.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from stackproof.measurement.ceiling_record import UNCONFIRMED, CeilingRecord
from stackproof.measurement.judgement import HELD as WINDOW_HELD
from stackproof.measurement.promises import Promise
from stackproof.measurement.record import Measurement, WindowRecord, from_json
from stackproof.measurement.search_journal import EVIDENCE_ROLES, Limiter, Role, Verdict
from stackproof.measurement.search_words import a_rate
from stackproof.scenarios.orders import CLOSED

NATIVE, EMULATOR = "native", "emulator"
FIDELITIES = (NATIVE, "compatible-engine", EMULATOR)
"""From the best to the worst; a run that used several is as good as the worst of them."""
LEAST_WINDOWS = 3
"""Windows that must have held at a fixed rate before it counts as one that holds, as many as confirm the end of a search."""
PROBES = 2
"""Looks at the idle server that must have failed before no rate counts as one that holds."""
HELD = "none"
"""The limiter of a rate that was held."""


@dataclass(frozen=True, slots=True)
class MeasuredCeiling:
    """What one run says about how much its backends carry of its scenario."""

    backends: tuple[str, ...]
    """Such as ``interactions=postgres``, sorted."""
    scenario: str
    settings: Mapping[str, Any]
    low: float
    """Items a second that held."""
    high: float | None
    """Items a second that did not hold any more; None where that is not known: `low` is a lower bound then."""
    unit: str
    """What is counted a second, such as decisions/s."""
    limiter: str
    """server, client, quota, slo or error; none where a fixed rate was held."""
    fidelity: str
    origin: str
    run: str
    date: str
    """When the run began: ISO 8601."""
    searched: bool
    """Whether it comes from a search that ended; else from windows at a fixed rate, or of a search that was not done in time."""
    promises: tuple[str, ...]
    """What had to be kept, such as p99 within 20 ms; empty for a rate that only had to be held."""
    machine: tuple[tuple[str, str], ...] = ()
    """Where it was measured, as the record describes it."""
    warnings: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    """Why it must not be used."""
    p99_at: tuple[tuple[float, float], ...] = ()
    """Rates that held, in order, each with the largest p99 (ms) that was seen there."""
    engines: tuple[tuple[str, str], ...] = ()
    """Backend -> what its server said that it is, as certificates have it: redis, valkey. Older records do not tell."""
    unlike: tuple[str, ...] = ()
    """What was not as it is where it is asked about: another build, another machine. It may be used, and says less."""
    future: bool = False
    """Whether it is dated after it is asked about: nobody knows how old it is, so that every other one is newer."""

    def engine(self, target: str) -> str:
        """What served a backend; empty where that is not known."""
        return dict(self.engines).get(target, "")

    @property
    def valid(self) -> bool:
        return not self.refused

    @property
    def backend(self) -> str:
        return ", ".join(self.backends)

    @property
    def p99_limit_ms(self) -> float:
        """The strictest limit that was promised to 99 of 100 operations or more; infinity for none."""
        return min(
            (limit for percentile, limit in map(promise_of, self.promises) if percentile >= 99), default=math.inf
        )

    @property
    def at_fixed_rate(self) -> bool:
        """Whether a rate was only offered and held, and nothing was searched."""
        return self.limiter == HELD

    @property
    def measured(self) -> tuple[tuple[str, ...], str, str]:
        """What was measured: backends, scenario, settings. Only what is equal in this can contradict each other."""
        return self.backends, self.scenario, repr(sorted(self.settings.items()))

    @property
    def when(self) -> float:
        """`date` in seconds since 1970; before all others where that is in the future."""
        return -math.inf if self.future else _seconds(self.date)

    def fails_under(self, p99_ms: float | None) -> float | None:
        """The rate that surely fails for who asks for this p99 (None or infinity: for no latency); None where it says none.

        A search that ended at its promise says something only to who asks for that promise, or a stricter one; where 99.9 of
        100 were too slow, 99 of 100 may have been in time.
        """
        if self.limiter not in (Limiter.SLO, Limiter.NOT_CONVERGED):  # of the latter, latency may be what failed
            return self.high
        promises = [promise_of(name) for name in self.promises]
        stricter = p99_ms is not None and all(
            0 < percentile <= 99 and limit >= p99_ms for percentile, limit in promises
        )
        return self.high if promises and stricter else None

    @property
    def sentence(self) -> str:
        """What it says, with its limiter and where it comes from."""
        settings = "".join(f" {name}={value}" for name, value in self.settings.items())
        promised = f" with {' and '.join(self.promises)}" if self.promises else " without a promise of latency"
        return (
            f"{self.scenario}{settings} on {self.backend}{promised} {self._bracket()}; {self.fidelity}, {self.origin}, "
            f"run {self.run} of {self.date[:10]}."
        )

    def _bracket(self) -> str:
        """Both ends in words, as far as they are known, and what stopped it."""
        if self.limiter == HELD:
            return f"holds {a_rate(self.low)}, and more was not offered"
        unfinished = self.limiter == Limiter.NOT_CONVERGED
        if self.high is None:
            if unfinished:
                return f"holds {a_rate(self.low)}; the search did not converge on where that ends"
            return f"holds at least {a_rate(self.low)} (limiter: {self.limiter})"
        if self.low:
            return f"holds {a_rate(self.low)} and fails at {a_rate(self.high)} (limiter: {self.limiter})"
        if unfinished:
            return f"does not hold {a_rate(self.high)}; the search did not converge on what it holds"
        return f"was shown to hold no rate, and fails at {a_rate(self.high)} (limiter: {self.limiter})"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A kept record that is none of a run of load."""

    name: str
    reason: str


Unlike = Callable[[Measurement], Iterable[str]]
"""What was not as it is here when a run was made, as sentences."""


def read_ceilings(
    records: Mapping[str, str], unlike: Unlike = lambda _: ()
) -> tuple[tuple[MeasuredCeiling, ...], tuple[Unreadable, ...]]:
    """The ceilings of kept runs, given as the text of each ``run.json`` by a name for it; and what could not be read.

    Raises nothing for what a file holds: one damaged run must not hide the others.
    """
    found: list[MeasuredCeiling] = []
    unreadable: list[Unreadable] = []
    for name, text in records.items():
        try:
            run = from_json(text)
            found.append(replace(ceiling_of(run), unlike=tuple(unlike(run))))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            unreadable.append(Unreadable(name, f"{name} cannot be read as a run of load: {error}"))
    return tuple(found), tuple(unreadable)


def ceiling_of(run: Measurement) -> MeasuredCeiling:
    """What a run says. Raises nothing for a run that must not be used (`MeasuredCeiling.refused`), but ValueError, KeyError or
    TypeError for one that is no record."""
    low, high, limiter, doubts = _from_search(run.ceiling) if run.ceiling is not None else _from_windows(run)
    if not _is_interval(low, high):
        doubts, low, high = [*doubts, "its figures are no rates"], 0.0, None
    _seconds(run.created)
    return MeasuredCeiling(
        backends=tuple(sorted(backend.target for backend in run.backends)),
        scenario=str(run.scenario["name"]),
        settings=dict(run.scenario["settings"]),
        low=low,
        high=high,
        unit=_unit(str(run.scenario["unit"])),
        limiter=limiter,
        fidelity=_fidelity(run),
        origin=run.origin,
        run=run.id,
        date=run.created,
        searched=run.ceiling is not None and limiter != Limiter.NOT_CONVERGED,
        promises=_promises(run),
        machine=tuple(sorted((str(name), str(value)) for name, value in run.environment.items())),
        warnings=run.warnings,
        refused=tuple(dict.fromkeys([*_about_the_run(run), *doubts])),
        p99_at=_latencies(run, low),
        engines=_engines(run),
    )


def promise_of(name: str) -> tuple[float, float]:
    """Percentile and limit in ms of ``p99 within 20 ms``; 0 and infinity for what is none."""
    first, _, second = name.partition(" within ")
    try:
        percentile, limit = float(first.removeprefix("p")), float(second.removesuffix(" ms"))
    except ValueError:
        return 0.0, math.inf
    return (percentile, limit) if 0 < percentile < 100 and 0 < limit < math.inf else (0.0, math.inf)


# -- what a run gives -----------------------------------------------------------------------------------------------

_Given = tuple[float, float | None, str, list[str]]
"""Low, high, limiter, and why it must not be used."""


def _from_search(found: CeilingRecord) -> _Given:
    """The bracket of a search, as far as it was shown.

    One that did not converge gives what its windows say together (`_shown`). One that found no rate which holds gives its
    upper end: the lowest rate that failed again in fresh windows, or what one caller alone got from an idle server.
    """
    doubts = []
    low, high = found.holds, found.fails
    if found.limiter not in set(Limiter):
        doubts.append(f"its limiter {found.limiter!r} is not known")
    if found.limiter == Limiter.NOT_CONVERGED:
        low, high = _shown(found)
        if not low and high is None:
            doubts.append("its search did not converge: " + "; ".join(found.reasons))
    elif found.limiter == Limiter.CLIENT:
        high = None  # `fails` is the rate at which the generator failed, and says nothing about the server
    elif not low and high is None:
        high = _fails_alone(found)
    if (
        found.limiter != Limiter.NOT_CONVERGED
        and not found.confirmed
        and (low or high is None or found.fails is not None)
    ):
        doubts.append("the ends of its bracket were not confirmed in fresh windows")
    elif not low and high is None and not doubts:
        doubts.append("it showed neither a rate that holds nor one that fails")
    if found.invalid:
        doubts.append(f"it is invalid: {found.invalid[0]}")
    return low, high, found.limiter, doubts


def _shown(found: CeilingRecord) -> tuple[float, float | None]:
    """The highest rate at or above which three windows held, with none at or below it that did not (0: no such rate); and the
    lowest at or below which three failed by the server's doing, with none at or above it that held (None: no such rate).

    What holds at a rate holds at every lower one, and what fails fails at every higher one: so windows at several rates add up.
    Where a rate did not hold although a higher one did, the server has two speeds: what it served then is all that is sure.
    (The search itself is content with four windows of five, since it looks again; here nobody does.)
    """
    windows = [step for step in found.steps if step.role in set(EVIDENCE_ROLES)]
    held = [step.rate for step in windows if step.verdict == Verdict.HOLDS]
    most = max(held, default=0.0)
    others = [
        min(step.rate, step.achieved) if step.rate <= most else step.rate
        for step in windows
        if step.verdict != Verdict.HOLDS
    ]
    failed = [step.rate for step in windows if step.verdict == Verdict.FAILS]
    low = [
        rate
        for rate in held
        if sum(one >= rate for one in held) >= LEAST_WINDOWS and rate < min(others, default=math.inf)
    ]
    high = [rate for rate in failed if sum(one <= rate for one in failed) >= LEAST_WINDOWS and rate > most]
    return max(low, default=0.0), min(high, default=None)


def _fails_alone(found: CeilingRecord) -> float | None:
    """What the server did for one caller at a time, a second, where that already broke the promise each time it was tried.

    Only its latency counts: too few answers, errors or a quota may have reasons that go by, and break no promise.
    """
    tried = [step for step in found.steps if step.role == Role.PROBE]
    if len(tried) < PROBES:
        return None
    if any(step.verdict != Verdict.FAILS or step.cause != Limiter.SLO for step in tried[-PROBES:]):
        return None
    return max(step.achieved for step in tried[-PROBES:]) or None


def _from_windows(run: Measurement) -> _Given:
    windows, doubts = run.measured, []
    if run.load["arrivals"] == CLOSED:
        doubts.append("its callers waited for their answers (closed loop), so that no rate was offered to them")
    elif len(windows) < LEAST_WINDOWS:
        doubts.append(f"{len(windows)} windows at a fixed rate are too few to rest on: {LEAST_WINDOWS} are needed")
    if any(window.limiter != HELD for window in windows):
        reason = next(window.limiter_reason for window in windows if window.limiter != HELD)
        doubts.append(f"its fixed rate was not held ({reason}), and only a search shows where holding ends")
    elif any(map(_fell_behind, windows)):
        doubts.append(
            "its fixed rate was not held (less ended than was offered), and only a search shows where holding ends"
        )
    if any(result.verdict != "held" for result in run.slo):
        doubts.append("its promise of latency was not shown to be kept")
    low = min((float(window.rates["achieved"]) for window in windows), default=0.0)
    return low, None, HELD, doubts


def _fell_behind(window: WindowRecord) -> bool:
    """Whether less was achieved than `WINDOW_HELD` of what was offered, but for what was in flight at the end: so long as one
    operation took in the window's first third."""
    seconds = float(window.order["seconds"])
    medians = [row["p50"] for row in window.series if row["second"] <= seconds / 3 and row["p50"] is not None]
    in_flight = statistics.median(medians) / 1000 if medians else 0.0
    return window.rates["achieved"] * (seconds + in_flight) < WINDOW_HELD * window.rates["offered"] * seconds


def _latencies(run: Measurement, low: float) -> tuple[tuple[float, float], ...]:
    """Every window up to the rate that holds, with its p99; where several had one rate, the worst of them."""
    if run.ceiling is None:
        seen = [(low, window.latency["counted"].p99) for window in run.measured]
    else:
        evidence = {str(role) for role in EVIDENCE_ROLES}
        held = [step for step in run.ceiling.steps if step.role in evidence and step.verdict == "holds"]
        seen = [(step.rate, step.p99_ms) for step in held if step.rate <= low]
        if run.ceiling.p99_ms is not None:
            seen.append((low, run.ceiling.p99_ms[1]))
    worst: dict[float, float] = {}
    for rate, p99 in seen:
        # A window without a p99 shows none: that is as bad as any.
        worst[rate] = max(worst.get(rate, 0.0), math.inf if p99 is None else p99)
    return tuple((rate, p99) for rate, p99 in sorted(worst.items()) if math.isfinite(p99))


def _is_interval(low: object, high: object) -> bool:
    rates = [low] if high is None else [low, high]
    numbers = [
        rate for rate in rates if isinstance(rate, int | float) and not isinstance(rate, bool) and math.isfinite(rate)
    ]
    return len(numbers) == len(rates) and numbers[0] >= 0 and numbers == sorted(numbers)


def _about_the_run(run: Measurement) -> Iterable[str]:
    """Why nothing that this run shows may be used."""
    if not run.complete or run.interrupted:
        yield "it was cut short"
    # That there is no rate with figures is no fault of a search: what it is then worth, its bracket says.
    faults = [reason for reason in run.invalid if run.ceiling is None or reason != UNCONFIRMED]
    yield from (f"it is invalid: {reason}" for reason in faults)
    if not run.checked:
        yield "its generator was not checked against a server of known speed (--no-calibration)"
    if not run.backends:
        yield "it names no backend"
    for backend in run.backends:
        if not backend.certificate:
            yield f"there is no certificate that {backend.target} keeps its contract"
    fidelity = _fidelity(run)
    if fidelity == EMULATOR:
        yield "it was measured on an emulator, whose speed is no evidence"
    elif fidelity not in FIDELITIES:
        yield f"its fidelity {fidelity!r} is not known"


def _fidelity(run: Measurement) -> str:
    """The worst that took part. An emulator beside the backend's own server counts, too: the backend waited for it."""
    seen = [backend.fidelity for backend in run.backends]
    if any(server.get("fidelity") == EMULATOR for server in run.servers):
        seen.append(EMULATOR)
    unknown = [fidelity for fidelity in seen if fidelity not in FIDELITIES]
    return unknown[0] if unknown else max(seen, key=FIDELITIES.index, default="")


def _engines(run: Measurement) -> tuple[tuple[str, str], ...]:
    told = {str(server.get("name", "")): str(server.get("technology", "")) for server in run.servers}
    found = sorted((backend.target, told.get(backend.server, "")) for backend in run.backends)
    return tuple((target, engine) for target, engine in found if engine)


def _promises(run: Measurement) -> tuple[str, ...]:
    if run.ceiling is not None:
        return run.ceiling.promises
    return tuple(Promise(result.percentile, result.limit_ms).name for result in run.slo)


def _unit(item: str) -> str:
    return f"{item}es/s" if item.endswith(("ch", "sh", "s", "x")) else f"{item}s/s"


def _seconds(created: str) -> float:
    """A time without a zone is one of UTC, which is what runs keep."""
    when = datetime.fromisoformat(created)
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
