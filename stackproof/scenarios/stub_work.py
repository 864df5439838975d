"""What a window does against the stub server: one read of a key through the Redis client of the cache adapter."""

from __future__ import annotations

from typing import Any

from stackproof.adapters.settings import Settings
from stackproof.targets import parse_target

from .window import Took
from .work import StepFailedError


class StubWork:
    """The real client path of a cache read, against a server whose service time is known."""

    def __init__(self, url: str) -> None:
        self._cache = parse_target("cache=redis").make(Settings({"REDIS_URL": url}), "stub")

    def item(self, number: int) -> int:
        return number

    def decide(self, item: Any, took: Took) -> None:  # noqa: ARG002 - what a window calls
        try:
            self._cache.get("k")
        except Exception as error:
            raise StepFailedError("stub read", error) from error

    def close(self) -> None:
        self._cache.disconnect()
