"""What is to be seen while a verification runs: a moving view in a terminal, one line per backend elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stackproof.contracts.ledger import counts
from stackproof.contracts.smoke import Trouble
from stackproof.contracts.stream import ClauseEnded, ClauseStarted, RunEnded, StreamEvent, TargetPlanned, TargetSmoked
from stackproof.contracts.verdicts import ClauseResult, Verdict

from .moving import Moving
from .text import escape_what_it_cannot_encode, one_line
from .words import STYLE, SYMBOL, counted


@dataclass(slots=True)
class _Progress:
    """How far one backend is."""

    rules: dict[str, str]
    """Clause id -> rule, of all that is planned."""
    trouble: str = ""
    untried: bool = False
    """The harness does not work: there is nothing to tell about the backend, and the end says why."""
    ended: list[ClauseResult] = field(default_factory=list)
    told: bool = False

    @property
    def complete(self) -> bool:
        return len(self.ended) >= len(self.rules)


class LiveView(Moving):
    """Fed with the events of one run. A context manager: however the block ends, the terminal is as it was before.

    It only looks: a stream that contradicts itself is for the ledger to refuse.
    """

    def __init__(self, console: Console) -> None:
        escape_what_it_cannot_encode(console.file)
        self._console = console
        self._targets: dict[str, _Progress] = {}
        self._running: dict[str, str] = {}
        """Target -> the clause that runs on it, the latest one last."""
        self._began = time.monotonic()
        super().__init__(console)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._live is None:
            self._tell_rest()

    def __call__(self, event: StreamEvent) -> None:
        self.feed(event)

    def feed(self, event: StreamEvent) -> None:
        """Take one event in."""
        match event:
            case TargetPlanned():
                rules = {clause.id: clause.rule for clause in event.clauses}
                self._targets.setdefault(event.target, _Progress(rules))
            case TargetSmoked():
                progress = self._of(event.target)
                progress.trouble, progress.untried = event.smoke.sentence, event.smoke.trouble is Trouble.HARNESS
            case ClauseStarted():
                self._running[event.target] = event.clause
            case ClauseEnded():
                self._running.pop(event.result.target, None)
                self._of(event.result.target).ended.append(event.result)
                self._tell(event.result.target)
            case RunEnded():
                self._running.clear()

    def _of(self, target: str) -> _Progress:
        return self._targets.setdefault(target, _Progress({}))

    def _tell(self, target: str) -> None:
        """Without a terminal: one line when a backend's last clause has ended."""
        progress = self._targets[target]
        if self._live is None and progress.complete and not progress.told and not progress.untried:
            progress.told = True
            self._line(target, progress)

    def _tell_rest(self) -> None:
        for target, progress in self._targets.items():
            if not progress.told and not progress.untried:
                self._line(target, progress)

    def _line(self, target: str, progress: _Progress) -> None:
        numbers = ", ".join(f"{number} {verdict}" for verdict, number in counts(progress.ended).items())
        left = len(progress.rules) - len(progress.ended)
        seconds = sum(result.seconds for result in progress.ended)
        line = f"{one_line(target)}: {counted(len(progress.rules), 'clause')}: {numbers or 'none ended'}"
        line += (f", {left} not reached" if left > 0 else "") + f" ({seconds:.1f} s)"
        line += f"; {one_line(progress.trouble)}" if progress.trouble else ""
        self._console.print(Text(line), soft_wrap=True, highlight=False)

    def picture(self) -> RenderableType:
        """Three lines at most: the bar, the counts, and what is running now. Drawn by the refreshing thread."""
        targets = list(self._targets.values())
        planned, ended = sum(len(t.rules) for t in targets), [result for t in targets for result in list(t.ended)]
        elapsed = time.monotonic() - self._began
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(ratio=1)
        bar.add_column(justify="right", no_wrap=True)
        progress = ProgressBar(total=max(planned, 1), completed=len(ended), pulse=not planned)
        bar.add_row(progress, Text(f"{len(ended)}/{planned or '?'} clauses  {elapsed // 60:.0f}:{elapsed % 60:02.0f}"))
        now = Text("starting", style="dim", no_wrap=True, overflow="ellipsis")
        if running := list(self._running.items()):
            target, clause = running[-1]
            rule = self._of(target).rules.get(clause, "")
            now = Text.assemble((one_line(target), "dim"), "  ", (one_line(clause), "bold"), f"  {one_line(rule)}")
            now.no_wrap, now.overflow = True, "ellipsis"
        return Group(bar, _tally(ended), now)


def _tally(ended: list[ClauseResult]) -> Text:
    """The counts per verdict, and which clauses failed so far."""
    text = Text(no_wrap=True, overflow="ellipsis")
    numbers = Counter(result.verdict for result in ended)
    for verdict in Verdict:
        if number := numbers[verdict]:
            text.append(f"{SYMBOL[verdict]} {number} {verdict}  ", STYLE[verdict])
    failed = [result.clause for result in ended if result.verdict is Verdict.FAIL]
    return text.append(f"({', '.join(failed)})" if failed else "", "dim")
