"""One line of the tax table: what an operation costs, its driver alone, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from .measuring import Blocks, Ratio, ratio_of

LIMIT = 1.05
"""The tax that an adapter may ask for."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one call, each the median over the blocks, and the ratio of both with its interval of 95 %."""

    adapter: float
    raw: float
    ratio: float
    low: float
    high: float

    def judged(self, limit: float) -> str:
        """ "within" or "above" the limit where the whole interval is, else "cannot tell"."""
        if self.high <= limit:
            return "within"
        return "above" if self.low > limit else "cannot tell"


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that one call needed at most beyond what stood before it."""

    adapter: float
    raw: float


@dataclass(frozen=True, slots=True)
class Row:
    """The tax of one operation."""

    backend: str
    operation: str
    driver: str
    calls: int
    """In each block."""
    blocks: int
    time: Cost
    cpu: Cost
    bytes: Memory

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Row:
        """From what a run has kept. KeyError or TypeError for anything else."""
        plain = {name: found[name] for name in ("backend", "operation", "driver", "calls", "blocks")}
        return cls(**plain, time=Cost(**found["time"]), cpu=Cost(**found["cpu"]), bytes=Memory(**found["bytes"]))


def row_of(backend: str, operation: str, driver: str, blocks: Blocks, memory: tuple[float, float], seed: int) -> Row:
    """The row of measured blocks."""
    return Row(
        backend=backend,
        operation=operation,
        driver=driver,
        calls=blocks.calls,
        blocks=len(blocks.adapter),
        time=_cost([spent.wall for spent in blocks.adapter], [spent.wall for spent in blocks.raw], seed),
        cpu=_cost([spent.cpu for spent in blocks.adapter], [spent.cpu for spent in blocks.raw], seed),
        bytes=Memory(*memory),
    )


def _cost(adapter: list[float], raw: list[float], seed: int) -> Cost:
    ratio: Ratio = ratio_of(adapter, raw, seed=seed)
    return Cost(median(adapter), median(raw), ratio.value, ratio.low, ratio.high)


def markdown(rows: list[Row], limit: float = LIMIT) -> str:
    """A table for a page. What is surely above the limit is bold."""
    head = "| backend | operation | time, µs | driver | ratio | CPU, µs | driver | ratio | bytes | driver |"
    lines = [head, "| --- | --- |" + " ---: |" * 8]
    for row in rows:
        memory = f"{row.bytes.adapter:,.0f} | {row.bytes.raw:,.0f}"
        lines.append(
            f"| {row.backend} | {row.operation} | {_shown(row.time, limit)} | {_shown(row.cpu, limit)} | {memory} |"
        )
    return "\n".join(lines) + "\n"


def _shown(cost: Cost, limit: float) -> str:
    mark = "**" if cost.judged(limit) == "above" else ""
    ratio = f"{mark}{cost.ratio:.2f}{mark} [{cost.low:.2f}, {cost.high:.2f}]"
    return f"{_micro(cost.adapter)} | {_micro(cost.raw)} | {ratio}"


def _micro(seconds: float) -> str:
    micro = seconds * 1e6
    return f"{micro:,.0f}" if micro >= 100 else f"{micro:.1f}" if micro >= 10 else f"{micro:.2f}"
