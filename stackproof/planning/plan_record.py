"""A plan as a record: what was asked, what is recommended, and under each statement what it rests on; also as JSON. Pure.

The JSON form is described field by field in ``plan.schema.json`` beside this file. Money and quantities are exact decimals in
texts: a number of JSON is a float to most readers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any

from stackproof.kept_json import read
from stackproof.shape import misshapen

from .built import made

SCHEMA = "stackproof-plan/1"
RECORD = "plan.json"
PAGE = "plan.html"
SHOWN = "shown"
"""Rank of a stack all of which was measured to carry the peak with head-room, and to keep the latency that was asked for."""
DOCUMENTED = "shown or documented"
"""Rank of one of which a part was not measured: quotas that its providers document say that it carries the peak."""


@dataclass(frozen=True, slots=True)
class Basis:
    """Something that a statement rests on."""

    id: str
    """Its kind and name, such as run:20260102-030405-ab12 or price:rds-storage; statements name it by this."""
    kind: str
    """run, price, quota, claim, model or assumption."""
    text: str
    """What it says."""
    fidelity: str
    """Of a run: native or compatible-engine; empty for the others."""
    origin: str
    """Of a run: embedded, container or external, and whether it came with the package; of the others: their source."""
    date: str
    """When that was so, ISO 8601; empty where it is not known."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence, and what it rests on."""

    text: str
    """The sentence."""
    basis: tuple[str, ...]
    """The ids of what it rests on; empty for what follows from the input alone."""


@dataclass(frozen=True, slots=True)
class Money:
    """Money: between low and high, and what unknown names on top of it."""

    low: str
    """At least, as an exact decimal."""
    high: str
    """At most, of what is known, as an exact decimal."""
    currency: str
    """A code of three letters."""
    unknown: tuple[str, ...]
    """Why it is not all of it; empty where it is."""
    text: str
    """The same for people."""


@dataclass(frozen=True, slots=True)
class FlowRow:
    """Something that happens again and again."""

    name: str
    """What happens."""
    per_month: int
    """How often in a month of 730 hours, rounded up."""
    mean: float
    """A second, over the day."""
    peak: float
    """A second, in the busiest minute."""
    bytes_per_month: int
    """What it moves in a month; 0 where that is not counted."""


@dataclass(frozen=True, slots=True)
class KeptRow:
    """Something that is kept."""

    name: str
    """What is kept, and how long."""
    bytes: int
    """One copy, when the whole retention has passed at this rate."""


@dataclass(frozen=True, slots=True)
class MonthRow:
    """One month of growth."""

    month: int
    """0 is now."""
    decisions_per_day: int
    """The volume."""
    peak: float
    """Decisions a second in the busiest minute."""
    log_bytes: int
    """Log lines that come in, in that month."""
    cost: Money | None
    """Of the stack that is recommended now; null where it does not carry the load any more, or where there is none."""
    carries: bool
    """Whether the stack that is recommended now still carries it."""
    best: str
    """The stack that would be recommended then; empty where nothing is known."""


@dataclass(frozen=True, slots=True)
class LineRow:
    """One line of a bill: quantity x price = amount."""

    item: str
    """What is bought."""
    quantity: str
    """How much a month, for people."""
    unit: str
    """What is counted."""
    price: str
    """The id of its price; empty where nothing is bought."""
    amount: Money
    """What it costs."""
    formula: str
    """How the quantity comes about."""


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """One way of having one backend, and why it can, or cannot, carry the load."""

    concern: str
    """The concern."""
    backend: str
    """Its backend."""
    hosting: str
    """How it is had; empty where there is no cost model."""
    provider: str
    """Whose machines it runs on: aws, upstash, self-hosted, local or application."""
    status: str
    """feasible, feasible as far as is known, not known, or rejected."""
    marks: tuple[str, ...]
    """What is not shown of it, although nothing speaks against it."""
    statements: tuple[Statement, ...]
    """Why, the one that decides first."""
    use: float | None
    """The part of what was measured to hold that the peak takes, head-room included: 1 is all; null where it was not measured."""
    cost: Money
    """A month of it alone, before a server is shared."""
    settles: tuple[str, ...]
    """What would tell what is not known."""


@dataclass(frozen=True, slots=True)
class ChosenRow:
    """The backend of one concern of a stack."""

    concern: str
    """The concern."""
    backend: str
    """Its backend."""
    hosting: str
    """How it is had."""
    status: str
    """As of the candidate."""
    marks: tuple[str, ...]
    """As of the candidate."""
    statements: tuple[Statement, ...]
    """Why it carries the load, or does not."""
    lines: tuple[LineRow, ...]
    """What a month costs, line by line."""
    cost: Money
    """The sum of its lines."""
    notes: tuple[str, ...]
    """What else is to be known of its cost."""


@dataclass(frozen=True, slots=True)
class StackRow:
    """A stack: one backend for each concern."""

    title: str
    """What it is: recommended, the next cheapest, and so on."""
    name: str
    """Its backends, by concern."""
    rank: str
    """shown, shown or documented, something not shown, cost unknown, both; not known, does not carry it, lacks a capability."""
    chosen: tuple[ChosenRow, ...]
    """By concern, without those of which nothing is asked."""
    cost: Money
    """A month of it, with what concerns share bought once."""
    statements: tuple[Statement, ...]
    """What else is to be said of the stack as a whole."""


@dataclass(frozen=True, slots=True)
class OutgrownRow:
    """How far the recommended stack goes."""

    most_decisions_per_day: int | None
    """As many as it carries; null where no limit is known."""
    month: int | None
    """The first month in which it does not carry the load; null where that is not within the months that were asked for."""
    statements: tuple[Statement, ...]
    """What stops it, when, and what to move to."""
    move_to: str
    """The stack that is recommended beyond; empty where nothing is known."""
    crossing_month: int | None
    """The first month in which another stack ranks before it; null for none."""
    crossing_to: str
    """That stack; empty for none."""


