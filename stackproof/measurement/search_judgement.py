"""What one window of a search shows, and what that says about its rate. Pure.

The order of the questions matters: a window that the client decided says nothing about the server, so that is asked first.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from stackproof.scenarios.orders import Offered
from stackproof.scenarios.recorder import Recorder, Second

from .check_words import UNTRUE, against, not_known
from .figures import counted, figures_of
from .promises import Promise, PromiseResult, judged
from .search_evidence import CONCURRENCY
from .search_journal import Limiter, Role, SearchSettings, Seen, Step, Verdict
from .search_words import a_rate, a_time, milliseconds

STARVED_MS = 50.0
"""A send lag p99 beyond this means that the generator did not get the processor, or cannot keep the pace."""
LAG_SHARE = 0.5
"""Of a promised latency, the send lag p99 may use up this share; beyond it the latency says little about the server."""
SHOWN_ERRORS = 5
UNFINISHED_PREFIX = "unfinished"
THROTTLES = ("throttl", "quota", "toomanyrequests", "limitexceeded", "ratelimit")
RISE, SCATTER, LEAST_SECONDS = 1.5, 4.0, 4
"""How much the medians of the seconds may rise, or scatter, in a window that counts as steady; and from how many on."""
NOISE_MS = 1.0
"""Rises and scatter below this are those of clocks, whatever their ratio."""
SAME_SERVICE = 2.0
"""A server that answers within this many base service times is not what made the client run out of places in flight."""
LEEWAY_SECONDS = 0.25
PROBE_SAMPLES = 10


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a window."""

    verdict: Verdict
    cause: str
    reasons: tuple[str, ...]


# -- what was seen --------------------------------------------------------------------------------------------------


def look(offered: Offered, promises: Sequence[Promise]) -> Seen:
    """The figures of a window that the search needs."""
    recorder, order = offered.recorder, offered.order
    intended, real, lag = (figures_of(histogram) for histogram in (recorder.intended, recorder.real, recorder.lag))
    every = counted(recorder)
    promised = tuple(judged(promise, recorder) for promise in promises)
    # Where the promises were kept, a straggler after the end of the window is no backlog.
    kept = promised and all(result.verdict == "held" for result in promised)
    rise, scatter = _steadiness(recorder, order.seconds)
    return Seen(
        offered=recorder.offered,
        ok=recorder.answered,
        failed=recorder.failed,
        dropped=recorder.dropped,
        skipped=recorder.skipped,
        elapsed=offered.elapsed,
        achieved=recorder.answered / max(order.seconds, 1e-9) if kept else offered.achieved,
        promised=promised,
        p50_ms=every.p50,
        p99_ms=every.p99,
        answered_p50_ms=intended.p50,
        answered_p99_ms=intended.p99,
        service_p50_ms=real.p50,
        service_p99_ms=real.p99,
        lag_p99_ms=lag.p99,
        cpu_share=offered.busiest,
        most_in_flight=offered.most_in_flight,
        blocked=max((gap.seconds for gap in offered.gaps), default=0.0),
        drained=not any(kind.startswith(UNFINISHED_PREFIX) for kind in recorder.errors),
        rise=rise,
        scatter=scatter,
        unhandled=int(offered.checks.get("unhandled", 0)),
        lost=int(offered.checks.get("lost", 0)),
        example=next(iter(offered.checks.get("examples", ())), ""),
        unchecked="; ".join(dict.fromkeys(offered.checks.get("unchecked", ()))),
        recovered=_recovered(recorder, promises),
        wrong=int(offered.checks.get("wrong", 0)) + int(offered.checks.get("duplicated", 0)),
        errors=dict(recorder.errors.most_common(SHOWN_ERRORS)),
        complete=offered.complete,
        trouble=offered.trouble,
    )


