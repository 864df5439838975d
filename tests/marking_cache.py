"""A cache that keeps a file while something of it is stored: whether it was removed can be seen when all processes are gone."""

from __future__ import annotations

import os
from pathlib import Path

from stackproof.adapters.cache.memory import MemoryCache


class MarkingCache(MemoryCache):
    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        Path(os.environ["MARK"]).touch()

    def drop_namespace(self) -> None:
        super().drop_namespace()
        Path(os.environ["MARK"]).unlink(missing_ok=True)


def make_marking(namespace: str) -> MarkingCache:
    return MarkingCache(namespace=namespace)
