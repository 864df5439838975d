"""Options that several commands share, with the same names and meanings everywhere."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

import click

from stackproof.adapters.registry import CONCERNS
from stackproof.interfaces import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Directory(click.Path):
    """A directory that has a name: an empty text, from a variable that is not set, is no way to say the current one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty; give a directory, . for the current one", param, ctx)
        return super().convert(value, param, ctx)


stack_option = click.option("--stack", metavar="NAME", help="A stack: one backend for each concern (development).")
backend_option = click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="CONCERN=SPEC",
    help="A backend: a known name or package.module:factory. May be repeated.",
)
origin_option = click.option(
    "--origin",
    type=click.Choice(["embedded", "container", "external"]),
    default="embedded",
    show_default=True,
    help="Where servers come from: the wheels, containers, or the usual variables (DATABASE_URL, REDIS_URL ...).",
)
seed_option = click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of generated data.")
out_option = click.option(
    "--out",
    type=Directory(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the run is kept (.stackproof/runs/<id>).",
)


def _writable(_context: click.Context, _option: click.Parameter, file: str | None) -> str | None:
    check_targets(file)
    return file


_JSON_HELP = "Write the result as JSON; - for standard output."
json_option = click.option("--json", "json_file", metavar="FILE", callback=_writable, help=_JSON_HELP)
"""Refused before anything is done where it cannot be written: what was started, or measured, must not end without its result."""
json_option_checked_later = click.option("--json", "json_file", metavar="FILE", help=_JSON_HELP)
"""For a command that has something to do before anything is refused."""
concern_option = click.option("--concern", type=click.Choice(CONCERNS), help="Only this concern.")


def address(option: str, text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; a `ConfigurationError` that names the option for anything else."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65_536):
        raise ConfigurationError(f"{option} {text!r} must look like 10.0.0.5:5557")
    return host.strip("[]"), int(port)


NO_TERMINAL = 400
"""Columns of what is no terminal: a file or a log has no width, and nothing is to be cut or broken for it."""


def width_of(stream: TextIO) -> int | None:
    """How wide to print; None where the terminal, or ``COLUMNS``, says it."""
    return None if stream.isatty() or os.environ.get("COLUMNS") else NO_TERMINAL


def result_console(json_file: str | None) -> Console:
    """Where a long command prints: on standard output, or beside it where that is for JSON alone.

    When whoever reads it goes away (``| head``), the work goes on: its result is kept in files, and in the exit code.
    """
    from rich.console import Console

    class Unheard(Console):
        def on_broken_pipe(self) -> None:
            self.quiet = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if self.stderr else sys.stdout).fileno())

    stream = sys.stderr if json_file == "-" else sys.stdout
    return Unheard(file=_for_lines(stream), stderr=json_file == "-", width=width_of(stream))


class _WithoutTrailingBlanks:
    """A stream to which tables are written: what fills their last column up is nothing that a file or a log needs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(re.sub(r" +(?=\n)", "", text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _for_lines(stream: TextIO) -> TextIO:
    return stream if stream.isatty() else cast(TextIO, _WithoutTrailingBlanks(stream))


def write_result(target: str, text: str) -> None:
    """Write a result to a file, or with ``-`` to standard output."""
    from stackproof.verification.runs import keep

    if target == "-":
        click.echo(text, nl=False)
    else:
        keep(Path(target), text)


def check_targets(*targets: str | Path | None) -> None:
    """Refuse files that cannot be written, or that are one, before a run whose result would have no place to go."""
    files = [Path(target) for target in targets if target is not None and str(target) != "-"]
    plain = [file.resolve() for file in files if file.is_file() or not file.exists()]
    if len(set(plain)) < len(plain):
        raise ConfigurationError(f"{files[-1]} is given for two results: one would overwrite the other")
    for target in targets:
        if target is None or str(target) == "-":
            continue
        path = Path(target)
        if why := _unwritable(path):
            raise ConfigurationError(f"{path} cannot be written: {why}")


def _unwritable(path: Path) -> str:
    """Why a file cannot be written; empty where nothing is known that speaks against it."""
    if path.is_dir():
        return "it is a directory, and a file is needed"
    if not path.parent.is_dir():
        return "its directory does not exist"
    if path.exists():
        return "" if os.access(path, os.W_OK) else "it is there already, and not yours to write to"
    return "" if os.access(path.parent, os.W_OK) else "its directory is not yours to write to"


_GAP = 2
"""Blanks between two columns of a table."""
_MOST_LINES = 5
"""Of a row, in the mean; more are ribbons of words."""


def print_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """A plain table on standard output; where its words do not fit beside each other, each row as a block of lines.

    No word is broken, and the names in the first column are never cut: they are typed.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    rows = list(rows)
    console = Console(file=_for_lines(sys.stdout), width=width_of(sys.stdout))
    widths = _widths(head, rows, console.width)
    if widths is None:
        _print_blocks(head, rows, console)
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for column, (name, width) in enumerate(zip(head, widths, strict=True)):
        table.add_column(name, width=width, no_wrap=not column, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)


def _widths(head: tuple[str, ...], rows: list[tuple[str, ...]], across: int) -> list[int] | None:
    """How wide each column is, so that no word is broken; None where that is not possible, or nothing that anybody would read."""
    from rich.cells import cell_len

    columns = list(zip(head, *rows, strict=True))
    widths = [max(cell_len(line) for cell in column for line in (cell.splitlines() or [""])) for column in columns]
    least = [max(cell_len(word) for cell in column for word in (cell.split() or [""])) for column in columns]
    least[0] = widths[0]
    room = across - _GAP * (len(head) - 1)
    if sum(least) > room:
        return None
    while sum(widths) > room:
        # The widest gives way, so that what is short stays on one line.
        widest = max((c for c in range(len(widths)) if widths[c] > least[c]), key=lambda c: widths[c])
        widths[widest] -= 1
    lines = sum(
        max(
            sum(max(1, -(-cell_len(line) // width)) for line in cell.splitlines())
            for cell, width in zip(row, widths, strict=True)
        )
        for row in rows
    )
    return None if lines > _MOST_LINES * len(rows) else widths


def _print_blocks(head: tuple[str, ...], rows: list[tuple[str, ...]], console: Console) -> None:
    """Each row under its first cell, a line for each further one; what is empty is left out."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    for row in rows:
        console.print(Text(row[0], style="bold"))
        block = Table(box=None, pad_edge=False, show_header=False, padding=(0, _GAP, 0, 0))
        block.add_column(no_wrap=True)
        block.add_column(overflow="fold")
        for name, cell in zip(head[1:], row[1:], strict=True):
            if cell:
                block.add_row(name, Text(cell))
        console.print(Padding(block, (0, 0, 0, _GAP)))


def print_line(text: str, indent: int = 0) -> None:
    """A sentence on standard output, broken between words where the terminal is narrower."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(file=_for_lines(sys.stdout), width=width_of(sys.stdout))
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS"):
        click.echo(" " * indent + text)  # a file or a log has no width: a line is a line, however long
        return
    console.print(Padding(Text(text), (0, 0, 0, indent)) if indent else Text(text))
