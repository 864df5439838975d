"""The load generator: one dispatcher on the schedule, a bounded pool of decisions, a watch over its own event loop.

Runs only inside the Locust process (``locustfile.py``), under gevent's patches.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Pool

from stackproof.adapters.settings import Settings

from .arrivals import dispatch, schedule_of
from .plan import Plan
from .recorder import Recorder
from .scenario import Decision, find_scenario
from .watchdog import HubWatchdog
from .work import StepFailedError, Work

PRIMING = 1 << 40
"""The number of the decision that is done once before any window: it connects, and creates the tables."""
GIVE_UP_SECONDS = 5.0
"""An arrival that the generator is this late for is dropped: a rate beyond its powers must not make the run endless."""
UNFINISHED = "unfinished: still running when the drain time was over"

Act = Callable[[Decision, Callable[[str, float], None]], None]
Fire = Callable[[float, BaseException | None], None]


class Window:
    """Load for some seconds: arrivals before ``warmup`` go to one recorder, those after it to another."""

    def __init__(self, plan: Plan, act: Act, *, seconds: float, warmup: float, fire: Fire | None = None) -> None:
        self._plan = plan
        self._act = act
        self._seconds = seconds
        self._warmup = warmup
        self._fire = fire
        self._scenario = find_scenario(plan.scenario)
        self._pool = Pool(plan.in_flight)
        self._open: dict[int, tuple[float, Recorder]] = {}
        self._stopped = False
        self._closed = False
        self._began = 0.0
        self._ended = 0.0
        self._cpu_began: float | None = None
        self._cpu_ended = 0.0
        self.measured = Recorder()
        self.warm = Recorder()
        self.most_in_flight = 0

    def run(self) -> None:
        """Offer the load, then wait for what is in flight, at most for the plan's drain time."""
        schedule = schedule_of(self._plan.arrivals, self._plan.rate, self._plan.seed)
        self._began = time.perf_counter()
        dispatch(
            schedule,
            self._warmup + self._seconds,
            clock=time.perf_counter,
            sleep=gevent.sleep,
            start=self._start,
            stopped=lambda: self._stopped,
        )
        # The window ends by the clock and not with its last arrival, which may be due long before.
        gevent.sleep(max(0.0, self._began + self._warmup + self._seconds - time.perf_counter()))
        self.close(self._plan.drain)

    def close(self, drain: float) -> None:
        """Start nothing more, wait for what runs, and count what still runs then as failed. A second call does nothing."""
        self._stopped = True
        self._pool.join(timeout=drain)
        if self._closed:
            return
        self._closed = True
        for offset, recorder in self._open.values():
            recorder.fail(offset, UNFINISHED)
        self._cpu_ended = _cpu_seconds()
        self._ended = time.perf_counter()

    @property
    def offset(self) -> float:
        """Seconds of the measured part that have passed; negative during the warm-up."""
        return time.perf_counter() - self._began - self._warmup

    @property
    def planned_seconds(self) -> float:
        """Length of the measured part."""
        return self._seconds

    @property
    def elapsed(self) -> float:
        """Seconds from the beginning of the measured part to the end of its last decision (or to its planned end, if later)."""
        return max(0.0, self._ended - self._began - self._warmup)

    @property
    def cpu_seconds(self) -> float:
        """Processor time of this process since the measured part began."""
        return 0.0 if self._cpu_began is None else self._cpu_ended - self._cpu_began

    def _start(self, number: int, due: float) -> None:
        offset = due - self._began - self._warmup
        recorder = self.measured if offset >= 0 else self.warm
        if offset >= 0 and self._cpu_began is None:
            self._cpu_began = _cpu_seconds()
        recorder.offer(offset)
        if self._pool.full() or time.perf_counter() - due > GIVE_UP_SECONDS:
            recorder.drop(offset)
            return
        self._open[number] = (offset, recorder)
        self.most_in_flight = max(self.most_in_flight, len(self._open))
        self._pool.spawn(self._decide, number, due, offset, recorder)

    def _decide(self, number: int, due: float, offset: float, recorder: Recorder) -> None:
        began = time.perf_counter()
        recorder.sent(max(0.0, began - due))
        failure: BaseException | None = None
        try:
            self._act(self._scenario.decision(number, self._plan.seed), recorder.step)
        except StepFailedError as error:
            failure = error
        ended = time.perf_counter()
        if self._closed:
            return  # counted as unfinished already
        del self._open[number]
        if failure is None:
            recorder.succeed(offset, ended - due, ended - began)
        else:
            recorder.fail(offset, failure.kind if isinstance(failure, StepFailedError) else type(failure).__name__)
        if self._fire is not None and offset >= 0:
            self._fire(ended - due, failure)


