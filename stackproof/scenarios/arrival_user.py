"""Arrivals on a schedule for anybody's own locustfile: a user class whose latencies begin when an operation was due.

    from stackproof.scenarios.arrival_user import ArrivalUser

    class Search(ArrivalUser):
        rate = 200.0                 # operations a second, over all processes

        def operate(self, number):   # raises to fail
            self.client.search(...)

Run it with one user for each process (``--users 1``, or ``--users N --spawn-rate N --processes N``): each process has one
dispatcher, which offers its share of one schedule whether or not answers come. The schedule begins when all users were started
and are ready (``on_start`` has returned), in all processes at the same moment. Locust's page and tables show our figures; the
whole record, merged over all workers, is written to ``STACKPROOF_RECORD`` (a file name) at the end.

Importing this module imports Locust, which patches the process.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import gevent
from gevent.event import AsyncResult
from locust import User, events, task
from locust.exception import StopUser
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from stackproof.interfaces import ConfigurationError

from .arrivals import schedule_of
from .common_start import CommonStart
from .conductor import LEAD_SECONDS
from .green import GreenWindow
from .locust_statistics import Fed, Statistics
from .orders import CLOSED, IN_FLIGHT, Order
from .recorder import Recorder
from .whose import told_with_its_place
from .window import Took
from .work import StepFailedError, is_an_end

RECORD_VARIABLE = "STACKPROOF_RECORD"
"""The environment variable that names the file which the merged record is written to."""
ENDLESS = 1e9
"""Seconds: the run ends when Locust ends it."""
APART_SECONDS = 1.0
"""A process that would begin so much later than the others, or whose clock says so, begins by itself, and the record tells it."""
_READY, _REFUSE, _BEGIN, _STOP, _ENDED = (
    f"stackproof-{word}" for word in ("ready", "refuse", "begin", "stop", "ended")
)

_log = logging.getLogger("stackproof")


@dataclass
class _Own:
    """What this process knows of the test that it takes part in."""

    names: set[str] = field(default_factory=set)
    """The user classes that are there, or have been."""
    begin: AsyncResult = field(default_factory=AsyncResult)
    """The message that says when to begin, and with which shares."""


_own = _Own()
_start = CommonStart()
_recorders: dict[str, dict[str, dict[str, Any]]] = {}
"""By worker and name of the user class, what it has recorded, in the form of `Recorder.to_data`."""
_windows: dict[str, GreenWindow] = {}
"""The window of each user class in this process, of the test that runs or that ran last."""
_drains: dict[str, float] = {}
_apart: set[str] = set()
"""The user classes whose share began by itself in this process."""
_told: dict[str, dict[int, tuple[int, int]]] = {}
"""By name of the user class, what each second had when it was last reported: how much was due, and how much had ended."""


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
        """Offer the load, from the moment that all processes are ready, until Locust stops this user."""
        name = type(self).__name__
        share, moment = self._wait_for_the_others(name)
        order = Order(
            rate=self.rate,
            seconds=ENDLESS,
            arrivals=self.arrivals,
            seed=self.seed,
            in_flight=self.in_flight,
            limit=self.limit,
        )
        window = _windows[name] = GreenWindow(order, _Operations(self), worker=share[0], workers=share[1])
        _drains[name] = self.drain
        wait = moment - time.time()
        fed = Statistics(self.environment, "operation", name).follow(window.measured, moment)
        teller = gevent.spawn(_feed, fed, window)
        try:
            window.run(time.perf_counter() + wait)
        finally:
            teller.kill()
            window.close(self.drain)
            fed.rest()
        raise StopUser

    def _wait_for_the_others(self, name: str) -> tuple[tuple[int, int], float]:
        """This process' share of the schedule, and when it begins (of `time.time`)."""
        runner = self.environment.runner
        if _own.begin.ready():
            _log.warning("%s has begun already: one more user changes nothing, and offers nothing", name)
            raise StopUser
        if why := _misset(self):
            runner.send_message(_REFUSE, {"why": why})
            raise StopUser
        if name in _own.names:
            runner.send_message(_REFUSE, {"why": _crowded(name, workers=isinstance(runner, WorkerRunner))})
            raise StopUser
        _own.names.add(name)
        runner.send_message(_READY, {"process": _process(runner), "name": name})
        begin = _own.begin.get()
        number, processes = begin["shares"][name]
        return (number, processes), _moment(name, begin["at"])


def _misset(user: ArrivalUser) -> str:
    """What its class says that no load can be offered by, as a phrase; empty where all can."""
    name = type(user).__name__
    numbers = {"rate": user.rate, "drain": user.drain, "limit": 1.0 if user.limit is None else user.limit}
    for setting, value in numbers.items():
        least = "0 or more" if setting == "drain" else "more than 0"
        real = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not real or value < 0 or (value == 0 and setting != "drain"):
            return f"{setting} of {name} is {value!r}, where a number is needed, {least}"
    for setting, whole, lowest in (("in_flight", user.in_flight, 1), ("seed", user.seed, 0)):
        if type(whole) is not int or whole < lowest:
            return f"{setting} of {name} is {whole!r}, where a whole number is needed, {lowest} or more"
    try:
        if user.arrivals != CLOSED:
            schedule_of(str(user.arrivals), user.rate, user.seed)
    except ConfigurationError as error:
        return f"{name}: {error}"
    return ""


