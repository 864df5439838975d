"""What moves in a terminal while a long command runs: only where somebody is looking, and gone afterwards."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live


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
