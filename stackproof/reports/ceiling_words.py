"""A search for the ceiling in words, the same in the terminal and on the page."""

from __future__ import annotations

from collections import Counter

from stackproof.measurement.ceiling_record import UNCONFIRMED, CeilingRecord, StepRow
from stackproof.measurement.record import Measurement
from stackproof.measurement.search_journal import EVIDENCE_ROLES, Role
from stackproof.measurement.search_words import a_rate, a_time, milliseconds

from .words import counted

TONE = {
    "holds": "PASS",
    "fails": "FAIL",
    "client-limited": "SKIPPED",
    "not-steady": "INCONCLUSIVE",
}
"""The colour of a verdict of one window."""


SECOND = 1.0
"""What is judged by the second was kept at once where it was kept in the first one."""

_SEEN = {
    "holds": "held",
    "fails": "failed",
    "client-limited": "limited by the generator",
    "not-steady": "not steady",
}
"""What a window of a search without an answer came to: of ends that were not shown nothing more may be said."""


def has_answer(ceiling: CeilingRecord) -> bool:
    """Whether the search came to an end that says something; else its ends are only where it stood."""
    return ceiling.limiter != "not-converged"


def bracket(ceiling: CeilingRecord) -> str:
    """Such as ``4,760/s to 4,970/s``; of a search without an answer, that it has none there."""
    if not has_answer(ceiling):
        return _no_answer(ceiling)
    if not ceiling.holds:
        if ceiling.limiter == "client":
            return "not known"
        return "none holds" if ceiling.fails is None else f"none holds: {a_rate(ceiling.fails)} fails"
    if ceiling.fails is None or ceiling.limiter == "client":
        return f"{a_rate(ceiling.holds)} and more"
    return f"{a_rate(ceiling.holds)} to {a_rate(ceiling.fails)}"


def _no_answer(ceiling: CeilingRecord) -> str:
    if ceiling.holds and ceiling.fails is not None:
        return f"no answer between {a_rate(ceiling.holds)} and {a_rate(ceiling.fails)}"
    if ceiling.holds:
        return f"no answer above {a_rate(ceiling.holds)}"
    return "not known" if ceiling.fails is None else f"no answer below {a_rate(ceiling.fails)}"


def is_unusable(result: Measurement) -> bool:
    """Whether what the search of a run found must not be quoted. That no rate was confirmed is no doubt where none holds."""
    assert result.ceiling is not None
    return any(reason != UNCONFIRMED or result.ceiling.holds for reason in result.invalid)


def bracket_of(result: Measurement) -> str:
    """The bracket of a run of a search, where it may be quoted."""
    assert result.ceiling is not None
    return "no ceiling is shown" if is_unusable(result) else bracket(result.ceiling)


def headline_of(result: Measurement) -> str:
    """The sentence that may be quoted of a run of a search."""
    assert result.ceiling is not None
    if is_unusable(result):
        return "No ceiling is shown: what this search saw must not be used as one."
    return headline(result.ceiling)


def headline(ceiling: CeilingRecord) -> str:
    """One sentence that may be quoted: both ends, and what stops the load; of a search without an answer, what it saw."""
    if not has_answer(ceiling):
        seen = _seen(ceiling)
        return f"The search has no answer: it saw {', '.join(seen)}." if seen else "The search has no answer."
    limit = {
        "server": "the server is the limit",
        "client": "the client is the limit, so the server carries at least what holds",
        "quota": "a quota is the limit",
        "slo": "latency is the limit: the server keeps up, and is late",
        "error": "errors are the limit",
    }[ceiling.limiter]
    if not ceiling.holds:
        if ceiling.limiter == "client":
            limit = "the client is the limit, so nothing is known about the server"
        unknown = ceiling.fails is None or ceiling.limiter == "client"
        ends = "No rate was shown to hold" if unknown else f"No rate holds, {a_rate(ceiling.fails or 0.0)} fails"
    elif ceiling.fails is None:
        ends = f"{a_rate(ceiling.holds)} holds, and nothing more could be offered"
    elif ceiling.limiter == "client":
        ends = f"{a_rate(ceiling.holds)} holds, and for {a_rate(ceiling.fails)} the generator could not vouch"
    else:
        ends = f"{a_rate(ceiling.holds)} holds, {a_rate(ceiling.fails)} does not"
    shown = "" if ceiling.confirmed or not ceiling.holds else " (not confirmed in fresh windows)"
    return f"{ends}{shown}; {limit}."


