"""A search index that nobody here wrote: full-text search of SQLite by way of `sqlite-utils`.

    stackproof verify --backend search=examples.third_party_backends.indexes:make_sqlite_utils

What the contract finds is in docs/findings.md.
"""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from sqlite_utils import Database

from stackproof.contracts import SearchCapabilities
from stackproof.interfaces import Document, Hit, SearchIndex, SearchQuery


class SqliteUtilsIndex(SearchIndex):
    """One table with `enable_fts`; queries are quoted by `quote_fts`, as the manual advises for what users type."""

    capabilities = SearchCapabilities()

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()  # one connection serves all threads, one at a time, as SQLite's manual asks
        self._db = Database(sqlite3.connect(path, check_same_thread=False))
        self._documents = self._db["documents"]
        if not self._documents.exists():
            columns = dict.fromkeys(("tenant", "id", "title", "text", "kind"), str)
            self._documents.create(columns, pk=("tenant", "id"))
            self._documents.enable_fts(["title", "text"], create_triggers=True)

    def index(self, documents: Iterable[Document]) -> int:
        rows = {(document.tenant, document.id): asdict(document) for document in documents}
        with self._lock:
            self._documents.upsert_all(rows.values(), pk=("tenant", "id"))
        return len(rows)

    def search(self, query: SearchQuery) -> list[Hit]:
        where, values = "tenant = :tenant", {"tenant": query.tenant}
        if query.kind is not None:
            where, values = f"{where} and kind = :kind", {**values, "kind": query.kind}
        with self._lock:
            rows = list(
                self._documents.search(
                    query.text, where=where, where_args=values, limit=query.limit, include_rank=True, quote=True
                )
            )
        return [Hit(id=row["id"], kind=row["kind"], title=row["title"], score=-row["rank"]) for row in rows]

    def ping(self) -> bool:
        try:
            with self._lock:
                return bool(list(self._db.query("select 1")))
        except sqlite3.ProgrammingError:
            return False

    def disconnect(self) -> None:
        with self._lock:
            self._db.close()


_directories: dict[str, tempfile.TemporaryDirectory[str]] = {}


def make_sqlite_utils(namespace: str) -> SqliteUtilsIndex:
    directory = _directories.setdefault(namespace, tempfile.TemporaryDirectory(prefix="stackproof-sqlite-utils-"))
    return SqliteUtilsIndex(Path(directory.name) / "index.db")
