"""The reference of the logs concern keeps its contract, and shares by namespace."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from stackproof.adapters.logs.fields import SMALLEST_RECORD_BYTES
from stackproof.adapters.logs.memory import MemoryLogHandler
from stackproof.adapters.settings import Settings
from stackproof.contracts.logs import LogContract
from stackproof.interfaces import LogCapabilities


class TestMemoryLogsOnAStream(LogContract):
    def make_backend(self, namespace: str) -> logging.Handler:
        handler = MemoryLogHandler(namespace=namespace)
        handler.setStream(self.sink.stream)
        return handler


class TinyLogs(MemoryLogHandler):
    """Declares the smallest records, and cuts what is larger."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.capabilities = replace(self.capabilities, max_record_bytes=SMALLEST_RECORD_BYTES)


class TestTinyLogs(LogContract):
    """Sample data respect declared limits: who declares little and keeps it passes everything."""

    capabilities = LogCapabilities(counts_drops=True, max_record_bytes=SMALLEST_RECORD_BYTES)

    def make_backend(self, namespace: str) -> logging.Handler:
        handler = TinyLogs(namespace=namespace)
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