def _seen(ceiling: CeilingRecord) -> list[str]:
    """The windows at each end of a bracket that is no answer, counted."""
    said = []
    for rate in (ceiling.holds, ceiling.fails):
        found = Counter(row.verdict for row in ceiling.steps if row.role in EVIDENCE_ROLES and row.rate == rate)
        if rate and found:
            ends = ", ".join(f"{found[verdict]} {word}" for verdict, word in _SEEN.items() if found[verdict])
            said.append(f"{counted(found.total(), 'window')} at {a_rate(rate)} ({ends})")
    return said


def upper_curve(ceiling: CeilingRecord) -> str:
    """What the latencies at the upper end are called: only of a search with an answer it is known why that end does not hold."""
    assert ceiling.fails is not None
    why = {"not-converged": "which is in doubt", "client": "where the generator is the limit"}
    return f"at {a_rate(ceiling.fails)}, {why.get(ceiling.limiter, 'which fails')}"


def confirmation(ceiling: CeilingRecord) -> str:
    """What fresh windows say of the bracket as a whole."""
    if not has_answer(ceiling):
        return "the search did not converge"
    return "both ends confirmed in fresh windows" if ceiling.confirmed else "not confirmed in fresh windows"


def windows_of_figures(ceiling: CeilingRecord) -> str:
    """What the windows are called that the figures are of."""
    return "Confirming windows" if has_answer(ceiling) else "Fresh windows that held"


def facts(ceiling: CeilingRecord) -> list[tuple[str, str]]:
    """Names and values beside the bracket."""
    unknown = "not measured"
    return [
        ("What has to hold", ", ".join(ceiling.promises) or "not known: it follows from the base service time"),
        ("Limiter", ceiling.limiter),
        (windows_of_figures(ceiling), _confirming(ceiling)),
        ("Their p99, every operation counted", span(ceiling.p99_ms)),
        ("Base service time, p50", milliseconds(ceiling.service_p50_ms) if ceiling.service_p50_ms else unknown),
        ("Generator's own ceiling", a_rate(ceiling.generator_rate) if ceiling.generator_rate else unknown),
        ("Recovery after an overload", _recovery(ceiling)),
    ]


def _confirming(ceiling: CeilingRecord) -> str:
    if ceiling.achieved is None:
        return "none"
    low, high = ceiling.achieved
    rates = a_rate(low) if a_rate(low) == a_rate(high) else f"{a_rate(low)} to {a_rate(high)}"
    return f"{ceiling.confirming_windows}, which achieved {rates}"


def _recovery(ceiling: CeilingRecord) -> str:
    if ceiling.recovery_seconds is None:
        return "not measured"
    return "at once" if ceiling.recovery_seconds < SECOND else a_time(ceiling.recovery_seconds)


def tail(row: StepRow) -> str:
    """The p99 of a window, every offered operation counted, which is what its verdict rests on; a dash: too few operations.

    The look at the idle server offers one operation at a time, and drops what comes meanwhile: its verdict rests on the others.
    """
    from stackproof.scenarios.histogram import supported

    if row.role == Role.PROBE:
        return "–" if row.answered_p99_ms is None else milliseconds(row.answered_p99_ms)
    if row.p99_ms is not None:
        return milliseconds(row.p99_ms)
    return "never" if supported(row.offered, 99.0) else "–"


def span(values: tuple[float, float] | None) -> str:
    """Such as ``4.10 ms to 4.32 ms``; a dash where there is none."""
    if values is None:
        return "–"
    low, high = map(milliseconds, values)
    return low if low == high else f"{low} to {high}"
