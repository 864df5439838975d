"""What a run began and what was acknowledged: kept in memory, and line by line in a file that outlives the process."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from stackproof.interfaces import CacheValue, Event, Interaction, InteractionType

STEPS = ("recorded", "published", "remembered", "logged")


@dataclass(frozen=True, slots=True)
class Decision:
    """One offer to one customer; everything that is written about it follows from this."""

    run: str
    number: int
    customer: str
    offer: str
    amount: str
    at: str

    @property
    def event_id(self) -> str:
        """Of the interaction and of the event: what is repeated after an error counts once."""
        return f"{self.run}-{self.number}"

    @property
    def interaction(self) -> Interaction:
        return Interaction(
            event_id=self.event_id,
            tenant=self.run,
            customer=self.customer,
            offer=self.offer,
            interaction_type=InteractionType.IMPRESSION,
            timestamp=datetime.fromisoformat(self.at),
            channel="web",
            value=Decimal(self.amount),
        )

    @property
    def event(self) -> Event:
        payload = {"run": self.run, "number": self.number, "customer": self.customer, "offer": self.offer}
        return Event(
            type="decision.made.v1",
            payload=dict(payload),
            timestamp=datetime.fromisoformat(self.at),
            key=self.customer,
            event_id=self.event_id,
        )

    @property
    def remembered(self) -> CacheValue:
        return {"number": self.number, "offer": self.offer}


def now() -> str:
    """The time in milliseconds, which every store keeps."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class Journal:
    """A decision is noted before it is written anywhere, and each step once it was acknowledged."""

    run: str
    path: Path | None = None
    begun: dict[int, Decision] = field(default_factory=dict)
    done: dict[str, set[int]] = field(default_factory=lambda: {step: set() for step in STEPS})
    indexed: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self, decision: Decision) -> None:
        self.begun[decision.number] = decision
        self._write({"begun": asdict(decision)})

    def acknowledge(self, step: str, number: int) -> None:
        self.done[step].add(number)
        self._write({step: number})

    def acknowledge_offers(self, offers: Iterable[str]) -> None:
        self.indexed.update(offers)
        self._write({"indexed": sorted(self.indexed)})

    def those(self, step: str) -> list[Decision]:
        """The decisions for which this step was acknowledged, in their order."""
        return [self.begun[number] for number in sorted(self.done[step])]

    def uncertain(self, step: str) -> list[Decision]:
        """Those that were begun, and of which nobody said that this step was done: only an interruption leaves any."""
        return [self.begun[number] for number in sorted(self.begun.keys() - self.done[step])]

    @property
    def customers(self) -> list[str]:
        return sorted({decision.customer for decision in self.begun.values()})

    def _write(self, line: dict[str, object]) -> None:
        if self.path is None:
            return
        text = json.dumps({"run": self.run, **line}) + "\n"
        with self._lock, self.path.open("a", encoding="utf-8") as file:  # closed at once, so that nothing waits
            file.write(text)


def load(path: Path) -> Journal:
    """The journal of a run that has ended, however it ended."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    journal = Journal(run=lines[0]["run"])
    for line in lines:
        for what, value in line.items():
            if what == "begun":
                journal.begun[value["number"]] = Decision(**value)
            elif what == "indexed":
                journal.indexed.update(value)
            elif what in STEPS:
                journal.done[what].add(value)
    return journal


def fresh(path: Path | None) -> Journal:
    """A journal for a new run; it begins its file anew."""
    if path is not None:
        path.write_text("", encoding="utf-8")
    return Journal(run=f"decisions-{os.urandom(6).hex()}", path=path)
