"""`stackproof replay`: run what failed again, and say whether it is fixed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from .options import json_option, write_result

if TYPE_CHECKING:
    from stackproof.verification.replay import Again

SCHEMA = "stackproof-replay/1"


@click.command()
@click.argument("failure", metavar="ID")
@json_option
def replay(failure: str, json_file: str | None) -> int:
    """Run what failed again, or could not be decided: ID is its short id, RUN:CLAUSE, or RUN for all of that.

    The answer is: fixed (exit code 0), still failing (1), or cannot run (4).
    """
    from stackproof.reports.text import one_line
    from stackproof.verification.replay import CODES, Answer, find_failures, repeat, seen_in, told

    answers = []
    for again in find_failures(failure):
        answers.append(repeat(again))
        for line in (told(answers[-1]), *seen_in(answers[-1])):
            click.echo(one_line(line), err=json_file == "-")
    if json_file is not None:
        rows = [{**_asked(answer.again), "answer": answer.answer, "sentence": answer.sentence} for answer in answers]
        write_result(json_file, json.dumps({"schema": SCHEMA, "failures": rows}, indent=2) + "\n")
    found = {answer.answer for answer in answers}
    worst = next(a for a in (Answer.STILL_FAILING, Answer.CANNOT_RUN, Answer.FIXED) if a in found)
    return CODES[worst]


def _asked(again: Again) -> dict[str, Any]:
    return {name: value for name, value in asdict(again).items() if name != "before"}
