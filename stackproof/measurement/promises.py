"""Latency promises such as p99=20ms, and whether a run kept them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from stackproof.interfaces import ConfigurationError
from stackproof.scenarios.recorder import Recorder

from .figures import unanswered_percentile

_UNITS = (("ms", 1.0), ("s", 1000.0))


@dataclass(frozen=True, slots=True)
class Promise:
    """A latency promise such as p99=20ms."""

    percentile: float
    limit_ms: float

    @classmethod
    def parse(cls, text: str) -> Promise:
        """From ``p99=20ms`` or ``p99.9=0.5s``; a `ConfigurationError` for anything else."""
        name, equals, value = text.strip().lower().partition("=")
        unit, factor = next((each for each in _UNITS if value.endswith(each[0])), ("", math.nan))
        try:
            percentile, limit = float(name.removeprefix("p")), float(value.removesuffix(unit)) * factor
        except ValueError:
            percentile, limit = 50.0, math.nan
        if not (equals and name.startswith("p") and 0 < percentile < 100 and 0 < limit < math.inf):
            below = "; a percentile lies above 0 and below 100" if not 0 < percentile < 100 else ""
            raise ConfigurationError(f"--slo {text!r} must look like p99=20ms{below}")
        return cls(percentile, limit)

    @property
    def name(self) -> str:
        return f"p{self.percentile:g} within {self.limit_ms:g} ms"

    @property
    def text(self) -> str:
        """As it is typed."""
        return f"p{self.percentile:g}={self.limit_ms:g}ms"


@dataclass(frozen=True, slots=True)
class PromiseResult:
    """Whether a promise was kept, from the intended start, every decision counted."""

    percentile: float
    limit_ms: float
    seen_ms: float | None
    """None where that share of decisions was never answered, or the sample is too small."""
    verdict: str
    """held, missed, or unknown where the sample is too small."""


def tightest_seconds(promises: Iterable[Promise]) -> float | None:
    """Seconds after which an answer is late: the tightest promise; None where nothing is promised."""
    return min((promise.limit_ms / 1000 for promise in promises), default=None)


def judged(promise: Promise, recorder: Recorder) -> PromiseResult:
    seen = unanswered_percentile(recorder, promise.percentile)
    verdict = "unknown" if seen is None else "held" if seen <= promise.limit_ms else "missed"
    return PromiseResult(
        promise.percentile, promise.limit_ms, seen if seen is not None and seen < math.inf else None, verdict
    )
