"""The middle of the plan: ramp and bisection until the rates that hold and those that fail lie close together, and fresh
windows at both ends. Pure.
"""

from __future__ import annotations

import math

from .search_evidence import CONCURRENCY, UNSTEADY_ROW, Evidence, evidence_of, unsteady_row
from .search_journal import EVIDENCE_ROLES, Journal, Limiter, Role, SearchSettings, Seen, Step, Verdict
from .search_steps import (
    PROMISE_FACTOR,
    Decision,
    End,
    base_service,
    limits,
    make_step,
    promises_of,
    rounded,
    window_at,
)
from .search_words import a_rate, a_time

MOST_RESAMPLES = 8
"""Windows at rates that held and failed by turns; after that the bracket is as wide as they lie."""
TRIES_AT_MIXED = 3
MOST_STRIDES = 4


def again(journal: Journal, settings: SearchSettings) -> Decision:
    """A window that said nothing is repeated: longer where it was not steady, with more places where those were too few."""
    last = journal[-1]
    step = last.step
    if step.role not in EVIDENCE_ROLES:
        return None
    if last.verdict is Verdict.NOT_STEADY and unsteady_row(journal) % UNSTEADY_ROW:
        seconds = min(settings.longest, step.seconds * settings.growth)
        why = f"{a_rate(step.rate)} again, for {a_time(seconds)}: the last window says nothing."
        return make_step(journal, settings, step.role, step.rate, why, seconds=seconds, expects=step.expects)
    if last.cause == CONCURRENCY and step.in_flight < settings.most_in_flight:
        more = min(settings.most_in_flight, 2 * step.in_flight)
        why = f"The {step.in_flight} places in flight were the limit, not the server: {a_rate(step.rate)} again with {more}."
        return make_step(journal, settings, step.role, step.rate, why, in_flight=more, expects=step.expects)
    return None


def search(journal: Journal, settings: SearchSettings) -> Decision:
    """The next rate that tells most about where holding ends; None where the bracket is as narrow as it gets."""
    found = evidence_of(journal)
    least, most = limits(journal, settings)
    if most < least:
        return End(
            (
                f"the generator reaches {a_rate(most)} here, and a window of {a_time(settings.longest)} needs "
                f"{a_rate(least)} for its percentiles",
            ),
            Limiter.CLIENT,
        )
    if not found.windows:
        return _first(journal, settings, least, most)
    if (decision := _first_failure_again(journal, settings, found)) is not None:
        return decision
    if found.mixed and (decision := _resample(journal, settings, found)) is not None:
        return decision
    if found.high is None and (decision := _upwards(journal, settings, found, most)) is not None:
        return decision
    if found.low is None:
        lowest = found.rates[0]
        if lowest <= least and lowest in found.mixed and found.tries(lowest) < MOST_RESAMPLES:
            why = f"{a_rate(lowest)} is the lowest rate that can be judged, and in doubt: once more."
            return make_step(journal, settings, Role.BISECT, lowest, why)
        return _downwards(journal, settings, found, least)
    return _narrow(journal, settings, found)


def _first(journal: Journal, settings: SearchSettings, least: float, most: float) -> Step:
    """Where the ramp begins, with what Little's law (in flight = rate x latency) says about the places in flight."""
    base = base_service(journal)
    median = max(1e-6, ((base.service_p50_ms if base is not None else None) or 1.0) / 1000)
    rate = min(most, max(least, rounded(0.5 / median)))
    reach = settings.in_flight / median
    promised = ", ".join(promise.name for promise in promises_of(journal, settings))
    if not settings.promises:
        promised += f" (nobody promised anything: {PROMISE_FACTOR:g} times the median, at least 10 ms, rounded up)"
    raised = (
        f"they are raised up to {settings.most_in_flight} where they are the limit"
        if settings.most_in_flight > settings.in_flight
        else "above that this client's concurrency is the limit"
    )
    little = f"By Little's law {settings.in_flight} in flight reach {a_rate(reach)} at that service time" + (
        f": {raised}" if reach < most else ", which is more than the generator may offer"
    )
    why = (
        f"The base service time is {median * 1000:.2f} ms (median). What has to hold: {promised}. {little}. "
        f"The ramp begins at {a_rate(rate)}, half of what one caller alone can do or the least that has samples enough."
    )
    return make_step(journal, settings, Role.RAMP, rate, why)


def _first_failure_again(journal: Journal, settings: SearchSettings, found: Evidence) -> Decision:
    """The first window of the ramp that was late and served everything all the same: a stall of somebody else looks like that.
    The bisection below it would take long to find out."""
    last = journal[-1]
    failed = [entry for entry, held in found.windows if not held]
    if last.step.role is not Role.RAMP or last.cause != Limiter.SLO or failed != [last]:
        return None
    rate = last.step.rate
    why = (
        f"At {a_rate(rate)} everything was served, but late: once more, since one window may be somebody else's fault."
    )
    return make_step(journal, settings, Role.RAMP, rate, why)


def _upwards(journal: Journal, settings: SearchSettings, found: Evidence, most: float) -> Decision:
    top = found.rates[-1]
    if top >= most:
        return None
    rate = min(most, rounded(top * _growth(settings, found)))
    if found.contradictions:
        why = f"No rate is known to fail any more: from {a_rate(top)} up to {a_rate(rate)}."
    else:
        seen = next(entry.seen for entry, _ in reversed(found.windows) if entry.step.rate == top)
        why = f"{a_rate(top)} held ({_p99(seen)}): on to {a_rate(rate)}."
    if rate >= most:
        why += f" It is the last rate: {settings.reach:.0%} of what the generator can do by itself."
    return make_step(journal, settings, Role.RAMP, rate, why)


