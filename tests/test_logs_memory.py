"""The reference of the logs concern keeps its contract, and shares by namespace."""

from __future__ import annotations

import logging

from stackproof.adapters.logs.memory import MemoryLogHandler
from stackproof.adapters.settings import Settings
from stackproof.contracts.logs import LogContract


class TestMemoryLogsOnAStream(LogContract):
    def make_backend(self, namespace: str) -> logging.Handler:
        handler = MemoryLogHandler(namespace=namespace)
        handler.setStream(self.sink.stream)
        return handler


def log(handler: logging.Handler, text: str) -> None:
    handler.handle(logging.makeLogRecord({"msg": text, "levelname": "INFO"}))


def test_handlers_of_one_namespace_share_their_records() -> None:
    one, two = MemoryLogHandler(namespace="shared"), MemoryLogHandler.from_settings(Settings(), "shared")
    log(one, "from one")
    log(two, "from two")
    assert [record["message"] for record in one.delivered] == ["from one", "from two"]
    assert two.delivered == one.delivered
    assert MemoryLogHandler(namespace="other").delivered == []


def test_private_handlers_share_nothing() -> None:
    one, two = MemoryLogHandler(), MemoryLogHandler()
    log(one, "from one")
    assert two.delivered == []


def test_records_of_a_namespace_that_nobody_holds_are_gone() -> None:
    log(MemoryLogHandler(namespace="forgotten"), "lost")
    assert MemoryLogHandler(namespace="forgotten").delivered == []
