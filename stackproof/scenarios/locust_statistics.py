"""Locust's own statistics, fed with what our recorder holds: its page, its table and ours show the same figures.

Locust's `request` event costs several microseconds for each operation, and its table rounds to whole milliseconds. So each
second of a window is handed over at once, in buckets that keep what lies below a millisecond.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from locust.stats import StatsEntry, StatsError

from .recorder import Recorder, Second

SETTLED_SECONDS = 2
"""A second is handed over when it is so long past; what ends still later follows with the end of the window."""


class Statistics:
    """The statistics of a Locust environment, for one kind of operation."""

    def __init__(self, environment: Any, kind: str, name: str) -> None:
        self._stats = environment.stats
        self._kind = kind
        self._name = name

    def follow(self, recorder: Recorder, began: float) -> Fed:
        """What hands over a recorder whose second 0 began at ``began`` (of `time.time`)."""
        return Fed(self, recorder, began)

    def add(self, entry: StatsEntry) -> None:
        """Put these requests to those that are there."""
        self._stats.entries[(self._name, self._kind)].extend(entry)
        self._stats.total.extend(entry)

    def entry(self) -> StatsEntry:
        return StatsEntry(self._stats, self._name, self._kind)

    def add_errors(self, errors: Counter[str]) -> None:
        """Put these errors, which are counted as failures already, to those that are there."""
        for error, times in errors.items():
            key = StatsError.create_key(self._kind, self._name, error)
            known = self._stats.errors.setdefault(key, StatsError(self._kind, self._name, error))
            known.occurrences += times


class Fed:
    """One recorder on its way into the statistics: what of it has been handed over."""

    def __init__(self, statistics: Statistics, recorder: Recorder, began: float) -> None:
        self._statistics = statistics
        self._recorder = recorder
        self._began = began
        self._seconds: dict[int, tuple[Counter[float], int]] = {}
        self.requests = 0
        self.failures = 0

    def up_to(self, offset: float) -> None:
        """Hand over the seconds that are settled at this moment of the window."""
        for number in sorted(self._recorder.series):
            if number < offset - SETTLED_SECONDS and number not in self._seconds:
                self._second(number, self._recorder.series[number])

    def rest(self) -> None:
        """Hand over everything that has not been yet."""
        for number, second in sorted(self._recorder.series.items()):
            self._second(number, second)
        self._statistics.add_errors(self._recorder.errors)

    def _second(self, number: int, second: Second) -> None:
        before, failed_before = self._seconds.get(number, (Counter(), 0))
        now = Counter({round(seconds * 1000, 3): times for seconds, times in second.latency.buckets()})
        self._seconds[number] = (now, second.failed)
        fresh, failed = now - before, second.failed - failed_before
        if not fresh and not failed:
            return
        ended, moment = fresh.total() + failed, int(self._began + number)
        entry = self._statistics.entry()
        entry.num_requests, entry.num_failures, entry.num_none_requests = ended, failed, failed
        entry.response_times.update(fresh)  # type: ignore[arg-type]
        entry.num_reqs_per_sec[moment] = ended
        entry.num_fail_per_sec[moment] = failed
        entry.start_time = self._began
        entry.last_request_timestamp = self._began + number + 1.0
        if fresh:
            entry.total_response_time = round(sum(ms * times for ms, times in fresh.items()))
            entry.min_response_time, entry.max_response_time = min(fresh), max(fresh)  # type: ignore[assignment]
        self._statistics.add(entry)
        self.requests += ended
        self.failures += failed
