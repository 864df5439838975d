"""The search for the ceiling: a pure planner over its journal.

`next_step` looks at all that was done and seen, and says what to do next and why, or that nothing is left to do; `conclude` says
what follows. The order: the generator's own ceiling, the base service time, a geometric ramp of the offered rate until a bound
fails, bisection, fresh windows at both ends of the bracket, and how the server comes back from an overload. It always ends: by
its number of steps, by its time, or because the server does not come back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .check_words import UNTRUE, against, not_known
from .search_bracket import again, confirm, is_confirmed, search, span
from .search_evidence import Evidence, by_the_server, evidence_of
from .search_journal import Ceiling, Entry, Interval, Journal, Limiter, Role, SearchSettings, Seen, Step, Verdict
from .search_judgement import gone
from .search_start import calibrate, probe
from .search_steps import (
    Decision,
    End,
    generator_ceiling,
    held_as,
    idle_service,
    limits,
    make_step,
    promises_of,
    rounded,
    spent,
)
from .search_words import a_rate, a_time

COLLAPSED = 0.10
"""Where less than this share of what was offered ended well, the server collapsed: it must come back before anything else."""
RECOVERY_TRIES = 3
RECOVERY_SECONDS = 8.0
OVERLOAD = 1.5
WIDEST = 1.5
"""A bracket wider than this is no answer."""
SLOW_WINDOWS = 2
"""One slow window is an accident, two are another speed."""


def next_step(journal: Journal, settings: SearchSettings) -> Step | None:
    """The window to offer next, or None where the search has ended. A pure function of its arguments."""
    decision = _decide(journal, settings)
    return decision if isinstance(decision, Step) else None


def _decide(journal: Journal, settings: SearchSettings) -> Step | End:
    if len(journal) >= settings.most_steps:
        return End((f"the budget of {settings.most_steps} steps is used up",), Limiter.NOT_CONVERGED)
    if spent(journal) >= settings.most_seconds:
        return End((f"the budget of {a_time(settings.most_seconds)} is used up",), Limiter.NOT_CONVERGED)
    for part in (calibrate, probe, _come_back, again, search, confirm, _overload):
        decision = part(journal, settings)
        if decision is not None:
            return decision
    return End(())


# -- a server that is down, and one that is brought down on purpose -------------------------------------------------


def _broke(seen: Seen) -> bool:
    """Whether a window left the server in a state in which nothing can be measured: collapsed, or with a backlog that stays."""
    return not seen.drained or seen.ok < COLLAPSED * seen.offered


def _come_back(journal: Journal, settings: SearchSettings) -> Decision:
    """After a collapse, and after the deliberate overload: half of what held, until the promises are kept again."""
    since = _since_overload(journal)
    if not since or (since[-1].step.role is Role.RECOVERY and since[-1].verdict is Verdict.HOLDS):
        return None
    overload, tries = since[0], since[1:]
    rate = _recovery_rate(journal, settings)
    if len(tries) >= RECOVERY_TRIES:
        waited = sum(entry.seen.elapsed for entry in tries)
        reason = (
            f"after {a_rate(overload.step.rate)} the server did not come back within {a_time(waited)} at {a_rate(rate)}"
        )
        return End((reason,), None if is_confirmed(evidence_of(journal), settings) else Limiter.SERVER)
    if tries:
        why = f"Not recovered yet: {a_rate(rate)} for longer."
    elif overload.step.role is Role.OVERLOAD:
        why = f"Back to {a_rate(rate)}, half of what holds: how long until the promise is kept again?"
    else:
        why = f"The server broke down under the last step. It gets {a_rate(rate)} until it keeps its promise again."
    seconds = min(settings.longest, RECOVERY_SECONDS * 2 ** len(tries))
    return make_step(journal, settings, Role.RECOVERY, rate, why, seconds=seconds, warmup=0.0)


def _since_overload(journal: Journal) -> Sequence[Entry]:
    """The last window that broke the server, and the tries to recover since; nothing where it was not the last but those."""
    last = next((n for n in range(len(journal) - 1, -1, -1) if journal[n].step.role is not Role.RECOVERY), None)
    if last is None or journal[last].step.role in (Role.CALIBRATION, Role.PROBE):
        return ()
    return journal[last:] if journal[last].step.role is Role.OVERLOAD or _broke(journal[last].seen) else ()


def _recovery_rate(journal: Journal, settings: SearchSettings) -> float:
    low = evidence_of(journal).low
    lowest = min(entry.step.rate for entry in journal if entry.step.role is not Role.CALIBRATION)
    return rounded(min(settings.idle_rate, lowest) / 2 if low is None else low / 2)


def _overload(journal: Journal, settings: SearchSettings) -> Decision:
    """Once the bracket stands: too much, on purpose. Only a server that was the limit can be overloaded."""
    found = evidence_of(journal)
    low, high = found.low, found.high
    _, most = limits(journal, settings)
    if low is None or high is None or high >= most or found.cause(high) is Limiter.CLIENT:
        return None
    if not settings.recovery or any(entry.step.role is Role.RECOVERY for entry in journal):
        return None
    rate = min(most, rounded(high * OVERLOAD))
    why = (
        f"The bracket stands. Now {rate / high:.1f} times what fails, {a_rate(rate)}, to see how the server comes back."
    )
    return make_step(journal, settings, Role.OVERLOAD, rate, why, seconds=settings.window)


# -- the answer -----------------------------------------------------------------------------------------------------


def conclude(journal: Journal, settings: SearchSettings) -> Ceiling:
    """What follows from a journal: the answer where the search has ended, else what is known so far."""
    decision = _decide(journal, settings)
    end = decision if isinstance(decision, End) else End(("the search was cut short",), Limiter.NOT_CONVERGED)
    found = evidence_of(journal)
    confirmed = is_confirmed(found, settings)
    limiter, reasons = end.limiter, list(end.reasons)
    if limiter is None or (limiter is Limiter.NOT_CONVERGED and confirmed):
        limiter, why = _limiter(journal, settings, found)
        reasons = [*why, *_contradicted(found), *reasons]
    reasons += [*_accidental(found), *_unknown(journal)]
    if found.drifts:
        reasons.append("what held at first failed later: the server changes as it fills, or the machine is busier now")
    return Ceiling(
        holds=found.low or 0.0,
        fails=found.high,
        limiter=limiter,
        reasons=tuple(reasons),
        confirmed=confirmed,
        promises=promises_of(journal, settings),
        recovery=_recovery(journal),
        generator=generator_ceiling(journal),
        service_ms=idle_service(journal),
        interval=_interval(found),
        invalid=tuple(_untrue(journal)),
        resolution=settings.resolution,
    )


def _untrue(journal: Journal) -> Iterator[str]:
    """What a backend did, in whichever window, that says that its figures must not be used. A backlog is none of it."""
    for entry in journal:
        where = f" in step {entry.step.number}, at {a_rate(entry.step.rate)}"
        if entry.seen.wrong:
            yield against(UNTRUE, entry.seen.wrong, where=where)
        if entry.seen.lost:
            yield gone(entry.seen, where)


def _recovery(journal: Journal) -> float | None:
    """Seconds from the end of the load of the last overload that was recovered from, until the promises were kept again.

    That takes what came before the window in which they were: the rest of the overload's own (its drain and its checks), and the
    windows that tried before. None where nothing was recovered from.
    """
    last = next((n for n in range(len(journal) - 1, -1, -1) if held_as(journal[n], Role.RECOVERY)), None)
    if last is None or (recovered := journal[last].seen.recovered) is None:
        return None
    first = last
    while first and journal[first - 1].step.role is Role.RECOVERY:
        first -= 1
    tries = sum(entry.took for entry in journal[first:last])
    overload = journal[first - 1] if first else None
    rest = 0.0 if overload is None else max(0.0, overload.took - overload.step.warmup - overload.step.seconds)
    return round(rest + tries + recovered, 3)


def _unknown(journal: Journal) -> list[str]:
    """What must be said where it could not be looked at, up to the end, whether anything is lost."""
    last = next((entry for entry in reversed(journal) if entry.step.role is not Role.CALIBRATION), None)
    if last is None or not last.seen.unchecked:
        return []
    return [f"after step {last.step.number}, the last, {not_known(last.seen.unchecked)}"]


def _limiter(journal: Journal, settings: SearchSettings, found: Evidence) -> tuple[Limiter, list[str]]:
    low, high = found.low, found.high
    by_turns = _by_turns(found)
    if low is None and high is None:
        return Limiter.NOT_CONVERGED, ["no rate held or failed for sure", *by_turns]
    if high is None:
        generator = generator_ceiling(journal) or limits(journal, settings)[1]
        return Limiter.CLIENT, [
            f"the last rate that could be offered is within reach of the generator's own ceiling of {a_rate(generator)}: the "
            "server may carry more, which takes more generators to show",
            *by_turns,
        ]
    slow = found.slow
    if len(slow) >= SLOW_WINDOWS:
        served = min(slow, key=lambda entry: entry.seen.achieved)
        by_client = {entry.verdict is Verdict.CLIENT_LIMITED for entry in slow}
        whose = " or ".join(
            who for who, is_it in (("The server", False), ("The machine of the generator", True)) if is_it in by_client
        )
        return Limiter.NOT_CONVERGED, [
            f"{len(slow)} windows served far less than others held: at {a_rate(served.step.rate)} only "
            f"{a_rate(served.seen.achieved)}. {whose} has more than one speed, and something else than the rate decides",
            *by_turns,
        ]
    if low is not None and high / low > WIDEST:
        return Limiter.NOT_CONVERGED, [_too_wide(found, low, high), *by_turns]
    cause = found.cause(high)
    reasons = [found.recurring(high, cause), *by_turns]
    if cause is Limiter.CLIENT and low is not None:
        reasons.append(
            f"the generator is the limit, and could not vouch for {a_rate(high)}: the server carries at least what holds"
        )
    return cause, reasons


def _too_wide(found: Evidence, low: float, high: float) -> str:
    """Why two ends that are far apart are no answer; that the server fails is only said where it did."""
    if found.fails_by_the_server(high):
        return (
            f"windows at {a_rate(low)} held, and only at {a_rate(high)} they fail for sure: too far apart for an answer"
        )
    missed = found.missed(high)
    client = sum(not by_the_server(entry) for entry in missed)
    share = "each window" if client == len(missed) else f"{client} of {len(missed)} windows"
    return (
        f"windows at {a_rate(low)} held, and at {a_rate(high)} the generator was the limit in {share} that did not hold: from "
        "which rate on the server fails is not known"
    )


def _by_turns(found: Evidence) -> list[str]:
    """What must be said of rates at which some windows held and others did not, and of who was the limit in those."""
    mixed = found.mixed
    if not mixed:
        return []
    blamed = {by_the_server(entry) for rate in mixed for entry in found.missed(rate)}
    if False not in blamed:
        return [f"{span(mixed)} held and failed by turns"]
    others = "others failed, and in others still" if True in blamed else "in others"
    return [f"at {span(mixed)} some windows held, {others} the generator was the limit"]


def _contradicted(found: Evidence) -> list[str]:
    """What must be said about ends of the bracket that not every fresh window confirmed."""
    said = []
    for rate, held, word in ((found.low, True, "held"), (found.high, False, "did not hold")):
        if rate is not None and (against := len(found.fresh(rate, held=not held))):
            did = len(found.fresh(rate, held=held))
            said.append(f"at {a_rate(rate)} {did} of {did + against} fresh windows {word}")
    return said


def _accidental(found: Evidence) -> list[str]:
    """What must be said of windows that do not count; that a rate did not hold only where the server was seen to fail."""
    rates = sorted({entry.step.rate for entry in found.accidents})
    if not rates or found.low is None:
        return []
    many = "a window" if len(found.accidents) == 1 else f"{len(found.accidents)} windows"
    failed = any(map(by_the_server, found.accidents))
    saw = (
        f"{many} at {span(rates)} did not hold" if failed else f"in {many} at {span(rates)} the generator was the limit"
    )
    return [
        f"{saw}, far below {a_rate(found.low)}, which holds: something else than the rate decided, and it is left out"
    ]


def _interval(found: Evidence) -> Interval | None:
    windows = [] if found.low is None else [entry.seen for entry in found.fresh(found.low, held=True)]
    if not windows:
        return None
    achieved = [seen.achieved for seen in windows]
    p99 = [seen.p99_ms for seen in windows if seen.p99_ms is not None]
    # Where one of them never reached it, the others would tell a range in which it is not.
    whole = (min(p99), max(p99)) if len(p99) == len(windows) else None
    return Interval(len(windows), (min(achieved), max(achieved)), whole)


# -- how long it still takes ----------------------------------------------------------------------------------------


def time_left(journal: Journal, settings: SearchSettings) -> float:
    """Seconds that the search may still take at most, by its budget of time and of steps."""
    if next_step(journal, settings) is None:
        return 0.0
    longest = settings.warmup + settings.longest + settings.drain
    return min(settings.most_seconds - spent(journal) + longest, (settings.most_steps - len(journal)) * longest)
