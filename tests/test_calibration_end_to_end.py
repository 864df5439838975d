"""The real generator against servers whose service time and stall are known: a stub, and a Redis behind the fault proxy.

A machine that is busy with other things can make any latency. So what the machine did is looked at, too: the stub tells its own
lateness, gaps tell when the generator had no processor, and the kernel tells how long somebody waited for one. Where these
show that the machine was starved, in every attempt, nothing is known and the test is skipped. It never passes for that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from stackproof.measurement.calibrating import Calibrated, Witness, calibrate
from stackproof.measurement.calibration import FULL, TOLERANCE, Comparison, quick_form
from stackproof.scenarios.histogram import Histogram
from stackproof.scenarios.orders import CLOSED, NULL, Offered, Order, Setup
from stackproof.scenarios.session import Session
from stackproof.scenarios.stub import Injection, StubServer, Truth
from stackproof.servers.embedded import EmbeddedRedis
from stackproof.servers.proxy import FaultProxy

FORM = replace(FULL, null_seconds=0.5, base_seconds=1.5, stall_seconds=5.5)


@pytest.fixture(scope="module")
def stub() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server


def session(url: str, directory: Path) -> Session:
    return Session(Setup("decision", {}, "calibration-test", stub=url), {}, directory, lambda _state: None)


def raise_file_limit() -> None:
    resource = pytest.importorskip("resource")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16_384 if hard == resource.RLIM_INFINITY else min(hard, 16_384)
    if wanted < 10_000:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


ATTEMPTS = 3


def calibrated(generator: Session, witness: Witness, rate: float) -> Calibrated:
    """The outcome at one rate; the test is skipped where the machine did not let it be known.

    What else runs here takes its share of the processors in bursts: one attempt that ends well shows what is to be shown.
    """
    for _ in range(ATTEMPTS):
        done = calibrate(
            generator.offer, witness, replace(FORM, rates=(rate,)), Order(rate, FORM.null_seconds, target=NULL)
        )
        if done.verdict.trusted:
            return done
    crowded = os.getloadavg()[0] >= (os.cpu_count() or 1)
    if done.verdict.starved or crowded:
        pytest.skip(f"this machine is too busy to tell, {ATTEMPTS} times: {done.verdict.reasons[0]}")
    return done


def within(comparisons: tuple[Comparison, ...]) -> None:
    """p50 and p99 within 5 % of what was injected, and the client's own time, which is shown; the tail needs no such help."""
    p50, p99, largest = comparisons
    assert abs(p50.recovered - p50.own - p50.injected) <= TOLERANCE * (p50.injected + p50.own) + p50.admitted
    assert p50.own < 0.001
    for tail in (p99, largest):
        assert abs(tail.recovered - tail.injected) <= TOLERANCE * tail.injected + tail.own + tail.admitted


@pytest.mark.parametrize("rate", [200.0, 2000.0])
def test_a_known_stall_of_a_stub_server_is_recovered(stub: StubServer, tmp_path: Path, rate: float) -> None:
    with session(stub.url, tmp_path) as generator:
        done = calibrated(generator, stub, rate)
    assert done.verdict.reasons == ()
    within(done.verdict.comparisons)
    base, stalled = done.windows
    # Where gaps are random, so is how many fit into a window: within five standard deviations.
    for window, expected in ((base, rate * FORM.base_seconds), (stalled, rate * FORM.stall_seconds)):
        assert window.recorder.ok == window.recorder.offered
        assert abs(window.recorder.offered - expected) <= 5 * expected**0.5
    assert stalled.most_in_flight >= 0.9 * rate * FORM.stall, "what was due in the stall was sent in the stall"


class Proxied:
    """A Redis behind the fault proxy, as what a calibration knows of its server."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy

    def inject(self, injection: Injection) -> None:
        self.injection, self.before = injection, self.held()
        if injection.stall:
            self.proxy.stall(injection.stall, after=injection.stall_from, latency=injection.service)
        else:
            self.proxy.latency(injection.service)

    def truth(self) -> Truth:
        answers = self.held() - self.before
        return Truth(self.injection, answers, answers, 0, 0, Histogram(), Histogram())

    def held(self) -> int:
        return sum(self.proxy.counts.get(name, 0) for name in ("delayed", "stalled"))


@pytest.fixture
def quiet_threads() -> Iterator[None]:
    """A proxy has two threads for each connection. Each of thousands would ask for the interpreter every 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1.0)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quiet_threads")
@pytest.mark.parametrize("rate", [200.0, 2000.0])
def test_the_same_is_recovered_of_a_redis_behind_the_fault_proxy(tmp_path: Path, rate: float) -> None:
    raise_file_limit()
    with EmbeddedRedis() as redis:
        url = redis.variables()["REDIS_URL"]
        with FaultProxy("127.0.0.1", redis.port) as proxy:
            through = url.replace(f":{urlsplit(url).port}", f":{proxy.port}")
            with session(through, tmp_path) as generator:
                done = calibrated(generator, Proxied(proxy), rate)
    assert done.verdict.reasons == ()
    within(done.verdict.comparisons)


def test_our_own_closed_loop_is_not_trusted(stub: StubServer, tmp_path: Path) -> None:
    """On any machine: a caller that waits for its answer does not see what would have been due meanwhile."""
    with session(stub.url, tmp_path) as generator:

        def offer(order: Order) -> Offered:
            changed: dict[str, Any] = {} if order.target == NULL else {"arrivals": CLOSED, "in_flight": 1}
            return generator.offer(replace(order, **changed))

        verdict = calibrate(offer, stub, quick_form(200.0), Order(200.0, 0.5, target=NULL), lambda: 0.0).verdict
    assert not verdict.trusted
    told = " ".join(verdict.reasons)
    assert "the schedule was not kept" in told
    assert "waits for answers before it sends" in told


def test_too_few_places_are_told(stub: StubServer, tmp_path: Path) -> None:
    with session(stub.url, tmp_path) as generator:

        def offer(order: Order) -> Offered:
            return generator.offer(replace(order, in_flight=min(order.in_flight, 16)))

        verdict = calibrate(offer, stub, quick_form(200.0), Order(200.0, 0.5, target=NULL), lambda: 0.0).verdict
    assert not verdict.trusted
    assert "requests did not end well" in " ".join(verdict.reasons)
