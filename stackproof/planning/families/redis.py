"""Redis and what speaks its protocol: own servers, ElastiCache with nodes and serverless, Upstash; for the cache and for pub/sub.

What our cache does: a hit is one command; a miss is three (a read, a script that marks the key, a script that stores the value).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from stackproof.planning.amount import Quantity
from stackproof.planning.bill import Biller, chunks, count, gigabytes, hours, in_gb
from stackproof.planning.demand import GB, HOURS_A_MONTH, KB, Demand

from . import own

OF_A_MISS = 3
ANY_MACHINE = GB
"""Bytes of values for which every machine that anybody would run a cache on has memory."""
NODE = "elasticache-cache-m4-large"
LEAST = {"valkey": GB // 10, "redis": GB}
"""Bytes that ElastiCache Serverless bills at least."""
FREE_STORAGE, FREE_BANDWIDTH = Decimal(1), Decimal(200)
"""GB that are not billed on Upstash's plan Pay as you go."""


def _commands(demand: Demand) -> tuple[int, str]:
    hits = demand.cache_hits.per_month
    misses = max(0, demand.cache_reads.per_month - hits)
    return hits + OF_A_MISS * misses, f"{count(hits)} hits x 1 + {count(misses)} misses x {OF_A_MISS} commands"


def _peak(demand: Demand) -> Fraction:
    misses = demand.cache_reads.peak - demand.cache_hits.peak
    return demand.cache_hits.peak + OF_A_MISS * misses


def own_cache(bill: Biller) -> None:
    """One server of the team's own (Redis, Dragonfly); with copies where the sizing says so."""
    if bill.beside:
        bill.note("Redis is one server for events and cache here; what both ask of it together is not measured")
        if unknown := _room(bill):
            bill.line("hosts", Quantity.of(0, unknown=unknown), "host-hour", own.HOST, f"the Redis of {bill.beside}")
        else:
            bill.free("server", f"the Redis of {bill.beside}")
        return
    _own(bill, "cache server", _peak(bill.demand), _room(bill))


def own_pubsub(bill: Biller) -> None:
    """Pub/sub on a Redis of the team's own: it keeps nothing."""
    events, subscriptions = bill.demand.events, bill.demand.workload.subscriptions
    _own(bill, "Redis", events.peak * (1 + subscriptions))


def _room(bill: Biller) -> list[str]:
    """Why one machine, at the price that there is, may not hold the values; nothing where it surely does."""
    holds = bill.holds(bill.sizing.instance_price or own.HOST) or ANY_MACHINE
    if bill.demand.cache_bytes <= holds:
        return []
    return [
        f"whether the machine that is priced has memory for {in_gb(bill.demand.cache_bytes)} of values is not known"
    ]


def _own(bill: Biller, what: str, peak: Fraction, unknown: Iterable[str] = ()) -> None:
    server = bill.single(what, peak)
    server = Quantity(server.low, server.high, (*server.unknown, *unknown))
    copies = bill.sizing.copies or 1
    price = bill.sizing.instance_price or own.HOST
    bill.line("hosts", hours(server, copies), "host-hour", price, f"{server} {what} x {copies} copies x 730 h")


def elasticache_nodes(bill: Biller) -> None:
    """A cluster of nodes: shards for the peak and the data, each with one replica unless the sizing says otherwise."""
    copies, price = bill.sizing.copies or 2, bill.sizing.instance_price or NODE
    shards, formula = bill.several("shards", _peak(bill.demand), 1, bill.demand.cache_bytes, bill.holds(price))
    bill.line("nodes", hours(shards, copies), "node-hour", price, f"({formula}) x {copies} nodes each x 730 h")


def elasticache_valkey(bill: Biller) -> None:
    """ElastiCache Serverless for Valkey."""
    _serverless(bill, "valkey")


def elasticache_redis(bill: Biller) -> None:
    """ElastiCache Serverless for Redis OSS."""
    _serverless(bill, "redis")


def _serverless(bill: Biller, engine: str) -> None:
    demand = bill.demand
    each = chunks(demand.workload.cached_bytes, KB)
    missed = 2 + each
    hits = demand.cache_hits.per_month
    misses = max(0, demand.cache_reads.per_month - hits)
    units = hits * each + misses * missed
    bill.line(
        "processing units",
        Quantity.of(units),
        "ECPU",
        f"elasticache-serverless-{engine}-ecpu",
        f"{count(hits)} hits x {each} + {count(misses)} misses x {missed} (for each 1 KB moved, and each command)",
    )
    size = max(LEAST[engine], demand.cache_bytes)
    bill.line(
        "data",
        Quantity.of(gigabytes(size)) * HOURS_A_MONTH,
        "GB-hour",
        f"elasticache-serverless-{engine}-storage",
        f"{in_gb(demand.cache_bytes)} of values, at least {in_gb(LEAST[engine])}, x 730 h",
    )
    bill.quota("elasticache-serverless-bytes", demand.cache_bytes)
    quick = demand.cache_hits.peak
    bill.quota("elasticache-serverless-ecpu", quick * each + (demand.cache_reads.peak - quick) * missed)
    bill.note(
        "a script that runs for long is billed as more than one processing unit: ours are short, and counted as one"
    )


def upstash(bill: Biller) -> None:
    """Upstash, Pay as you go. A script is counted as one command."""
    demand = bill.demand
    commands, formula = _commands(demand)
    bill.line("commands", commands, "command", "upstash-command", formula)
    size = gigabytes(demand.cache_bytes)
    stored = max(Decimal(0), size - FREE_STORAGE)
    bill.line("storage", stored, "GB-month", "upstash-storage", f"{in_gb(demand.cache_bytes)} of values - 1 GB free")
    moved = demand.cache_reads.bytes_per_month
    billed = max(Decimal(0), gigabytes(moved) - FREE_BANDWIDTH)
    bill.line("bandwidth", billed, "GB", "upstash-bandwidth", f"{in_gb(moved)} of values moved - 200 GB free")
    bill.quota("upstash-rate", _peak(demand))
    bill.quota("upstash-bytes", demand.cache_bytes)
    bill.note("a script is counted as one command; whether the commands inside of one are billed has no source here")


def upstash_free(bill: Biller) -> None:
    """Upstash's free plan, with its quotas."""
    demand = bill.demand
    bill.line("plan", 1, "month", "upstash-free-plan", "the free plan")
    bill.quota("upstash-free-commands", _commands(demand)[0])
    bill.quota("upstash-free-bytes", demand.cache_bytes)
    bill.quota("upstash-free-bandwidth", demand.cache_reads.bytes_per_month)
    bill.quota("upstash-free-rate", _peak(demand))
