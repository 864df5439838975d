"""Sessions of the native engine: windows as those of the green one, in a Locust process whose threads are threads."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from stackproof.scenarios.deferred import engine_name
from stackproof.scenarios.orders import NULL, Order, Setup
from stackproof.scenarios.session import GeneratorError, Session, new_namespace


def session(tmp_path: Path, engine: str, variables: dict[str, str], workers: int = 1, **backends: str) -> Session:
    scenario = "ingest" if "interactions" in backends else "publish"
    setup = Setup(scenario, backends, new_namespace(), 7, engine)
    return Session(setup, variables, tmp_path, lambda _progress: None, workers=workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_native_engine_offers_windows_through_locust(tmp_path: Path, workers: int) -> None:
    with session(tmp_path, "native", {}, workers, interactions="memory") as load:
        load.connect()
        null = load.offer(Order(rate=200, seconds=1.0, target=NULL))
        offered = load.offer(Order(rate=100, seconds=1.5, warmup=0.5, in_flight=8))
    assert load.left_behind == ()
    for window, count in ((null, 200), (offered, 150)):
        assert window.complete, window.trouble
        assert window.recorder.adds_up
        assert window.recorder.offered == count
        assert window.recorder.failed == 0
    assert offered.recorder.steps["record event"].count == offered.recorder.ok
    assert offered.workers == workers
    assert offered.cpu_seconds > 0


@pytest.mark.parametrize(
    ("backends", "variables"),
    [
        ({"interactions": "cassandra"}, {"SCYLLA_CONTACT_POINTS": "127.0.0.1:1"}),
        ({"events": "kafka"}, {"KAFKA_BROKERS": "127.0.0.1:1"}),
    ],
)
def test_the_wrong_engine_is_told_at_once(tmp_path: Path, backends: dict[str, str], variables: dict[str, str]) -> None:
    load: Any = session(tmp_path, "green", variables, **backends)
    began = 0.0

    def connect() -> None:
        nonlocal began
        began = time.monotonic()
        load.connect()

    with pytest.raises(GeneratorError, match="use the native engine"), load:
        connect()
    assert time.monotonic() - began < 15.0


def test_which_engine_is_told_by_the_backends() -> None:
    assert engine_name({"events": "msk", "cache": "redis"}) == "native"
    assert engine_name({"interactions": "postgres", "cache": "redis"}) == "green"
