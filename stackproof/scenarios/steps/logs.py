"""Steps on the log transport: a line, and a burst of lines."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from stackproof.scenarios.item import Item, text_of

from .base import Action, Bench, Step


class LogLine(Step):
    """One record to the log transport."""

    name = "log line"
    concern = "logs"

    def bind(self, bench: Bench) -> Action:
        info = logger_of(bench.logs).info

        def act(item: Item, _turn: int) -> None:
            fields: dict[str, Any] = {"event_id": item.event_id, "customer": item.key}
            if item.offers:
                fields["offer"] = item.offers[-1]
            info("decision made", extra={"decision": fields})

        return act


@dataclass(frozen=True)
class LogBurst(Step):
    """Many records in a row, each with a text of the item's size: what an error that repeats itself does to a transport.

    Checked: what the transport says that it dropped (where it counts).
    """

    lines: int = 100

    name = "log burst"
    concern = "logs"

    def bind(self, bench: Bench) -> Action:
        handler, checks = bench.logs, bench.checks
        error, known = logger_of(handler).error, dropped_by(handler)

        def act(item: Item, _turn: int) -> None:
            text = text_of(f"log:{item.key}", item.size)
            for line in range(self.lines):
                error("it failed again: %s", text, extra={"burst": item.number, "line": line})
            checks.saw("log lines", self.lines)

        def settle(_deadline: float) -> None:
            nonlocal known
            handler.flush()
            dropped = dropped_by(handler)
            if dropped > known:
                # Not lost without a word: the transport says itself how many are too many for it.
                checks.leave(dropped - known, f"the log transport dropped {dropped - known} lines")
            known = dropped

        bench.settle_with(settle)
        return act


def logger_of(handler: logging.Handler) -> logging.Logger:
    """A logger of nobody else's that writes to one handler."""
    logger = logging.Logger("stackproof.bench.decision", logging.INFO)
    logger.addHandler(handler)
    return logger


def dropped_by(handler: object) -> int:
    """Log records that a transport says it dropped, ever; 0 where it cannot say."""
    dropped = getattr(handler, "dropped", 0)
    return dropped if isinstance(dropped, int) else 0