def _growth(settings: SearchSettings, found: Evidence) -> float:
    """Twice as much; after a contradiction, single steps that grow with each window in a row that holds."""
    if not found.contradictions:
        return 2.0
    row = 0
    for _, held in reversed(found.windows):
        if not held:
            break
        row += 1
    return float(min(2.0, settings.resolution ** (2 ** min(row, MOST_STRIDES))))


def _downwards(journal: Journal, settings: SearchSettings, found: Evidence, least: float) -> Decision:
    lowest = found.rates[0]
    if lowest <= least:
        return None  # nothing lower can be judged; `confirm` shows that this one fails
    rate = max(least, rounded(lowest / 4))
    return make_step(journal, settings, Role.RAMP, rate, f"Already {_does_not(found, lowest)}: down to {a_rate(rate)}.")


def _resample(journal: Journal, settings: SearchSettings, found: Evidence) -> Decision:
    """Where rates held and failed by turns, more windows in their middle may tell what the first ones could not."""
    mixed = found.mixed
    tried: set[float] = set()
    repeats = 0
    for entry, _ in found.windows:
        repeats += entry.step.role is Role.BISECT and entry.step.rate in tried
        tried.add(entry.step.rate)
    open_rates = [rate for rate in mixed if found.tries(rate) < TRIES_AT_MIXED]
    if not open_rates or repeats >= MOST_RESAMPLES:
        return None
    rate = open_rates[len(open_rates) // 2]
    why = f"{span(mixed)} held in some windows and not in others: {a_rate(rate)} again."
    return make_step(journal, settings, Role.BISECT, rate, why)


def span(rates: list[float]) -> str:
    return a_rate(rates[0]) if len(rates) == 1 else f"{a_rate(rates[0])} to {a_rate(rates[-1])}"


def _narrow(journal: Journal, settings: SearchSettings, found: Evidence) -> Decision:
    """Bring what holds close to the lowest rate in doubt, and what fails close to the highest one in doubt."""
    low, high, mixed = found.low, found.high, found.mixed
    assert low is not None
    above = mixed[0] if mixed else high
    if above is not None and above / low > settings.resolution * 1.001:
        middle = math.sqrt(low * above)
        rate = rounded(max(middle, above / _stride(settings, found)))
        why = f"{a_rate(low)} holds and {_does_not(found, above)}: {_where(rate, middle)}, {a_rate(rate)}."
        return make_step(journal, settings, Role.BISECT, rate, why)
    if mixed and high is not None and high / mixed[-1] > settings.resolution * 1.001:
        middle = math.sqrt(mixed[-1] * high)
        rate = rounded(min(middle, mixed[-1] * _stride(settings, found)))
        why = f"{a_rate(mixed[-1])} is in doubt and {_does_not(found, high)}: {_where(rate, middle)}, {a_rate(rate)}."
        return make_step(journal, settings, Role.BISECT, rate, why)
    return None


def _does_not(found: Evidence, rate: float) -> str:
    """That a rate does not hold; where only the generator was in the way, that nobody knows."""
    return f"{a_rate(rate)} does not hold" if found.vouched(rate) else f"at {a_rate(rate)} the generator was the limit"


def _stride(settings: SearchSettings, found: Evidence) -> float:
    """How far to step away from a rate. Without a contradiction as far as it goes, which is the middle; after the first one a
    single step, since the rest of what was found still stands; then more and more, with each further one and with each rate that
    was tried since: a window that somebody else disturbed lies anywhere, and the end that it hid may be far away."""
    if not found.contradictions:
        return math.inf
    return float(settings.resolution ** (2 ** min(found.contradictions - 1 + found.rates_since, MOST_STRIDES)))


def _where(rate: float, middle: float) -> str:
    return "the middle" if math.isclose(rate, middle, rel_tol=0.006) else "a step away from what was contradicted"


def confirm(journal: Journal, settings: SearchSettings) -> Decision:
    """Fresh windows at both ends, by turns, so that a slow drift of the machine meets both alike."""
    found = evidence_of(journal)
    low, high = found.low, found.high
    held = settings.confirmations if low is None else len(found.fresh(low, held=True))
    failed = settings.refutations if high is None else len(found.fresh(high, held=False))
    if low is not None and held < settings.confirmations and (held <= failed or failed >= settings.refutations):
        why = f"{a_rate(low)} must hold in {settings.confirmations} fresh windows: number {held + 1}."
        return _confirming(journal, settings, low, why, "holds")
    if high is not None and failed < settings.refutations:
        must = "must not hold" if found.vouched(high) else "must be more than the generator can vouch for"
        why = f"{a_rate(high)} {must} in {settings.refutations} fresh windows: number {failed + 1}."
        return _confirming(journal, settings, high, why, "fails")
    return None


def _confirming(journal: Journal, settings: SearchSettings, rate: float, why: str, expects: str) -> Step:
    seconds = max(settings.confirming, window_at(journal, settings, rate))
    return make_step(journal, settings, Role.CONFIRM, rate, why, seconds=seconds, expects=expects)


def is_confirmed(found: Evidence, settings: SearchSettings) -> bool:
    """Whether fresh windows have shown both ends of the bracket, or the only one that there is."""
    low, high = found.low, found.high
    if low is None and high is None:
        return False
    return (low is None or len(found.fresh(low, held=True)) >= settings.confirmations) and (
        high is None or len(found.fresh(high, held=False)) >= settings.refutations
    )


def _p99(seen: Seen) -> str:
    return "no p99" if seen.p99_ms is None else f"p99 {seen.p99_ms:.1f} ms"
