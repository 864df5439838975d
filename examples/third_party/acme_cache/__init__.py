"""A cache in an SQLite file."""

from __future__ import annotations

import math
import os
import pickle
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from stackproof.interfaces import (
    MISSING,
    CacheCapabilities,
    CacheStore,
    CacheValue,
    ClosedError,
    Missing,
    RejectedError,
    UnavailableError,
)


class SqliteCache(CacheStore):
    """One table in a file; one connection, used by one thread at a time.

    Values are pickled: the file must be as private as the process that reads it.
    """

    capabilities = CacheCapabilities(max_key_bytes=512, max_value_bytes=100_000, shared=False)

    def __init__(self, namespace: str = "default", directory: Path | None = None) -> None:
        self._lock = threading.RLock()
        self._fetching: dict[str, threading.Lock] = {}
        self._writes: dict[str, int] = {}
        self._open = True
        try:
            descriptor, name = tempfile.mkstemp(dir=directory, prefix=namespace, suffix=".db")
            os.close(descriptor)
            self._path = Path(name)
            self._db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        except OSError as error:
            raise UnavailableError(f"the cache file cannot be made: {error.strerror}") from error
        self._db.execute("CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB, expires REAL)")

    def _run(self, statement: str, *values: object) -> sqlite3.Cursor:
        with self._lock:
            if not self._open:
                raise ClosedError("this cache was disconnected")
            return self._db.execute(statement, values)

    def get(self, key: str) -> CacheValue | Missing:
        where = (_checked(key), time.time())
        with self._lock:
            row = self._run("SELECT value FROM entries WHERE key = ? AND NOT expires <= ?", *where).fetchone()
        return MISSING if row is None else _unpacked(row[0])

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        raw, expires, packed = _checked(key), _expiry(ttl), _packed(value)
        with self._lock:
            self._writes[key] = self._writes.get(key, 0) + 1
            self._run("REPLACE INTO entries VALUES (?, ?, ?)", raw, packed, expires)

    def delete(self, key: str) -> bool:
        raw = _checked(key)
        with self._lock:
            self._writes[key] = self._writes.get(key, 0) + 1
            live = self.get(key) is not MISSING
            self._run("DELETE FROM entries WHERE key = ?", raw)
            return live

    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        _expiry(ttl)
        found = self.get(key)
        if found is not MISSING:
            return found
        with self._lock:
            turn = self._fetching.setdefault(key, threading.Lock())
        with turn:  # one caller fetches, the others wait and then find the value
            found = self.get(key)
            if found is not MISSING:
                return found
            before = self._writes.get(key, 0)
            value = fetch()
            with self._lock:
                if self._writes.get(key, 0) == before:  # a write while we fetched wins
                    self.set(key, value, ttl)
            return _unpacked(_packed(value))

    def ping(self) -> bool:
        with self._lock:
            return self._open

    def disconnect(self) -> None:
        with self._lock:
            if self._open:
                self._open = False
                self._db.close()
                self._path.unlink(missing_ok=True)


def _checked(key: str) -> bytes:
    try:
        raw = key.encode()
    except UnicodeEncodeError as error:
        raise RejectedError("a key must have a UTF-8 form") from error
    if not 1 <= len(raw) <= SqliteCache.capabilities.max_key_bytes:
        raise RejectedError(f"a key has 1 to {SqliteCache.capabilities.max_key_bytes} bytes, not {len(raw)}")
    return raw


def _expiry(ttl: float | None) -> float:
    if ttl is None:
        return math.inf
    if not math.isfinite(ttl):
        raise RejectedError(f"a ttl is a finite number of seconds, not {ttl}")
    return time.time() + ttl


def _packed(value: CacheValue) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:
        raise RejectedError(f"a {type(value).__name__} cannot be cached: {error}") from error


def _unpacked(packed: bytes) -> CacheValue:
    value: CacheValue = pickle.loads(packed)
    return value
