"""An interaction store in an SQLite file: one file a namespace, shared by the processes of one machine."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Self, TypeVar

from stackproof.interfaces import (
    MAX_SUMMARIES,
    ClosedError,
    Direction,
    IndeterminateError,
    Interaction,
    InteractionCapabilities,
    InteractionStore,
    InteractionType,
    RejectedError,
    SummariesPage,
    SummariesQuery,
    Summary,
    UnavailableError,
    summarise,
    summary_order,
)

T = TypeVar("T")

BUSY_SECONDS = 5.0
"""How long one process waits for another one's transaction."""
LARGEST_EXPONENT = 120
_TEXTS = [field.name for field in fields(Interaction) if field.type in ("str", str)]
_FILTERS = ("period_type", "offer", "creative", "channel")
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS interactions (
        tenant BLOB NOT NULL, event_id BLOB NOT NULL, customer BLOB NOT NULL, event TEXT NOT NULL,
        PRIMARY KEY (tenant, event_id)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS of_a_customer ON interactions (tenant, customer);
"""


class SqliteStore(InteractionStore):
    """Contacts as rows; summaries are made of a customer's rows, by the definition of what a summary is.

    Durable: the file is synchronised before `record_event` returns (``synchronous=FULL``). A query costs time in proportion to
    the customer's contacts. One connection, used by one thread at a time; writers of several processes take turns.
    """

    capabilities = InteractionCapabilities()

    def __init__(self, directory: Path, namespace: str = "") -> None:
        self._path = directory / f"interactions-{hashlib.sha256(namespace.encode()).hexdigest()[:32]}.db"
        self._lock = threading.Lock()
        self._open = True
        self._process = os.getpid()
        self._db = self._connected()

    @classmethod
    def from_settings(cls, settings: Any, namespace: str = "") -> Self:
        directory = settings.require("ACME_SQLITE_DIRECTORY", "the SQLite store", "/var/lib/acme")
        return cls(Path(directory), namespace)

    def record_event(self, event: Interaction) -> None:
        self._check(event)
        key = event.tenant.encode(), event.event_id.encode()

        def write(db: sqlite3.Connection) -> None:
            if db.execute("SELECT 1 FROM interactions WHERE tenant = ? AND event_id = ?", key).fetchone():
                return
            customer = event.customer.encode()
            self._check_sums([*self._contacts(db, key[0], customer), event])
            db.execute("INSERT INTO interactions VALUES (?, ?, ?, ?)", (*key, customer, _to_json(event)))

        self._transaction(write)

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        self._check_open()
        if query.limit < 1:
            raise RejectedError(f"a page has at least one row, not {query.limit}")
        after = _position(query)
        key = tuple(text.encode("utf-8", "surrogatepass") for text in (query.tenant, query.customer))
        found = self._transaction(lambda db: list(self._contacts(db, *key)))
        rows = [row for row in sorted(summarise(found), key=summary_order) if _matches(row, query)]
        rows = [row for row in rows if after is None or _place(row) > after]
        size = min(query.limit, MAX_SUMMARIES)
        cursor = _cursor(query, _place(rows[size - 1])) if len(rows) > size else None
        return SummariesPage(tuple(rows[:size]), cursor)

    def ping(self) -> bool:
        try:
            self._transaction(lambda db: db.execute("SELECT 1").fetchone())
        except (ClosedError, UnavailableError, IndeterminateError):
            return False
        return True

    def disconnect(self) -> None:
        with self._lock:
            self._open = False
            self._db.close()

    def drop_namespace(self) -> None:
        """Remove everything of this namespace."""
        self._transaction(lambda db: db.execute("DELETE FROM interactions"))

    # The file

    def _connected(self) -> sqlite3.Connection:
        try:
            db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=BUSY_SECONDS)
            _patiently(lambda: db.execute("PRAGMA journal_mode=WAL"))
            db.execute("PRAGMA synchronous=FULL")
            _patiently(lambda: db.executescript(_SCHEMA))
        except sqlite3.Error as error:
            raise UnavailableError(f"the file {self._path} cannot be used: {error}") from error
        return db

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._check_open()
        if os.getpid() != self._process:
            raise UnavailableError("this store was opened by the parent process; open another one")
        with self._lock:
            self._check_open()
            try:
                self._db.execute("BEGIN IMMEDIATE")
                done = work(self._db)
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise UnavailableError(f"the file {self._path} cannot be used now: {error}") from error
            finally:
                if self._db.in_transaction:  # an error, or an interruption: nothing of it is applied
                    self._db.execute("ROLLBACK")
            return done

    def _contacts(self, db: sqlite3.Connection, tenant: bytes, customer: bytes) -> Iterable[Interaction]:
        query = "SELECT event FROM interactions WHERE tenant = ? AND customer = ?"
        with closing(db.execute(query, (tenant, customer))) as found:
            return [_from_json(text) for (text,) in found]

    # What can be kept

    def _check_open(self) -> None:
        if not self._open:
            raise ClosedError("this store was disconnected")

    def _check(self, event: Interaction) -> None:
        self._check_open()
        for name in _TEXTS:
            _check_text(name, getattr(event, name), self.capabilities.max_text_bytes)
        if not isinstance(event.interaction_type, InteractionType) or not isinstance(event.direction, Direction):
            raise RejectedError("interaction_type or direction is of the wrong type")
        if event.value and abs(event.value.adjusted()) > LARGEST_EXPONENT:
            raise RejectedError("the value is too large or too small a number")
        self._check_digits(event.value)
        try:
            event.timestamp.astimezone(UTC)
        except OverflowError as error:
            raise RejectedError("the timestamp lies outside of the years 1 to 9999 in UTC") from error

    def _check_sums(self, events: Iterable[Interaction]) -> None:
        for row in summarise(events):
            self._check_digits(row.total_value)

    def _check_digits(self, value: Decimal) -> None:
        digits = "".join(map(str, value.as_tuple().digits)).strip("0")
        if len(digits) > self.capabilities.value_digits:
            raise RejectedError(f"a value or a sum has more than {self.capabilities.value_digits} digits")


def _patiently(work: Callable[[], object]) -> None:
    """Changing to WAL does not wait for others as statements do."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            work()
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _check_text(name: str, text: object, most: int) -> None:
    if not isinstance(text, str):
        raise RejectedError(f"{name} is no text")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise RejectedError(f"{name} has a lone surrogate") from error
    if size > most:
        raise RejectedError(f"{name} has {size} bytes, the limit is {most}")


def _to_json(event: Interaction) -> str:
    plain = {field.name: getattr(event, field.name) for field in fields(event)}
    kinds = {"interaction_type": event.interaction_type.value, "direction": event.direction.value}
    return json.dumps(plain | kinds | {"timestamp": event.timestamp.isoformat(), "value": str(event.value)})


def _from_json(text: str) -> Interaction:
    plain = json.loads(text)
    kinds = {
        "interaction_type": InteractionType(plain["interaction_type"]),
        "direction": Direction(plain["direction"]),
    }
    when, value = datetime.fromisoformat(plain["timestamp"]), Decimal(plain["value"])
    return Interaction(**(plain | kinds | {"timestamp": when, "value": value}))


def _matches(row: Summary, query: SummariesQuery) -> bool:
    wanted = ((name, getattr(query, name)) for name in _FILTERS)
    return all(value is None or getattr(row, name) == value for name, value in wanted)


def _place(row: Summary) -> list[Any]:
    """Where a row stands, as JSON gives it back."""
    kind, period, *rest = summary_order(row)
    return [kind, list(period), *rest]


def _seal(query: SummariesQuery, place: list[Any]) -> str:
    """Ties a cursor to its query: one of other filters, or a text that somebody made up, is noticed."""
    filters = replace(query, limit=1, cursor=None)
    return hashlib.sha256(f"{filters!r} {json.dumps(place)}".encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _cursor(query: SummariesQuery, place: list[Any]) -> str:
    return json.dumps([_seal(query, place), place])


def _position(query: SummariesQuery) -> list[Any] | None:
    if query.cursor is None:
        return None
    try:
        seal, place = json.loads(query.cursor)
    except (ValueError, TypeError) as error:
        raise RejectedError("this store did not make that cursor") from error
    if not isinstance(place, list) or seal != _seal(query, place):
        raise RejectedError("this store did not make that cursor, or for other filters")
    return place
