"""The application: for each decision it reads cache, summaries and search, and writes to all five concerns."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from journal import Decision, Journal, now

from stackproof import Infra
from stackproof.interfaces import (
    CacheValue,
    ClosedError,
    Document,
    IndeterminateError,
    OperationTimeoutError,
    PeriodType,
    SearchQuery,
    SummariesQuery,
    UnavailableError,
)

T = TypeVar("T")

TOPIC = "decisions"
CUSTOMERS = 40
INTERESTS = ("travel", "music", "garden")
OFFERS = {f"offer-{number}": INTERESTS[number % len(INTERESTS)] for number in range(12)}
COMMON_WORD = "chance"
LIFETIME = 3600.0
"""Seconds that the cache keeps a value."""
ATTEMPTS = 5

log = logging.getLogger("decisions")


def insistently(action: Callable[[], T]) -> T:
    """Try again what did not work for the moment. Ids make it harmless to repeat what may have been done already."""
    for attempt in range(1, ATTEMPTS):
        try:
            return action()
        except (UnavailableError, OperationTimeoutError, IndeterminateError) as error:
            log.warning("attempt %d failed: %s", attempt, error)
            time.sleep(0.1 * attempt)
    return action()


def profile_of(customer: str) -> CacheValue:
    """What an application would ask another system for, and therefore caches."""
    return {"customer": customer, "interest": INTERESTS[int(customer.removeprefix("c-")) % len(INTERESTS)]}


def word_of(offer: str) -> str:
    """What finds this offer and no other one."""
    return offer.replace("-", "")


class Application:
    """Decides which offer a customer sees: the one that fits, and that was shown least."""

    def __init__(self, infra: Infra, journal: Journal) -> None:
        self.infra = infra
        self.journal = journal
        self.fetched: Counter[str] = Counter()

    def index_offers(self) -> None:
        """Index the offers, and wait until they are found."""
        documents = [
            Document(tenant=self.journal.run, id=offer, title=f"{COMMON_WORD} {word_of(offer)}", text=interest)
            for offer, interest in OFFERS.items()
        ]
        insistently(lambda: self.infra.search.index(documents))
        self.journal.acknowledge_offers(OFFERS)
        deadline = time.monotonic() + 10 + self.infra.search.capabilities.visible_within
        while len(self._fitting(COMMON_WORD)) < len(OFFERS) and time.monotonic() < deadline:
            time.sleep(0.05)

    def run(self, decisions: int, workers: int) -> bool:
        """Decide; whether it went on to the end. A customer always has the same worker, so his decisions have an order."""
        stop = threading.Event()

        def work(worker: int) -> None:
            try:
                for number in range(decisions):
                    if stop.is_set():
                        return
                    if number % CUSTOMERS % workers == worker:
                        self.decide(number)
            except BaseException:
                stop.set()
                raise

        with ThreadPoolExecutor(workers) as pool:
            running = [pool.submit(work, worker) for worker in range(workers)]
        errors = [error for future in running if (error := future.exception()) is not None]
        for error in errors:
            if not isinstance(error, ClosedError):
                raise error
        return not errors

    def decide(self, number: int) -> None:
        infra, run, customer = self.infra, self.journal.run, f"c-{number % CUSTOMERS}"
        decision = Decision(run, number, customer, self._best_offer(customer), f"{number % 7}.25", now())
        self.journal.begin(decision)
        insistently(lambda: infra.interactions.record_event(decision.interaction))
        self.journal.acknowledge("recorded", number)
        insistently(lambda: infra.events.publish(TOPIC, decision.event))
        self.journal.acknowledge("published", number)
        insistently(lambda: infra.cache.set(f"{run}:last:{customer}", decision.remembered, ttl=LIFETIME))
        self.journal.acknowledge("remembered", number)
        log.info("decided", extra={"run": run, "number": number, "customer": customer, "offer": decision.offer})
        self.journal.acknowledge("logged", number)

    def _best_offer(self, customer: str) -> str:
        query = SummariesQuery(tenant=self.journal.run, customer=customer, period_type=PeriodType.ALLTIME)
        rows = insistently(lambda: list(self.infra.interactions.all_summaries(query)))
        shown = {row.offer: row.impressions for row in rows}
        return min(self._fitting(self._interest(customer)), key=lambda offer: (shown.get(offer, 0), offer))

    def _interest(self, customer: str) -> str:
        def fetch() -> CacheValue:
            self.fetched[customer] += 1
            return profile_of(customer)

        key = f"{self.journal.run}:profile:{customer}"
        profile = insistently(lambda: self.infra.cache.get_or_fetch(key, fetch, ttl=LIFETIME))
        assert isinstance(profile, dict)
        return str(profile["interest"])

    def _fitting(self, word: str) -> list[str]:
        query = SearchQuery(tenant=self.journal.run, text=word, kind="offer", limit=100)
        return [hit.id for hit in insistently(lambda: self.infra.search.search(query))]
