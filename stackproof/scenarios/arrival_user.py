"""Arrivals on a schedule for anybody's own locustfile: a user class whose latencies begin when an operation was due.

    from stackproof.scenarios.arrival_user import ArrivalUser

    class Search(ArrivalUser):
        rate = 200.0                 # operations a second, over all processes

        def operate(self, number):   # raises to fail
            self.client.search(...)

Run it with one user for each process (``--users 1``, or ``--users N --processes N``): each process has one dispatcher,
which offers its share of one schedule whether or not answers come. Locust's page and tables show our figures; the whole
record, merged over all workers, is written to ``STACKPROOF_RECORD`` (a file name) at the end.

Importing this module imports Locust, which patches the process.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import gevent
from locust import User, events, task
from locust.runners import MasterRunner, WorkerRunner

from .green import GreenWindow
from .locust_statistics import Fed, Statistics
from .orders import IN_FLIGHT, Order
from .recorder import Recorder
from .window import Took
from .work import StepFailedError

RECORD_VARIABLE = "STACKPROOF_RECORD"
"""The environment variable that names the file which the merged record is written to."""
ENDLESS = 1e9
"""Seconds: the run ends when Locust ends it."""
_SHARES = "stackproof-shares"

_recorders: dict[str, dict[str, dict[str, Any]]] = {}
"""By worker and name of the user class, what it has recorded, in the form of `Recorder.to_data`."""
_windows: dict[str, GreenWindow] = {}
"""The window of each user class in this process, of the test that runs or that ran last."""
_told: dict[str, dict[int, tuple[int, int]]] = {}
"""By name of the user class, what each second had when it was last reported: how much was due, and how much had ended."""
_share = {"worker": 0, "workers": 1}


class ArrivalUser(User):
    """A dispatcher of one process. Subclasses say what one operation is; they are instantiated once in each process."""

    abstract = True
    rate: ClassVar[float] = 10.0
    """Operations that are due each second, over all processes."""
    arrivals: ClassVar[str] = "constant"
    seed: ClassVar[int] = 0
    in_flight: ClassVar[int] = IN_FLIGHT
    """Operations at the same time, over all processes; arrivals beyond that are dropped and counted."""
    limit: ClassVar[float | None] = None
    """Seconds from the intended start beyond which an operation counts as late."""
    drain: ClassVar[float] = 5.0
    """Seconds that operations in flight are waited for when Locust stops."""

    def operate(self, number: int) -> None:
        """Do operation ``number``; no two calls have the same number, in no process. Whatever it raises is a failure."""
        raise NotImplementedError

    @task
    def arrive(self) -> None:
        """Offer the load until Locust stops this user."""
        name = type(self).__name__
        if name in _windows:
            raise RuntimeError(f"{name} runs in this process already: start as many users as there are processes")
        order = Order(
            rate=self.rate,
            seconds=ENDLESS,
            arrivals=self.arrivals,
            seed=self.seed,
            in_flight=self.in_flight,
            limit=self.limit,
        )
        window = _windows[name] = GreenWindow(order, _Operations(self), **_share)
        fed = Statistics(self.environment, "operation", name).follow(window.measured, time.time())
        teller = gevent.spawn(_feed, fed, window)
        try:
            window.run(time.perf_counter())
        finally:
            teller.kill()
            window.close(self.drain)
            fed.rest()


class _Operations:
    """The user's operation, as a window calls it."""

    def __init__(self, user: ArrivalUser) -> None:
        self._user = user

    def item(self, number: int) -> int:
        return number

    def decide(self, item: int, took: Took) -> None:  # noqa: ARG002 - it has no steps of its own
        try:
            self._user.operate(item)
        except Exception as error:
            raise StepFailedError(type(self._user).__name__, error) from error


def _feed(fed: Fed, window: GreenWindow) -> None:
    while True:
        gevent.sleep(1.0)
        fed.up_to(window.offset)


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _forget(**_others: Any) -> None:
    """Another test begins, as the web page can: what the last one recorded is no part of it."""
    for kept in (_windows, _told, _recorders):
        kept.clear()


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _tell_shares(environment: Any, **_others: Any) -> None:
    """Before users are started, each worker learns which of how many it is."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        there = sorted(client.id for client in runner.clients.ready)
        for number, client in enumerate(there):
            runner.send_message(_SHARES, {"worker": number, "workers": len(there)}, client)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _listen(environment: Any, **_others: Any) -> None:
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.register_message(_SHARES, lambda msg, **_rest: _share.update(msg.data))


@events.report_to_master.add_listener  # type: ignore[untyped-decorator]
def _report(data: dict[str, Any], **_others: Any) -> None:
    data["stackproof"] = {name: _news(name, window) for name, window in _windows.items()}


def _news(name: str, window: GreenWindow) -> dict[str, Any]:
    """The figures of the whole, and the seconds that changed since they were last told: there are more of them every second."""
    told = _told.setdefault(name, {})
    now = {number: (second.offered, second.ended) for number, second in window.measured.series.items()}
    changed = {number for number, counts in now.items() if told.get(number) != counts}
    _told[name] = now
    return {"test": id(window), **window.measured.to_data(changed)}


@events.worker_report.add_listener  # type: ignore[untyped-decorator]
def _take(client_id: str, data: Mapping[str, Any], **_others: Any) -> None:
    before, news = _recorders.get(client_id, {}), data.get("stackproof", {})
    _recorders[client_id] = {name: _joined(before.get(name), record) for name, record in news.items()}


def _joined(before: Mapping[str, Any] | None, news: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker told before, with what it tells now; of another test nothing is kept."""
    if before is None or before["test"] != news["test"]:
        return dict(news)
    rows = {row["second"]: row for record in (before, news) for row in record["series"]}
    return {**news, "series": list(rows.values())}


@events.quit.add_listener  # type: ignore[untyped-decorator]
def _write(**_others: Any) -> None:
    """At the very end: everything of this process, or of all workers where this is the master."""
    target = os.environ.get(RECORD_VARIABLE)
    merged = merged_records()
    if target and merged:
        data = {name: recorder.to_data() for name, recorder in merged.items()}
        Path(target).write_text(json.dumps(data) + "\n", encoding="utf-8")


def merged_records() -> dict[str, Recorder]:
    """By name of the user class, the record of all processes that this one knows of."""
    found: dict[str, Recorder] = {name: window.measured for name, window in _windows.items()}
    for records in _recorders.values():
        for name, record in records.items():
            found.setdefault(name, Recorder()).merge(Recorder.from_data(record))
    return found
