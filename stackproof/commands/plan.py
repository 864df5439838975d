"""`stackproof plan`: the cheapest stack for the user's own numbers, and under each statement what it rests on."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError

from .options import Directory, check_targets, json_option, out_option, result_console, write_result

if TYPE_CHECKING:
    from stackproof.planning.demand import Workload
    from stackproof.planning.feasibility import Asked
    from stackproof.planning.plan_record import Plan
    from stackproof.planning.stacks import PlannedStack

_INPUTS: Mapping[str, str] = {
    "decisions_per_day": "Decisions a day, now.",
    "peak_factor": "The busiest minute over the mean of the day.",
    "growth_per_month": "Growth of the decisions a month: 0.1 or 10%.",
    "interactions_per_decision": "Interactions recorded for a decision.",
    "record_bytes": "One interaction as it is stored, its part of the indexes included.",
    "retention_days": "How long interactions are kept.",
    "summary_reads_per_decision": "Reads of summaries for a decision.",
    "customers": "Customers with a history.",
    "summaries_per_customer": "Rows of summaries of a customer.",
    "summary_bytes": "One such row.",
    "events_per_decision": "Events published for a decision.",
    "event_bytes": "One event.",
    "event_retention_days": "How long a log keeps events.",
    "subscriptions": "Groups that each receive every event.",
    "records": "Documents in the search index.",
    "document_bytes": "One document.",
    "searches_per_day": "Searches a day.",
    "cache_reads_per_decision": "Reads of the cache for a decision.",
    "cache_hit_ratio": "The part of them that is there: 0 to 1.",
    "cached_values": "Values in the cache.",
    "cached_bytes": "One value, with its key.",
    "log_bytes_per_decision": "Log lines of a decision.",
    "log_retention_days": "How long log lines are kept; with --hosting local, not at all unless it is given.",
}
"""Field of `planning.demand.Workload` -> its help; a test holds the two together."""
MOST_MONTHS = 120


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _workload_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each field of a workload. Texts: what is no number is one sentence of ours, not of click."""
    for name, text in reversed(list(_INPUTS.items())):
        needed = name == "decisions_per_day"
        command = click.option(_option(name), name, metavar="N", required=needed, help=text)(command)
    return command


