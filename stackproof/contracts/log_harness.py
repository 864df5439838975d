"""What the contract of log transports needs around a handler: a sink to deliver to, a logger to log with, a way to read back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar

import pytest

from .contract import Contract
from .evidence import Evidence
from .expectations import eventually
from .faulty import MAKE_FAULTY_HINT, Faulty
from .journal import unwrapped
from .log_sink import Delivery, Sink, token


class LogHarness(Contract[logging.Handler]):
    """The part of `LogContract` that is no clause."""

    concern = "logs"
    interface = logging.Handler
    delivery_seconds: ClassVar[float] = 2.0
    """How long a record may take, after a flush, until `delivered` has it. A remote destination may need more."""
    _handler: Any = None

    @cached_property
    def sink(self) -> Sink:
        """``self.sink.stream`` is a text stream to hand to a handler; what is written there is what was delivered."""
        return Sink()

    def delivered(self, namespace: str) -> list[str]:
        """The raw lines that arrived under this name. Override it where the handler does not write to the sink.

        The default is what the sink has; where nothing was written there, what the handler's own ``read_back()`` returns.
        """
        read_back = getattr(self._handler, "read_back", None)
        return self.sink.lines() if self.sink.writes or read_back is None else list(read_back())

    def make_faulty(self, namespace: str) -> Faulty[logging.Handler]:
        """A handler for the destination of this name, and the switch for `Fault.THROTTLED` and `Fault.THROTTLED_ONCE`.

        Needed where ``throttles`` is declared. What the handler delivers must be found by `delivered`.
        """
        pytest.skip(MAKE_FAULTY_HINT)

    def close_backend(self, backend: Any) -> None:
        backend.close()

    def exercise(self, backend: Any) -> None:
        """One record, which must arrive where `delivered` reads (the namespace is known only to a `delivered` of one's own)."""
        self._handler = backend
        word = token()
        logger_for(backend).log(max(logging.WARNING, backend.level), "%s", word)
        backend.flush()
        if type(self).delivered is LogHarness.delivered:
            eventually(
                lambda: any(word in line for line in self.delivered("")),
                "a record that was logged is found by delivered()",
                within=self.delivery_seconds,
                why="make_backend hands self.sink.stream to the handler, or the test class overrides delivered()",
            )

    @pytest.fixture
    def handler(self, backend: Any) -> Any:
        """The handler under test, open to all levels: that the settings of this machine hold some back is no finding."""
        self._handler = unwrapped(backend)
        self._handler.setLevel(logging.NOTSET)
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
