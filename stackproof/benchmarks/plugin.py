"""The plug-in of the suite: which backends, how deep, and percentiles in the JSON of pytest-benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from stackproof.adapters.settings import Settings

from .measuring import percentile
from .pairs import Pair, Twins
from .twins import TWINS, twins_of

EXTRA = "tax"
"""Under this name a benchmark's ``extra_info`` holds its row."""
_PERCENTS = {"p50": (50.0, 1), "p90": (90.0, 100), "p99": (99.0, 1_000), "p99.9": (99.9, 10_000)}
"""Percentile -> how many calls it needs: ten of them lie beyond it."""
_LEAST_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Depth:
    """How much is done."""

    blocks: int
    seed: int
    traced: int
    calls: int
    seconds: float

    def rounds(self, per_call: float) -> int:
        """Single calls whose latency is taken: as many as asked for, or as fit into the time."""
        return max(min(_LEAST_ROUNDS, self.calls), min(self.calls, int(self.seconds / max(per_call, 1e-9))))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("stackproof", "adapter tax")
    group.addoption("--tax-backend", action="append", default=[], metavar="CONCERN=NAME", help="May be repeated; all.")
    group.addoption("--tax-namespace", default="tax", help="Where on a server everything is put.")
    group.addoption("--tax-blocks", type=int, default=30, help="Blocks of calls of each way.")
    group.addoption("--tax-traced", type=int, default=30, help="Calls whose memory is traced.")
    group.addoption("--tax-calls", type=int, default=1_000, help="Single calls whose latency is taken, at most.")
    group.addoption("--tax-seconds", type=float, default=2.0, help="How long these may take.")
    group.addoption("--tax-seed", type=int, default=7, help="Of the order of blocks, and of the resampling.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "tax_of" not in metafunc.fixturenames:
        return
    wanted = metafunc.config.getoption("--tax-backend") or list(TWINS)
    asked = [(name, each, twins_of(name).driver) for name in wanted for each in twins_of(name).operations()]
    metafunc.parametrize("tax_of", asked, ids=[f"{name}: {each}" for name, each, _ in asked])


@pytest.fixture(scope="session")
def depth(request: pytest.FixtureRequest) -> Depth:
    option = request.config.getoption
    return Depth(
        option("--tax-blocks"),
        option("--tax-seed"),
        option("--tax-traced"),
        option("--tax-calls"),
        option("--tax-seconds"),
    )


class Workshop:
    """The twins that are open: one backend at a time, since each has connections and threads of its own."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._open: Twins | None = None

    def twins(self, backend: str) -> Twins:
        if self._open is None or self._open.backend != backend:
            self.close()
            made = twins_of(backend)(Settings.from_environment(), self._namespace)
            self._open = made.__enter__()
        return self._open

    def close(self) -> None:
        closing, self._open = self._open, None
        if closing is not None:
            closing.close()


@pytest.fixture(scope="session")
def workshop(request: pytest.FixtureRequest) -> Iterator[Workshop]:
    made = Workshop(request.config.getoption("--tax-namespace"))
    yield made
    made.close()


@pytest.fixture
def pair(workshop: Workshop, tax_of: tuple[str, str, str]) -> Pair:
    backend, operation, _ = tax_of
    return workshop.twins(backend).pair(operation)


def percentiles_of(ordered: Sequence[float]) -> dict[str, float]:
    """The percentiles, in seconds, that so many calls support."""
    return {name: percentile(ordered, percent) for name, (percent, least) in _PERCENTS.items() if len(ordered) >= least}


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(benchmarks: Sequence[Any], output_json: Mapping[str, Any]) -> None:
    """Add percentiles to the statistics of each benchmark: pytest-benchmark itself has quartiles only."""
    for measured, written in zip(benchmarks, output_json["benchmarks"], strict=True):
        written["stats"]["percentiles"] = percentiles_of(measured.stats.sorted_data)
