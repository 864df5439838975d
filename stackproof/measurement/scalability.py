"""The Universal Scalability Law (Gunther 1993) on a closed-loop sweep: what contention and coherency cost. Pure.

X(N) = λN / (1 + σ(N - 1) + κN(N - 1)): throughput X at N operations in flight, λ what one alone reaches, σ the share that is
done one after the other, κ the cost of keeping all in step, which is what makes throughput fall beyond its peak.

A curve with three parameters goes through nearly anything. So what is no fit is refused with a sentence, and so is a question far
beyond what was measured.

numpy and scipy come with the extra ``bench`` and are imported by a fit: a record of a sweep is read without them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    _Array: TypeAlias = NDArray[np.float64]

LEAST_LEVELS = 6
"""Different concurrencies that a fit needs: twice as many as it has parameters."""
LEAST_R2 = 0.90
"""Below this share of explained variance, the points do not follow the law."""
FARTHEST = 2.0
"""Predictions end at this many times the highest concurrency that was measured."""
STANDARD_ERRORS = 2.0
"""A coefficient that is negative by at most this many standard errors is 0 and noise; by more, the law does not hold."""


@dataclass(frozen=True, slots=True)
class Point:
    """One step of the sweep."""

    concurrency: float
    """Operations in flight, at least 1."""
    throughput: float
    """Operations that ended well, 1/s."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no answer."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Fit:
    """The law, fitted to a sweep."""

    rate: float
    """λ: throughput with one in flight, 1/s."""
    contention: float
    """σ, 0 to 1."""
    coherency: float
    """κ, 0 or more."""
    r2: float
    """Share of the variance of throughput that the law explains."""
    last: float
    """The highest concurrency that was measured."""

    @property
    def peak(self) -> float:
        """The concurrency of the highest throughput; infinity where throughput never falls."""
        return math.sqrt((1 - self.contention) / self.coherency) if self.coherency else math.inf

    @property
    def sentence(self) -> str:
        """What the fit says, for people."""
        found = f"Contention {self.contention:.2%}, coherency {self.coherency:.4%}, R2 {self.r2:.3f}"
        if self.peak > FARTHEST * self.last:
            return f"{found}; no peak within {FARTHEST:g} times the highest concurrency measured ({self.last:g})."
        measured = "measured" if self.peak <= self.last else "not measured, but predicted"
        return (
            f"{found}; throughput peaks at {self.peak:.0f} in flight ({measured}), with {self._at(self.peak):,.0f}/s."
        )

    def throughput(self, concurrency: float) -> float | Refused:
        """1/s at a concurrency of 1 or more; refused beyond `FARTHEST` times what was measured."""
        if not 1 <= concurrency <= FARTHEST * self.last:
            return Refused(
                f"{concurrency:g} in flight is not within 1 and {FARTHEST * self.last:g}, which is {FARTHEST:g} times the "
                "highest concurrency measured: what limits there was not seen."
            )
        return self._at(concurrency)

    def _at(self, concurrency: float) -> float:
        more = concurrency - 1
        return self.rate * concurrency / (1 + self.contention * more + self.coherency * concurrency * more)


def fit(points: Sequence[Point]) -> Fit | Refused:
    """The law that explains a sweep, by least squares of the relative error; or why none does."""
    if any(not (1 <= point.concurrency < math.inf and 0 < point.throughput < math.inf) for point in points):
        return Refused("Every point needs at least 1 in flight and a throughput above 0.")
    levels = len({point.concurrency for point in points})
    if levels < LEAST_LEVELS:
        return Refused(f"{levels} different concurrencies are too few for a fit; it takes {LEAST_LEVELS}.")
    import numpy as np
    from scipy import optimize

    n = np.array([point.concurrency for point in points], dtype=np.float64)
    x = np.array([point.throughput for point in points], dtype=np.float64)
    # N/X is linear in 1/λ, σ/λ and κ/λ; each row is divided by its N/X, so that errors are shares of the throughput.
    rows = np.stack([np.ones_like(n), n - 1, n * (n - 1)], axis=1) * (x / n)[:, None]
    free, errors = _least_squares(rows)
    if free[0] <= 0:
        return Refused("The fit gives no throughput for one in flight: the points do not follow the law.")
    for name, value, error in zip(("contention", "coherency"), free[1:], errors[1:], strict=True):
        if value < -STANDARD_ERRORS * error - 1e-9 * free[0]:
            return Refused(
                f"The {name} would be negative ({value / free[0]:.2g}): throughput grows faster than the law allows, so "
                "something else changed along the sweep (a warm-up, a cache, a batch)."
            )
    found, _ = optimize.nnls(
        rows, np.ones(len(n))
    )  # what is negative by chance becomes 0, and the rest is fitted again
    if found[0] <= 0:
        return Refused("The fit gives no throughput for one in flight: the points do not follow the law.")
    rate, contention, coherency = 1 / found[0], found[1] / found[0], found[2] / found[0]
    if contention > 1:
        return Refused(
            f"The contention would be {contention:.2f}, more than all of the work: the points do not follow the law."
        )
    return _checked(Fit(float(rate), float(contention), float(coherency), _r2(n, x, found), float(n.max())))


def _checked(found: Fit) -> Fit | Refused:
    if not found.r2 >= LEAST_R2:
        return Refused(
            f"The law explains only {max(0.0, found.r2):.0%} of the variance (R2), less than {LEAST_R2:.0%}."
        )
    return found


def _least_squares(rows: _Array) -> tuple[_Array, _Array]:
    """Coefficients without a bound, and their standard errors."""
    import numpy as np

    ones = np.ones(len(rows))
    found = np.linalg.lstsq(rows, ones, rcond=None)[0]
    rest = ones - rows @ found
    variance = float(rest @ rest) / max(1, len(rows) - rows.shape[1])
    errors = np.sqrt(np.maximum(0.0, variance * np.diag(np.linalg.pinv(rows.T @ rows))))
    return np.asarray(found, dtype=np.float64), np.asarray(errors, dtype=np.float64)


def _r2(n: _Array, x: _Array, found: _Array) -> float:
    predicted = n / (found[0] + found[1] * (n - 1) + found[2] * n * (n - 1))
    spread = float(((x - x.mean()) ** 2).sum())
    return 1 - float(((x - predicted) ** 2).sum()) / spread if spread > 0 else 0.0
