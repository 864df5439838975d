"""Durations as a log-linear histogram: HdrHistogram's own, fed in bulk.

Recording one value into the library's histogram costs a microsecond and a half, which a generator that offers a hundred
thousand operations a second cannot pay five times over. So values are put into a list, and a list is folded at once.

numpy and HdrHistogram come with the extra ``bench`` and are imported where they are used: records of load are read, planned
with and listed by commands that measure nothing and have no need of either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from hdrh.histogram import HdrHistogram

LONGEST = 3_600_000_000
"""Microseconds of an hour: what takes longer counts as an hour."""

TAIL_SAMPLES = 5
"""A percentile is shown only where at least this many samples lie above it: p99 from 500 samples, p99.9 from 5,000."""

FOLD = 8192
"""So many values are kept as they are before they are folded."""

CURVE = (0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99, 99.995, 99.999)


class Histogram:
    """Durations with a resolution of a microsecond and three (or fewer) significant digits. For one thread at a time."""

    __slots__ = ("_counts", "_digits", "_pending")

    def __init__(self, digits: int = 3) -> None:
        self._digits = digits
        self._pending: list[float] = []
        self._counts: HdrHistogram | None = None

    def record(self, seconds: float) -> None:
        """Add one duration; a negative one (a clock that was read in the wrong order) is an error."""
        if seconds < 0:
            raise ValueError(f"a duration cannot be negative: {seconds}")
        self._pending.append(seconds)
        if len(self._pending) >= FOLD:
            self._fold()

    def record_all(self, seconds: npt.NDArray[np.float64]) -> None:
        """Add many durations at once, in seconds."""
        if seconds.size == 0:
            return
        if seconds.min() < 0:
            raise ValueError(f"a duration cannot be negative: {seconds.min()}")
        self._add(seconds)

    def _fold(self) -> HdrHistogram:
        """Everything that was recorded, in the library's histogram."""
        if self._pending:
            import numpy as np

            pending, self._pending = self._pending, []
            self._add(np.array(pending))
        return self._cells()

    def _cells(self) -> HdrHistogram:
        """The library's histogram, without what is still pending."""
        if self._counts is None:
            from hdrh.histogram import HdrHistogram

            self._counts = HdrHistogram(1, LONGEST, self._digits)
        return self._counts

    def _add(self, seconds: npt.NDArray[np.float64]) -> None:
        import numpy as np

        counts = self._cells()
        values = np.minimum(np.rint(seconds * 1e6), LONGEST).astype(np.int64)
        cells = np.frombuffer(counts.counts, dtype=np.uint64)
        found, times = np.unique(_indices(counts, values), return_counts=True)
        cells[found] += times.astype(np.uint64)
        counts.total_count += len(values)
        counts.min_value = min(counts.min_value, int(values.min()))
        counts.max_value = max(counts.max_value, int(values.max()))

    @property
    def count(self) -> int:
        recorded = 0 if self._counts is None else int(self._counts.get_total_count())
        return recorded + len(self._pending)

    @property
    def largest(self) -> float:
        """The longest duration in seconds, 0 where there is none."""
        return float(self._fold().get_max_value()) / 1e6 if self.count else 0.0

    def percentiles(self, wanted: Sequence[float]) -> dict[float, float]:
        """Seconds at each percentile, whether or not there are samples enough for it."""
        import numpy as np

        if not self.count:
            return {}
        counts = self._fold()
        cells = np.cumsum(np.frombuffer(counts.counts, dtype=np.uint64))
        found = {}
        for percentile in sorted(set(wanted)):
            index = int(np.searchsorted(cells, counts.get_target_count_at_percentile(percentile)))
            value = counts.get_value_from_index(index)
            value = counts.get_highest_equivalent_value(value) if percentile else value
            found[percentile] = min(value / 1e6, self.largest)
        return found

    def percentile(self, wanted: float) -> float | None:
        """Seconds at one percentile; None where the sample does not support it."""
        return self.percentiles([wanted])[wanted] if supported(self.count, wanted) else None

    def curve(self) -> list[tuple[float, float]]:
        """Percentile and seconds, up to where the sample ends, and the longest as 100."""
        if not self.count:
            return []
        within = [percentile for percentile in CURVE if supported(self.count, percentile)]
        return [*self.percentiles(within).items(), (100.0, self.largest)]

    def buckets(self) -> list[tuple[float, int]]:
        """Seconds (the upper end of each bucket that holds something) and how many durations it holds."""
        import numpy as np

        counts = self._fold()
        cells = np.frombuffer(counts.counts, dtype=np.uint64)
        return [
            (counts.get_highest_equivalent_value(counts.get_value_from_index(int(index))) / 1e6, int(cells[index]))
            for index in np.flatnonzero(cells)
        ]

    def add(self, other: Histogram) -> None:
        """Merge: the only right way to put percentiles of several windows or workers together."""
        if other.count:
            self._fold().add(other._fold())

    def encoded(self) -> str:
        """As text, in HdrHistogram's own exchange format (V2, compressed, base64)."""
        return str(self._fold().encode().decode("ascii"))

    @classmethod
    def decoded(cls, text: str, digits: int = 3) -> Self:
        histogram = cls(digits)
        histogram._fold().decode_and_add(text)
        return histogram


def _indices(counts: Any, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The cell of each value, as the library computes it for one (its unit is 1)."""
    import numpy as np

    _, exponents = np.frexp((values | counts.sub_bucket_mask).astype(np.float64))
    bucket = exponents.astype(np.int64) - (counts.sub_bucket_half_count_magnitude + 1)
    within = values >> bucket
    cells: npt.NDArray[np.int64] = (
        ((bucket + 1) << counts.sub_bucket_half_count_magnitude) + within - counts.sub_bucket_half_count
    )
    return cells


def supported(samples: int, percentile: float) -> bool:
    """Whether a sample of this size says anything about a percentile."""
    return samples > 0 and round(samples * (100.0 - percentile) / 100.0, 6) >= TAIL_SAMPLES
