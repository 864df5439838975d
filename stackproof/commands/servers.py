"""`stackproof servers up|down|status`: servers that stay, for an application, a shell, or many commands."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from stackproof.interfaces import ConfigurationError
from stackproof.targets import find_stack, parse_targets

from .options import backend_option, json_option, print_table, result_console, write_result

SCHEMA = "stackproof-servers/1"


@click.group()
def servers() -> None:
    """Start a whole stack of servers, list what runs, end it."""


@servers.command()
@click.argument("stack", required=False)
@backend_option
@click.option(
    "--origin",
    type=click.Choice(["embedded", "container"]),
    help="Where they come from. Not given: embedded where wheels carry all of them, else container.",
)
@json_option
def up(stack: str | None, backends: tuple[str, ...], origin: str | None, json_file: str | None) -> None:
    """Start the servers of a stack, and print the variables that point an application at them.

    \b
    eval "$(stackproof servers up enterprise)"

    The servers stay until `stackproof servers down`, typed in this project or in a shell that took over these lines.
    Only the lines for the shell go to standard output.
    """
    from stackproof.container import CHOSEN_BY
    from stackproof.servers import MissingWheelError
    from stackproof.servers.sets import EMBEDDED, servers_for
    from stackproof.servers.standing import OF_SHELL, runs_of_shell, stand_up, standing_runs

    targets = parse_targets(stack, backends)
    names = list(dict.fromkeys(server for target in targets for server in target.servers))
    if not names:
        raise ConfigurationError("nothing of that needs a server")
    origin = origin or ("embedded" if all(name in EMBEDDED for name in names) else "container")
    try:
        servers_for(names, origin, os.environ)  # wrong names and options are found before anything starts
    except Exception as error:
        raise ConfigurationError(str(error)) from error
    try:
        standing = stand_up(find_stack(stack or "development").name if not backends else "", names, origin)
    except MissingWheelError as error:
        raise ConfigurationError(f"what these servers need is not installed; type: {error}") from error
    chosen = {CHOSEN_BY[target.concern][0]: target.spec for target in targets if target.entry is not None}
    variables = {**chosen, **standing.variables}
    if json_file is not None:
        _write(json_file, [{**_row(standing), "variables": variables}])
    if json_file != "-":
        stand = {each.run for each in standing_runs()}
        of_shell = [run for run in runs_of_shell(os.environ) if run in stand and run != standing.run]
        for name, value in {**variables, OF_SHELL: " ".join([*of_shell, standing.run])}.items():
            click.echo(f"export {name}={shlex.quote(value)}")


@servers.command()
@click.argument("run", required=False)
@click.option("--all", "everywhere", is_flag=True, help="Also what was started in other folders and shells of yours.")
@json_option
def down(run: str | None, everywhere: bool, json_file: str | None) -> None:
    """End servers that stay: those of this project and shell, or of them those of one stack.

    This project is the clone, or else the package, that the current directory is in; without either, this directory
    alone. The name of a RUN ends that one, wherever it was started. What is left standing is told.

    Each is ended though another one does not end; then the exit code is 4.
    """
    from stackproof.servers import ServerError
    from stackproof.servers.standing import current_folder, runs_of_shell, stand_down, standing_runs

    named = [each for each in standing_runs() if run in (None, each.run, each.stack)]
    if run is not None and not named:
        raise ConfigurationError(f"no servers stand that are named {run!r}; `stackproof servers status` lists them")
    here = current_folder(), runs_of_shell(os.environ)
    chosen = [each for each in named if everywhere or run == each.run or each.is_from(*here)]
    left = [each for each in named if each not in chosen]
    if run is not None and not chosen:
        raise ConfigurationError(f"no servers named {run!r} were started in this project or shell. {_left(left, run)}")
    ended, troubles = [], []
    for each in chosen:
        try:
            stand_down(each)
            ended.append(each)
        except ServerError as error:
            troubles.append(str(error))
    if json_file is not None:
        _write(json_file, [_row(each) for each in ended], left=[each.run for each in left])
    if json_file != "-" and (ended or not chosen):
        none = "No servers stand that were started in this project or shell." if left else "No servers stand."
        click.echo(f"Ended: {', '.join(map(_name, ended))}." if chosen else none)
    if left:
        click.echo(_left(left, run), err=json_file == "-")
    if troubles:
        raise ServerError(" ".join(troubles))


def _left(left: Sequence[Any], stack: str | None) -> str:
    """What goes on standing, because it was started elsewhere, and the command that ends it."""
    which = left[0].run if len(left) == 1 else f"--all {shlex.quote(stack)}" if stack else "--all"
    these = ", ".join(f"{_name(each)} of {each.folder or 'a folder that is not known'}" for each in left)
    return f"Left standing: {these}. To end {'it' if len(left) == 1 else 'them'}, too: stackproof servers down {which}"


def _name(standing: Any) -> str:
    return f"{standing.run} ({standing.stack or 'chosen one by one'})"


@servers.command()
@json_option
def status(json_file: str | None) -> None:
    """List the servers that stay, from which run, since when, and where they were started; remove what dead runs left."""
    from stackproof.servers.containers.sweep import sweep_containers
    from stackproof.servers.runs import sweep
    from stackproof.servers.standing import standing_runs

    removed = [str(path) for path in sweep()] + sweep_containers()
    rows = [_row(each) for each in standing_runs()]
    if json_file is not None:
        _write(json_file, rows, removed)
    if json_file == "-":
        return
    console = result_console(json_file)
    if removed:
        console.print(f"Removed what dead runs left: {', '.join(removed)}.", markup=False)
    if not rows:
        console.print("No servers stand.")
        return
    print_table(("run", "stack", "server", "version", "origin", "fidelity", "since", "folder"), _lines(rows))


def _lines(rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, ...]]:
    for row in rows:
        for server in row["servers"]:
            about = (server["name"], server["version"], server["origin"], server["fidelity"])
            yield (row["run"], row["stack"] or "-", *about, row["since"], row["folder"] or "not known")


def _row(standing: Any) -> dict[str, Any]:
    return {
        "run": standing.run,
        "stack": standing.stack,
        "origin": standing.origin,
        "pid": standing.pid,
        "since": datetime.fromtimestamp(standing.since, UTC).isoformat(timespec="seconds"),
        "folder": standing.folder,
        "servers": list(standing.servers),
    }


def _write(
    target: str,
    rows: Sequence[Mapping[str, Any]],
    removed: Sequence[str] = (),
    left: Sequence[str] | None = None,
) -> None:
    document: dict[str, Any] = {"schema": SCHEMA, "runs": list(rows), "removed": list(removed)}
    if left is not None:
        document["left"] = list(left)
    write_result(target, json.dumps(document, indent=2) + "\n")
