"""How what a measurement shows as a whole is marked and coloured. Pure."""

from __future__ import annotations

from stackproof.measurement.standing import Standing

TONE = {
    Standing.HOLDS: "PASS",
    Standing.BROKEN: "FAIL",
    Standing.UNKNOWN: "INCONCLUSIVE",
    Standing.PARTIAL: "SKIPPED",
}
"""The verdict of a clause that each is coloured like."""
MARK = {Standing.HOLDS: "✓", Standing.BROKEN: "✗", Standing.UNKNOWN: "?", Standing.PARTIAL: "◐"}
