"""What the contract of log transports needs around a handler: a sink to deliver to, a logger to log with, a way to read back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar

import pytest

from stackproof.interfaces import LogCapabilities

from .contract import Contract
from .evidence import Evidence
from .expectations import eventually
from .log_sink import Delivery, Sink, token


class LogHarness(Contract[logging.Handler]):
    """The part of `LogContract` that is no clause."""

    concern = "logs"
    interface = logging.Handler
    delivery_seconds: ClassVar[float] = 5.0
    """How long a record may take until `delivered` has it."""

    @cached_property
    def sink(self) -> Sink:
        """``self.sink.stream`` is a text stream to hand to a handler; what is written there is what was delivered."""
        return Sink()

    def delivered(self, namespace: str) -> list[str]:
        """The raw lines that arrived under this name. Override it where the handler does not write to the sink."""
        return self.sink.lines()

    @classmethod
    def declared(cls, backend: Any) -> Any:
        """As in every contract; the default `LogCapabilities` where neither class declares any."""
        found = super().declared(backend)
        return LogCapabilities() if found is None else found

    def close_backend(self, backend: Any) -> None:
        backend.close()

    def exercise(self, backend: Any) -> None:
        """One record; where the handler writes to the sink, it must arrive there."""
        word = token()
        logger_for(backend).warning("%s", word)
        backend.flush()
        if type(self).delivered is LogHarness.delivered:
            eventually(
                lambda: any(word in line for line in self.sink.lines()),
                "a record that was logged arrives in self.sink",
                within=self.delivery_seconds,
                why="make_backend hands self.sink.stream to the handler, or the test class overrides delivered()",
            )

    def adopt(self, handler: logging.Handler) -> logging.Handler:
        """Point a handler that was made elsewhere to the sink, where it has ``setStream`` as `logging.StreamHandler` has."""
        set_stream = getattr(handler, "setStream", None)
        if set_stream is not None:
            set_stream(self.sink.stream)
        return handler

    @pytest.fixture
    def handler(self, backend: Any) -> Any:
        """The handler under test."""
        return backend

    @pytest.fixture
    def log(self, handler: Any) -> Iterator[logging.Logger]:
        """A logger of its own that only the handler under test hears; all levels are on."""
        logger = logger_for(handler)
        yield logger
        logger.removeHandler(handler)

    @pytest.fixture
    def delivery(self, handler: Any, namespace: str, evidence: Evidence) -> Delivery:
        """Gives out words to log, and looks what of them arrived."""
        structured = bool(self.capabilities.structured)
        return Delivery(handler, lambda: self.delivered(namespace), structured, evidence, self.delivery_seconds)

    def needs_the_sink(self, why: str) -> None:
        if not self.sink.writes:
            pytest.skip(f"the handler does not write to self.sink.stream, so {why}")


def logger_for(handler: Any) -> logging.Logger:
    """A logger that is in nobody's tree: what the surrounding program does with its loggers does not reach it."""
    logger = logging.Logger("stackproof.probe", logging.DEBUG)
    logger.manager = logging.Manager(logging.RootLogger(logging.DEBUG))
    logger.propagate = False
    logger.addHandler(handler)
    return logger
