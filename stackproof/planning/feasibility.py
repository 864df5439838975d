"""Which backends can carry a workload, and why the others cannot: one candidate for each way of having each backend. Pure.

The rules, in their order (docs/plan.md): where it may run; what it must be able to do; documented quotas at the peak; measured
ceilings at the peak with head-room; the promised latency. A service that is billed by request is bounded by its quotas, which
say nothing about latency; a server by what was measured, on whatever machine that was. What nobody knows is *not known*.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Context, Decimal
from enum import StrEnum
from fractions import Fraction

from stackproof.adapters.registry import BUILT_IN
from stackproof.interfaces import ConfigurationError

from .bill import BackendCost, Limit, Sizing
from .capabilities import SHARED_CACHE, Requirement, lacks
from .capacity import Use, asks_nothing, larger_than_measured, use_of
from .ceilings import MeasuredCeiling
from .cost import MODELS, Choice, as_had, cost_of
from .demand import Demand
from .engines import served_right, taken_for_the_service
from .headroom import taken
from .measured import Known
from .origins import EXTERNAL, origin_for, typed
from .price_book import PriceBook

LEAST_HEADROOM, MOST_HEADROOM = Fraction(1), Fraction(100)
MOST_P99_MS = 3_600_000.0
"""An hour."""


class Where(StrEnum):
    """Whose machines a plan may use."""

    ANY = "any"
    """A cloud's, or the team's own; not the one of who develops."""
    MANAGED = "managed"
    """AWS and Upstash."""
    AWS = "aws"
    SELF_HOSTED = "self-hosted"
    LOCAL = "local"
    """The machine of who develops."""


_UPSTASH = frozenset({"pay-as-you-go", "free"})
_OWN = frozenset({"self-hosted", "collected"})
_WITHIN = frozenset({"in-process"})
_ALLOWED: Mapping[Where, frozenset[str]] = {
    Where.ANY: frozenset({"aws", "upstash", "self-hosted", "application"}),
    Where.MANAGED: frozenset({"aws", "upstash", "application"}),
    Where.AWS: frozenset({"aws", "application"}),
    Where.SELF_HOSTED: frozenset({"self-hosted", "application"}),
    Where.LOCAL: frozenset({"local", "application"}),
}
BY_REQUEST = frozenset(
    {
        ("dynamodb", "on-demand"),
        ("dynamodb", "provisioned"),
        ("keyspaces", "on-demand"),
        ("eventbridge", "bus"),
        ("kinesis", "provisioned"),
        ("kinesis", "on-demand"),
        ("msk", "serverless"),
        ("elasticache", "serverless-valkey"),
        ("elasticache", "serverless-redis"),
        ("upstash", "pay-as-you-go"),
        ("upstash", "free"),
        ("cloudwatch", "on-demand"),
    }
)
"""Services without a machine of one's own: only what was measured against the service itself says how much they carry."""
SEVERAL = frozenset({"scylla", "cassandra", "kafka", "redpanda", "msk", "opensearch", "elasticache"})
"""What is spread over as many machines as are needed; the others are one server, which is too small or is not."""
COPIED = frozenset({"scylla", "cassandra", "kafka", "redpanda", "msk"})
"""Of those, the ones in which each write goes to as many machines as there are copies."""
COPIES = 3
_BENCH = "stackproof bench"


def provider_of(concern: str, backend: str, hosting: str) -> str:
    """Whose machines it runs on: aws, upstash, self-hosted, local, or those of the application itself."""
    if (concern, backend, hosting) == ("logs", "console", "local") or hosting in _WITHIN:
        return "application"
    if hosting == "local":
        return "local"
    if hosting in _UPSTASH:
        return "upstash"
    return "self-hosted" if hosting in _OWN or not hosting else "aws"


class Status(StrEnum):
    """What is known of a candidate."""

    FEASIBLE = "feasible"
    """All that was asked is shown, or documented."""
    OPEN = "feasible as far as is known"
    """Nothing speaks against it, and something that was asked is not shown: its marks say what."""
    NOT_KNOWN = "not known"
    """Neither a measurement nor a documented quota says whether it carries the peak."""
    REJECTED = "rejected"


