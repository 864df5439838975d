"""A sample application on `stackproof.get_infra()`; README.md beside this file says how it is run."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

import readback
from application import TOPIC, Application, log
from journal import Journal, fresh, load

from stackproof import get_infra, reset_infra, shutdown_infra, shutdown_on_sigterm
from stackproof.interfaces import ClosedError, StackproofError


def main() -> int:
    options = arguments()
    shutdown_on_sigterm()
    try:
        if options.check is not None:
            return tell(readback.afterwards(get_infra(), load(options.check)))
        code = run(options.decisions, options.workers, options.journal)
        for number, variables in enumerate(options.then, start=2):
            os.environ.update(pair.split("=", 1) for pair in variables)
            reset_infra()
            print("moved to another stack")
            path = options.journal and options.journal.with_name(f"{options.journal.name}.{number}")
            code = max(code, run(options.decisions, options.workers, path))
    except ClosedError:  # of SIGTERM, in the middle of reading back
        return 1
    except StackproofError as error:
        print(f"it cannot go on: {error}", file=sys.stderr)
        return 1
    return code


def run(decisions: int, workers: int, path: Path | None) -> int:
    """One stage: all decisions on the stack that the environment names now."""
    infra, journal = get_infra(), fresh(path)
    logging.getLogger().handlers = [infra.logs]  # also for what the adapters have to say
    log.setLevel(logging.INFO)
    print("stack        " + " ".join(f"{concern}={entry.name}" for concern, entry in infra.chosen.items()))
    subscriber = readback.Subscriber(journal.run)
    with_events = infra.events.subscribe(TOPIC, subscriber)
    application = Application(infra, journal)
    application.index_offers()
    print(f"run          {journal.run}", flush=True)
    if not application.run(decisions, workers):
        print(stopped(journal), flush=True)
        return 1
    try:
        return tell(readback.of_a_run(infra, journal, subscriber, application.fetched))
    finally:
        with_events.close()


def stopped(journal: Journal) -> str:
    counts = ", ".join(f"{len(numbers)} {step}" for step, numbers in journal.done.items())
    return f"stopped      acknowledged until then: {counts}; --check says whether they are there"


def tell(findings: list[readback.Finding]) -> int:
    for finding in findings:
        print(finding)
    different = [finding.concern for finding in findings if finding.difference]
    if different:
        print(f"What was read differs from what was written: {', '.join(different)}.")
    else:
        print("Everything that was written was read.")
    sys.stdout.flush()
    return 1 if different else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python examples/decisions", description="Make decisions, and read them back."
    )
    parser.add_argument("--decisions", type=int, default=1000)
    parser.add_argument("--workers", type=int, choices=(1, 2, 4, 8), default=4)
    parser.add_argument(
        "--journal", type=Path, help="note there what was acknowledged, as it is; stages append .2, .3 ..."
    )
    parser.add_argument("--check", type=Path, metavar="JOURNAL", help="read back what a run that has ended wrote")
    parser.add_argument(
        "--then", nargs="+", action="append", default=[], metavar="NAME=VALUE", help="do it again on another stack"
    )
    return parser.parse_args()


if __name__ == "__main__":
    exit_code = main()
    report = shutdown_infra()
    if report.failed:
        print(f"not everything was closed: {report.failed}", file=sys.stderr)
    sys.exit(exit_code or bool(report.failed))
