"""An interaction store that nobody here wrote: the documents of `tinydb`, in a file of JSON.

    stackproof verify --backend interactions=examples.third_party_backends.stores:make_tinydb

What the contract finds is in docs/findings.md.
"""

from __future__ import annotations

import json
import tempfile
import threading
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tinydb import TinyDB, where

from stackproof.contracts import InteractionCapabilities
from stackproof.interfaces import (
    MAX_SUMMARIES,
    Direction,
    Interaction,
    InteractionStore,
    InteractionType,
    RejectedError,
    SummariesPage,
    SummariesQuery,
    summarise,
    summary_order,
)


class TinyStore(InteractionStore):
    """Each interaction is a document; summaries are made of a customer's documents by the definition of what a summary is."""

    capabilities = InteractionCapabilities()

    def __init__(self, path: Path) -> None:
        self._db = TinyDB(path)
        self._lock = threading.RLock()  # the manual: not for several threads at once

    def record_event(self, event: Interaction) -> None:
        document = {**asdict(event), "timestamp": event.timestamp.isoformat(), "value": str(event.value)}
        same = (where("tenant") == event.tenant) & (where("event_id") == event.event_id)
        with self._lock:
            if not self._db.contains(same):
                self._db.insert(document)

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        if query.limit < 1:
            raise RejectedError("a page has at least one row")
        after = _after(query.cursor)
        with self._lock:
            found = self._db.search((where("tenant") == query.tenant) & (where("customer") == query.customer))
        names = ("period_type", "offer", "creative", "channel")
        wanted = {name: getattr(query, name) for name in names if getattr(query, name) is not None}
        rows = [
            row
            for row in sorted(summarise(map(_interaction, found)), key=summary_order)
            if all(getattr(row, name) == value for name, value in wanted.items())
        ]
        rows = [row for row in rows if after is None or summary_order(row) > after]
        size = min(query.limit, MAX_SUMMARIES)
        cursor = json.dumps(summary_order(rows[size - 1])) if len(rows) > size else None
        return SummariesPage(tuple(rows[:size]), cursor)

    def ping(self) -> bool:
        try:
            with self._lock:
                return len(self._db) >= 0
        except ValueError:  # the file is closed
            return False

    def disconnect(self) -> None:
        with self._lock:
            self._db.close()


def _after(cursor: str | None) -> tuple[Any, ...] | None:
    """The place in the order where the page before ended."""
    if cursor is None:
        return None
    try:
        period_type, period_key, *texts = json.loads(cursor)
        return (period_type, tuple(period_key), *texts)
    except (ValueError, TypeError) as error:
        raise RejectedError("this store did not make that cursor") from error


def _interaction(document: dict[str, Any]) -> Interaction:
    return Interaction(
        **{
            **document,
            "timestamp": datetime.fromisoformat(document["timestamp"]),
            "value": Decimal(document["value"]),
            "interaction_type": InteractionType(document["interaction_type"]),
            "direction": Direction(document["direction"]),
        }
    )


_directories: dict[str, tempfile.TemporaryDirectory[str]] = {}


def make_tinydb(namespace: str) -> TinyStore:
    directory = _directories.setdefault(namespace, tempfile.TemporaryDirectory(prefix="stackproof-tinydb-"))
    return TinyStore(Path(directory.name) / "interactions.json")
