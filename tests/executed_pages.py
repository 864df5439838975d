"""Runs the code blocks of a page as a reader would: in order, in one directory, one shell and one Python."""

from __future__ import annotations

import ast
import configparser
import json
import os
import queue
import re
import signal
import subprocess
import sys
import textwrap
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import yaml
from command_line import environment
from documents import SHELL, Block, shell_lines

SECONDS = 150
"""How long one command, or one block of Python, may take on a loaded machine."""
END = "\0"

_PYTHON = """
import json, sys, traceback
names = {"__name__": "__main__"}
for line in sys.stdin:
    code = 0
    try:
        exec(compile(json.loads(line), "<block>", "exec"), names)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    print(f"\\0{code}", flush=True)
"""


class BlockError(AssertionError):
    """A block does not do what its page says."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command, or a block of Python, printed and how it ended."""

    code: int
    output: str


class Interpreter:
    """A shell or a Python that stays, so that what one block sets is there in the next one."""

    def __init__(self, command: list[str], cwd: Path, environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # what a block leaves behind ends with it
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def ask(self, text: str) -> Done:
        """Send text that ends by printing END and an exit code; what came before is the output."""
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()
        seen = ""
        while True:
            try:
                line = self._lines.get(timeout=SECONDS)
            except queue.Empty:
                raise BlockError(f"nothing came for {SECONDS} s, after:\n{seen}") from None
            if line is None:
                raise BlockError(f"it ended the interpreter, after:\n{seen}")
            before, end, code = line.partition(END)
            seen += before
            if end:
                return Done(int(code), seen)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(ProcessLookupError):  # it ended by itself
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        self._process.stdin.close()
        self._process.stdout.close()


@dataclass
class Page:
    """One page's directory, shell and Python. The first two start with the first block that needs them."""

    directory: Path
    last: str = ""
    """What the last block printed, for a block that shows it."""
    _shell: Interpreter | None = None
    _python: Interpreter | None = None
    _code: int = 0
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        self.environ = environment({"PATH": programs, "COLUMNS": "110", "PYTHONDONTWRITEBYTECODE": "1"})
        # A page begins as if nothing were set: what another test needs is not the reader's.
        for name in (
            "PYTHONPATH",
            "PYTHONSAFEPATH",
            "INTERACTION_STORE",
            "EVENT_PUBLISHER",
            "SEARCH_INDEX",
            "CACHE_STORE",
        ):
            self.environ.pop(name, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for interpreter in (self._shell, self._python):
            if interpreter is not None:
                interpreter.close()

    def run(self, block: Block) -> None:
        """Do what the block is for. `BlockError` where it does not do what the page says."""
        if block.title:
            path = self.directory / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(with_methods(path, block.code) if block.replaces else block.code, encoding="utf-8")
        if block.language == "python":
            if block.title:
                compile(block.code, block.title, "exec")
            else:
                self._run_python(block)
        elif block.language == "console":
            self._run_console(block)
        elif block.language in SHELL:
            self._run_script(block)
        elif block.language == "text":
            if block.mark == "output":
                compare(block.code, self.last)
        else:
            PARSERS[block.language](block.code)

    def _run_python(self, block: Block) -> None:
        if self._python is None:
            self._python = Interpreter([sys.executable, "-W", "error", "-c", _PYTHON], self.directory, self.environ)
        done = self._python.ask(json.dumps(block.code) + "\n")
        self.last = done.output
        if done.code:
            raise BlockError(done.output)

    def _run_script(self, block: Block) -> None:
        self.last = ""
        for line in shell_lines(block):
            if line.strip() and not line.startswith("#"):
                done = self._command(line)
                self.last += done.output
                self._judge(line, done, allowed_exits(block))

    def _run_console(self, block: Block) -> None:
        steps = list(console_steps(block))
        asked_after = [following.strip() == "echo $?" for following, _ in steps[1:]] + [False]
        for (command, shown), asked in zip(steps, asked_after, strict=True):
            done = self._command(command)
            self.last = done.output
            if not asked:
                is_question = command.strip() == "echo $?"
                self._judge(command, done, {0} if is_question else allowed_exits(block))
            if shown:
                compare(shown, done.output)

    def _command(self, command: str) -> Done:
        if self._shell is None:
            self._shell = Interpreter(["bash", "--norc", "--noprofile"], self.directory, self.environ)
        done = self._shell.ask(f"(exit {self._code})\n{{ {command}\n}} </dev/null\nprintf '\\0%d\\n' $?\n")
        self._code = done.code
        if "Traceback (most recent call last)" in done.output:
            raise BlockError(f"$ {command}\n{done.output}")
        return done

    @staticmethod
    def _judge(command: str, done: Done, allowed: set[int]) -> None:
        if done.code not in allowed:
            raise BlockError(f"$ {command}\nended with {done.code}:\n{done.output}")


PARSERS: dict[str, Callable[[str], object]] = {
    "toml": tomllib.loads,
    "json": json.loads,
    "yaml": yaml.safe_load,
    "ini": lambda text: configparser.ConfigParser(interpolation=None).read_string(text),
}
LANGUAGES = {"python", "text", *SHELL, *PARSERS}


def with_methods(path: Path, code: str) -> str:
    """The text of a module whose class gets these methods instead of its own of the same names."""
    text = path.read_text(encoding="utf-8")
    (kind,) = (statement for statement in ast.parse(text).body if isinstance(statement, ast.ClassDef))
    old = {method.name: method for method in kind.body if isinstance(method, ast.FunctionDef)}
    lines, fresh = text.splitlines(), code.splitlines()
    new = [method for method in ast.parse(code).body if isinstance(method, ast.FunctionDef)]
    for method in sorted(new, key=lambda each: old[each.name].lineno, reverse=True):
        before = old[method.name]
        written = "\n".join(fresh[method.lineno - 1 : method.end_lineno])
        lines[before.lineno - 1 : before.end_lineno] = textwrap.indent(written, "    ").splitlines()
    return "\n".join(lines) + "\n"


def allowed_exits(block: Block) -> set[int]:
    """Those of a mark such as ``ends with 0 or 3: reason``; else 0 alone."""
    found = re.match(r"ends with (\d+(?: or \d+)*): \S", block.mark)
    return {int(number) for number in found[1].split(" or ")} if found else {0}


def console_steps(block: Block) -> Iterator[tuple[str, str]]:
    """Each command of a console, and the output that is shown below it."""
    text = block.code.replace("\\\n", " ")
    _, *parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    for part in parts:
        command, _, shown = part.partition("\n")
        yield command, shown


def compare(shown: str, output: str) -> None:
    """Each line that is shown must be printed, next to the line before it; ``...`` stands for anything.

    White space counts as one space. A line ``...`` stands for any lines, also none; so do the ends of the block.
    """
    printed = [_plain(line) for line in output.splitlines() if line.strip()]
    at, free = 0, True
    for line in filter(str.strip, shown.splitlines()):
        if line.strip() == "...":
            free = True
            continue
        pattern = re.compile(".*".join(map(re.escape, _plain(line).split("..."))))
        fits = (number for number in range(at, len(printed)) if pattern.fullmatch(printed[number]))
        found = next(fits, None)
        if found is None or (not free and found != at):
            raise BlockError(f"the page shows {line!r}, which does not come there in:\n{output}")
        at, free = found + 1, False


def _plain(line: str) -> str:
    return " ".join(line.split())
