"""A locustfile of one's own that uses the arrival schedule and the recorder of stackproof.

    STACKPROOF_RECORD=record.json locust --locustfile examples/locustfiles/echo.py --headless --users 1 --run-time 5s

With several processes: ``--users 2 --spawn-rate 2 --processes 2``.
"""

from __future__ import annotations

import gevent

from stackproof.scenarios.arrival_user import ArrivalUser


class Echo(ArrivalUser):
    """Waits for two milliseconds; every hundredth operation fails."""

    rate = 200.0
    limit = 0.5

    def operate(self, number: int) -> None:
        gevent.sleep(0.002)
        if number % 100 == 99:
            raise ValueError("every hundredth fails")