@dataclass(frozen=True, slots=True)
class SensitivityRow:
    """The answer with one input changed."""

    input: str
    """The option."""
    before: str
    """Its value in this plan."""
    after: str
    """The value that was tried."""
    outcome: str
    """same stack, another stack, no stack, or not possible."""
    stack: str
    """What is recommended then, where that is another stack: the parts that differ."""
    cost: Money | None
    """A month of what is recommended then; null for none."""
    sentence: str
    """What follows."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What stackproof plan answers."""

    id: str
    """Of the run that keeps it."""
    created: str
    """ISO 8601, UTC."""
    version: str
    """Of stackproof."""
    command: str
    """Repeats this plan."""
    workload: Mapping[str, str]
    """The inputs, by the names of their options."""
    headroom: float
    """The peak times this must be carried by what was measured."""
    p99_ms: float | None
    """The promised latency; null where none was asked for."""
    where: str
    """Whose machines it may use: any, managed, aws, self-hosted or local."""
    requirements: tuple[str, ...]
    """The capabilities that were asked for."""
    prices: tuple[str, ...]
    """The files of prices."""
    months_asked: int
    """How many months of growth were looked at."""
    flows: tuple[FlowRow, ...]
    """What is asked of the stack, now."""
    kept: tuple[KeptRow, ...]
    """What is kept."""
    answer: str
    """The answer in one sentence."""
    recommended: StackRow | None
    """The cheapest stack that carries the load; null where none is known to."""
    statements: tuple[Statement, ...]
    """What is to be said of the answer: whether the cheapest can be told, and why there is none."""
    alternatives: tuple[StackRow, ...]
    """Other stacks that a reader should know of."""
    judged: StackRow | None
    """The stack that was given to be judged, too."""
    candidates: tuple[CandidateRow, ...]
    """Each backend in each way of having it."""
    months: tuple[MonthRow, ...]
    """Month after month; only the present where nothing grows."""
    outgrown: OutgrownRow | None
    """When the recommended stack is outgrown; null where there is none."""
    sensitivity: tuple[SensitivityRow, ...]
    """Each input halved and doubled."""
    not_known: tuple[str, ...]
    """What is not known, and what would settle it."""
    warnings: tuple[str, ...]
    """Old prices, runs that could not be used."""
    not_counted: tuple[str, ...]
    """What no sum holds."""
    basis: tuple[Basis, ...]
    """Everything that statements rest on."""
    environment: str
    """The environment file of the recommended stack, without secrets; empty where there is none."""

    def of(self, ids: tuple[str, ...]) -> tuple[Basis, ...]:
        """What these ids name."""
        named = {basis.id: basis for basis in self.basis}
        return tuple(named[id_] for id_ in ids if id_ in named)


def to_json(plan: Plan) -> str:
    """The plan as JSON text."""
    return json.dumps({"schema": SCHEMA, **asdict(plan)}, indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> Plan:
    """A plan from its JSON text; ValueError where it is none of this schema."""
    data = read(text)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"this is no plan of schema {SCHEMA}")
    wrong = misshapen(data, schema())
    if wrong:
        raise ValueError(wrong[0])
    data.pop("schema")
    plan: Plan = made(Plan, data)
    if contradiction := next(_contradictions(plan), ""):
        raise ValueError(f"this plan contradicts itself: {contradiction}")
    return plan


def _contradictions(plan: Plan) -> Iterator[str]:
    """What no plan of ours has: a file that has it was changed after it was written."""
    ids = [basis.id for basis in plan.basis]
    if len(set(ids)) < len(ids):
        yield "it names one thing twice that it rests on"
    stacks = [stack for stack in (plan.recommended, *plan.alternatives, plan.judged) if stack is not None]
    if missing := sorted({id_ for statement in _statements(plan, stacks) for id_ in statement.basis} - set(ids)):
        yield f"a statement rests on {missing[0]}, which is not there"
    if (plan.recommended is None) != (plan.environment == ""):
        yield "it has an environment file without a recommended stack, or a stack without one"
    for stack in stacks:
        for part in stack.chosen:
            yield from _no_sum(part.cost, [line.amount for line in part.lines], f"{part.concern}={part.backend}")
        yield from _no_sum(stack.cost, [part.cost for part in stack.chosen], f"the stack {stack.name}")


def _statements(plan: Plan, stacks: Iterable[StackRow]) -> Iterator[Statement]:
    yield from plan.statements
    yield from plan.outgrown.statements if plan.outgrown is not None else ()
    for row in plan.candidates:
        yield from row.statements
    for stack in stacks:
        yield from stack.statements
        for part in stack.chosen:
            yield from part.statements


def _no_sum(total: Money, parts: Sequence[Money], what: str) -> Iterator[str]:
    """Why an amount is not the sum of others."""
    for end in ("low", "high"):
        if _exact(getattr(total, end)) != sum(_exact(getattr(one, end)) for one in parts):
            yield f"the cost of {what} is not the sum of its parts"
    if {why for one in parts for why in one.unknown} != set(total.unknown):
        yield f"the cost of {what} does not say what is unknown of its parts"


_DECIMAL = re.compile(r"\d{1,60}(\.\d{1,60})?", re.ASCII)


def _exact(text: str) -> Fraction:
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no amount of money")
    return Fraction(text)


@cache
def schema() -> dict[str, Any]:
    """Its JSON Schema."""
    found: dict[str, Any] = json.loads((files(__package__) / "plan.schema.json").read_text(encoding="utf-8"))
    return found