def _steadiness(recorder: Recorder, seconds: float) -> tuple[float, float]:
    """Rise and scatter of the medians of the whole seconds; 1 and 1 where there are too few, or all is noise of clocks."""
    whole = [
        second for number, second in sorted(recorder.series.items()) if number < math.floor(seconds) and second.answered
    ]
    medians = [1000 * second.latency.percentiles([50.0])[50.0] for second in whole]
    if len(medians) < LEAST_SECONDS:
        return 1.0, 1.0
    third = len(medians) // 3
    first, last = statistics.median(medians[:third]), statistics.median(medians[-third:])
    deciles = statistics.quantiles(medians, n=10, method="inclusive")
    return _ratio(last, first), _ratio(deciles[-1], deciles[0])


def _ratio(larger: float, smaller: float) -> float:
    return 1.0 if larger - smaller < NOISE_MS else larger / max(smaller, 1e-3)


def _recovered(recorder: Recorder, promises: Sequence[Promise]) -> float | None:
    """Seconds until every later second kept the promises; None where the last one does not."""
    seconds = sorted(recorder.series.items())
    if not seconds:
        return None
    bad = [number for number, second in seconds if not _keeps(second, promises)]
    if not bad:
        return 0.0
    return None if bad[-1] == seconds[-1][0] else float(bad[-1] + 1)


def _keeps(second: Second, promises: Sequence[Promise]) -> bool:
    if second.failed or second.dropped or second.skipped or not second.answered:
        return second.offered == 0
    return all(
        1000 * second.latency.percentiles([promise.percentile])[promise.percentile] <= promise.limit_ms
        for promise in promises
    )


# -- what it says ---------------------------------------------------------------------------------------------------


def judge(
    step: Step, seen: Seen, settings: SearchSettings, base: Seen | None, promises: Sequence[Promise]
) -> Judgement:
    """The verdict on a window, with a reason for each thing that decided it.

    ``base`` is what the idle probe saw, None before it was made. ``promises`` are those that are in force for this step.
    """
    if not seen.complete or not seen.offered:
        return _unsteady(Limiter.NOT_CONVERGED, f"the window was cut short ({seen.trouble or 'nothing was offered'})")
    match step.role:
        case Role.CALIBRATION:
            return _judge_null(step, seen, settings)
        case Role.PROBE:
            return _judge_probe(seen, settings)
        case Role.OVERLOAD:
            return Judgement(Verdict.FAILS, Limiter.SERVER, (f"overloaded on purpose: {_flow(seen)}",))
        case Role.RECOVERY:
            return _judge_recovery(step, seen)
        case _:
            return _judge_load(step, seen, settings, base, promises)


def _judge_null(step: Step, seen: Seen, settings: SearchSettings) -> Judgement:
    found = list(_by_client(step, seen, settings, ()))
    if seen.ok < settings.held * seen.offered or seen.elapsed > step.seconds / settings.held + LEEWAY_SECONDS:
        found.insert(0, f"{seen.ok:,} of {seen.offered:,} done in {seen.elapsed:.2f} s, with nothing to do")
    if found:
        return Judgement(Verdict.CLIENT_LIMITED, Limiter.CLIENT, tuple(found))
    return _holds(seen, f"{a_rate(seen.achieved)} with nothing to do")


def _judge_probe(seen: Seen, settings: SearchSettings) -> Judgement:
    if error := _by_errors(seen, settings):
        return error
    if seen.service_p50_ms is None or seen.ok < PROBE_SAMPLES:
        return Judgement(
            Verdict.FAILS, Limiter.SERVER, (f"only {seen.ok} operations ended well in {seen.elapsed:.1f} s",)
        )
    service = f"service time p50 {milliseconds(seen.service_p50_ms)}"
    if late := next(_late_when_idle(seen, settings.promises), ""):
        if seen.blocked:
            return _unsteady(
                Limiter.CLIENT, f"the generator itself did not run for {seen.blocked:.2f} s, and then, {late}"
            )
        return Judgement(Verdict.FAILS, Limiter.SLO, (late,))
    if seen.service_p99_ms is not None:
        service += f", p99 {milliseconds(seen.service_p99_ms)}"
    return Judgement(Verdict.HOLDS, "", (f"{service}, from {seen.ok:,} operations one at a time",))


