"""Kafka, Redpanda and MSK: brokers by the hour, a log on their disks with copies."""

from __future__ import annotations

from stackproof.planning.bill import Biller, gigabytes, hours, in_gb

from . import own

COPIES = 3
BROKER, STORAGE = "msk-kafka-t3-small", "msk-storage"


def own_brokers(bill: Biller) -> None:
    """Brokers of the team's own: one for each copy at least, and as many as the disks of all copies need."""
    copies, size = bill.sizing.copies or COPIES, bill.demand.event_log_bytes
    own.hosts(bill, "brokers", bill.demand.events.peak, copies, size * copies)
    own.disk(bill, size, copies, _log(bill))


def msk(bill: Biller) -> None:
    """Amazon MSK with brokers: one for each copy at least, and as many as the disks of all copies need."""
    copies = bill.sizing.copies or COPIES
    price, size = bill.sizing.instance_price or BROKER, bill.demand.event_log_bytes
    holds = bill.holds(price) or bill.book.quota("msk-broker-bytes").limit
    brokers, formula = bill.several("brokers", bill.demand.events.peak, copies, size * copies, holds)
    bill.line("brokers", hours(brokers), "broker-hour", price, f"({formula}) x 730 h")
    bill.line(
        "storage", gigabytes(size * copies), "GB-month", STORAGE, f"{in_gb(size)} of {_log(bill)} x {copies} copies"
    )


def msk_serverless(bill: Biller) -> None:
    """MSK Serverless: what is counted is known, what it costs is not."""
    events = bill.demand.events
    partitions, subscriptions = 1, bill.demand.workload.subscriptions
    bill.line("cluster", 730, "cluster-hour", "msk-serverless-cluster", "1 cluster x 730 h")
    bill.line(
        "partitions", 730 * partitions, "partition-hour", "msk-serverless-partition", "at least 1 partition x 730 h"
    )
    sent = events.bytes_per_month
    bill.line("data in", gigabytes(sent), "GB", "msk-serverless-in", f"{in_gb(sent)} of events")
    bill.line(
        "data out",
        gigabytes(sent * subscriptions),
        "GB",
        "msk-serverless-out",
        f"{in_gb(sent)} of events x {subscriptions} subscriptions",
    )
    size = bill.demand.event_log_bytes
    bill.line("storage", gigabytes(size), "GB-month", "msk-serverless-storage", f"{in_gb(size)} of {_log(bill)}")


def _log(bill: Biller) -> str:
    return f"events kept {bill.demand.workload.event_retention_days} days"
