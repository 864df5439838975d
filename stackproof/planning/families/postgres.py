"""PostgreSQL, for interactions and for search: one server for both where a stack has both on it."""

from __future__ import annotations

from decimal import Decimal

from stackproof.planning.amount import Quantity
from stackproof.planning.bill import Biller, gigabytes, hours, in_gb

from . import own

INSTANCE, STORAGE = "rds-postgres-db-t3-large", "rds-storage"
LEAST_GB = Decimal(20)
"""The smallest volume of RDS (docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html, AllocatedStorage)."""
VOLUME = "rds-postgres-bytes"
"""What an instance can store."""
TOGETHER = "PostgreSQL is one server for interactions and search here; what both ask of it together is not measured"


def rds_interactions(bill: Biller) -> None:
    """Amazon RDS, for interactions."""
    demand = bill.demand
    _server(bill, bill.single("PostgreSQL", demand.interactions.peak + demand.summary_reads.peak))
    size = demand.interaction_bytes + demand.summary_bytes
    formula = (
        f"{in_gb(demand.interaction_bytes)} of interactions kept {demand.workload.retention_days} days + "
        f"{in_gb(demand.summary_bytes)} of summaries; at least 20 GB"
    )
    _storage(bill, max(LEAST_GB, gigabytes(size)), formula)
    bill.quota(VOLUME, size)


def rds_search(bill: Biller) -> None:
    """Amazon RDS, for search. Beside interactions only what the volume grows by is bought."""
    demand = bill.demand
    size = demand.index_bytes
    formula = f"{demand.workload.records:,} documents x {demand.workload.document_bytes:,} bytes"
    if not bill.beside:
        _server(bill, bill.single("PostgreSQL", demand.searches.peak))
        _storage(bill, max(LEAST_GB, gigabytes(size)), formula + "; at least 20 GB")
        bill.quota(VOLUME, size)
        return
    first = demand.interaction_bytes + demand.summary_bytes
    more = max(LEAST_GB, gigabytes(first + size)) - max(LEAST_GB, gigabytes(first))
    bill.note(TOGETHER)
    _storage(bill, more, f"{formula}, beyond the 20 GB or more that {bill.beside} has")
    bill.quota(VOLUME, first + size)


def _server(bill: Biller, primary: Quantity) -> None:
    price = bill.sizing.instance_price or INSTANCE
    copies = bill.sizing.copies or 1
    bill.line(
        "instance", hours(primary, copies), "instance-hour", price, f"{primary} primary x {copies} copies x 730 h"
    )


def _storage(bill: Biller, volume: Decimal, formula: str) -> None:
    copies = bill.sizing.copies or 1
    bill.line("storage", volume * copies, "GB-month", STORAGE, f"({formula}) x {copies} copies")


def own_interactions(bill: Biller) -> None:
    """A server of the team's own, for interactions."""
    demand = bill.demand
    primary = bill.single("PostgreSQL", demand.interactions.peak + demand.summary_reads.peak)
    _own(bill, primary, demand.interaction_bytes + demand.summary_bytes, "interactions and summaries")


def own_search(bill: Biller) -> None:
    """A server of the team's own, for search."""
    demand = bill.demand
    if bill.beside:
        bill.note(TOGETHER)
        whole = demand.interaction_bytes + demand.summary_bytes + demand.index_bytes
        own.disk(bill, demand.index_bytes, bill.sizing.copies or 1, "documents", unknown=own.no_room(bill, whole))
        return
    _own(bill, bill.single("PostgreSQL", demand.searches.peak), demand.index_bytes, "documents")


def _own(bill: Biller, primary: Quantity, size: int, of_what: str) -> None:
    copies = bill.sizing.copies or 1
    price = bill.sizing.instance_price or own.HOST
    bill.line("hosts", hours(primary, copies), "host-hour", price, f"{primary} primary x {copies} copies x 730 h")
    own.disk(bill, size, copies, of_what, unknown=own.no_room(bill, size))
