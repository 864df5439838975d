"""The ledger: every planned clause of every target ends in exactly one verdict. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .judge import not_executed
from .stream import ClauseEnded, ClauseStarted, RunEnded, StreamEvent, TargetPlanned, TargetSmoked
from .verdicts import ClauseResult, Verdict


class LedgerError(ValueError):
    """The stream contradicts itself: a doubled or unknown clause id."""


@dataclass(slots=True)
class Ledger:
    """Fed with the stream, it knows at any time what is planned, running, and ended."""

    targets: dict[str, TargetPlanned] = field(default_factory=dict)
    smokes: dict[str, TargetSmoked] = field(default_factory=dict)
    results: dict[tuple[str, str], ClauseResult] = field(default_factory=dict)
    running: tuple[str, str] | None = None
    ended: RunEnded | None = None

    def feed(self, event: StreamEvent) -> None:
        """Take one event in. A result for a clause that is not planned, or a second one, is a `LedgerError`."""
        match event:
            case TargetPlanned():
                self.targets.setdefault(event.target, event)
            case TargetSmoked():
                self.smokes[event.target] = event
            case ClauseStarted():
                self.running = (event.target, event.clause)
            case ClauseEnded():
                self._take(event.result)
                self.running = None
            case RunEnded():
                self.ended = event

    def _take(self, result: ClauseResult) -> None:
        key = (result.target, result.clause)
        if key not in self.planned():
            raise LedgerError(f"{result.clause} ended on {result.target}, but was never planned for it")
        if key in self.results:
            raise LedgerError(f"{result.clause} ended twice on {result.target}")
        self.results[key] = result

    def planned(self) -> dict[tuple[str, str], str]:
        """(target, clause id) -> concern, in the order of the plan."""
        return {(t.target, c.id): t.concern for t in self.targets.values() for c in t.clauses}

    def open(self) -> list[tuple[str, str]]:
        """What is planned and has not ended."""
        return [key for key in self.planned() if key not in self.results]

    def close(self, reason: str) -> list[ClauseResult]:
        """Give every clause without a verdict its end: it was not executed, and here is why. Returns these results."""
        altered = {(t.target, c.id): c.altered for t in self.targets.values() for c in t.clauses}
        concerns = self.planned()
        late = []
        for key in self.open():
            target, clause = key
            late.append(not_executed(clause, concerns[key], target, reason, altered[key]))
            self.results[key] = late[-1]
        return late

    def rows(self) -> list[ClauseResult]:
        """All results, in the order of the plan."""
        return [self.results[key] for key in self.planned() if key in self.results]


def counts(results: Iterable[ClauseResult]) -> dict[Verdict, int]:
    """How many results have each verdict, in the order of `Verdict`, without zeros."""
    found = [result.verdict for result in results]
    return {verdict: found.count(verdict) for verdict in Verdict if verdict in found}
