"""Carries out orders in one load-generating process: connects, offers windows, removes what was stored.

Knows Locust only as a place to send answers to (``send``) and as statistics that show the same figures. What the session is
about comes with each order: a worker on another machine knows nothing else.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from typing import Any

import gevent
from gevent import monkey

import stackproof
from stackproof.adapters.settings import Settings

from .catalogue import find_scenario
from .deferred import GREEN
from .engines import Engine, engine_for
from .hang import CONNECT_SECONDS, ended_if_it_hangs
from .locust_statistics import Fed, Statistics
from .orders import BACKENDS, NULL, STUB, WORKER_VARIABLE, Order, Setup
from .pressure import waited_seconds
from .scenario import Scenario
from .steps.base import Filled
from .stub import Injection, StubServer
from .stub_work import StubWork
from .whose import told_with_its_place
from .window import Acts, Nothing, Window
from .work import Adapters, StepFailedError, Work

PRIMING = 1 << 62
"""The number of the operation that is done once before any window: it connects, and creates the tables."""
FIRST_SECONDS = 120.0
"""How long one step may take when it is done for the first time: DynamoDB and Keyspaces make a table in a minute at most."""
STOP_SECONDS = 1.0
"""How long operations in flight are waited for when a window is cut short."""

Send = Callable[[str, Mapping[str, Any]], None]
"""Kind of message (``answer`` or ``progress``) and its content."""


class Performer:
    """One worker (or the only process) of a session."""

    def __init__(self, send: Send, environment: Any) -> None:
        self._send = send
        self._environment = environment
        self._adapters: Adapters | None = None
        self._filled = Filled()
        self._work: Work | None = None
        self._workload = 0
        self._stub: StubWork | None = None
        self._server: StubServer | None = None
        """Of a worker on another machine, while it is calibrated: the command's own is out of its reach."""
        self._window: Window | None = None
        self._stopping = False
        self._engine: Engine = engine_for("green")
        self._worker = 0

    def take(self, order: Mapping[str, Any]) -> None:
        """Begin with an order and return; the answer is sent when it is carried out."""
        if order["do"] == "stop":
            self._stopping = True
            if self._work is not None:
                self._work.hurry()
            window = self._window
            if window is not None:
                gevent.spawn(self._engine.aside, lambda: window.close(STOP_SECONDS))
            return
        gevent.spawn(self._carry_out, order)

    def _carry_out(self, order: Mapping[str, Any]) -> None:
        self._worker = order["worker"]
        self._setup = Setup.from_data(order["setup"])
        self._engine = engine_for(self._setup.engine)
        actions = {
            "introduce": self._introduce,
            "inject": self._inject,
            "truth": self._truth,
            "connect": self._connect,
            "window": self._offer,
            "finish": self._finish,
        }
        try:
            answer = actions[order["do"]](order)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            traceback.print_exc(file=sys.stderr)
            answer = {"trouble": told_with_its_place(f"{type(error).__name__}: {error}", error)}
        self._send("answer", {"id": order["id"], "worker": self._worker, **answer})

    def _introduce(self, _order: Mapping[str, Any]) -> dict[str, Any]:
        about = json.loads(os.environ.get(WORKER_VARIABLE) or "{}")
        native = not monkey.is_module_patched("threading")
        return {"trouble": "", "version": stackproof.__version__, "native": native, "about": about}

    def _inject(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Have the stub server of this machine do this from now on."""
        if self._server is None:
            self._server = self._engine.aside(StubServer)
        server, injection = self._server, Injection.from_data(order["injection"])
        self._engine.aside(lambda: server.inject(injection))
        return {"trouble": ""}

    def _truth(self, _order: Mapping[str, Any]) -> dict[str, Any]:
        if self._server is None:
            raise RuntimeError("there is no stub server whose truth could be told")
        return {"trouble": "", "truth": self._engine.aside(self._server.truth).to_data()}

    def _end_stub(self) -> None:
        """Nothing more is calibrated: the stub server would only take processor time."""
        stub, self._stub = self._stub, None
        server, self._server = self._server, None
        for each in (stub, server):
            if each is not None:
                each.close()

    def _connect(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Make the adapters, fill in what the workload needs, and do one operation, which connects and creates the tables."""
        told = {"trouble": "", "version": stackproof.__version__}
        if self._server is not None:
            self._end_stub()
        try:
            self._engine.aside(lambda: self._begin(order["workload"], order["workers"], order["within"]))
        except Exception as error:  # noqa: BLE001 - a third party's factory may raise anything; the command reports it
            cause = error.__cause__ if isinstance(error, StepFailedError) and error.__cause__ else error
            trouble = f"{error}: {cause}" if cause is not error else f"{type(error).__name__}: {error}"
            told["trouble"] = told_with_its_place(trouble, cause)
        return told

    def _begin(self, workload: int, workers: int, within: float) -> None:
        """Go on to a workload: it is this worker's when its adapters are connected and what it needs is filled in."""
        setup, settings = self._setup, Settings.from_environment()
        patience = max(CONNECT_SECONDS, settings.connect_timeout + settings.operation_timeout + CONNECT_SECONDS / 3)
        before, self._work = self._work, None
        if before is not None and (troubles := before.end()):
            raise RuntimeError("; ".join(troubles))
        if self._adapters is None:
            self._adapters = Adapters(setup.backends, settings, setup.namespace)
        scenario, apart = self._scenario(workload), f"{workload}-" if setup.more else ""
        adapters, worker = self._adapters.of(scenario.concerns), self._worker
        work = Work.on(scenario, adapters, worker=worker, workers=workers, apart=apart, filled=self._filled)
        try:
            for concern, ping in work.pings():
                with ended_if_it_hangs(f"connecting to {concern}={setup.backends[concern]}", patience):
                    ping()  # whether it answers is told, with the reason, by what comes next
            work.prepare(self._say_what if setup.engine == GREEN else _say_nothing, within)
            work.prime(PRIMING + workload * workers + self._worker, _first_time)
        except BaseException:
            work.end()
            raise
        self._work, self._workload = work, workload

    def _say_what(self, what: str, share: float) -> None:
        done = f" {share:.0%}"
        self._send("progress", {"worker": self._worker, "phase": f"preparing: {what}{done}"})

    def _offer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        order = Order.from_data(message["order"])
        acts = self._acts(order)
        window = self._engine.window(order, acts, self._worker, message["workers"])
        blamed = self._work.slowest_step if self._work is not None else lambda: (0.0, "none")
        watchdog = self._engine.watch(window, blamed)
        lost = self._work.lost_log_lines if self._work is not None else 0
        gc.collect()
        gc.freeze()  # what exists by now lives to the end: no collection has to look at it again
        self._window = window
        waited, ordered = waited_seconds(), time.monotonic()
        fed = self._fed(window, message["begin"])
        teller = gevent.spawn(self._tell, window, fed)
        watchdog.start()
        try:
            begin = time.perf_counter() + max(0.0, message["begin"] - time.time())
            self._engine.aside(lambda: window.run(begin))
        finally:
            watchdog.stop()
            teller.kill()
            self._window = None
            gc.unfreeze()
        for part in fed:
            part.rest()
        return {
            "recorder": window.measured.to_data(),
            "warmup": window.warm.counts(),
            "elapsed": window.elapsed,
            "cpu_seconds": window.cpu_seconds,
            "offering": asdict(window.offering),
            "most_in_flight": window.most_in_flight,
            "gaps": watchdog.gaps,
            "checks": self._checked(order),
            "lost_log_lines": self._work.lost_log_lines - lost if self._work is not None else 0,
            "locust": {name: sum(getattr(part, name) for part in fed) for name in ("requests", "failures")},
            "pressure": (waited_seconds() - waited) / max(time.monotonic() - ordered, order.seconds),
            "complete": not self._stopping,
            "interrupted": self._stopping,
            "trouble": "",
        }

    def _scenario(self, workload: int) -> Scenario:
        found = self._setup.workloads[workload]
        return replace(find_scenario(found.scenario, found.settings), seed=self._setup.seed)

    def _fed(self, window: Window, begin: float) -> list[Fed]:
        """What shows the window's figures in Locust's own statistics; the null step is no request."""
        if window.order.target == NULL:
            return []
        name = self._setup.workloads[window.order.workload].scenario
        statistics = Statistics(self._environment, "operation", name)
        measured = begin + window.order.warmup
        return [statistics.follow(part, measured) for part in (window.warm, window.measured)]

    def _acts(self, order: Order) -> Acts:
        if order.target == NULL:
            return Nothing(self._scenario(order.workload).item)
        if order.target == STUB:
            if self._stub is None:
                self._stub = StubWork(self._setup.stub if self._server is None else self._server.url)
            return self._stub
        if self._work is None or self._workload != order.workload:
            raise RuntimeError(f"a window of workload {order.workload} was ordered before it was connected")
        return self._work

    def _checked(self, order: Order) -> dict[str, Any]:
        """What was checked in this window, once everything that it began has come to its end."""
        if self._work is None or order.target != BACKENDS:
            return {}
        self._engine.aside(self._work.settle)
        return self._work.checks.taken()

    def _finish(self, _order: Mapping[str, Any]) -> dict[str, Any]:
        work, self._work = self._work, None
        adapters, self._adapters = self._adapters, None
        self._filled = Filled()
        left = self._engine.aside(work.end) if work is not None else []
        left += self._engine.aside(adapters.close) if adapters is not None else []
        self._end_stub()
        return {"trouble": "", "left_behind": left}

    def end(self) -> None:
        """The process ends: what is still there of this session is removed."""
        if self._window is not None:
            self._window.close(STOP_SECONDS)
        self._finish({})

    def _tell(self, window: Window, fed: list[Fed]) -> None:
        """A line of progress a second, here and in Locust's statistics."""
        while True:
            self._engine.aside(window.refresh)
            for part in fed:
                part.up_to(window.offset)
            recorder = window.measured
            last = recorder.series.get(int(window.offset) - 1)
            self._send(
                "progress",
                {
                    "worker": self._worker,
                    "target": window.order.target,
                    "rate": window.order.rate,
                    "left": max(0.0, window.planned_seconds - window.offset),
                    "seconds": window.offset,
                    **recorder.counts(),
                    # Of the last second only: what is shown is what happens now.
                    "latency": last.latency.encoded() if last is not None and last.answered else "",
                },
            )
            gevent.sleep(1.0)


def _first_time(step: str) -> AbstractContextManager[None]:
    """Ends the process where a step hangs that is done once before any load, with a sentence that names it."""
    return ended_if_it_hangs(f"the step {step}, done once before any load,", FIRST_SECONDS, "")


def _say_nothing(_what: str, _share: float) -> None:
    """The native engine prepares on a thread of its own, from which Locust takes no messages."""
