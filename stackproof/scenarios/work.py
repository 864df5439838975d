"""The work of a decision: its steps, through the adapters, with a check of what they answer.

Knows nothing of Locust, of arrival times or of histograms: it is told a decision and reports how long each step took.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from stackproof.adapters.settings import Settings
from stackproof.interfaces import (
    CacheStore,
    CacheValue,
    ConfigurationError,
    Event,
    EventPublisher,
    Interaction,
    InteractionStore,
    InteractionType,
    PeriodType,
    StackproofError,
    SummariesQuery,
)
from stackproof.targets import parse_target

from .scenario import CacheRead, Decision, LogLine, Publish, RecordEvent, Scenario, Step, SummariesRead, text_of

TENANT = "bench"
CACHE_TTL = 300.0
CHECKED_CUSTOMERS = 8
"""The summaries of one customer in this many are checked (customer 1, the busiest, among them)."""
WRONG_ANSWERS_KEPT = 10


class WrongAnswerError(StackproofError):
    """A backend answered in time, and wrongly."""


class StepFailedError(StackproofError):
    """A step of a decision raised; the cause is its error."""

    def __init__(self, step: str, cause: BaseException) -> None:
        super().__init__(f"{step}: {type(cause).__name__}")
        self.kind = f"{step}: {type(cause).__name__}"


@dataclass(slots=True)
class Checks:
    """What was checked while the load ran, and what was wrong."""

    cache_reads: int = 0
    cache_fetches: int = 0
    """Reads that found nothing, so that the value was fetched."""
    summaries: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list)
    attempted: Counter[int] = field(default_factory=Counter)
    """Interactions of each checked customer whose recording began."""
    recorded: Counter[int] = field(default_factory=Counter)
    """Interactions of each checked customer whose recording ended well."""

    def to_data(self) -> dict[str, int | list[str]]:
        """The counters and examples, as values that JSON can hold."""
        return {
            "cache_reads": self.cache_reads,
            "cache_fetches": self.cache_fetches,
            "summaries": self.summaries,
            "wrong": self.wrong,
            "examples": list(self.examples),
        }

    def wrong_answer(self, sentence: str) -> WrongAnswerError:
        """Note a wrong answer; the error to raise."""
        self.wrong += 1
        if len(self.examples) < WRONG_ANSWERS_KEPT:
            self.examples.append(sentence)
        return WrongAnswerError(sentence)


class Work:
    """The adapters of one run, under one namespace, and the steps on them."""

    def __init__(self, scenario: Scenario, backends: Mapping[str, str], settings: Settings, namespace: str) -> None:
        self.scenario = scenario
        self.checks = Checks()
        self._slowest: tuple[float, str] = (0.0, "none")
        self._asked = 0.0
        self._guard = threading.Lock()
        self._adapters: dict[str, Any] = {}
        for concern in scenario.concerns:
            self._adapters[concern] = _make(concern, backends[concern], settings, namespace)
        self._logger = logging.Logger("stackproof.bench.decision", logging.INFO)
        if "logs" in self._adapters:
            self._logger.addHandler(self._adapters["logs"])
        self._actions: dict[type[Step], Callable[[Decision, int], None]] = {
            CacheRead: self._read_cache,
            SummariesRead: self._read_summaries,
            RecordEvent: self._record_event,
            Publish: self._publish,
            LogLine: self._log,
        }
        self._names = {concern: type(adapter).__name__ for concern, adapter in self._adapters.items()}

    def item(self, number: int) -> Decision:
        """The random part of operation ``number``."""
        return self.scenario.decision(number)

    def decide(self, item: Decision, took: Callable[[str, float], None]) -> None:
        """Do every step of one decision; ``took(step, seconds)`` after each. `StepFailedError` for the first that fails."""
        for step in self.scenario.steps:
            for turn in range(step.times):
                began = time.perf_counter()
                try:
                    self._actions[type(step)](item, turn)
                except Exception as error:
                    self._note(step, began, time.perf_counter() - began)
                    raise StepFailedError(step.name, error) from error
                seconds = time.perf_counter() - began
                self._note(step, began, seconds)
                took(step.name, seconds)

    def _note(self, step: Step, began: float, seconds: float) -> None:
        if seconds > self._slowest[0] and began >= self._asked:
            self._slowest = (seconds, f"{step.name} ({self._names[step.concern]})")

    def slowest_step(self) -> tuple[float, str]:
        """Seconds and name of the longest step that both began and ended since this was last asked.

        This is what a blocked event loop is blamed on. A step that had begun before was waiting, and let others run.
        """
        slowest, self._slowest, self._asked = self._slowest, (0.0, "none"), time.perf_counter()
        return slowest

    def _read_cache(self, decision: Decision, turn: int) -> None:
        key = f"customer:{decision.customer}" if turn == 0 else f"offer:{decision.offers[turn % 2]}"
        expected: CacheValue = {"key": key, "text": text_of(key, self.scenario.bytes_of_key(key))}
        fetched = False

        def fetch() -> CacheValue:
            nonlocal fetched
            fetched = True
            return expected

        found = self._cache.get_or_fetch(key, fetch, CACHE_TTL)
        self.checks.cache_reads += 1
        self.checks.cache_fetches += fetched
        if found != expected:
            raise self.checks.wrong_answer(f"get_or_fetch({key!r}) answered with something that was never stored there")

    def _read_summaries(self, decision: Decision, _turn: int) -> None:
        customer = decision.customer
        checked = customer % CHECKED_CUSTOMERS == 1
        least = self.checks.recorded[customer] if checked else 0
        query = SummariesQuery(tenant=TENANT, customer=f"c{customer}", period_type=PeriodType.ALLTIME)
        page = self._interactions.get_summaries(query)
        if not checked:
            return
        seen = sum(row.impressions for row in page.rows)
        most = self.checks.attempted[customer]
        self.checks.summaries += 1
        if seen > most or (seen < least and page.next_cursor is None):
            raise self.checks.wrong_answer(
                f"get_summaries of customer c{customer} counts {seen} impressions; "
                f"{least} were recorded before it was asked, and {most} at most can be there"
            )

    def _record_event(self, decision: Decision, _turn: int) -> None:
        customer = decision.customer
        checked = customer % CHECKED_CUSTOMERS == 1
        event = Interaction(
            event_id=decision.event_id,
            tenant=TENANT,
            customer=f"c{customer}",
            offer=f"o{decision.offers[-1]}",
            interaction_type=InteractionType.IMPRESSION,
            timestamp=datetime.now(UTC),
            channel="web",
            value=Decimal("0.25"),
        )
        if checked:
            with self._guard:
                self.checks.attempted[customer] += 1
        self._interactions.record_event(event)
        if checked:
            with self._guard:
                self.checks.recorded[customer] += 1

    def _publish(self, decision: Decision, _turn: int) -> None:
        payload = {"customer": f"c{decision.customer}", "text": text_of(decision.event_id, decision.payload_bytes)}
        event = Event(
            type="decision.made.v1", key=f"c{decision.customer}", event_id=decision.event_id, payload=dict(payload)
        )
        self._events.publish("decisions", event)

    def _log(self, decision: Decision, _turn: int) -> None:
        fields = {"event_id": decision.event_id, "customer": decision.customer, "offer": decision.offers[-1]}
        self._logger.info("decision made", extra={"decision": fields})

    @property
    def _cache(self) -> CacheStore:
        cache: CacheStore = self._adapters["cache"]
        return cache

    @property
    def _interactions(self) -> InteractionStore:
        store: InteractionStore = self._adapters["interactions"]
        return store

    @property
    def _events(self) -> EventPublisher:
        publisher: EventPublisher = self._adapters["events"]
        return publisher

    @property
    def lost_log_lines(self) -> int:
        """Log records that the transport says it dropped, where it can say so."""
        dropped = getattr(self._adapters.get("logs"), "dropped", 0)
        return dropped if isinstance(dropped, int) else 0

    def close(self) -> list[str]:
        """Remove everything of the namespace and disconnect; what went wrong, as sentences."""
        troubles = [
            trouble for concern, adapter in reversed(self._adapters.items()) for trouble in _end(concern, adapter)
        ]
        self._adapters.clear()
        return troubles


def drop_namespace(backends: Mapping[str, str], settings: Settings, namespace: str) -> list[str]:
    """Remove what a generator left behind that could not do it itself; what went wrong, as sentences."""
    troubles = []
    for concern, spec in backends.items():
        try:
            adapter = _make(concern, spec, settings, namespace)
        except Exception as error:  # noqa: BLE001 - a third party's factory may raise anything
            troubles.append(f"{concern}: {type(error).__name__}: {error}")
        else:
            troubles += _end(concern, adapter)
    return troubles


def _end(concern: str, adapter: Any) -> list[str]:
    """Remove what an adapter stored, and disconnect it; what went wrong, so that the others are ended all the same."""
    troubles = []
    for action in (_remove, _disconnect):
        try:
            action(adapter)
        except Exception as error:  # noqa: BLE001 - reported
            troubles.append(f"{concern}: {type(error).__name__}: {error}")
    return troubles


def _remove(adapter: Any) -> None:
    if hasattr(adapter, "drop_namespace"):
        adapter.drop_namespace()
    elif getattr(getattr(adapter, "capabilities", None), "remote", False):
        raise ConfigurationError("it has no drop_namespace, so what this run stored stays on its server")


def _make(concern: str, spec: str, settings: Settings, namespace: str) -> Any:
    return parse_target(f"{concern}={spec}").make(settings, namespace)


def _disconnect(adapter: Any) -> None:
    if isinstance(adapter, logging.Handler):
        adapter.close()
    else:
        adapter.disconnect()
