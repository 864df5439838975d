"""The first parts of the plan: the generator's own ceiling, and the base service time of the idle server. Pure."""

from __future__ import annotations

import math

from .search_journal import Journal, Limiter, Role, SearchSettings, Step, Verdict
from .search_judgement import PROBE_SAMPLES
from .search_steps import Decision, End, generator_ceiling, make_step, rounded
from .search_words import a_rate

NULL_STEPS = 14
NULL_RESOLUTION = 1.10
NULL_LEAST = 20.0
PROBE_TRIES = 3


def calibrate(journal: Journal, settings: SearchSettings) -> Decision:
    """How fast the generator is with a step that does nothing, to ten per cent."""
    tried = [entry for entry in journal if entry.step.role is Role.CALIBRATION]
    held = generator_ceiling(journal)

    def step(rate: float, why: str) -> Step:
        return make_step(journal, settings, Role.CALIBRATION, rate, f"{why}.", seconds=settings.null_window)

    if not tried:
        return step(
            settings.null_rate,
            "First the generator alone, with a step that does nothing: beyond its own powers no figure is about a server",
        )
    last = tried[-1]
    if len(tried) >= NULL_STEPS:
        return None if held else _no_generator(last.step.rate)
    lost = _lost(journal, held)
    if last.verdict is not Verdict.HOLDS and lost is None:
        return step(last.step.rate, "Once more at this rate: one window may be somebody else's fault")
    if lost is None:
        return _faster(journal, settings) if last.step.rate < settings.fastest else None
    if held is None:
        if lost <= NULL_LEAST:
            return _no_generator(lost)
        return step(rounded(lost / 4), f"It could not hold {a_rate(lost)}: a quarter of that")
    if lost / held > NULL_RESOLUTION:
        middle = rounded(math.sqrt(lost * held))
        return step(
            middle,
            f"The generator's ceiling lies between {a_rate(held)} and {a_rate(lost)}: the middle, {a_rate(middle)}",
        )
    return None


def _faster(journal: Journal, settings: SearchSettings) -> Step:
    last = journal[-1]
    factor = min(8.0, max(2.0, 0.5 / max(last.seen.cpu_share, 0.001)))
    rate = rounded(min(last.step.rate * factor, settings.fastest))
    why = f"The generator held {a_rate(last.step.rate)} with {last.seen.cpu_share:.0%} of a core: on to {a_rate(rate)}"
    return make_step(journal, settings, Role.CALIBRATION, rate, f"{why}.", seconds=settings.null_window)


def _lost(journal: Journal, held: float | None) -> float | None:
    """The lowest rate above `held` that the generator failed to hold. The first such must fail twice; then once is enough."""
    rates = [
        entry.step.rate
        for entry in journal
        if entry.step.role is Role.CALIBRATION
        and entry.verdict is not Verdict.HOLDS
        and entry.step.rate > (held or 0.0)
    ]
    return min(rates) if any(rates.count(rate) > 1 for rate in rates) else None


def _no_generator(rate: float) -> End:
    return End(
        (f"the generator cannot hold even {a_rate(rate)} with a step that does nothing on this machine",),
        Limiter.CLIENT,
    )


def probe(journal: Journal, settings: SearchSettings) -> Decision:
    """The server idle, one operation in flight: the base service time.

    A server so slow that it did too few in that time gets a longer one: how late it is says more than that it is slow.
    """
    probes = [entry for entry in journal if entry.step.role is Role.PROBE]
    if any(entry.verdict is Verdict.HOLDS for entry in probes):
        return None
    failed = [entry for entry in probes if entry.verdict is Verdict.FAILS]
    causes = [entry.cause for entry in failed]
    if any(causes.count(cause) > 1 for cause in causes) or len(probes) >= PROBE_TRIES:
        last = (failed or probes)[-1]
        return End((f"already one operation at a time does not hold: {last.reasons[0]}",), Limiter(last.cause))
    generator = generator_ceiling(journal) or settings.fastest
    reach = generator * settings.reach
    why = (
        f"The generator's own ceiling is {a_rate(generator)}; beyond {settings.reach:.0%} of it, {a_rate(reach)}, a figure "
        "would be about the generator. Now the server idle, with one operation in flight: its base service time."
        if not probes
        else "The idle probe once more."
    )
    rate = min(settings.idle_rate, reach)
    slow = any(0 < entry.seen.ok < PROBE_SAMPLES for entry in probes)
    seconds = max(settings.probe, settings.longest) if slow else settings.probe
    return make_step(journal, settings, Role.PROBE, rate, why, seconds=seconds, in_flight=1)
