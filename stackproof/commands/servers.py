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

    The servers stay until `stackproof servers down`. Only the lines for the shell go to standard output.
    """
    from stackproof.container import CHOSEN_BY
    from stackproof.servers import MissingWheelError
    from stackproof.servers.sets import EMBEDDED, servers_for
    from stackproof.servers.standing import stand_up

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
        for name, value in variables.items():
            click.echo(f"export {name}={shlex.quote(value)}")


@servers.command()
@click.argument("run", required=False)
@json_option
def down(run: str | None, json_file: str | None) -> None:
    """End servers that stay: all of them, or those of one RUN (or stack).

    Each is ended though another one does not end; then the exit code is 4.
    """
    from stackproof.servers import ServerError
    from stackproof.servers.standing import stand_down, standing_runs

    chosen = [each for each in standing_runs() if run in (None, each.run, each.stack)]
    if run is not None and not chosen:
        raise ConfigurationError(f"no servers stand that are named {run!r}; `stackproof servers status` lists them")
    ended, troubles = [], []
    for each in chosen:
        try:
            stand_down(each)
            ended.append(each)
        except ServerError as error:
            troubles.append(str(error))
    if json_file is not None:
        _write(json_file, [_row(each) for each in ended])
    if json_file != "-" and (ended or not chosen):
        named = ", ".join(f"{each.run} ({each.stack or 'chosen one by one'})" for each in ended)
        click.echo(f"Ended: {named}." if chosen else "No servers stand.")
    if troubles:
        raise ServerError(" ".join(troubles))


@servers.command()
@json_option
def status(json_file: str | None) -> None:
    """List the servers that stay, from which run, and since when; remove what dead runs left."""
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
    print_table(("run", "stack", "server", "version", "origin", "fidelity", "since"), _lines(rows))


def _lines(rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, ...]]:
    for row in rows:
        for server in row["servers"]:
            about = (server["name"], server["version"], server["origin"], server["fidelity"])
            yield (row["run"], row["stack"] or "-", *about, row["since"])


def _row(standing: Any) -> dict[str, Any]:
    return {
        "run": standing.run,
        "stack": standing.stack,
        "origin": standing.origin,
        "pid": standing.pid,
        "since": datetime.fromtimestamp(standing.since, UTC).isoformat(timespec="seconds"),
        "servers": list(standing.servers),
    }


def _write(target: str, rows: Sequence[Mapping[str, Any]], removed: Sequence[str] = ()) -> None:
    document = {"schema": SCHEMA, "runs": list(rows), "removed": list(removed)}
    write_result(target, json.dumps(document, indent=2) + "\n")