class Mark(StrEnum):
    """What is not shown of a candidate that is feasible otherwise."""

    LATENCY = "latency not known"
    """Nobody measured it here."""
    SLOW = "latency target not shown"
    """It was measured, and not seen to keep the target at the peak with head-room."""
    SCALED = "more machines than were measured"
    """That several carry as much more as they are more is assumed."""
    RECEIVING = "receiving not measured"
    STAND_IN = "measured on a compatible engine"
    """What speaks the same protocol was measured, not the technology itself."""
    LARGER = "larger records than were measured"
    """Or more of them than fit into the memory of the machine on which they were."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a plan must do beside its workload."""

    headroom: Fraction = Fraction(3, 2)
    """The peak times this must be carried."""
    p99_ms: float | None = None
    where: Where = Where.ANY
    requirements: tuple[Requirement, ...] = ()
    named: bool = False
    """Whether the choices were named: they are judged by what they carry then, wherever they run."""

    def __post_init__(self) -> None:
        if not LEAST_HEADROOM <= self.headroom <= MOST_HEADROOM:
            raise ConfigurationError(f"--headroom is {float(self.headroom):g}; it lies between 1 and 100")
        if self.p99_ms is not None and not 0 < self.p99_ms <= MOST_P99_MS:
            raise ConfigurationError(
                f"--p99-ms is {self.p99_ms:g}; it lies above 0 and up to {MOST_P99_MS:.0f} (an hour)"
            )

    @property
    def all_requirements(self) -> tuple[Requirement, ...]:
        """With what goes without saying: processes share a cache, unless it is the machine of who develops."""
        shared = () if self.where is Where.LOCAL else (SHARED_CACHE,)
        return tuple(dict.fromkeys((*shared, *self.requirements)))


