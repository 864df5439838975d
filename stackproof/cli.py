"""The command line. Knows which commands there are; imports the one that is called, so that `--help` is quick."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

import click

import stackproof
from stackproof.exits import Exit
from stackproof.reports.text import escape_what_it_cannot_encode, told, what_happened

# name -> (module in stackproof.commands, one line of help)
COMMANDS = {
    "verify": ("verify", "Hold backends to their contracts and write a certificate."),
    "bench": ("bench", "Measure a stack under load: latency at a rate, or the ceiling."),
    "calibrate": ("calibrate", "Check that the load generator sees what is really there."),
    "worker": ("worker", "Offer a share of the load that another machine directs."),
    "tax": ("tax", "Measure what adapters cost beside their own drivers."),
    "plan": ("plan", "Recommend a stack for your numbers: why, until when, for how much."),
    "compare": ("compare", "Say whether one run is worse than another: the regression gate."),
    "yardsticks": ("yardsticks", "Run the field's own load tools beside ours: the ratio, and why."),
    "audit": ("audit", "Hold published thresholds and costs against what is measured here."),
    "backends": ("backends", "List the backends, their servers and last verdicts."),
    "clauses": ("listings", "List the clauses of the contracts."),
    "stacks": ("listings", "List the stacks."),
    "servers": ("servers", "Start a whole stack of servers, list what runs, end it."),
    "doctor": ("doctor", "Say what this machine can run, and what to do for the rest."),
    "matrix": ("matrix", "List what a change asks to verify, as a CI takes it."),
    "selftest": ("selftest", "Prove that the clauses can fail: run every mutant."),
    "replay": ("replay", "Run what failed again: fixed, still failing, or cannot run."),
    "report": ("report", "Write the page of a run again."),
}


class _Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was typed; for none of ours, the error names the one that is most like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            for near in get_close_matches(args[0], COMMANDS, n=1):
                raise click.UsageError(f"{error.message} Did you mean {near}?", ctx) from error
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"stackproof.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands from the table above, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(stackproof.__version__, prog_name="stackproof")
def cli() -> None:
    """Proves that a backend keeps the contract of its interface, and measures how much load it carries.

    \b
    Start here:  stackproof verify                                  the Development stack, on embedded servers
                 stackproof verify --backend cache=mypkg.cache:make your own backend

    Exit codes: 0 holds; 1 a clause failed, or a regression; 2 wrong usage or configuration; 3 inconclusive or partial;
    4 the environment could not be started, or the disk cannot be written; 5 an invalid record; 6 no data; 7 runs that are not
    comparable; 130 interrupted (what was done is kept).
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command. Whatever is wrong becomes one sentence and its exit code, never a traceback."""
    signal.signal(signal.SIGTERM, _terminate)
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        escape_what_it_cannot_encode(stream)
    code = _run(arguments)
    sys.exit(_flushed(code))


def _open_what_is_closed() -> None:
    """A standard stream that was closed (``>&-``) goes nowhere: no file of ours, and no server's, must get its number."""
    # In this order: the lowest free number is taken.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 - as long as the process
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def _flushed(code: int) -> int:
    """Write what is still held back, so that a full disk or a reader that went away is no noise at the very end."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = code or Exit.INTERRUPTED
        _point_at_nothing()
    except OSError as error:
        if code != Exit.ENVIRONMENT:  # else it was told already
            click.echo(f"stackproof: standard output cannot be written: {error.strerror}", err=True)
        code = Exit.ENVIRONMENT
        _point_at_nothing()
    return code


def _point_at_nothing() -> None:
    """What is left in the buffer cannot be written: Python's own try at its end must not complain about it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: list[str] | None) -> int:
    try:
        outcome: Any = cli(arguments, prog_name="stackproof", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return Exit.USAGE
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (KeyboardInterrupt, click.Abort) as error:
        # click makes an error of its own of Ctrl-C; what was noted on the way is at the first one.
        click.echo(told(error.__cause__ or error, "Interrupted."), err=True)
        return Exit.INTERRUPTED
    except (SystemExit, BrokenPipeError):
        # Whoever read our output went away. click and rich make an exit code of 1 of that, which here is a failed clause.
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - what is not expected is raised again
        return _refuse(error)
    return int(outcome or 0)


def _refuse(error: Exception) -> int:
    """One sentence and the exit code of an expected error. An unexpected one is a defect of ours: it keeps its traceback."""
    from stackproof.extras import extra_of
    from stackproof.interfaces import ConfigurationError, StackproofError
    from stackproof.servers import MissingWheelError, ServerError
    from stackproof.verification.runs import DamagedRecordError, NoRecordError, StorageError
    from stackproof.verification.worker import WorkerError

    codes: list[tuple[type[Exception], int]] = [
        (ConfigurationError, Exit.USAGE),
        (MissingWheelError, Exit.USAGE),
        (DamagedRecordError, Exit.INVALID),
        (NoRecordError, Exit.NO_DATA),
        (ServerError, Exit.ENVIRONMENT),
        (StorageError, Exit.ENVIRONMENT),
        (WorkerError, Exit.ENVIRONMENT),
        (StackproofError, Exit.ENVIRONMENT),
        (OSError, Exit.ENVIRONMENT),
    ]
    for kind, code in codes:
        if isinstance(error, kind):
            sentence = what_happened(error)
            where = f": {error.filename}" if isinstance(error, OSError) and error.filename else ""
            click.echo(f"stackproof: {told(error, f'{sentence}{where}')}", err=True)
            return code
    if isinstance(error, ModuleNotFoundError) and (extra := extra_of(error.name or "")) is not None:
        click.echo(f"stackproof: {error.name} is not installed; type: pip install 'stackproof[{extra}]'", err=True)
        return Exit.USAGE
    raise error


def _terminate(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends a command as Ctrl-C does: it cleans up and keeps what was done."""
    raise KeyboardInterrupt
