"""`stackproof tax`: what an adapter costs beside the same statements on its driver."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import stackproof
from stackproof.adapters.settings import Settings
from stackproof.exits import Exit
from stackproof.interfaces import BackendError, ConfigurationError
from stackproof.targets import Target, parse_target

from .options import check_targets, json_option, origin_option, out_option, result_console, write_result

if TYPE_CHECKING:
    from stackproof.benchmarks.rows import Row
    from stackproof.benchmarks.run import Found
    from stackproof.servers import Server


@click.command()
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="CONCERN=NAME",
    help="May be repeated.  [default: all whose servers the origin has]",
)
@origin_option
@click.option("--blocks", type=click.IntRange(5, 1_000), default=30, show_default=True, help="Of calls, of each way.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Of their order.")
@click.option(
    "--limit",
    type=click.FloatRange(min=1.0),
    default=1.05,
    show_default=True,
    help="The ratio that is allowed; what is surely above it ends with exit code 1.",
)
@click.option("--markdown", "markdown_file", metavar="FILE", help="Write the table as Markdown; - for standard output.")
@out_option
@json_option
def tax(
    backends: tuple[str, ...],
    origin: str,
    blocks: int,
    seed: int,
    limit: float,
    markdown_file: str | None,
    out: Path | None,
    json_file: str | None,
) -> int:
    """Measure what adapters cost beside the same statements on their drivers: time, client CPU, memory.

    Both are called in turn, in blocks in random order, in one process. See docs/adapter-tax.md.
    """
    if importlib.util.find_spec("pytest_benchmark") is None:
        raise ConfigurationError("tax needs more packages; type: pip install 'stackproof[bench]'")
    from stackproof.benchmarks.record import Record, to_json, to_markdown
    from stackproof.benchmarks.run import SuiteError
    from stackproof.benchmarks.twins import LEFT_OUT
    from stackproof.verification.environment import describe_environment
    from stackproof.verification.runs import keep, new_run_id, open_run

    check_targets(markdown_file, json_file)
    targets, absent = _targets(backends, origin)
    run_id = new_run_id()
    directory = open_run(out, run_id)
    console = result_console("-" if "-" in (json_file, markdown_file) else None)
    found: list[Found] = []
    servers: list[dict[str, str]] = []
    failed: dict[str, str] = {}
    interrupted = False
    try:
        for target, provided in _provided(targets, origin, servers):
            try:
                rows = _measure(target, provided, directory, blocks, seed)
            except SuiteError as error:  # the others say what they say all the same
                failed[target.name] = str(error)
                click.echo(f"stackproof: {error}", err=True)
                continue
            found += rows
            _show([each.row for each in rows], limit, console)
    except KeyboardInterrupt:
        interrupted = True
    record = Record(
        id=run_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=stackproof.__version__,
        command=_command(backends, origin, blocks, seed),
        origin=origin,
        seed=seed,
        limit=limit,
        environment=describe_environment(),
        servers=tuple(servers),
        found=tuple(found),
        left_out={**failed, **absent, **({} if backends else LEFT_OUT)},
        interrupted=interrupted,
    )
    keep(directory / "tax.json", to_json(record))
    keep(directory / "tax.md", to_markdown(record))
    if json_file is not None:
        write_result(json_file, to_json(record))
    if markdown_file is not None:
        write_result(markdown_file, to_markdown(record))
    console.print(f"Kept in {directory}", markup=False)
    if interrupted:
        return Exit.INTERRUPTED
    if record.above():
        return Exit.BROKEN
    return Exit.INCONCLUSIVE if failed else Exit.HOLDS


def _targets(backends: Sequence[str], origin: str) -> tuple[list[Target], dict[str, str]]:
    """Those that were asked for, or all whose servers the origin can have; and why the others cannot be measured."""
    from stackproof.benchmarks.twins import TWINS, twins_of
    from stackproof.servers import ServerError
    from stackproof.servers.sets import servers_for

    if backends:
        asked = [parse_target(text) for text in dict.fromkeys(backends)]
        for target in asked:
            twins_of(target.name)
        return asked, {}
    if origin == "external":
        raise ConfigurationError(
            "--origin external needs --backend: an address does not say which backend it is for (REDIS_URL may be five)"
        )
    targets, absent = [], {}
    for name in TWINS:
        target = parse_target(name)
        try:
            twins_of(name)
            servers_for(target.servers, origin, os.environ)
        except (ServerError, ConfigurationError) as error:
            absent[name] = str(error).rstrip(".")
        else:
            targets.append(target)
    return targets, absent


def _provided(
    targets: Sequence[Target], origin: str, described: list[dict[str, str]]
) -> Iterator[tuple[Target, Sequence[Server]]]:
    """Each target with its servers, which stand only as long as they are needed: not all at once on one machine."""
    from stackproof.verification.provision import provided_servers
    from stackproof.verification.run import describe_server

    ordered = sorted(targets, key=lambda target: target.servers)
    for _, grouped in groupby(ordered, key=lambda target: target.servers):
        several = list(grouped)
        with provided_servers(several, origin) as servers:
            for server in servers:
                known = describe_server(server)
                described.append({"name": known.technology or server.name, "version": known.version})
            for target in several:
                yield target, servers


def _measure(target: Target, servers: Sequence[Server], directory: Path, blocks: int, seed: int) -> list[Found]:
    from stackproof.benchmarks.run import run_suite

    variables = {name: value for server in servers for name, value in server.variables().items()}
    file = directory / f"{target.name.replace('=', '-')}.json"
    namespace = f"tax{secrets.token_hex(5)}"
    try:
        return run_suite([target.name], namespace, variables, file, blocks=blocks, seed=seed)
    except BaseException:
        _remove(target, Settings({**os.environ, **variables}), namespace)
        raise


def _remove(target: Target, settings: Settings, namespace: str) -> None:
    """What a suite that did not come to its end may have left on a server."""
    adapter = target.make(settings, namespace)
    if hasattr(adapter, "drop_namespace"):
        try:
            adapter.drop_namespace()
        except BackendError as error:
            click.echo(f"stackproof: {namespace} may be left on the server of {target.name}: {error}", err=True)
        finally:
            adapter.disconnect()


def _show(rows: Sequence[Row], limit: float, console: Any) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("backend", "operation", "time", "driver", "ratio", "CPU", "driver", "ratio"):
        table.add_column(name, justify="left" if name in ("backend", "operation") else "right", no_wrap=True)
    for row in rows:
        cells: list[str] = []
        for cost in (row.time, row.cpu):
            mark = "  above" if cost.judged(limit) == "above" else ""
            cells += [_micro(cost.adapter), _micro(cost.raw)]
            cells += [f"{cost.ratio:.2f} ({cost.low:.2f} to {cost.high:.2f}){mark}"]
        table.add_row(row.backend, row.operation, *cells)
    console.print(table)


def _micro(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} us"


def _command(backends: Sequence[str], origin: str, blocks: int, seed: int) -> str:
    words = ["stackproof", "tax"]
    for backend in backends:
        words += ["--backend", backend]
    return shlex.join([*words, "--origin", origin, "--blocks", str(blocks), "--seed", str(seed)])