def _crowded(name: str, *, workers: bool) -> str:
    many = "as many processes as users" if workers else "--users 1, or --users N --processes N with the same N"
    return f"more than one user of {name} in one process, where one dispatcher offers the whole share: start {many}"


def _moment(name: str, at: float) -> float:
    """When a share begins here: where the message came in time and clocks agree, when all others do."""
    now = time.time()
    if now - APART_SECONDS <= at <= now + LEAD_SECONDS + APART_SECONDS:
        return at
    _apart.add(name)
    return now + LEAD_SECONDS


def _process(runner: Any) -> str:
    return str(runner.client_id) if isinstance(runner, WorkerRunner) else "local"


class _Operations:
    """The user's operation, as a window calls it."""

    def __init__(self, user: ArrivalUser) -> None:
        self._user = user

    def item(self, number: int) -> int:
        return number

    def decide(self, item: int, took: Took) -> None:  # noqa: ARG002 - it has no steps of its own
        try:
            self._user.operate(item)
        except BaseException as error:
            if not is_an_end(error):
                raise
            raise StepFailedError(type(self._user).__name__, error) from error


def _feed(fed: Fed, window: GreenWindow) -> None:
    while True:
        gevent.sleep(1.0)
        fed.up_to(window.offset)


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _forget(environment: Any = None, **_others: Any) -> None:
    """Another test begins, as the web page can: what the last one recorded is no part of it."""
    global _own, _start
    if _start.refused and environment is not None:
        environment.process_exit_code = None
    _own, _start = _Own(), CommonStart()
    for kept in (_windows, _drains, _told, _recorders, _apart):
        kept.clear()


@events.init.add_listener  # type: ignore[untyped-decorator]
def _listen(environment: Any, **_others: Any) -> None:
    runner = environment.runner
    if not isinstance(runner, MasterRunner):
        runner.register_message(_BEGIN, lambda msg, **_rest: _own.begin.set(msg.data))
    if isinstance(runner, WorkerRunner):
        runner.register_message(_STOP, lambda **_rest: _end_windows(runner), concurrent=True)
        # Locust's own listener would tell the master that this worker is gone: what it has recorded comes before that.
        events.quitting.add_listener(lambda **_rest: _end_windows(runner))  # type: ignore[no-untyped-call]
        return
    if _arrival_users(environment) and (why := _unwritable()):
        _log.error("%s. Nothing was offered.", why)
        sys.exit(1)
    runner.register_message(_READY, lambda msg, **_rest: _join(environment, msg.data))
    runner.register_message(_REFUSE, lambda msg, **_rest: _refuse(environment, msg.data["why"]))
    events.spawning_complete.add_listener(lambda **_rest: _expect(environment))  # type: ignore[no-untyped-call]
    if isinstance(runner, MasterRunner):
        runner.register_message(_ENDED, lambda msg, **_rest: _take(msg.node_id, msg.data))
        events.test_stopping.add_listener(lambda **_rest: _collect(environment))  # type: ignore[no-untyped-call]


def _unwritable() -> str:
    """Why the record cannot be written where it is to be, as a phrase; empty where it can. What is there stays as it is."""
    target = os.environ.get(RECORD_VARIABLE)
    if not target:
        return ""
    path = Path(target)
    new = not path.exists()
    try:
        with path.open("a"):
            pass
        if new:
            path.unlink()
    except OSError as error:
        return _not_written(target, error)
    return ""


def _not_written(target: str, error: OSError) -> str:
    return f"The record cannot be written to {target} ({RECORD_VARIABLE}): {error.strerror or error}"


def _join(environment: Any, message: Mapping[str, Any]) -> None:
    _start.join(message["name"], message["process"])
    _begin_if_complete(environment)


def _expect(environment: Any) -> None:
    """All users were started; whether they are ready, they say themselves."""
    counts = environment.runner.target_user_classes_count
    _start.expect({user.__name__: counts.get(user.__name__, 0) for user in _arrival_users(environment)})
    _begin_if_complete(environment)


def _arrival_users(environment: Any) -> list[type[ArrivalUser]]:
    return [user for user in environment.user_classes if issubclass(user, ArrivalUser)]


def _begin_if_complete(environment: Any) -> None:
    if _start.begun or _start.refused or not _start.complete:
        return
    _start.begun = True
    runner = environment.runner
    several = isinstance(runner, MasterRunner)
    at = time.time() + (LEAD_SECONDS if several else 0.0)
    for process, shares in _start.shares().items():
        message = {"at": at, "shares": {name: list(share) for name, share in shares.items()}}
        runner.send_message(_BEGIN, message, *([process] if several else []))


def _refuse(environment: Any, why: str) -> None:
    """Nothing is offered, and no record written: the test ends."""
    if _start.begun or _start.refused:
        return
    _start.refused = why
    environment.process_exit_code = 1
    _log.error("Nothing was offered: %s.%s", why, _old_record())
    options = environment.parsed_options
    end = environment.runner.quit if options is not None and options.headless else environment.runner.stop
    gevent.spawn(end)  # by itself: it ends whoever found this out


