"""PostgreSQL, for interactions and for search: one server for both where a stack has both on it."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

from stackproof.planning.amount import Quantity
from stackproof.planning.bill import Biller, gigabytes, hours, in_gb
from stackproof.planning.demand import Demand

from . import own

INSTANCE, STORAGE = "rds-postgres-db-t3-large", "rds-storage"
LEAST_GB = Decimal(20)
"""The smallest volume of RDS (docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html, AllocatedStorage)."""
VOLUME = "rds-postgres-bytes"
"""What an instance can store."""
ROW_BYTES, EACH_BYTE, PLAIN_BYTES, COMPRESSED_BYTE = 400, Fraction(21, 10), 2_000, Fraction(3, 2)
"""What the table of our adapter keeps of a document, with its words and its index: so much, so much for each byte of the first
2,000, and so much for each further one, since larger rows are compressed. Measured on PostgreSQL 18 with 1,000 to 20,000 of them:
593, 1,024, 2,513, 4,577, 7,739 and 26,550 bytes each for 100, 300, 1,000, 2,000, 4,000 and 16,000. `tests/test_search_size.py`
looks at it again."""
TOGETHER = "PostgreSQL is one server for interactions and search here; what both ask of it together is not measured"


def indexed_bytes(demand: Demand) -> int:
    """What the documents take, with their words and their index; what was changed and not yet vacuumed comes on top."""
    w = demand.workload
    further = max(0, w.document_bytes - PLAIN_BYTES)
    each = ROW_BYTES + EACH_BYTE * (w.document_bytes - further) + COMPRESSED_BYTE * further
    return math.ceil(w.records * each) if w.document_bytes else 0


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
    size, w = indexed_bytes(demand), demand.workload
    formula = f"{w.records:,} documents of {w.document_bytes:,} bytes, with words and index {in_gb(size)}"
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
        size = indexed_bytes(demand)
        whole = demand.interaction_bytes + demand.summary_bytes + size
        own.disk(bill, size, bill.sizing.copies or 1, "documents", unknown=own.no_room(bill, whole))
        return
    _own(bill, bill.single("PostgreSQL", demand.searches.peak), indexed_bytes(demand), "documents")


def _own(bill: Biller, primary: Quantity, size: int, of_what: str) -> None:
    copies = bill.sizing.copies or 1
    price = bill.sizing.instance_price or own.HOST
    bill.line("hosts", hours(primary, copies), "host-hour", price, f"{primary} primary x {copies} copies x 730 h")
    own.disk(bill, size, copies, of_what, unknown=own.no_room(bill, size))
