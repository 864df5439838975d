"""What Locust runs: a single user, which is the dispatcher of one plan.

Locust's own pacing is closed-loop (a late answer delays the next request), so it only lends its process, its life cycle
and its statistics; arrivals are scheduled by ``generator.py``. Not to be imported anywhere: `import locust` patches the
whole process.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gevent
from locust import User, events, task
from locust.exception import StopUser

from stackproof.scenarios.generator import Generator
from stackproof.scenarios.lifeline import end_with_parent
from stackproof.scenarios.plan import PLAN_VARIABLE, PROGRESS_VARIABLE, RESULT_VARIABLE, Plan

end_with_parent()

PLAN = Plan.from_json(os.environ[PLAN_VARIABLE])
PROGRESS = os.environ.get(PROGRESS_VARIABLE)


def _fire(seconds: float, error: BaseException | None) -> None:
    """Tell Locust's own statistics, so that its figures can be compared with ours."""
    events.request.fire(  # type: ignore[no-untyped-call]
        request_type="decision",
        name=PLAN.scenario,
        response_time=seconds * 1000,
        response_length=0,
        exception=error,
        context={},
    )


GENERATOR = Generator(PLAN, Path(os.environ[RESULT_VARIABLE]), int(PROGRESS) if PROGRESS else None, _fire)


class Dispatcher(User):
    """The one user: offers the whole load, then ends the process."""

    @task
    def offer_the_load(self) -> None:
        try:
            GENERATOR.run()
        finally:
            gevent.spawn(self.environment.runner.quit)
        raise StopUser


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _finish(environment: Any, **_others: Any) -> None:
    total = environment.stats.total
    GENERATOR.finish({"requests": total.num_requests, "failures": total.num_failures})
    environment.process_exit_code = 0
