"""What moves in a terminal while a long command runs: only where somebody is looking, and gone afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text


class Moving:
    """A context manager that keeps drawing `picture`; where the console is no terminal, it draws nothing."""

    def __init__(self, console: Console) -> None:
        moving = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(console=console, get_renderable=self.picture, transient=True) if moving else None

    def picture(self) -> RenderableType:
        """What is to be seen now."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()


def progress_of(where: Sequence[str], figures: Sequence[str], width: int) -> Text:
    """Where something stands, and what is seen there: in a line where the terminal is as wide, else in two, so that nothing of it
    is cut off."""
    rows = "   ".join(where), "   ".join(figures)
    whole = "   ".join(row for row in rows if row)
    return Text(whole if cell_len(whole) <= width else "\n".join(rows), no_wrap=True, overflow="ellipsis")
