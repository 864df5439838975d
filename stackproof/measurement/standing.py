"""What a measurement shows as a whole: the word that heads it in the terminal, on its page, in an index and in its record. Pure.

May it be used, is there an answer, and was kept what was promised.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .record import Measurement


class Standing(StrEnum):
    """What a run says as a whole, and all of them together: levels, never a share."""

    HOLDS = "HOLDS"
    BROKEN = "BROKEN"
    UNKNOWN = "INCONCLUSIVE"
    PARTIAL = "PARTIAL"


@dataclass(frozen=True, slots=True)
class Shown:
    """The answer of a measurement."""

    standing: Standing
    word: str
    meaning: str
    """What the word says, in a sentence."""


WIDE = "WIDE"
NOT_CHECKED = "Its generator was not checked against a server of known speed: the figures are not to be published."


def standing_of(result: Measurement) -> Shown:
    """First whether the figures may be used, then whether there is an answer, then whether what was promised was kept; and
    beside each of them that nobody checked the generator, which is no plain VALID."""
    shown = _standing_of(result)
    if result.checked:
        return shown
    if shown.standing is Standing.HOLDS or shown.word == WIDE:
        return Shown(Standing.UNKNOWN, "UNCHECKED", f"The load was offered as planned. {NOT_CHECKED}")
    return Shown(shown.standing, shown.word, f"{shown.meaning} {NOT_CHECKED}")


def _standing_of(result: Measurement) -> Shown:
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
        meaning = "The load was offered as planned, but whether a promise was kept cannot be told."
        return Shown(Standing.UNKNOWN, "NOT KNOWN", meaning)
    if result.ceiling is not None and result.ceiling.wide:
        meaning = "The load was offered as planned, and the bracket is wider than 15 %: windows disagreed."
        return Shown(Standing.PARTIAL, WIDE, meaning)
    if result.fails:
        failed, of = result.counts["failed"], result.counts["offered"]
        meaning = f"The load was offered as planned, but {failed:,} of {of:,} operations failed."
        return Shown(Standing.BROKEN, "FAILURES", meaning)
    return Shown(
        Standing.HOLDS, "VALID", "The load was offered as planned, and every answer that was checked was right."
    )
