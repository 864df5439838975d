"""EventBridge and Kinesis, as our adapters use them: a queue for each subscription, leases of groups in DynamoDB."""

from __future__ import annotations

import math
from fractions import Fraction

from stackproof.planning.amount import Quantity
from stackproof.planning.bill import Biller, chunks, count, gigabytes, in_gb, rate, times
from stackproof.planning.demand import HOURS_A_MONTH, KB

SECONDS_A_MONTH = HOURS_A_MONTH * 3600
CHUNK = 64 * KB
"""Of EventBridge and of SQS: a larger event counts as several (cloudburn.io/blog/amazon-sqs-pricing)."""
BATCH = 10
"""Messages that one request to SQS gets, or deletes, at most."""
POLL_SECONDS = 2
"""How long our subscription waits for a message in one request."""
PUT_UNIT = 25 * KB
LEASE_BYTES = 256
READS = (
    "subscriptions in one process share its reads; each further process asks every shard up to 4 times a second too, and a shard "
    "answers 5: beyond one process events come later, which is not counted"
)


def eventbridge(bill: Biller) -> None:
    """Events on a bus of one's own; each subscription has a rule and an SQS queue."""
    events, w = bill.demand.events, bill.demand.workload
    units = chunks(w.event_bytes, CHUNK)
    bill.line(
        "events",
        events.per_month * units,
        "event",
        "eventbridge-event",
        f"{count(events.per_month)} events x {units} (for each 64 KB of {w.event_bytes:,} bytes)",
    )
    delivered = events.per_month * w.subscriptions * units
    idle = w.subscriptions * SECONDS_A_MONTH // POLL_SECONDS
    # One request puts a message, one gets up to ten, one deletes up to ten. Questions without an answer take 2 s each.
    low = delivered + 2 * math.ceil(Fraction(delivered, BATCH))
    bill.line(
        "queues",
        Quantity.of(low, delivered * 3 + idle),
        "request",
        "sqs-request",
        f"{count(delivered)} messages ({w.subscriptions} subscriptions) x 1.2 requests, ten at a time, to 3 requests, "
        f"one at a time, with up to {count(idle)} questions of 2 s for which there was none",
    )
    bill.quota("eventbridge-put-events", events.peak)
    bill.quota("eventbridge-invocations", events.peak * w.subscriptions)
    bill.quota("eventbridge-event-bytes", w.event_bytes)
    bill.note("each subscription is read by one process")


def kinesis(bill: Biller) -> None:
    """A stream with as many shards as the peak needs, in records, in bytes in, or in bytes out."""
    events, w = bill.demand.events, bill.demand.workload
    shards, formula = _shards(bill)
    bill.line("shards", shards * HOURS_A_MONTH, "shard-hour", "kinesis-shard", f"({formula}) x 730 h")
    units = chunks(w.event_bytes, PUT_UNIT)
    bill.line(
        "PUT units",
        events.per_month * units,
        "PUT unit",
        "kinesis-put",
        f"{count(events.per_month)} events x {units} (for each 25 KB of {w.event_bytes:,} bytes)",
    )
    days = w.event_retention_days
    if days > 1:
        bill.line(
            "retention to 7 days",
            shards * HOURS_A_MONTH,
            "shard-hour",
            "kinesis-extended-retention",
            f"{shards} shards x 730 h, as events are kept {days} days (24 h are in the price of a shard)",
        )
    _long_retention(bill)
    _leases(bill, shards)
    bill.quota("kinesis-shard-records", events.peak, shards)
    bill.quota("kinesis-shard-in", events.peak_bytes, shards)
    bill.quota("kinesis-shard-out", events.peak_bytes * w.subscriptions, shards)
    if w.subscriptions > 1:
        bill.quota("kinesis-shard-reads", None, note=READS)
        bill.note(READS)


