"""Pairs of runs whose difference is known, with the noise that real machines make; each from its seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from stackproof.measurement.compared import Run, Window

OPERATIONS, SECONDS, RATE = 2000, 10, 200.0


@dataclass(frozen=True, slots=True)
class Noise:
    """What moves a window, as standard deviations of the logarithm; nearly the coefficient of variation."""

    name: str
    drift: float
    """Slow: a first-order process over successive windows. Both windows of a pair see nearly the same of it."""
    persistence: float
    """How much of the drift is left one window later."""
    own: float
    """Of each window alone."""
    outliers: float = 0.03
    """Share of windows in which something else happened: up to 60 % slower."""


PAIRED = (
    Noise("quiet", drift=0.01, persistence=0.9, own=0.01),
    Noise("usual", drift=0.04, persistence=0.9, own=0.03),
    Noise("drifting, CV 10 %", drift=0.09, persistence=0.95, own=0.04),
    Noise("fast drift, CV 10 %", drift=0.075, persistence=0.7, own=0.045),
    Noise("no common part, CV 10 %", drift=0.0, persistence=0.0, own=0.08),
)
UNPAIRED = (
    Noise("quiet", drift=0.0, persistence=0.0, own=0.02),
    Noise("usual", drift=0.02, persistence=0.8, own=0.03),
    Noise("drifting, CV 10 %", drift=0.09, persistence=0.9, own=0.04),
    Noise("no drift, CV 10 %", drift=0.0, persistence=0.0, own=0.08),
)


def two_runs(seed: int, noise: Noise, *, slower: float = 1.0, pairs: int, paired: bool = True) -> tuple[Run, Run]:
    """Two runs of so many windows; in the second, every operation takes ``slower`` times as long."""
    rng = np.random.default_rng(seed)
    first = _order(rng, pairs, paired)
    level = _levels(rng, noise, 2 * pairs) + np.where(first, 0.0, np.log(slower))
    latencies = _latencies(rng, level)
    p50, p99 = np.percentile(latencies, [50, 99], axis=1)
    cpu = 50 * np.exp(0.2 * (level - np.where(first, 0.0, np.log(slower))) + rng.normal(0, 0.01, 2 * pairs))
    achieved = RATE * (1 - np.abs(rng.normal(0, 1e-4, 2 * pairs)))
    windows = [
        Window(
            {"p50": float(p50[at]), "p99": float(p99[at]), "cpu": float(cpu[at]), "achieved": float(achieved[at])},
            offered=RATE,
            pair=str(at // 2) if paired else "",
            started=at * (SECONDS + 2.0),
        )
        for at in range(2 * pairs)
    ]
    run = Run("a", {"cores": "2"}, {"scenario": "cache-hot", "rate": "200"}, {"cache=redis": "redis 8"}, (), seed="7")
    return (
        replace(run, windows=tuple(window for window, is_first in zip(windows, first, strict=True) if is_first)),
        replace(
            run, id="b", windows=tuple(window for window, is_first in zip(windows, first, strict=True) if not is_first)
        ),
    )


def corpus(
    count: int, noises: tuple[Noise, ...], *, slower: float, pairs: int, paired: bool = True
) -> Iterator[tuple[Noise, Run, Run]]:
    """So many pairs of runs, every noise as often as the others."""
    for seed in range(count):
        noise = noises[seed % len(noises)]
        yield noise, *two_runs(seed, noise, slower=slower, pairs=pairs, paired=paired)


def _order(rng: np.random.Generator, pairs: int, paired: bool) -> np.ndarray:
    """For each window in order of time, whether it is one of the first run."""
    if not paired:
        return np.arange(2 * pairs) < pairs
    leads = rng.random(pairs) < 0.5
    return np.stack([leads, ~leads], axis=1).ravel()


def _levels(rng: np.random.Generator, noise: Noise, count: int) -> np.ndarray:
    drift = np.empty(count)
    state = rng.normal(0, 1)
    for at in range(count):
        drift[at] = noise.drift * state
        state = noise.persistence * state + rng.normal(0, np.sqrt(1 - noise.persistence**2))
    outliers = np.where(rng.random(count) < noise.outliers, np.log1p(0.6 * rng.random(count)), 0.0)
    return drift + rng.normal(0, noise.own, count) + outliers


def _latencies(rng: np.random.Generator, level: np.ndarray) -> np.ndarray:
    """Log-normal latencies in ms, one row a window; neighbouring seconds of a window are alike."""
    count = len(level)
    seconds = np.empty((count, SECONDS))
    seconds[:, 0] = rng.normal(0, 1, count)
    for at in range(1, SECONDS):
        seconds[:, at] = 0.7 * seconds[:, at - 1] + rng.normal(0, np.sqrt(1 - 0.7**2), count)
    sigma = rng.uniform(0.3, 0.9)
    spread = rng.normal(0, sigma, (count, SECONDS, OPERATIONS // SECONDS))
    return (rng.uniform(0.3, 5.0) * np.exp(level[:, None, None] + 0.03 * seconds[:, :, None] + spread)).reshape(
        count, OPERATIONS
    )