def _late_when_idle(seen: Seen, promises: Sequence[Promise]) -> Iterator[str]:
    """Each promise that an idle server already breaks, with what it took."""
    for promise in promises:
        for percentile, took in ((99.0, seen.service_p99_ms), (50.0, seen.service_p50_ms)):
            if percentile <= promise.percentile and took is not None and took > promise.limit_ms:
                yield f"idle, the service time p{percentile:g} is {milliseconds(took)}: {promise.name} cannot hold at any rate"


def _judge_recovery(step: Step, seen: Seen) -> Judgement:
    if seen.recovered is None:
        return Judgement(Verdict.FAILS, Limiter.SERVER, (f"not recovered after {a_time(step.seconds)}: {_flow(seen)}",))
    when = "from the first second" if seen.recovered == 0 else f"after {a_time(seen.recovered)}"
    return Judgement(Verdict.HOLDS, "", (f"the promise is kept again {when} of this window, and stays so",))


def _judge_load(
    step: Step, seen: Seen, settings: SearchSettings, base: Seen | None, promises: Sequence[Promise]
) -> Judgement:
    if seen.wrong:
        return Judgement(Verdict.FAILS, Limiter.ERROR, (against(UNTRUE, seen.wrong),))
    if seen.lost:
        return Judgement(Verdict.FAILS, Limiter.ERROR, (gone(seen),))
    if client := tuple(_by_client(step, seen, settings, promises)):
        return Judgement(Verdict.CLIENT_LIMITED, Limiter.CLIENT, client)
    if concurrency := _by_concurrency(step, seen, settings, base):
        return Judgement(Verdict.CLIENT_LIMITED, CONCURRENCY, (concurrency,))
    failed = _failure(seen, settings)
    if failed is not None and seen.blocked and failed.cause == Limiter.SLO:
        return _unsteady(
            Limiter.CLIENT, f"the generator itself did not run for {seen.blocked:.2f} s, and then {failed.reasons[0]}"
        )
    if failed is not None:
        return failed
    few = next((result for result in seen.promised if result.verdict == "unknown"), None)
    if few is not None:
        return _unsteady(Limiter.NOT_CONVERGED, f"{seen.offered:,} operations are too few for a p{few.percentile:g}")
    if seen.blocked and step.role is Role.CONFIRM:
        # Its figures are published: a window in which the generator stood still cannot confirm anything.
        return _unsteady(Limiter.CLIENT, f"the generator itself did not run for {seen.blocked:.2f} s")
    if seen.unchecked:
        return _unsteady(Limiter.NOT_CONVERGED, not_known(seen.unchecked))
    if seen.rise > RISE:
        return _unsteady(Limiter.SERVER, f"latency rose {seen.rise:.1f}-fold within the window: it had not settled")
    if seen.scatter > SCATTER:
        return _unsteady(
            Limiter.SERVER, f"the medians of the seconds lie {seen.scatter:.1f}-fold apart: it does not settle"
        )
    return _holds(seen, _flow(seen))


def _failure(seen: Seen, settings: SearchSettings) -> Judgement | None:
    """The bound of the server that failed, if any. Why operations fail says more than that too few ended well."""
    if error := _by_errors(seen, settings):
        return error
    share = _share(seen)
    if not seen.drained:
        return Judgement(Verdict.FAILS, Limiter.SERVER, (f"its backlog did not drain: {_flow(seen)}",))
    if share < settings.held:
        return Judgement(Verdict.FAILS, Limiter.SERVER, (f"{_flow(seen)}, less than {settings.held:.0%}",))
    if seen.unhandled:
        return Judgement(Verdict.FAILS, Limiter.SERVER, (against("unhandled", seen.unhandled, of=seen.offered),))
    missed = tuple(f"{_reading(result)} ({_flow(seen)})" for result in seen.promised if result.verdict == "missed")
    return Judgement(Verdict.FAILS, Limiter.SLO, missed) if missed else None


