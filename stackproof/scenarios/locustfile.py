"""What Locust runs: the processes of a session, one alone or a master with its workers.

Locust's own pacing is closed-loop (a late answer delays the next request), so it lends its processes, its messages, its
page and its statistics; arrivals are scheduled by ours. Not to be imported anywhere: `import locust` patches the whole
process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import gevent
from locust import User, events, task
from locust.runners import MasterRunner, WorkerRunner

from stackproof.scenarios.conductor import Conductor
from stackproof.scenarios.lifeline import Lifeline
from stackproof.scenarios.orders import ANSWERS_VARIABLE, SETUP_VARIABLE, Setup
from stackproof.scenarios.performer import Performer

# A worker on another machine was started by somebody there, and lives as long as Locust's master wants it.
LIFELINE = Lifeline() if SETUP_VARIABLE in os.environ else None


class Offering(User):
    """Stands in Locust's table for the load of one process, which is not offered by users."""

    @task
    def wait(self) -> None:
        gevent.sleep(1.0)


def _perform(environment: Any) -> Performer:
    """Carry out orders in this process."""
    runner = environment.runner

    def send(kind: str, content: Mapping[str, Any]) -> None:
        runner.send_message(kind, dict(content))

    performer = Performer(send, environment)
    runner.register_message("order", lambda msg, **_others: performer.take(msg.data))
    return performer


def _conduct(environment: Any) -> None:
    """Pass orders on from this process."""
    runner = environment.runner
    expected = environment.parsed_options.expect_workers if isinstance(runner, MasterRunner) else 1
    setup = Setup.from_data(json.loads(os.environ[SETUP_VARIABLE]))
    conductor = Conductor(runner, setup, int(os.environ[ANSWERS_VARIABLE]), expected)
    runner.register_message("answer", lambda msg, **_others: conductor.take_answer(msg.node_id, msg.data))
    runner.register_message("progress", lambda msg, **_others: conductor.take_progress(msg.data))

    def begin(**_others: Any) -> None:
        conductor.ready()
        assert LIFELINE is not None
        LIFELINE.listen(conductor.order)

    events.spawning_complete.add_listener(begin)  # type: ignore[no-untyped-call]


@events.init.add_listener  # type: ignore[untyped-decorator]
def _begin(environment: Any, **_others: Any) -> None:
    if not isinstance(environment.runner, MasterRunner):
        performer = _perform(environment)
        events.quitting.add_listener(lambda **_others: performer.end())  # type: ignore[no-untyped-call]
    if not isinstance(environment.runner, WorkerRunner):
        _conduct(environment)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _good(environment: Any, **_others: Any) -> None:
    environment.process_exit_code = 0
