"""Evidence: what a clause really saw. Without it a clause cannot pass."""

from __future__ import annotations

import threading
from collections import Counter


class Evidence:
    """Counts of what was observed while a clause ran. May be used from many threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def saw(self, name: str, count: int = 1) -> None:
        """Register that ``count`` more of this were observed."""
        with self._lock:
            self._counts[name] += count

    def counts(self) -> dict[str, int]:
        """What was seen so far."""
        with self._lock:
            return dict(self._counts)

    def missing(self, required: tuple[tuple[str, int], ...]) -> list[str]:
        """One phrase per sighting that stayed below its minimum."""
        counts = self.counts()
        return [
            f"{name}: {counts.get(name, 0)} of {minimum}" for name, minimum in required if counts.get(name, 0) < minimum
        ]
