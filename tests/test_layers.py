"""What an operation costs, layer by layer: how it is measured, and that the program runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from shared_servers import postgres_server, redis_server

from stackproof.benchmarks.layers import Found, deferred, measure, table


def test_each_layer_has_its_own_cost_in_every_round_and_the_first_one_warms_up() -> None:
    clock = [0.0]
    order: list[str] = []

    def layer(name: str, costs: list[float]) -> Callable[[float], int]:
        left = iter(costs)

        def run(_seconds: float) -> int:
            order.append(name)
            clock[0] += next(left)
            return 1_000

        return run

    layers = {"a": layer("a", [9.0, 0.010, 0.030, 0.020]), "b": layer("b", [9.0, 0.002, 0.002, 0.002])}
    found = measure(layers, rounds=3, seconds=0.0, cpu=lambda: clock[0])
    assert found["a"].costs == pytest.approx((10.0, 30.0, 20.0))  # us: 10 ms for a thousand
    assert found["a"].median == pytest.approx(20.0)
    assert found["b"].costs == pytest.approx((2.0, 2.0, 2.0))
    assert [sorted(order[turn : turn + 2]) for turn in range(0, 8, 2)] == [["a", "b"]] * 4  # in turns


def test_deferred_operations_are_all_awaited_and_a_failure_is_told() -> None:
    with ThreadPoolExecutor(4) as threads:
        began: list[int] = []
        ended: list[int] = []

        def work(number: int, end: Callable[[object], None]) -> None:
            time.sleep(0.001)
            ended.append(number)
            end(None)

        def begin(number: int, end: Callable[[object], None]) -> None:
            began.append(number)
            assert len(began) - len(ended) <= 4
            threads.submit(work, number, end)

        count = deferred(begin, 4)(0.1)
        assert sorted(ended) == began == list(range(count))  # none is left when it returns
    with pytest.raises(RuntimeError, match="the disk is full"):
        deferred(lambda number, ended: ended(OSError("the disk is full")), 4)(1.0)


def test_the_table_names_each_layer() -> None:
    shown = table("cache=redis", {"driver": Found((10.0, 12.0), 1_000.0), "together": Found((30.0, 40.0), 500.0)})
    assert "the driver alone" in shown
    assert "35.0  [30.0 to 40.0]" in shown


@pytest.mark.parametrize("backend", ["cache=redis", "interactions=postgres"])
def test_the_program_takes_a_backend_apart(backend: str) -> None:
    variables = {**os.environ, **redis_server().variables(), **postgres_server().variables()}
    done = subprocess.run(
        [sys.executable, "-m", "stackproof.benchmarks.layers", backend, "--rounds", "1", "--seconds", "0.1"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=variables,
    )
    assert done.returncode == 0, done.stderr
    for layer in ("the driver alone", "the adapter", "the generator", "generator, adapter and driver"):
        assert layer in done.stdout
