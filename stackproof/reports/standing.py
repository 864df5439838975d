"""What a measurement shows as a whole, in the terminal, on its page and in an index. Pure.

May it be used, is there an answer, and was kept what was promised.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stackproof.measurement.record import Measurement


class Standing(StrEnum):
    """What a run says as a whole, and all of them together: levels, never a share."""

    HOLDS = "HOLDS"
    BROKEN = "BROKEN"
    UNKNOWN = "INCONCLUSIVE"
    PARTIAL = "PARTIAL"


TONE = {
    Standing.HOLDS: "PASS",
    Standing.BROKEN: "FAIL",
    Standing.UNKNOWN: "INCONCLUSIVE",
    Standing.PARTIAL: "SKIPPED",
}
"""The verdict of a clause that each is coloured like."""
MARK = {Standing.HOLDS: "✓", Standing.BROKEN: "✗", Standing.UNKNOWN: "?", Standing.PARTIAL: "◐"}


@dataclass(frozen=True, slots=True)
class Shown:
    """The answer of a measurement."""

    standing: Standing
    word: str
    meaning: str
    """What the word says, in a sentence."""


def calibrated(result: Measurement) -> bool:
    """Whether the generator of each of its sessions was checked against a server whose service time is known."""
    return result.calibration["stub"] is not None


def standing_of(result: Measurement) -> Shown:
    """First whether the figures may be used, then whether there is an answer, then whether what was promised was kept."""
    if result.level == "INVALID":
        meaning = (
            "These figures must not be used: something other than the backends decided them, or answers were wrong."
        )
        return Shown(Standing.UNKNOWN, "INVALID", meaning)
    if result.level == "PARTIAL":
        meaning = "The run was cut short: the figures cover only a part of what was planned."
        # Cut short and invalid as well: what there is proves nothing.
        return Shown(Standing.UNKNOWN if result.invalid else Standing.PARTIAL, "PARTIAL", meaning)
    if result.ceiling is not None and result.ceiling.limiter == "not-converged":
        meaning = "The load was offered as planned, but the search did not converge: it has no answer."
        return Shown(Standing.UNKNOWN, "NO ANSWER", meaning)
    if result.ceiling is not None and not result.ceiling.confirmed:
        meaning = "The load was offered as planned, but the search has no answer that fresh windows confirmed."
        return Shown(Standing.UNKNOWN, "NO ANSWER", meaning)
    if result.client_limited:
        meaning = "The generator was the limit: the figures are about it, and say little about the backends."
        return Shown(Standing.UNKNOWN, "CLIENT LIMITED", meaning)
    kept = {promise.verdict for promise in result.slo}
    if "missed" in kept:
        return Shown(Standing.BROKEN, "MISSED", "The load was offered as planned, and a promise was not kept.")
    if "unknown" in kept:
        meaning = "The load was offered as planned, but whether a promise was kept is not known."
        return Shown(Standing.UNKNOWN, "NOT KNOWN", meaning)
    if result.fails:
        failed, offered = result.counts["failed"], result.counts["offered"]
        meaning = f"The load was offered as planned, but {failed:,} of {offered:,} operations failed."
        return Shown(Standing.BROKEN, "FAILURES", meaning)
    if not calibrated(result):
        meaning = (
            "The load was offered as planned, by a generator that was not checked: the figures are not to be published."
        )
        return Shown(Standing.UNKNOWN, "NOT CALIBRATED", meaning)
    return Shown(
        Standing.HOLDS, "VALID", "The load was offered as planned, and every answer that was checked was right."
    )
