"""What a month costs: of one backend, and of a stack. The models are in `families`, a module for each technology. Pure.

Not counted anywhere: data transfer (between zones, out of the cloud), support, taxes, backups, and the machines of
the application.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from stackproof.adapters.registry import CONCERNS, find
from stackproof.interfaces import ConfigurationError

from .amount import Amount, Quantity
from .bill import BackendCost, Biller, Limit, Line, Sizing
from .demand import Demand
from .families import aws_events, cql, dynamodb, kafka, logs, opensearch, own, postgres, redis
from .price_book import PriceBook

Model = Callable[[Biller], None]

EXCLUDED = (
    "data transfer between zones and out of the cloud",
    "the machines of the application",
    "backups, support and taxes",
)
"""What no sum holds."""

_CLUSTER: Mapping[str, Model] = {"self-hosted": cql.own_cluster, "local": own.local}
_BROKERS: Mapping[str, Model] = {"self-hosted": kafka.own_brokers, "local": own.local}
_CACHE: Mapping[str, Model] = {"self-hosted": redis.own_cache, "local": own.local}

MODELS: Mapping[tuple[str, str], Mapping[str, Model]] = {
    ("interactions", "postgres"): {
        "rds": postgres.rds_interactions,
        "self-hosted": postgres.own_interactions,
        "local": own.local,
    },
    ("interactions", "dynamodb"): {"on-demand": dynamodb.on_demand, "provisioned": dynamodb.provisioned},
    ("interactions", "scylla"): _CLUSTER,
    ("interactions", "cassandra"): _CLUSTER,
    ("interactions", "keyspaces"): {"on-demand": cql.keyspaces},
    ("events", "redis"): {"self-hosted": redis.own_pubsub, "local": own.local},
    ("events", "kafka"): _BROKERS,
    ("events", "redpanda"): _BROKERS,
    ("events", "msk"): {"brokers": kafka.msk, "serverless": kafka.msk_serverless},
    ("events", "eventbridge"): {"bus": aws_events.eventbridge},
    ("events", "kinesis"): {"provisioned": aws_events.kinesis, "on-demand": aws_events.kinesis_on_demand},
    ("search", "postgres"): {"rds": postgres.rds_search, "self-hosted": postgres.own_search, "local": own.local},
    ("search", "opensearch"): {
        "managed": opensearch.managed,
        "self-hosted": opensearch.own_cluster,
        "local": own.local,
    },
    ("cache", "redis"): _CACHE,
    ("cache", "elasticache"): {
        "nodes": redis.elasticache_nodes,
        "serverless-valkey": redis.elasticache_valkey,
        "serverless-redis": redis.elasticache_redis,
    },
    ("cache", "upstash"): {"pay-as-you-go": redis.upstash, "free": redis.upstash_free},
    ("cache", "dragonfly"): _CACHE,
    ("cache", "local"): {"in-process": own.in_process},
    ("logs", "console"): {"local": logs.console, "collected": logs.collected},
    ("logs", "cloudwatch"): {"on-demand": logs.cloudwatch},
}
"""Concern and backend -> the ways in which it can be had, the usual one first."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A backend of a concern, and how it is had."""

    concern: str
    backend: str
    hosting: str = ""
    """One of `hostings`; "" for the usual one."""
    sizing: Sizing = field(default_factory=Sizing)


@dataclass(frozen=True, slots=True)
class StackCost:
    """What a month of a stack costs, concern by concern."""

    currency: str
    backends: tuple[BackendCost, ...]

    @property
    def total(self) -> Amount:
        return Amount.total((cost.total for cost in self.backends), currency=self.currency)

    @property
    def exceeded(self) -> tuple[tuple[str, Limit], ...]:
        """Concern and limit, for all limits that the demand surely exceeds."""
        return tuple((cost.concern, limit) for cost in self.backends for limit in cost.exceeded)

    @property
    def prices(self) -> tuple[str, ...]:
        """The ids of the prices that it rests on."""
        return tuple(dict.fromkeys(id_ for cost in self.backends for id_ in cost.prices))


def hostings(concern: str, backend: str) -> tuple[str, ...]:
    """The ways in which a backend can be had, the usual one first; none for a backend without a cost model."""
    return tuple(MODELS.get((concern, find(concern, backend, f"backend of {concern}").name), {}))


def as_had(choice: Choice) -> Choice:
    """The same choice by the name of its backend, had in the usual way where none is given. A third party's stays as it is."""
    if ":" in choice.backend:
        return choice
    name = find(choice.concern, choice.backend, f"backend of {choice.concern}").name
    usual = next(iter(MODELS.get((choice.concern, name), {})), "")
    return replace(choice, backend=name, hosting=choice.hosting or usual)


def cost_of(choice: Choice, demand: Demand, book: PriceBook, beside: str = "") -> BackendCost:
    """What a month of a backend costs. ``beside``: the concern whose server, of the same technology, it shares.

    A backend without a model (a reference, a third party's) costs an unknown amount; a way of having it that is not among
    `hostings` is a `ConfigurationError`.
    """
    choice = as_had(choice)
    concern, backend, hosting = choice.concern, choice.backend, choice.hosting
    models = MODELS.get((concern, backend), {})
    if not models:
        return _without_model(concern, backend, book)
    if hosting not in models:
        raise ConfigurationError(f"{concern}={backend} cannot be had as {hosting!r}; known are: {', '.join(models)}")
    bill = Biller(demand, book, choice.sizing, beside)
    models[hosting](bill)
    return BackendCost(
        concern, backend, hosting, book.currency, tuple(bill.lines), tuple(bill.limits), tuple(bill.notes)
    )


def _without_model(concern: str, backend: str, book: PriceBook) -> BackendCost:
    reason = f"{concern}={backend} has no cost model"
    line = Line("all", Quantity.of(0), "", "", Amount.not_known(reason, currency=book.currency), "no cost model")
    return BackendCost(concern, backend, "", book.currency, (line,), (), ())


SHARED = frozenset({"postgres", "redis"})
"""Backends of several concerns that are one server where they are had in the same way: one DATABASE_URL, one REDIS_URL."""


def cost_of_stack(choices: Mapping[str, Choice], demand: Demand, book: PriceBook) -> StackCost:
    """What a month of a stack costs, with what its concerns share bought once."""
    costs: list[BackendCost] = []
    for concern in CONCERNS:
        if concern not in choices:
            continue
        if choices[concern].concern != concern:
            raise ConfigurationError(f"a backend of {choices[concern].concern} is given for {concern}")
        choice = as_had(choices[concern])
        had = (choice.backend, choice.hosting)
        before = [c.concern for c in costs if choice.backend in SHARED and (c.backend, c.hosting) == had]
        costs.append(cost_of(choice, demand, book, before[0] if before else ""))
    return StackCost(book.currency, tuple(costs))