class Rests(StrEnum):
    """What a reason rests on."""

    INPUT = "input"
    QUOTAS = "quotas"
    RUNS = "runs"


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence about a candidate."""

    text: str
    rests: Rests = Rests.INPUT


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way of having one backend, and what is known of it under a workload."""

    concern: str
    backend: str
    hosting: str
    status: Status
    because: tuple[Reason, ...]
    """Why: the first one decides."""
    cost: BackendCost
    marks: tuple[Mark, ...] = ()
    use: Fraction | None = None
    """Of what was measured to hold, head-room included: 1 is all of it; None where it was not measured."""
    quick: Fraction | None = None
    """The same, of what was measured to hold within the promised latency."""
    ceilings: tuple[MeasuredCeiling, ...] = ()
    quotas: tuple[Limit, ...] = ()
    """Those that the statement rests on."""
    settles: tuple[str, ...] = ()
    """What would tell what is not known: commands, or facts."""
    tried: bool = False
    """Whether that was measured already, as it is asked for, and showed nothing."""
    sizing: Sizing = field(default_factory=Sizing)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The sentences alone."""
        return tuple(reason.text for reason in self.because)

    @property
    def usable(self) -> bool:
        return self.status in (Status.FEASIBLE, Status.OPEN)

    @property
    def name(self) -> str:
        """Such as ``dynamodb (on-demand)``."""
        return f"{self.backend} ({self.hosting})" if self.hosting else self.backend

    @property
    def choice(self) -> Choice:
        return Choice(self.concern, self.backend, self.hosting, self.sizing)

    @property
    def by_request(self) -> bool:
        """Whether it is billed by request, on machines that nobody sees."""
        return (self.backend, self.hosting) in BY_REQUEST

    @property
    def documented(self) -> bool:
        """Whether a quota that its provider documents says that it carries the peak, and no measurement."""
        return self.usable and bool(self.because) and self.because[0].rests is Rests.QUOTAS

    @property
    def single(self) -> bool:
        """Whether it is one server, which others of the same technology share."""
        return self.backend not in SEVERAL and not self.by_request


def every_choice() -> tuple[Choice, ...]:
    """Each built-in backend in each way in which it can be had."""
    return tuple(
        Choice(entry.concern, entry.name, hosting)
        for entry in BUILT_IN
        if not entry.reference
        for hosting in MODELS.get((entry.concern, entry.name), {})
    )


def candidates(
    demand: Demand, asked: Asked, known: Known, book: PriceBook, choices: Iterable[Choice] | None = None
) -> tuple[Candidate, ...]:
    """What is known of each choice (of `every_choice` unless others are given) under a demand.

    Of a concern of which nothing is asked there is none.
    """
    wanted = every_choice() if choices is None else tuple(choices)
    return tuple(
        judged(choice, demand, asked, known, book) for choice in wanted if not asks_nothing(choice.concern, demand)
    )


def judged(choice: Choice, demand: Demand, asked: Asked, known: Known, book: PriceBook) -> Candidate:
    """One choice, held against the rules in their order."""
    found = _judged(choice, demand, asked, known, book)
    return replace(found, settles=tuple(_from_where(found, text) for text in found.settles))


def _from_where(candidate: Candidate, text: str) -> str:
    """A command with the origin that has the servers: a service that is billed by request is nowhere but at its provider."""
    if not text.startswith(_BENCH) or " --origin " in text:
        return text
    origin = EXTERNAL if candidate.by_request else origin_for([f"{candidate.concern}={candidate.backend}"])
    return typed(text, origin)


def _judged(choice: Choice, demand: Demand, asked: Asked, known: Known, book: PriceBook) -> Candidate:
    # Which rule it is held against depends on how it is had, also where that goes without saying.
    choice = as_had(choice)
    by_request = (choice.backend, choice.hosting) in BY_REQUEST
    if by_request:
        # An engine of the same protocol on somebody's machine says nothing about the service.
        known = known.of_services()
    known = known.those(lambda one: served_right(one, choice.concern, choice.backend, choice.hosting))
    use = use_of(choice.concern, choice.backend, demand, known, asked.p99_ms)
    sizing = replace(_sizing(choice, demand, asked, use), headroom=asked.headroom)
    cost = cost_of(replace(choice, sizing=sizing), demand, book)
    start = Candidate(
        choice.concern, choice.backend, cost.hosting or choice.hosting, Status.NOT_KNOWN, (), cost, sizing=sizing,
        ceilings=use.ceilings,
        use=None if use.most is None else use.most * asked.headroom,
        quick=None if use.quick is None else use.quick * asked.headroom,
    )  # fmt: skip
    against = _against(start, demand, asked)
    if against:
        return replace(start, status=Status.REJECTED, because=against)
    if asks_nothing(choice.concern, demand):
        return replace(start, status=Status.FEASIBLE, because=(Reason("nothing is asked of it"),))
    if by_request and use.most is None:
        return _by_quota(start, use, asked)
    found = _by_ceiling(start, use, asked, larger_than_measured(choice.concern, demand, use.ceilings))
    assumed = taken_for_the_service(use.ceilings, choice.concern, choice.backend, choice.hosting)
    return replace(found, because=(*found.because, *(Reason(text, Rests.RUNS) for text in assumed)))


def _against(candidate: Candidate, demand: Demand, asked: Asked) -> tuple[Reason, ...]:
    """Why it is out of the question, whatever was measured."""
    found = []
    if (elsewhere := out_of_place(candidate, asked.where)) and not asked.named:
        found.append(Reason(f"not asked for: {elsewhere}"))
    missing = lacks(candidate.concern, candidate.backend, asked.all_requirements, demand.workload)
    found += [Reason(text) for text in missing]
    days = demand.workload.log_retention_days
    if candidate.backend == "console" and candidate.hosting == "local" and days:
        said = f"capability missing: lines on the console are not kept, and --log-retention-days is {days}"
        found.append(Reason(said))
    found += [Reason(_over(limit), Rests.QUOTAS) for limit in candidate.cost.exceeded if limit.kind != "measured"]
    return tuple(found)


def out_of_place(candidate: Candidate, where: Where) -> str:
    """Why the machines on which a candidate runs are none that were asked for; empty where they are, or are not known."""
    provider = provider_of(candidate.concern, candidate.backend, candidate.hosting)
    if ":" in candidate.backend or provider in _ALLOWED[where]:
        return ""
    if provider == "local":
        return "it runs on a developer's own machine, which only --hosting local asks for"
    return f"it runs on {provider}, and --hosting is {where}"


def _over(limit: Limit) -> str:
    raised = "; it can be raised: ask the provider, and put yours into --prices" if limit.kind == "soft" else ""
    when = " at the peak" if limit.is_rate else ""
    return (
        f"quota exceeded{when}: {limit.what}: {_figure(limit.used)} of {_figure(limit.allowed)} {limit.unit} "
        f"({limit.kind}, {limit.name}){raised}"
    )


def _figure(value: Fraction | None) -> str:
    if value is None:
        return "not known"
    return f"{float(value):,.0f}" if value >= 100 or value == int(value) else f"{float(value):,.3g}"


# -- services that are billed by request ------------------------------------------------------------------------------


def _by_quota(start: Candidate, use: Use, asked: Asked) -> Candidate:
    """Within its documented quotas it carries the peak, says its provider; about latency they say nothing."""
    rates = [limit for limit in start.cost.limits if limit.is_rate and limit.used is not None]
    beginning = [limit for limit in rates if limit.kind == "start"]
    lasting = [limit for limit in rates if limit.kind in ("hard", "soft")]
    if not lasting and any(limit.exceeded for limit in beginning):
        first = next(limit for limit in beginning if limit.exceeded)
        said = (
            f"a new one takes {_figure(first.allowed)} {first.unit} ({first.name}) and the peak is {_figure(first.used)}: "
            "how far it grows has no entry in the price book"
        )
        return replace(
            start, because=(Reason(said, Rests.QUOTAS),), quotas=(first,), settles=(*use.missing, _a_quota(start))
        )
    if not rates:
        said = "neither measured here nor bounded by a quota of the price book"
        return replace(start, because=(Reason(said),), settles=(*use.missing, _a_quota(start)))
    tightest = max(lasting or beginning, key=lambda limit: (limit.used or Fraction(0)) / limit.allowed)
    share = (tightest.used or Fraction(0)) / tightest.allowed
    said = (
        f"within its documented quotas: {tightest.what} at {taken(float(share))} {_figure(tightest.allowed)} {tightest.unit} "
        f"({tightest.kind}, {tightest.name}) at the peak"
    )
    within = Reason(said, Rests.QUOTAS)
    warm = "the peak is above what a new one takes ({}): warm it up first"
    grows = [Reason(warm.format(limit.name), Rests.QUOTAS) for limit in beginning if limit.exceeded]
    if asked.p99_ms is None:
        latency = Reason("its latency is not measured here, and none is asked for")
        return replace(start, status=Status.FEASIBLE, because=(within, latency, *grows), quotas=tuple(rates))
    latency = Reason(f"latency not known: no quota says anything about a p99 of {asked.p99_ms:g} ms")
    because = (within, latency, *grows)
    marks = (Mark.LATENCY,)
    return replace(start, status=Status.OPEN, because=because, marks=marks, quotas=tuple(rates), settles=use.missing)


def _a_quota(candidate: Candidate) -> str:
    return f"a quota of {candidate.name} in --prices: its requests a second"


# -- what was measured ------------------------------------------------------------------------------------------------


def _sizing(choice: Choice, demand: Demand, asked: Asked, use: Use) -> Sizing:
    """How much one machine carries, in the requests that the cost model counts, head-room taken off."""
    if use.most is None or choice.backend == "console":
        return choice.sizing
    copies = (choice.sizing.copies or COPIES) if choice.backend in COPIED else 1
    # Of machines as many are taken as keep the promised latency, where a rate is known at which they do.
    load = use.quick if choice.backend in SEVERAL and use.quick is not None else use.most
    needed = load * asked.headroom * copies
    peak = _counted(choice.concern, choice.backend, demand)
    if not needed or not peak:
        return replace(choice.sizing, per_instance=Decimal(1)) if not peak else choice.sizing
    # Rounded down: a machine is never said to carry more than was measured.
    exact = peak / needed
    context = Context(prec=12, rounding=ROUND_DOWN)
    each = context.divide(Decimal(exact.numerator), Decimal(exact.denominator))
    return replace(choice.sizing, per_instance=each)


def _counted(concern: str, backend: str, demand: Demand) -> Fraction:
    """The requests at the peak that the cost model of this concern divides among machines."""
    misses = demand.cache_reads.peak - demand.cache_hits.peak
    if concern == "events" and backend == "redis":
        return demand.events.peak * (1 + demand.workload.subscriptions)
    return {
        "interactions": demand.interactions.peak + demand.summary_reads.peak,
        "events": demand.events.peak,
        "search": demand.searches.peak,
        "cache": demand.cache_hits.peak + 3 * misses,
        "logs": demand.log_lines.peak,
    }[concern]


def _by_ceiling(start: Candidate, use: Use, asked: Asked, beyond: str) -> Candidate:
    if use.most is None:
        return _unmeasured(start, use, asked)
    assert start.use is not None
    factor, said = f"{float(asked.headroom):g} times", "; ".join(use.said)
    marks = [] if use.receiving else [Mark.RECEIVING]
    load = start.quick if start.backend in SEVERAL and start.quick is not None else start.use
    if load <= 1:
        text = f"measured: {said}; with head-room ({factor}) the peak takes {taken(float(load))} what it carries"
    elif start.backend in SEVERAL:
        marks.append(Mark.SCALED)
        copies = f", {COPIES} copies of each write" if start.backend in COPIED else ""
        machines = math.ceil(load * (COPIES if start.backend in COPIED else 1))
        text = (
            f"measured: {said}; {machines:,} machines are needed with head-room ({factor}{copies}), and that several carry as "
            "much more as they are more is assumed, not measured"
        )
    elif use.least * asked.headroom >= 1:
        text = f"measured ceiling below the peak with head-room ({factor}): {said}"
        return replace(start, status=Status.REJECTED, because=(Reason(text, Rests.RUNS),))
    else:
        return _undecided(start, use, asked)
    because = [Reason(text, Rests.RUNS)]
    if use.stands_in:
        marks.append(Mark.STAND_IN)
        because.append(
            Reason("an engine that speaks the same protocol was measured, not the technology itself", Rests.RUNS)
        )
    if beyond:
        marks.append(Mark.LARGER)
        because.append(Reason(f"what was measured is smaller than what is asked: {beyond}", Rests.RUNS))
    if asked.p99_ms is not None:
        slow, text = _latency(start, asked.p99_ms)
        because.append(Reason(text, Rests.RUNS))
        marks += [Mark.SLOW] if slow else []
    status = Status.OPEN if marks else Status.FEASIBLE
    settles = use.missing if marks else ()
    return replace(start, status=status, because=tuple(because), marks=tuple(marks), settles=settles)


def _unmeasured(start: Candidate, use: Use, asked: Asked) -> Candidate:
    """A part of what is needed was not measured; what was may refute all the same."""
    if use.least * asked.headroom >= 1 and start.backend not in SEVERAL:
        said = f"measured ceiling below the peak with head-room ({float(asked.headroom):g} times)"
        told = tuple(Reason(text, Rests.RUNS) for text in use.said)
        return replace(start, status=Status.REJECTED, because=(Reason(said, Rests.RUNS), *told))
    unknown = "whether it carries the peak is not known"
    if not use.said:
        return replace(start, because=(Reason(f"not measured: {unknown}"),), settles=use.missing)
    shown = Reason(f"not shown: {'; '.join(use.said)}: {unknown}", Rests.RUNS)
    return replace(start, because=(shown,), settles=use.missing, tried=use.tried)


_JUST = Fraction(101, 100)
"""Of what was measured to hold: up to here more is only just more."""


def _undecided(start: Candidate, use: Use, asked: Asked) -> Candidate:
    assert start.use is not None
    why = "the peak lies in between" if use.least else "what was measured is a lower bound, or ended at another promise"
    # Where a stack ends is found by halving: how little is too much there says nothing.
    much = "just above" if 1 < start.use < _JUST else taken(float(start.use))
    said = (
        f"not shown: with head-room ({float(asked.headroom):g} times) the peak is {much} what was "
        f"measured to hold, and is not what was measured to fail: {why}"
    )
    commands = tuple(_again(one, asked.p99_ms) for one in use.ceilings)
    because = tuple(Reason(text, Rests.RUNS) for text in (said, *use.said))
    return replace(start, because=because, settles=tuple(dict.fromkeys((*use.missing, *commands))))


def _again(ceiling: MeasuredCeiling, p99_ms: float | None) -> str:
    settings = "".join(f" --set {name}={value}" for name, value in ceiling.settings.items())
    slo = "" if p99_ms is None else f" --slo p99={p99_ms:g}ms"
    backends = "".join(f" --backend {name}" for name in ceiling.backends)
    command = f"{_BENCH}{backends} --scenario {ceiling.scenario}{settings} --find-max{slo} --workers 2"
    return typed(command, origin_for(ceiling.backends, ceiling.origin))


def _latency(start: Candidate, p99_ms: float) -> tuple[bool, str]:
    """Whether the promised latency was not seen at the peak with head-room, and a sentence about it."""
    limit = f"p99 within {p99_ms:g} ms"
    if start.quick is None:
        return True, f"latency target not shown: {limit} was not seen at the peak with head-room"
    if start.backend in SEVERAL:
        return False, f"{limit} was seen at the rate that each machine has then, of each operation alone"
    if start.quick <= 1:
        return False, f"{limit} was seen at this rate, of each operation alone"
    reached = f"{taken(float(1 / start.quick))} the peak with head-room"
    return True, f"latency target not shown: {limit} was seen only up to {reached}"