class Generator:
    """One run of a plan: calibration, priming, warm-up and measurement, and the file with the results."""

    def __init__(self, plan: Plan, result: Path, progress: int | None, fire: Fire) -> None:
        self._plan = plan
        self._result = result
        self._progress = progress
        self._fire = fire
        self._work: Work | None = None
        self._calibration: Window | None = None
        self._window: Window | None = None
        self._watchdog: HubWatchdog | None = None
        self._complete = False
        self._finished = False
        self._phase = "starting"
        self._trouble = ""

    def run(self) -> None:
        """The whole run. What makes it impossible becomes the result's ``trouble``."""
        ticker = gevent.spawn(self._tell)
        try:
            self._calibrate()
            self._prime()
            if not self._trouble:
                self._measure()
                self._complete = True
        except Exception as error:
            self._trouble = f"{type(error).__name__}: {error}"
            raise  # Locust writes the traceback to its log
        finally:
            ticker.kill()

    def _calibrate(self) -> None:
        """A null step at the same rate: what the generator itself costs, before any backend is involved."""
        self._phase = "calibration"
        find_scenario(self._plan.scenario).decision(0)  # builds its tables, which takes a while
        self._calibration = Window(self._plan, _nothing, seconds=self._plan.calibration, warmup=0.0)
        self._calibration.run()

    def _prime(self) -> None:
        self._phase = "connecting"
        plan = self._plan
        scenario = find_scenario(plan.scenario)
        try:
            self._work = Work(scenario, plan.backends, Settings.from_environment(), plan.namespace)
            self._work.decide(scenario.decision(PRIMING, plan.seed), lambda *_: None)
        except Exception as error:  # noqa: BLE001 - a third party's factory may raise anything; the command reports it
            cause = error.__cause__ if isinstance(error, StepFailedError) and error.__cause__ else error
            self._trouble = f"{error}: {cause}" if cause is not error else f"{type(error).__name__}: {error}"

    def _measure(self) -> None:
        assert self._work is not None
        self._phase = "load"
        work, plan = self._work, self._plan
        gc.collect()
        gc.freeze()  # what exists by now lives to the end: no collection has to look at it again
        self._window = Window(plan, work.decide, seconds=plan.duration, warmup=plan.warmup, fire=self._fire)
        self._watchdog = HubWatchdog(self._window, work.slowest_step)
        self._watchdog.start()
        self._window.run()
        self._watchdog.stop()

    def finish(self, locust: dict[str, int]) -> None:
        """Write the results, also of a run that was cut short, and remove what it stored. A second call does nothing."""
        if self._finished:
            return
        self._finished = True
        if self._watchdog is not None:
            self._watchdog.stop()
        if self._window is not None:
            self._window.close(drain=0.0 if self._complete else 1.0)
        data = self._data(locust)
        _write(self._result, data)  # first: if removing hangs, the figures are safe
        left = self._work.close() if self._work is not None else []
        _write(self._result, {**data, "removed": not left, "left_behind": left})

    def _data(self, locust: dict[str, int]) -> dict[str, Any]:
        data: dict[str, Any] = {
            "complete": self._complete,
            "trouble": self._trouble,
            "locust": locust,
            "removed": False,
            "left_behind": [],
        }
        if self._calibration is not None:
            calibration = self._calibration
            data["calibration"] = {
                "recorder": calibration.measured.to_data(),
                "seconds": calibration.planned_seconds,
                "elapsed": calibration.elapsed,
                "cpu_seconds": calibration.cpu_seconds,
            }
        if self._window is not None and self._watchdog is not None and self._work is not None:
            window, checks = self._window, self._work.checks
            data |= {
                "recorder": window.measured.to_data(),
                "warmup": {name: getattr(window.warm, name) for name in ("offered", "ok", "failed", "dropped")},
                "elapsed": window.elapsed,
                "cpu_seconds": window.cpu_seconds,
                "most_in_flight": window.most_in_flight,
                "gaps": self._watchdog.gaps,
                "lost_log_lines": self._work.lost_log_lines,
                "checks": {
                    "cache_reads": checks.cache_reads,
                    "cache_fetches": checks.cache_fetches,
                    "summaries": checks.summaries,
                    "wrong": checks.wrong,
                    "examples": checks.examples,
                },
            }
        return data

    def _tell(self) -> None:
        """One line of progress a second, to whoever started us."""
        while self._progress is not None:
            os.write(self._progress, (json.dumps(self._state()) + "\n").encode())
            gevent.sleep(1.0)

    def _state(self) -> dict[str, Any]:
        window = self._window
        if window is None:
            return {"phase": self._phase}
        recorder = window.measured
        last = recorder.series.get(int(window.offset) - 1)
        return {
            "phase": "warm-up" if window.offset < 0 else "measuring",
            "left": max(0.0, window.planned_seconds - window.offset),
            "seconds": max(0.0, window.offset),
            "offered": recorder.offered,
            "ok": recorder.ok,
            "failed": recorder.failed,
            "dropped": recorder.dropped,
            # Of the last second only: a percentile of the whole run takes milliseconds to look up, which would be seen.
            "p99": last.latency.percentiles([99.0])[99.0] if last is not None and last.ok else None,
        }


def _nothing(_decision: Decision, _took: Callable[[str, float], None]) -> None:
    """The null step."""


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _write(path: Path, data: dict[str, Any]) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(data), encoding="utf-8")
    temporary.replace(path)
