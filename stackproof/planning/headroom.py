"""Head-room: how many times what is claimed was measured, as an interval, and which of several dimensions binds first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Headroom:
    """The ratio of what was measured to what is claimed, in one dimension."""

    dimension: str
    """Such as ``throughput of decision`` or ``storage``."""
    low: float
    high: float | None
    """None: nothing is known upwards."""
    basis: str = ""
    """What it rests on: a run, or a model."""

    def __post_init__(self) -> None:
        if not 0 <= self.low < float("inf") or (self.high is not None and not self.low <= self.high < float("inf")):
            raise ValueError(f"[{self.low}, {self.high}] is no interval of ratios")

    @property
    def text(self) -> str:
        """Such as ``3,560 to 3,740 times``."""
        if self.high is None:
            return f"at least {factor(self.low)} times"
        low, high = factor(self.low), factor(self.high)
        return f"{low} times" if low == high else f"{low} to {high} times"


def factor(ratio: float) -> str:
    """Such as ``3,560``, ``2.1`` or ``0.45``: two digits below 10, and as many more as keep it from reading as 1."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}" if ratio >= 10 else _beside_one(ratio)


def taken(ratio: float) -> str:
    """What is taken of a whole: ``3.9 % of``, ``less than 0.01 % of``, or ``1.6 times`` where it is more than the whole."""
    if ratio > 1:
        return f"{factor(ratio)} times"
    if ratio == 0:
        return "nothing of"
    if ratio < 0.0001:
        return "less than 0.01 % of"
    return f"{float(_beside_one(ratio)) * 100:.9g} % of"


def _beside_one(ratio: float) -> str:
    """In two digits; in more where it would read as 1 and is not: what decides is on which side of 1 it lies."""
    digits = 2
    while ratio != 1 and float(f"{ratio:.{digits}g}") == 1 and digits < 9:
        digits += 1
    return f"{ratio:.{digits}g}"


def least(rooms: Sequence[Headroom]) -> tuple[Headroom, ...]:
    """The dimensions that may have the least head-room: one where the intervals tell, several where they do not."""
    ends = [room.high for room in rooms if room.high is not None]
    # One that is only bounded from below may be anywhere above its bound.
    return tuple(room for room in rooms if not ends or room.low <= min(ends))


def together(rooms: Iterable[Headroom], dimension: str) -> Headroom | None:
    """Of parts that are all needed: the least of each end. None for none."""
    known = list(rooms)
    if not known:
        return None
    highs = [room.high for room in known if room.high is not None]
    basis = ", ".join(dict.fromkeys(room.basis for room in known if room.basis))
    return Headroom(dimension, min(room.low for room in known), min(highs, default=None), basis)


def rounded(most: int, least: int) -> str:
    """About how many decisions a day, in three digits, rounded down; exact where that would be less than is asked for now."""
    unit = 10 ** max(0, len(str(most)) - 3)
    about = most // unit * unit
    return f"{about if about >= least else most:,}"
