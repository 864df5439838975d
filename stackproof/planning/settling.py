"""What would settle a plan that has no answer: the fewest searches to begin with, and about how long they take. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stackproof.measurement.series_plan import Pace

from .feasibility import Candidate, Status
from .origins import CONTAINER, EMBEDDED, EXTERNAL, origin_for
from .plan_record import Statement
from .recommendation import Answer

_NEAREST = (EMBEDDED, CONTAINER, EXTERNAL)


@dataclass(frozen=True, slots=True)
class Settling:
    """What to measure first."""

    candidates: tuple[Candidate, ...]
    """One for each concern without a usable backend: the one whose servers are nearest at hand, with the fewest searches."""
    commands: tuple[str, ...]
    minutes: int

    @property
    def searches(self) -> int:
        """A command may hold several, which share what was filled in."""
        return sum(command.count(" --scenario ") for command in self.commands)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """A sentence, and each command by itself, to be copied."""
        names = " and ".join(f"{one.concern}={one.backend}" for one in self.candidates)
        several = "1 search tells" if self.searches == 1 else f"{self.searches} searches tell"
        carry = "carries" if len(self.candidates) == 1 else "carry"
        said = f"{several} whether {names} {carry} it, in about {self.minutes} minutes; then ask again:"
        return (Statement(said, ()), *(Statement(command, ()) for command in self.commands))


def settling(answer: Answer) -> Settling | None:
    """What to measure where a plan has no answer; None where it has one, or nothing that can be measured would give it."""
    if answer.best is not None:
        return None
    chosen = [found for concern in answer.missing() if (found := _easiest(answer, concern)) is not None]
    if not chosen:
        return None
    commands = dict.fromkeys(_short(command) for one in chosen for command in one.settles)
    documents = answer.demand.workload.records * sum(one.concern == "search" for one in chosen)
    pace = Pace()
    first = Settling(tuple(chosen), tuple(commands), 0)
    seconds = len(commands) * pace.session + first.searches * pace.search + documents / pace.documents
    return replace(first, minutes=math.ceil(seconds / 60))


def _easiest(answer: Answer, concern: str) -> Candidate | None:
    """Of those that nobody measured: what was, and shows nothing, would take longer than this is for."""
    open_ = [
        one
        for one in answer.candidates
        if one.concern == concern
        and one.status is Status.NOT_KNOWN
        and one.use is None
        and not one.tried
        and _measurable(one.settles)
    ]
    return min(open_, key=lambda one: (_distance(one), len(one.settles)), default=None)


def _measurable(settles: Sequence[str]) -> bool:
    return bool(settles) and all(text.startswith("stackproof bench ") for text in settles)


def _distance(candidate: Candidate) -> int:
    origin = EXTERNAL if candidate.by_request else origin_for([f"{candidate.concern}={candidate.backend}"])
    return _NEAREST.index(origin)


def _short(command: str) -> str:
    return command.replace(" --find-max", " --find-max --short")
