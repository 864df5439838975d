"""A search for the ceiling in the terminal: live while it runs, then the bracket and the journal as sentences."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stackproof.measurement.ceiling_record import CeilingRecord, StepRow, row_of
from stackproof.measurement.saturation import time_left
from stackproof.measurement.search_journal import Entry, SearchSettings, Step
from stackproof.measurement.search_words import a_rate, milliseconds

from .ceiling_words import facts, tail
from .moving import Moving, progress_of
from .text import one_line

_STYLE = {"holds": "green", "fails": "red", "client-limited": "yellow", "not-steady": "yellow"}


class SearchView(Moving):
    """A line for each step that ended, and below them one that follows the step that runs, where somebody is looking."""

    def __init__(
        self,
        console: Console,
        settings: SearchSettings,
        *,
        lines: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``lines``: whether steps that ended get theirs; where one search of many runs, its answer is enough."""
        self._console = console
        self._settings = settings
        self._lines = lines
        self._clock = clock
        self._journal: tuple[Entry, ...] = ()
        self._printed = 0
        self._step: Step | None = None
        self._began = clock()
        self._state: Mapping[str, Any] = {}
        super().__init__(console)

    def progress(self, state: Mapping[str, Any]) -> None:
        """Take note of a line of progress of the generator."""
        self._state = state

    def step(self, journal: tuple[Entry, ...], step: Step | None) -> None:
        """A step begins, or none any more; those that have ended get a line each."""
        for entry in journal[self._printed :] if self._lines else ():
            self._console.print(step_line(row_of(entry)))
        self._journal, self._printed = journal, len(journal)
        self._step, self._state, self._began = step, {}, self._clock()

    def picture(self) -> Text:
        """What runs, what was seen of it in the last second, and how long the search may still take."""
        step, state = self._step, self._state
        if step is None:
            return Text(str(state.get("phase", "starting")) + " …")
        left = max(0.0, time_left(self._journal, self._settings) - (self._clock() - self._began))
        where = [
            f"step {step.number} of at most {self._settings.most_steps}",
            str(step.role),
            f"at most {_minutes(left)} left",
        ]
        figures = [f"offered {a_rate(step.rate)}"]
        if "offered" in state and state["seconds"] >= 1:
            figures.append(f"done {a_rate((state['ok'] + state['late']) / state['seconds'])}")
            if state["p99"] is not None:
                figures.append(f"p99 {milliseconds(1000 * state['p99'])}")
            figures.append(f"failed {state['failed']}")
        else:
            figures.append("warm-up" if "offered" in state else str(state.get("phase", "begins")))
        return progress_of(where, figures, self._console.width)


def step_line(row: StepRow) -> Text:
    """One step that has ended, in one line."""
    text = Text(
        f"{row.number:3}  {row.role:<11}  {a_rate(row.rate):>10}  achieved {a_rate(row.achieved):>10}  p99 {tail(row):>8}  ",
        no_wrap=True,
        overflow="ellipsis",
    )
    return text.append(row.verdict, style=_STYLE[row.verdict])


def print_ceiling(ceiling: CeilingRecord, told: str, console: Console) -> None:
    """What may be quoted of it first, then what it rests on, then the journal as an argument."""
    console.print(Text(told, style="bold"))
    for reason in ceiling.reasons:
        console.print(Padding(Text(one_line(reason)), (0, 0, 0, 2)))
    for sentence in ceiling.invalid:
        console.print(f"invalid: {one_line(sentence)}", style="red", markup=False, highlight=False)
    for sentence in ceiling.notes:
        console.print(f"note: {one_line(sentence)}", style="yellow", markup=False, highlight=False)
    table = Table.grid(padding=(0, 2))
    for name, value in facts(ceiling):
        table.add_row(Text(name, style="dim"), Text(one_line(value)))
    console.print(table)


def print_journal(ceiling: CeilingRecord, console: Console) -> None:
    """Every step as a sentence: what was done and why, what was seen, and what follows."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    for row in ceiling.steps:
        table.add_row(f"{row.number}.", _sentence(row))
    console.print(table)


def _sentence(row: StepRow) -> Text:
    text = Text(one_line(row.sentence))
    text.highlight_words([row.verdict.capitalize() + ":"], style=_STYLE[row.verdict])
    return text


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
