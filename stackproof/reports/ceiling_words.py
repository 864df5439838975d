"""A search for the ceiling in words, the same in the terminal and on the page."""

from __future__ import annotations

from stackproof.measurement.ceiling_record import UNCONFIRMED, CeilingRecord
from stackproof.measurement.record import Measurement
from stackproof.measurement.search_words import a_rate, a_time, milliseconds

TONE = {
    "holds": "PASS",
    "fails": "FAIL",
    "client-limited": "SKIPPED",
    "not-steady": "INCONCLUSIVE",
}
"""The colour of a verdict of one window."""


def bracket(ceiling: CeilingRecord) -> str:
    """Such as ``4,760/s to 4,970/s``."""
    if not ceiling.holds:
        if ceiling.fails is None and ceiling.limiter in ("not-converged", "client"):
            return "not known"
        return "none holds" if ceiling.fails is None else f"none holds: {a_rate(ceiling.fails)} fails"
    if ceiling.fails is None:
        return f"{a_rate(ceiling.holds)} and more"
    return f"{a_rate(ceiling.holds)} to {a_rate(ceiling.fails)}"


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
    """One sentence that may be quoted: both ends, and what stops the load."""
    limit = {
        "server": "the server is the limit",
        "client": "the client is the limit, so the server carries at least this",
        "quota": "a quota is the limit",
        "slo": "latency is the limit: the server keeps up, and is late",
        "error": "errors are the limit",
        "not-converged": "the search has no answer",
    }[ceiling.limiter]
    if not ceiling.holds:
        if ceiling.limiter == "client":
            limit = "the client is the limit, so nothing is known about the server"
        ends = "No rate was shown to hold" if ceiling.fails is None else f"No rate holds, {a_rate(ceiling.fails)} fails"
    elif ceiling.fails is None:
        ends = f"{a_rate(ceiling.holds)} holds, and nothing more could be offered"
    else:
        ends = f"{a_rate(ceiling.holds)} holds, {a_rate(ceiling.fails)} does not"
    shown = "" if ceiling.confirmed or not ceiling.holds else " (not confirmed in fresh windows)"
    return f"{ends}{shown}; {limit}."


def facts(ceiling: CeilingRecord) -> list[tuple[str, str]]:
    """Names and values beside the bracket."""
    unknown = "not measured"
    return [
        ("What has to hold", ", ".join(ceiling.promises) or "not known: it follows from the base service time"),
        ("Limiter", ceiling.limiter),
        ("Confirming windows", _confirming(ceiling)),
        ("Their p99", span(ceiling.p99_ms)),
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
    return "at once" if ceiling.recovery_seconds == 0 else a_time(ceiling.recovery_seconds)


def span(values: tuple[float, float] | None) -> str:
    """Such as ``4.10 ms to 4.32 ms``; a dash where there is none."""
    if values is None:
        return "–"
    low, high = map(milliseconds, values)
    return low if low == high else f"{low} to {high}"