def _by_errors(seen: Seen, settings: SearchSettings) -> Judgement | None:
    unfinished = sum(count for kind, count in seen.errors.items() if kind.startswith(UNFINISHED_PREFIX))
    failed = seen.failed - unfinished
    if failed <= settings.errors * seen.offered:
        return None
    kinds = {kind: count for kind, count in seen.errors.items() if not kind.startswith(UNFINISHED_PREFIX)}
    throttled = sum(count for kind, count in kinds.items() if any(word in kind.lower() for word in THROTTLES))
    most = next(iter(kinds), "errors")
    reason = f"{failed:,} of {seen.offered:,} operations failed, more than {settings.errors:.1%}, most with {most}"
    return Judgement(Verdict.FAILS, Limiter.QUOTA if throttled > failed / 2 else Limiter.ERROR, (reason,))


def _by_client(step: Step, seen: Seen, settings: SearchSettings, promises: Sequence[Promise]) -> Iterable[str]:
    """Each reason for which a window is about the generator."""
    if seen.cpu_share > settings.busy:
        yield f"the generator used {seen.cpu_share:.0%} of a core, more than {settings.busy:.0%} ({_flow(seen)})"
    if seen.skipped > (1.0 - settings.held) * seen.offered:
        yield f"the generator came too late for {seen.skipped:,} of {seen.offered:,} operations to send them at all"
    lag = seen.lag_p99_ms
    if lag is None:
        return
    if lag > STARVED_MS and lag > (seen.answered_p99_ms or 0.0) / 2:
        yield f"send lag p99 is {milliseconds(lag)}: the generator sent too late"
        return
    served = seen.service_p99_ms
    patience = min((promise.limit_ms for promise in promises), default=math.inf)
    if lag > patience * LAG_SHARE:
        yield (
            f"send lag p99 is {milliseconds(lag)}, more than half of the {patience:g} ms that were promised: the machine does "
            "not give the generator the processor in time"
        )
        return
    missed = any(result.verdict == "missed" and result.percentile <= 99.0 for result in seen.promised)
    kept_share = _share(seen) >= settings.held
    if (
        step.role is not Role.CALIBRATION
        and missed
        and kept_share
        and served is not None
        and served <= patience < lag + served
    ):
        yield f"without the generator's own send lag (p99 {milliseconds(lag)}) the promise was kept ({milliseconds(served)})"


def _by_concurrency(step: Step, seen: Seen, settings: SearchSettings, base: Seen | None) -> str:
    if base is None or base.service_p50_ms is None or seen.service_p50_ms is None:
        return ""
    full = seen.most_in_flight >= step.in_flight and seen.dropped > (1.0 - settings.held) * seen.offered
    if not full or seen.service_p50_ms > SAME_SERVICE * base.service_p50_ms:
        return ""
    return (
        f"all {step.in_flight} places in flight were taken ({_flow(seen)}), while the server answered like an idle one "
        f"(p50 {milliseconds(seen.service_p50_ms)})"
    )


def _holds(seen: Seen, flow: str) -> Judgement:
    readings = [_reading(result) for result in seen.promised]
    return Judgement(Verdict.HOLDS, "", ("; ".join([flow, *readings, f"client at {seen.cpu_share:.0%} of a core"]),))


def _unsteady(cause: Limiter, reason: str) -> Judgement:
    return Judgement(Verdict.NOT_STEADY, cause, (reason,))


def gone(seen: Seen, where: str = "") -> str:
    """What was lost of what had been acknowledged."""
    example = f", for example: {seen.example}" if seen.example else ""
    return f"{against('lost', seen.lost, where=where)}{example}"


def _share(seen: Seen) -> float:
    """Achieved over offered. What ended too late is a matter of the promises, and counts as achieved here."""
    return seen.ok / seen.offered


def _flow(seen: Seen) -> str:
    return f"{seen.ok:,} of {seen.offered:,} ended well ({seen.ok / max(1, seen.offered):.1%})"


def _reading(result: PromiseResult) -> str:
    if result.seen_ms is None:
        shown = "never reached" if result.verdict == "missed" else "unknown"
    else:
        shown = milliseconds(result.seen_ms)
    relation = {"held": "within", "missed": "not within"}.get(result.verdict, "of")
    return f"p{result.percentile:g} {shown}, {relation} {result.limit_ms:g} ms"
