"""What goes on with a run of `stackproof bench` whose windows are kept: the command, with the budget that it needs."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackproof.measurement.ceiling import JOURNAL, entries_in, is_finished, seed_of, settings_in
from stackproof.measurement.record import Measurement
from stackproof.measurement.search_journal import Limiter, SearchSettings
from stackproof.measurement.search_steps import spent
from stackproof.measurement.window_log import head_of, kept_windows, newer_than, of_another_build
from stackproof.verification.digests import suite_digest

from .search_options import MOST_MINUTES, MOST_STEPS


@dataclass(frozen=True, slots=True)
class GoingOn:
    """A run that has more than its record says, or can have more."""

    command: str
    """What goes on with it; empty where nothing does."""
    newer: int
    """How many windows are kept that the record does not have."""


def going_on(directory: Path, command: str) -> str:
    """What goes on with the run that is kept there, and was begun by this command; empty where no budget is large enough.

    A search whose budget is used up gets a larger one: with the same one it would take no window.
    """
    larger = _with_room(command, *used_in(directory))
    return resumed(larger, directory) if larger else ""


def resumed(command: str, directory: Path) -> str:
    """A command with what makes it go on with the run in a directory."""
    return f"{command} --resume {shlex.quote(str(directory))}"


def used_in(directory: Path) -> tuple[int, float]:
    """The windows and the seconds that the search in a directory has used; none where there is none."""
    journal = entries_in(directory / JOURNAL)
    return len(journal), spent(journal)


def used_up(settings: SearchSettings, steps: int, seconds: float) -> tuple[str, ...]:
    """The options of a search whose budgets are used up."""
    return tuple(
        option
        for option, used, budget in (
            ("--max-steps", steps, settings.most_steps),
            ("--max-minutes", seconds, settings.most_seconds),
        )
        if used >= budget
    )


def is_left(directory: Path, result: Measurement) -> bool:
    """Whether there is anything to measure in a run with this record, windows of which are kept."""
    if result.limiter == Limiter.NOT_CONVERGED:
        return not is_finished(directory / JOURNAL)
    return not result.complete


def with_record(directory: Path, result: Measurement) -> GoingOn | None:
    """What can be done with a run that has this record, None where the record is all that there is.

    `ConfigurationError` where its windows are damaged, or of another build: nobody goes on with those.
    """
    head = head_of(directory)
    if head is None:
        return None
    if head["identity"].get("build") != suite_digest():
        raise of_another_build(directory)
    newer = newer_windows(directory, result)
    if not newer and not is_left(directory, result):
        return None
    command = "" if is_of_a_pair(head) else str(head.get("command", ""))
    told = GoingOn(going_on(directory, command) if command else "", newer)
    return told if told.command or told.newer else None


def newer_windows(directory: Path, result: Measurement) -> int:
    """How many windows are kept that a record does not have. Of a search, those that its journal knows of count: any other is
    offered again."""
    kept, known = kept_windows(directory), None
    if (settings := settings_in(directory / JOURNAL)) is not None:
        seed = SearchSettings(seed=settings["seed"])
        known = {seed_of(entry.step.number, seed) for entry in entries_in(directory / JOURNAL)}
    return newer_than(kept.windows, result.windows, known) if kept is not None else 0


def is_of_a_pair(head: Mapping[str, Any]) -> bool:
    """Whether windows belong to either side of ``bench --against``, by what is kept of their command."""
    return "--against" in shlex.split(str(head.get("command", "")))


def _with_room(command: str, steps: int, seconds: float) -> str:
    """The command, with twice what was used where its budget is used up; empty where that is more than can be asked for."""
    words = shlex.split(command)
    for option, used, most in (("--max-steps", steps, MOST_STEPS), ("--max-minutes", seconds / 60, MOST_MINUTES)):
        if option not in words:
            continue
        at = words.index(option) + 1
        if used < float(words[at]):
            continue
        if used >= most:
            return ""
        words[at] = str(min(most, math.ceil(2 * used)))
    return shlex.join(words)