def kinesis_on_demand(bill: Biller) -> None:
    """A stream that grows by itself: by the hour and by the gigabyte. Each record counts as 1 KB at least."""
    events, w = bill.demand.events, bill.demand.workload
    bill.line("stream", HOURS_A_MONTH, "stream-hour", "kinesis-on-demand-stream", "1 stream x 730 h")
    billed = chunks(w.event_bytes, KB) * KB
    sent = events.per_month * billed
    formula = f"{count(events.per_month)} events x {billed:,} bytes (rounded up to 1 KB)"
    bill.line("data in", gigabytes(sent), "GB", "kinesis-on-demand-in", formula)
    out = f"{formula} x {w.subscriptions} subscriptions"
    bill.line("data out", gigabytes(sent * w.subscriptions), "GB", "kinesis-on-demand-out", out)
    if w.event_retention_days > 1:
        size = math.ceil(events.mean * 86_400) * billed * (min(7, w.event_retention_days) - 1)
        bill.line(
            "retention to 7 days",
            gigabytes(size),
            "GB-month",
            "kinesis-on-demand-extended-retention",
            f"{in_gb(size)} of events, from the second to the seventh day",
        )
    _long_retention(bill)
    unknown = ["how many shards a stream on demand has, each with leases of its own, is not known beforehand"]
    _leases(bill, 4, unknown)
    bill.quota("kinesis-on-demand-in", events.peak_bytes)
    bill.quota("kinesis-on-demand-out", events.peak_bytes * w.subscriptions)


def _shards(bill: Biller) -> tuple[int, str]:
    events, w, book, headroom = bill.demand.events, bill.demand.workload, bill.book, bill.sizing.headroom
    if bill.sizing.instances is not None:
        return bill.sizing.instances, f"{bill.sizing.instances} shards, as given"
    parts = (
        (events.peak, "kinesis-shard-records", f"{rate(events.peak)} records"),
        (events.peak_bytes, "kinesis-shard-in", f"{_mb(events.peak_bytes)} in"),
        (events.peak_bytes * w.subscriptions, "kinesis-shard-out", f"{_mb(events.peak_bytes * w.subscriptions)} out"),
    )
    needed = [
        (math.ceil(used * headroom / book.quota(id_).limit), f"{text}{times(headroom)} / {book.quota(id_).limit:,}")
        for used, id_, text in parts
    ]
    most = max(needed, key=lambda pair: pair[0])
    return max(1, most[0]), f"{max(1, most[0])} shards for the peak: {most[1]} for a shard binds"


def _mb(value: Fraction) -> str:
    return f"{float(value) / 1e6:,.3g} MB/s"


def _long_retention(bill: Biller) -> None:
    """What is kept beyond a week."""
    events, days = bill.demand.events, bill.demand.workload.event_retention_days
    if days <= 7:
        return
    size = math.ceil(events.mean * 86_400) * events.bytes_each * (days - 7)
    bill.line(
        "retention beyond 7 days",
        gigabytes(size),
        "GB-month",
        "kinesis-long-retention",
        f"{in_gb(size)} of events, from the eighth to the last day",
    )


def _leases(bill: Biller, shards: int, unknown: list[str] | None = None) -> None:
    """The places of groups in a DynamoDB table: renewed each second where there is news, at least every four seconds."""
    groups = bill.demand.workload.subscriptions
    held = groups * shards * SECONDS_A_MONTH
    bill.line(
        "leases, written",
        Quantity.of(held // 4, held, unknown or []),
        "write request unit",
        "dynamodb-write-request",
        f"{groups} groups x {shards} shards, once in 1 to 4 s",
    )
    read = groups * SECONDS_A_MONTH * chunks(shards * LEASE_BYTES, 4 * KB)
    bill.line(
        "leases, read",
        Quantity.of(read // 2, read, unknown or []),
        "read request unit",
        "dynamodb-read-request",
        f"{groups} groups, all leases ({shards} x {LEASE_BYTES} bytes, for each 4 KB) once in 1 to 2 s",
    )
