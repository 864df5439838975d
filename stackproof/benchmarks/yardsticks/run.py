"""One target beside its tools: find, prepare, run the rounds, remove. What goes wrong is an outcome, never left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stackproof.adapters.settings import Settings
from stackproof.interfaces import StackproofError
from stackproof.scenarios.work import drop_namespace
from stackproof.targets import Target

from .comparison import Comparison, compare
from .ours import generator
from .yardstick import Load, Missing, Tool, Yardstick, YardstickFigures


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one yardstick of one target: exactly one of the three."""

    target: str
    tool: str
    operation: str
    comparison: Comparison | None = None
    missing: Missing | None = None
    failure: str = ""
    """Why there is no comparison although the tool is here."""
    left_behind: tuple[str, ...] = ()
    """What could not be removed from the server."""

    @property
    def name(self) -> str:
        """compared, invalid, missing or failed."""
        if self.comparison is not None:
            return "invalid" if self.comparison.invalid else "compared"
        return "missing" if self.missing is not None else "failed"


Observer = Callable[[str], None]
"""Told in a sentence what begins."""


def outcome_of(
    yardstick: Yardstick,
    target: Target,
    variables: Mapping[str, str],
    load: Load,
    *,
    rounds: int,
    seed: int,
    observer: Observer,
) -> Outcome:
    """Compare a target with one tool. Nothing of it is left on the server, or the outcome says what is."""
    settings = {**os.environ, **variables}
    settings |= yardstick.surroundings(settings, load)
    found = yardstick.find(settings)
    named = (target.name, yardstick.name, yardstick.operation)
    if isinstance(found, Missing):
        return Outcome(*named, missing=found)
    comparison, failure = None, ""
    try:
        yardstick.prepare(settings, load)
        comparison = _compared(yardstick, found, target, settings, load, rounds, seed, observer)
    except StackproofError as error:
        failure = f"{type(error).__name__}: {error}"
    finally:
        left = drop_namespace({target.concern: target.spec}, Settings(settings), load.namespace)
        yardstick.clean_up(settings, load)
    return Outcome(*named, comparison=comparison, failure=failure, left_behind=tuple(left))


def _compared(
    yardstick: Yardstick,
    tool: Tool,
    target: Target,
    variables: Mapping[str, str],
    load: Load,
    rounds: int,
    seed: int,
    observer: Observer,
) -> Comparison:
    done = 0

    def theirs(given: Load) -> YardstickFigures:
        nonlocal done
        observer(f"{target.name} beside {tool.name}, {yardstick.operation}: " + (f"round {done}" if done else "trial"))
        done += 1
        return yardstick.run(tool, variables, given)

    with generator(yardstick, target, variables, load) as ours:
        return compare(yardstick, tool, target.name, load, ours, theirs, rounds=rounds, seed=seed)
