"""Looking at what a server keeps, around the adapter: a write that only its own adapter can read back is no proof of anything."""

from __future__ import annotations

from typing import Protocol


class Around(Protocol):
    """What a harness may return from `around`. It uses a connection of its own, and none of the adapter's code."""

    def kept(self, name: str) -> int:
        """How much is kept under a name: of a cache's key one entry or none, of a tenant its interactions or documents."""

    def close(self) -> None:
        """Give back the connection."""
