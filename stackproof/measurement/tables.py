"""A run as tidy tables, for whoever analyses it elsewhere: one row a second, and one row a window. Pure.

The unit of a number is in the name of its column: ``_ms``, ``_s``, ``_us``, ``_per_s``, ``_share``; counts have none. A value
that is missing (a percentile that the sample is too small for) is None. Whole distributions are not in a table: `docs/runs.md`
says how to read and merge the histograms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stackproof.scenarios.orders import CLOSED

from .figures import Figures
from .record import Measurement, WindowRecord

TEXT, WHOLE, REAL, TRUTH = "text", "whole", "real", "truth"
"""Kinds of columns."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one shape."""

    name: str
    columns: Mapping[str, str]
    """Name -> kind."""
    rows: tuple[tuple[Any, ...], ...]
    """Values in the order of the columns."""

    def records(self) -> list[dict[str, Any]]:
        """Each row as a mapping."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


_OUTCOMES = ("offered", "ok", "late", "skipped", "dropped", "failed")
_OF_SECOND: Mapping[str, str] = {
    "run": TEXT,
    "window": WHOLE,
    "role": TEXT,
    "second": WHOLE,
    **dict.fromkeys(_OUTCOMES, WHOLE),
    "latency_p50_ms": REAL,
    "latency_p99_ms": REAL,
    "latency_max_ms": REAL,
}
_PERCENTILES = {"p50": "p50", "p90": "p90", "p99": "p99", "p99_9": "p99_9", "largest": "max"}
_LATENCIES = {"intended": "latency", "counted": "latency_of_all_offered", "real": "service", "lag": "send_lag"}
"""Kind of duration in the record -> the beginning of its columns."""
_OF_WINDOW: Mapping[str, str] = {
    "run": TEXT,
    "window": WHOLE,
    "role": TEXT,
    "scenario": TEXT,
    "target": TEXT,
    "rate_per_s": REAL,
    "arrivals": TEXT,
    "duration_s": REAL,
    "warmup_s": REAL,
    "elapsed_s": REAL,
    "in_flight": WHOLE,
    "most_in_flight": WHOLE,
    "workers": WHOLE,
    "seed": WHOLE,
    **dict.fromkeys(_OUTCOMES, WHOLE),
    "sent_late": WHOLE,
    "offered_per_s": REAL,
    "achieved_per_s": REAL,
    **{f"{of}_{at}_ms": REAL for of in _LATENCIES.values() for at in _PERCENTILES.values()},
    "client_cpu_s": REAL,
    "client_cpu_share": REAL,
    "client_cpu_us_per_operation": REAL,
    "complete": TRUTH,
    "valid": TRUTH,
    "limiter": TEXT,
}


def seconds_table(run: Measurement) -> Table:
    """A row for each second of each window, by the intended start of what was due in it; seconds begin at 0 in each window."""
    rows = tuple(
        (
            run.id, number, window.role, row["second"], *(row[name] for name in _OUTCOMES),
            row["p50"], row["p99"], row["largest"],
        )
        for number, window in enumerate(run.windows)
        for row in window.series
    )  # fmt: skip
    return Table("seconds", _OF_SECOND, rows)


def windows_table(run: Measurement) -> Table:
    """A row for each window that was offered, also for those that prepared or explain the measured ones."""
    rows = tuple(_window(run, number, window) for number, window in enumerate(run.windows))
    return Table("windows", _OF_WINDOW, rows)


TABLES: Mapping[str, Callable[[Measurement], Table]] = {"seconds": seconds_table, "windows": windows_table}
"""Name -> what makes it of a run."""


def _window(run: Measurement, number: int, window: WindowRecord) -> tuple[Any, ...]:
    order, counts, rates, client = window.order, window.counts, window.rates, window.client
    open_loop = order["arrivals"] != CLOSED
    return (
        run.id, number, window.role, run.scenario["name"], order["target"],
        order["rate"] if open_loop else None, order["arrivals"], order["seconds"], order["warmup"], window.elapsed,
        order["in_flight"], window.most_in_flight, window.workers, order["seed"],
        *(counts[name] for name in _OUTCOMES), counts["sent_late"],
        rates["offered"], rates["achieved"],
        *(value for name in _LATENCIES for value in _percentiles(window.latency[name])),
        client["cpu_seconds"], client["cpu_share"], client["cpu_us_per_operation"],
        window.complete, window.valid, window.limiter,
    )  # fmt: skip


def _percentiles(figures: Figures) -> list[float | None]:
    return [getattr(figures, name) for name in _PERCENTILES]
