"""From the options of `stackproof audit` to its record: kept runs are read, what is missing is measured, claims are judged."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import stackproof
from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.promises import Promise
from stackproof.planning.audit import audit as audit_claims
from stackproof.planning.audit_making import beside_rows, finding_row, run_rows
from stackproof.planning.audit_record import AUDIT, Audit, NotMeasured, RunLeftOut, to_json
from stackproof.planning.audit_words import How
from stackproof.planning.claim_costs import costs_of
from stackproof.planning.claims import COST_UNIT, Claim, built_in_claims, read_claims
from stackproof.planning.crossing_table import crossing_tables
from stackproof.planning.kept_runs import Here, Kept, LeftOut, sift
from stackproof.planning.measured import Known
from stackproof.planning.origins import origin_for, typed
from stackproof.planning.price_book import PriceBook, load_prices
from stackproof.planning.wanted import Need, needs
from stackproof.reports.audit_terminal import print_audit
from stackproof.reports.pages import require_charts
from stackproof.verification.digests import suite_digest
from stackproof.verification.environment import describe_environment
from stackproof.verification.runs import RUNS, StorageError, keep_run, new_run_id, open_run

from .audit import Asked
from .audit_measuring import measure_needs, why_not
from .bench import require_packages
from .options import result_console, write_result

PAGE = "audit.html"
BUILT_IN = "claims.toml"
"""What the claims that come with stackproof are called."""


def run(asked: Asked) -> Exit:
    """Audit, keep the record and its page, and show it."""
    began, clock = datetime.now(UTC), time.monotonic()
    claims, book = _claims(asked.claims), _book(asked.prices)
    promises = tuple(dict.fromkeys(Promise.parse(text) for text in asked.promises))
    if asked.measured:  # before minutes are spent; who judges by what is there has the result without its page, too
        require_packages("audit", "; what is there is judged without them: --no-measure")
    here = Here(stackproof.__version__, suite_digest(), describe_environment(), asked.origin, promises)
    run_id = new_run_id()
    directory = open_run(asked.out, run_id)
    console = result_console(asked.json_file)
    before = _kept(asked.runs, here)
    wanted = needs(claims, before.ceilings, promises, lambda target: why_not(target, asked.origin))
    left = 60 * asked.minutes - (time.monotonic() - clock)
    done = measure_needs(wanted, asked, left, console)
    kept = _kept(asked.runs, here)
    made = Audit(
        id=run_id,
        created=began.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 1),
        version=here.version,
        build=here.build,
        command=_command(asked),
        origin=asked.origin,
        promises=tuple(promise.name for promise in promises),
        claims_file=str(asked.claims or BUILT_IN),
        price_files=book.files,
        machine=dict(here.machine),
        interrupted=done.interrupted,
        trouble=str(done.trouble) if done.trouble is not None else "",
        not_measured=tuple(_not_measured(need, reason, asked.origin) for need, reason in done.not_measured),
        **_judged(claims, kept, here, book, began, {one.run for one in before.ceilings}),
    )
    page, no_page = _page(made)
    troubles = [*done.not_kept, *keep_run(directory, {AUDIT: lambda: to_json(made), **page})]
    print_audit(made, console, directory)
    if no_page:
        console.print(no_page, markup=False)
    if asked.json_file is not None:
        try:
            write_result(asked.json_file, to_json(made))
        except StorageError as error:
            troubles.append(str(error))
    if troubles:
        raise StorageError("; ".join(troubles))  # last, so that the result is on the screen all the same
    if done.trouble is not None and not made.interrupted:
        raise done.trouble
    return exit_code(made)


def exit_code(made: Audit) -> Exit:
    """A claim that does not hold is a finding; one that could have been measured and was not leaves the audit partial."""
    if made.interrupted:
        return Exit.INTERRUPTED
    return Exit.INCONCLUSIVE if made.partial else Exit.HOLDS


# -- what is there --------------------------------------------------------------------------------------------------


def _claims(file: Path | None) -> tuple[Claim, ...]:
    if file is None:
        return built_in_claims()
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--claims {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"--claims {file} cannot be read: it is not UTF-8") from error
    return read_claims(text, str(file))


def _book(file: Path | None) -> PriceBook:
    book = load_prices(file)
    if f"{book.currency}/month" != COST_UNIT:
        raise ConfigurationError(f"--prices {file} is in {book.currency}, and claims about costs are in {COST_UNIT}")
    return book


def _page(made: Audit) -> tuple[dict[str, Callable[[], str]], str]:
    """The page by its name; or why there is none."""
    try:
        require_charts()
    except ConfigurationError as error:
        return {}, str(error)
    from stackproof.reports.audit_page import render

    return {PAGE: lambda: render(made)}, ""


def _kept(runs: Path, here: Here) -> Kept:
    """The kept runs of load below a directory."""
    records: dict[str, str] = {}
    unreadable: list[LeftOut] = []
    for file in sorted(runs.glob("*/run.json")) if runs.is_dir() else ():
        if not file.is_file():  # a pipe would be waited for without end
            unreadable.append(LeftOut(str(file.parent), "it cannot be read: its record is no file"))
            continue
        try:
            records[str(file.parent)] = file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            unreadable.append(LeftOut(str(file.parent), f"it cannot be read: {error.strerror}"))
    kept = sift(records, here)
    return Kept(kept.ceilings, (*kept.left_out, *unreadable))


# -- what follows ---------------------------------------------------------------------------------------------------


def _judged(
    claims: Sequence[Claim], kept: Kept, here: Here, book: PriceBook, began: datetime, before: Set[str]
) -> dict[str, Any]:
    """The parts of the record that follow from claims, runs and prices."""
    how = How(tuple(promise.text for promise in here.promises), here.origin)
    costs = costs_of(claims, book, began.date(), Known(kept.ceilings))
    findings = audit_claims(claims, kept.ceilings, costs, how=how)
    tables = crossing_tables(claims, kept.ceilings)
    beside = beside_rows(claims, kept.ceilings)
    cells = [cell for table in tables for row in table.rows for cell in (row.first, row.second) if cell is not None]
    named = (
        {run for found in findings for run in found.runs} | {row.run for row in beside} | {cell.run for cell in cells}
    )
    new = {one.run for one in kept.ceilings} - before
    return {
        "findings": tuple(finding_row(found, costs.get(found.claim.id, ())) for found in findings),
        "beside": beside,
        "tables": tables,
        "runs": run_rows(kept.ceilings, named, new),
        "left_out": tuple(RunLeftOut(one.run, one.reason) for one in kept.left_out),
    }


def _not_measured(need: Need, reason: str, origin: str) -> NotMeasured:
    command = typed(need.command, origin_for(need.backends, origin))
    return NotMeasured(command, need.claims, not need.unreachable, need.alone, reason)


def _command(asked: Asked) -> str:
    words = ["stackproof", "audit", "--origin", asked.origin]
    words += ["--runs", str(asked.runs)] if asked.runs != RUNS else []
    words += ["--claims", str(asked.claims)] if asked.claims is not None else []
    words += ["--prices", str(asked.prices)] if asked.prices is not None else []
    words += ["--minutes", f"{asked.minutes:g}"] if asked.measured else ["--no-measure"]
    return shlex.join([*words, *(word for text in asked.promises for word in ("--slo", text))])
