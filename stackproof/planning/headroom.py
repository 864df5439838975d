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
    """Such as ``3,560`` or ``0.45``."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


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
