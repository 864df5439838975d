"""Reads back what a run wrote, and compares it with the journal: exactly, but for what was under way at an interruption."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from application import OFFERS, TOPIC, insistently, profile_of, word_of
from journal import Decision, Journal

from stackproof import Infra
from stackproof.interfaces import MISSING, Event, ReplayableEvents, SearchQuery, SummariesQuery, summarise

PATIENCE = 10.0
"""Seconds without any new event after which no more is expected."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One concern: what was written, what was read, and where they differ."""

    concern: str
    written: str
    read: str
    difference: str = ""

    def __str__(self) -> str:
        end = f"; DIFFERENT: {self.difference}" if self.difference else ""
        return f"{self.concern:<12} written: {self.written}; read: {self.read}{end}"


def some(names: Iterable[str]) -> str:
    """The first one, and how many there are beside it."""
    first, *others = sorted(names)
    return f"{first} (and {len(others)} more)" if others else first


class Subscriber:
    """A handler that keeps the events of one run. An event that is delivered twice is the same one."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._lock = threading.Lock()
        self.events: dict[str, Event] = {}

    def __call__(self, event: Event) -> None:
        if event.payload.get("run") == self._run:
            with self._lock:
                self.events[event.event_id] = event

    def wait_for(self, wanted: set[str]) -> None:
        """Wait until all are there, or none comes any more."""
        known, deadline = -1, 0.0
        while not wanted <= self.events.keys():
            if len(self.events) > known:
                known, deadline = len(self.events), time.monotonic() + PATIENCE
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)


def interactions(infra: Infra, journal: Journal) -> Finding:
    """Every summary of every customer is the one that the recorded interactions define."""
    count, different = 0, []
    for customer in journal.customers:
        query = SummariesQuery(tenant=journal.run, customer=customer)
        rows = insistently(lambda query=query: list(infra.interactions.all_summaries(query)))
        sure = [each.interaction for each in journal.those("recorded") if each.customer == customer]
        perhaps = [each.interaction for each in journal.uncertain("recorded") if each.customer == customer]
        if rows not in (summarise(sure), summarise(sure + perhaps)):
            different.append(customer)
        count += sum(row.impressions for row in rows if row.period_type == "alltime")
    text = f"of {some(different)} the summaries are not those of what was recorded" if different else ""
    read = f"{count} in the summaries of {len(journal.customers)} customers"
    return Finding("interactions", f"{len(journal.done['recorded'])} recorded", read, text)


def events(subscriber: Subscriber, journal: Journal) -> Finding:
    """A subscriber that listened all the time has every published event, unaltered, and no other."""
    published = {each.event_id: each.event for each in journal.those("published")}
    perhaps = {each.event_id: each.event for each in journal.uncertain("published")}
    subscriber.wait_for(set(published))
    received = dict(subscriber.events)
    missing = published.keys() - received.keys()
    altered = [key for key, event in received.items() if event != (published | perhaps).get(key)]
    trouble = [f"{some(missing)} never came"] if missing else []
    trouble += [f"{some(altered)} is not what was published"] if altered else []
    return Finding("events", f"{len(published)} published", f"{len(received)} received", ", ".join(trouble))


def kept_events(infra: Infra, journal: Journal) -> Finding:
    """The same for a run that has ended, where the bus keeps events."""
    bus = infra.events
    if not isinstance(bus, ReplayableEvents):
        return Finding("events", f"{len(journal.done['published'])} published", "nothing, as this bus keeps no events")
    subscriber = Subscriber(journal.run)
    subscription = bus.replay(TOPIC, subscriber)
    try:
        return events(subscriber, journal)
    finally:
        subscription.close()


def search(infra: Infra, journal: Journal) -> Finding:
    """Each offer is found by its own word, and nothing else is."""
    found = {}
    for offer in OFFERS:
        query = SearchQuery(tenant=journal.run, text=word_of(offer), kind="offer")
        found[offer] = [hit.id for hit in insistently(lambda query=query: infra.search.search(query))]
    right = {offer for offer in OFFERS if found[offer] == [offer]}
    lost = sorted(journal.indexed - right)
    text = f"{some(lost)} cannot be found by its own word alone" if lost else ""
    return Finding("search", f"{len(journal.indexed)} offers indexed", f"{len(right)} found", text)


def cache(infra: Infra, journal: Journal, fetched: Counter[str] | None = None) -> Finding:
    """The last decision about each customer, and his profile, which was fetched once."""
    last = {each.customer: each for each in journal.those("remembered")}
    perhaps = {each.customer: each for each in journal.uncertain("remembered")}
    wrong, count = [], 0
    for customer, decision in last.items():
        value = insistently(lambda key=f"{journal.run}:last:{customer}": infra.cache.get(key))
        profile = insistently(lambda key=f"{journal.run}:profile:{customer}": infra.cache.get(key))
        count += (value is not MISSING) + (profile is not MISSING)
        if value not in _values(decision, perhaps.get(customer)) or profile != profile_of(customer):
            wrong.append(customer)
        elif fetched is not None and fetched[customer] != 1:
            wrong.append(f"{customer} (fetched {fetched[customer]} times)")
    text = f"of {some(wrong)} the values are not those that were stored" if wrong else ""
    return Finding("cache", f"{2 * len(last)} values stored", f"{count} values", text)


def _values(sure: Decision, perhaps: Decision | None) -> list[object]:
    return [each.remembered for each in (sure, perhaps) if each is not None]


def logs(infra: Infra, journal: Journal) -> Finding:
    """A transport is not read; one that counts says what it gave up."""
    dropped = int(getattr(infra.logs, "dropped", 0))
    text = f"{dropped} lines were given up" if dropped else ""
    return Finding("logs", f"{len(journal.done['logged'])} lines", f"{dropped} given up by the transport", text)


def of_a_run(infra: Infra, journal: Journal, subscriber: Subscriber, fetched: Counter[str]) -> list[Finding]:
    """What the process that wrote it reads back."""
    return [
        interactions(infra, journal),
        events(subscriber, journal),
        search(infra, journal),
        cache(infra, journal, fetched),
        logs(infra, journal),
    ]


def afterwards(infra: Infra, journal: Journal) -> list[Finding]:
    """What another process finds of a run that has ended; memory that ended with it is not looked for."""
    found = [kept_events(infra, journal)]
    if infra.interactions.capabilities.durable:
        found.append(interactions(infra, journal))
    if infra.search.capabilities.durable:
        found.append(search(infra, journal))
    if infra.cache.capabilities.shared:
        found.append(cache(infra, journal))
    return found