def _old_record() -> str:
    target = os.environ.get(RECORD_VARIABLE)
    return f" {target} is of an earlier run." if target and Path(target).is_file() else ""


@events.user_error.add_listener  # type: ignore[untyped-decorator]
def _not_ready(user_instance: Any, exception: BaseException, **_others: Any) -> None:
    """Without one of them, less than the rate would be offered."""
    if isinstance(user_instance, ArrivalUser) and not _own.begin.ready():
        sentence = f"on_start of {type(user_instance).__name__} failed: {type(exception).__name__}: {exception}"
        user_instance.environment.runner.send_message(_REFUSE, {"why": told_with_its_place(sentence, exception)})


@events.report_to_master.add_listener  # type: ignore[untyped-decorator]
def _report(data: dict[str, Any], **_others: Any) -> None:
    data["stackproof"] = {name: _news(name, window) for name, window in _windows.items()}


def _news(name: str, window: GreenWindow) -> dict[str, Any]:
    """The figures of the whole, and the seconds that changed since they were last told: there are more of them every second."""
    told = _told.setdefault(name, {})
    now = {number: (second.offered, second.ended) for number, second in window.measured.series.items()}
    changed = {number for number, counts in now.items() if told.get(number) != counts}
    _told[name] = now
    about = {"test": id(window), "closed": window.closed, "apart": name in _apart}
    return {**about, **window.measured.to_data(changed)}


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


def _end_windows(runner: Any) -> None:
    """Nothing more is offered by this worker; what is in flight is waited for, and the master told everything."""
    gevent.joinall([gevent.spawn(window.close, _drains[name]) for name, window in _windows.items()])
    data: dict[str, Any] = {}
    _report(data)
    runner.send_message(_ENDED, data)


def _collect(environment: Any) -> None:
    """Before Locust's master ends its workers: it would wait for half a second, and operations may take longer."""
    runner = environment.runner
    if not _start.begun:
        return
    runner.send_message(_STOP)
    give_up = time.monotonic() + max(user.drain for user in _arrival_users(environment)) + LEAD_SECONDS
    while _unclosed(runner.clients) and time.monotonic() < give_up:
        gevent.sleep(0.01)


def _unclosed(among: Container[str] | None = None) -> set[str]:
    """The workers that have not told how their share ended."""
    return {
        process
        for process, shares in _start.shares().items()
        if (among is None or process in among)
        and not all(_recorders.get(process, {}).get(name, {}).get("closed") for name in shares)
    }


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _end(environment: Any, **_others: Any) -> None:
    """At the end: everything of this process, or of all workers where this is the master."""
    if isinstance(environment.runner, WorkerRunner):
        return
    if isinstance(environment.runner, LocalRunner):
        environment.runner.quit()  # as the master has done by now: nothing more is offered
    if _start.refused or not _arrival_users(environment):
        return
    troubles = []
    if not _start.begun:
        if _own.names or _start.there:
            troubles.append(
                f"Nothing was offered: when Locust ended, {_start.missing} (see --spawn-rate).{_old_record()}"
            )
    else:
        incomplete = _incomplete(environment.runner)
        troubles += [f"The record is not of the whole load: {incomplete}."] if incomplete else []
        troubles += _write(environment, incomplete)
    for trouble in troubles:
        _log.error("%s", trouble)
        environment.process_exit_code = 1


def _incomplete(runner: Any) -> str:
    """Why less than the rate was offered, or is known of; empty where all was."""
    if not isinstance(runner, MasterRunner):
        return ""
    processes = _start.shares()
    lost = len(_unclosed())
    alone = sum(any(record["apart"] for record in records.values()) for records in _recorders.values())
    found = [f"{lost} of {len(processes)} processes did not tell how their share ended"] if lost else []
    if alone:
        found.append(f"{alone} of {len(processes)} processes did not begin with the others (check their clocks)")
    return ", ".join(found)


def _write(environment: Any, incomplete: str) -> list[str]:
    """Write the record to where it is to be; what went wrong, as sentences."""
    target = os.environ.get(RECORD_VARIABLE)
    if not target:
        return []
    rates = {user.__name__: user.rate for user in _arrival_users(environment)}
    about = {
        name: {"rate": rates[name], "processes": len(_start.there[name]), "incomplete": incomplete}
        for name in _start.there
    }
    data = {name: {**about[name], **recorder.to_data()} for name, recorder in merged_records().items()}
    try:
        Path(target).write_text(json.dumps(data) + "\n", encoding="utf-8")
    except OSError as error:
        return [f"{_not_written(target, error)}."]
    return []


def merged_records() -> dict[str, Recorder]:
    """By name of the user class, the record of all processes that this one knows of."""
    found: dict[str, Recorder] = {name: window.measured for name, window in _windows.items()}
    for records in _recorders.values():
        for name, record in records.items():
            found.setdefault(name, Recorder()).merge(Recorder.from_data(record))
    return found