@click.command()
@_workload_options
@click.option("--p99-ms", metavar="MS", help="The latency that 99 of 100 operations must keep.")
@click.option("--headroom", metavar="F", default="1.5", show_default=True, help="Carry the peak times this.")
@click.option(
    "--months",
    type=click.IntRange(1, MOST_MONTHS),
    default=12,
    show_default=True,
    metavar="M",
    help="How far to look ahead.",
)
@click.option(
    "--hosting",
    "where",
    type=click.Choice(["any", "managed", "aws", "self-hosted", "local"]),
    default="any",
    show_default=True,
    help="Whose machines: managed is AWS and Upstash; local is your own desk, which `any` leaves out.",
)
@click.option(
    "--require",
    "requirements",
    multiple=True,
    metavar="CONCERN.CAPABILITY",
    help="Such as events.durable. May be repeated.",
)
@click.option("--stack", "stack_name", metavar="FILE|NAME", help="A stack that is judged, too.")
@click.option(
    "--runs",
    type=Directory(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where your runs are kept; they come before what ships with the package.  [default: .stackproof/runs]",
)
@click.option("--prices", metavar="FILE", type=click.Path(path_type=Path), help="Your own prices, before ours.")
@click.option("--env-file", metavar="FILE", help="Write the variables of the recommended stack, without secrets.")
@out_option
@json_option
def plan(
    p99_ms: str | None,
    headroom: str,
    months: int,
    where: str,
    requirements: tuple[str, ...],
    stack_name: str | None,
    runs: Path | None,
    prices: Path | None,
    env_file: str | None,
    out: Path | None,
    json_file: str | None,
    **inputs: str | None,
) -> int:
    """Recommend the cheapest stack for your numbers, with what each statement rests on.

    Numbers may be typed as 10K, 2.5M or 1B. The answer is kept as a run: plan.json, plan.html and stack.env.

    Exit codes: 0 a stack is recommended; 2 wrong input; 3 none is known to carry the load; 4 a result cannot be kept.
    """
    import stackproof
    from stackproof.planning.kept_runs import unlike
    from stackproof.planning.measured import known_ceilings
    from stackproof.planning.plan_record import PAGE, RECORD
    from stackproof.planning.planner import Facts, Question, make_plan
    from stackproof.planning.price_book import load_prices
    from stackproof.reports.plan_terminal import print_plan
    from stackproof.verification.digests import suite_digest
    from stackproof.verification.environment import describe_environment
    from stackproof.verification.runs import RUNS, StorageError, new_run_id, open_run

    question = Question(
        _workload(inputs, where), _asked(p99_ms, headroom, where, requirements), months, _stack(stack_name)
    )
    if runs is not None and not runs.is_dir():
        raise ConfigurationError(f"--runs {runs} is no directory")
    book = load_prices(prices)
    check_targets(*(target for target in (json_file, env_file) if target is not None))
    run_id, now = new_run_id(), datetime.now(UTC)
    directory = open_run(out, run_id)
    version, build, machine = stackproof.__version__, suite_digest(), describe_environment()
    known = known_ceilings(runs if runs is not None else RUNS, unlike=lambda run: unlike(run, version, build, machine))
    facts = Facts(run_id, now.isoformat(timespec="seconds"), stackproof.__version__, _typed(), now.date())
    made = make_plan(question, known, book, facts)
    console = result_console("-" if "-" in (json_file, env_file) else None)
    print_plan(made, console)
    no_page = _page_wants()
    troubles = [*_keep(made, directory, page=not no_page), *_write(made, json_file, env_file)]
    if no_page:
        console.print(no_page, markup=False)
    if (directory / RECORD).is_file():
        page = directory / PAGE
        told = f"; its page: {page}" if page.is_file() else ""
        console.print(f"\nKept in {directory}{told}", markup=False, highlight=False)
    if env_file is not None and not made.environment and (aside := _set_aside(env_file)):
        console.print(aside, markup=False, highlight=False)
    if troubles:
        raise StorageError("; ".join(troubles))  # last, so that the result is on the screen all the same
    return Exit.HOLDS if made.recommended is not None else Exit.INCONCLUSIVE


def _keep(made: Plan, directory: Path, *, page: bool) -> tuple[str, ...]:
    """Record, page and environment file; sentences about what could not be kept where it belongs."""
    from stackproof.planning.environment_file import FILE
    from stackproof.planning.plan_record import PAGE, RECORD, to_json
    from stackproof.verification.runs import keep_run

    files: dict[str, Callable[[], str]] = {RECORD: lambda: to_json(made)}
    if made.environment:
        files[FILE] = lambda: made.environment
    if page:
        from stackproof.reports import plan_page

        files[PAGE] = lambda: plan_page.render(made)
    return keep_run(directory, files)


def _page_wants() -> str:
    """What to install for a page; empty where all is there. The answer is complete without it."""
    from stackproof.reports.pages import require_charts

    try:
        require_charts()
    except ConfigurationError as error:
        return str(error)
    return ""


def _write(made: Plan, json_file: str | None, env_file: str | None) -> Iterator[str]:
    """The files that were asked for, each though another cannot be written; a sentence for each of those."""
    from stackproof.planning.plan_record import to_json
    from stackproof.verification.runs import StorageError

    texts = ((json_file, to_json(made)), (env_file, made.environment))
    for file, text in texts:
        if file is None or not text:
            continue
        try:
            write_result(file, text)
        except StorageError as error:
            yield str(error)


def _set_aside(env_file: str) -> str:
    """Where no stack is recommended, the file of an earlier plan must not be taken for the answer. It may have been filled in by
    hand, so it is renamed. What was done, in a sentence; empty where nothing was there."""
    path = Path(env_file)
    if env_file == "-" or path.is_symlink() or not path.is_file():
        return ""
    aside = path.with_name(f"{path.name}.old")
    try:
        path.replace(aside)
    except OSError as error:
        return f"No stack is recommended: {path} is of an earlier plan, and cannot be renamed ({error.strerror})."
    return f"No stack is recommended: {path}, which is of an earlier plan, is called {aside} now."


def _workload(inputs: Mapping[str, str | None], where: str) -> Workload:
    from stackproof.planning.demand import Workload, whole_fields
    from stackproof.planning.feasibility import Where
    from stackproof.planning.typed import number, whole

    given: dict[str, Any] = {}
    for field in fields(Workload):
        text = inputs[field.name]
        if text is not None:
            read = whole if field.name in whole_fields() else number
            given[field.name] = read(_option(field.name), text)
    if where == Where.LOCAL:
        # Nothing on a desk keeps log lines: to ask for it there is for whoever types it.
        given.setdefault("log_retention_days", 0)
    return Workload(**given)


def _asked(p99_ms: str | None, headroom: str, where: str, requirements: tuple[str, ...]) -> Asked:
    from stackproof.planning.capabilities import parse_requirement
    from stackproof.planning.feasibility import Asked, Where
    from stackproof.planning.typed import number

    return Asked(
        headroom=Fraction(number("--headroom", headroom)),
        p99_ms=None if p99_ms is None else float(number("--p99-ms", p99_ms)),
        where=Where(where),
        requirements=tuple(map(parse_requirement, requirements)),
    )


def _stack(name: str | None) -> PlannedStack | None:
    from stackproof.planning.stacks import named_stack

    return None if name is None else named_stack(name)


def _typed() -> str:
    """The command as it was typed, without where its results go."""
    context = click.get_current_context()
    words = ["stackproof", "plan"]
    for parameter in context.command.params:
        if not isinstance(parameter, click.Option) or parameter.name in ("out", "json_file", "env_file"):
            continue
        value = context.params[parameter.name or ""]
        if value in (None, (), parameter.default) or isinstance(value, bool):
            continue
        for one in value if isinstance(value, tuple) else (value,):
            words += [parameter.opts[0], shlex.quote(str(one))]
    return " ".join(words)
