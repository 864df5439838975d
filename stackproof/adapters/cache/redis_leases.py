"""Marks on a Redis server that must not expire while their fetch runs: renewed by one thread, which lives as long as any."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from stackproof.interfaces import BackendError


class Leases:
    """The marks that this process holds. ``renew(name, mark)`` says whether the mark still stood."""

    def __init__(self, renew: Callable[[str, bytes], bool], every: float) -> None:
        self._renew = renew
        self._every = every
        self._names: dict[bytes, str] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def held(self, mark: bytes, name: str) -> Iterator[None]:
        """Keep a mark from expiring while the block runs."""
        with self._changed:
            self._names[mark] = name
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="stackproof-cache-leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            self._names.pop(mark, None)  # in one step, so that it needs no lock

    def close(self) -> list[tuple[bytes, str]]:
        """End the thread, renew nothing any more; the marks that were still held, with their names."""
        with self._changed:
            self._closed = True
            thread = self._thread
            abandoned = list(self._names.items())
            self._names.clear()
            self._changed.notify_all()
        if thread is not None:
            thread.join()  # bounded: what it may be waiting for is one renewal, and that has a time limit
        return abandoned

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed, timeout=self._every)
                if self._closed or not self._names:
                    self._thread = None
                    return
                marks = list(self._names.items())
            for mark, name in marks:
                self._renew_one(mark, name)

    def _renew_one(self, mark: bytes, name: str) -> None:
        # A server that is away for a moment may still know the mark when it is back: the next round tries again.
        with contextlib.suppress(BackendError):
            if not self._renew(name, mark):
                with self._changed:
                    self._names.pop(mark, None)
