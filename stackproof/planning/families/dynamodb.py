"""DynamoDB, as our adapter uses it: what it reads and writes for a contact is in `adapters/interactions/dynamodb.py`.

What a request is billed as: docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html. A written item
counts for each 1 KB, twice in a transaction; a read one for each 4 KB, also where it is not there; a query for
the sum of its items.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from stackproof.planning.bill import Biller, chunks, count, gigabytes, in_gb, rate, times
from stackproof.planning.demand import HOURS_A_MONTH, KB, Demand

ITEM_BYTES = 100
"""What each item is billed as besides its own bytes, where it is stored
(docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html)."""
SUMMARIES = 4
"""Items that a contact changes besides its own: a summary for each type of period."""
TRANSACTION = 2
"""Units that a unit of a transaction is billed as."""


@dataclass(frozen=True, slots=True)
class _Units:
    """Request units of one contact, and of one read of summaries."""

    written: int
    read_before: int
    read: int
    summaries_written: int
    """The part of ``written`` that goes to the partition of the customer."""

    @classmethod
    def of(cls, demand: Demand) -> _Units:
        w = demand.workload
        summaries = TRANSACTION * SUMMARIES * chunks(w.summary_bytes, KB)
        return cls(
            written=TRANSACTION * chunks(w.record_bytes, KB) + summaries,
            read_before=1 + SUMMARIES * chunks(w.summary_bytes, 4 * KB),
            read=chunks(w.summaries_per_customer * w.summary_bytes, 4 * KB),
            summaries_written=summaries,
        )


def on_demand(bill: Biller) -> None:
    """Billed by request: the way in which the adapter makes its table."""
    demand, units = bill.demand, _Units.of(bill.demand)
    contacts, reads = demand.interactions.per_month, demand.summary_reads.per_month
    bill.line(
        "write requests",
        contacts * units.written,
        "write request unit",
        "dynamodb-write-request",
        f"{count(contacts)} contacts x {_written(demand, units)}",
    )
    bill.line(
        "read requests",
        contacts * units.read_before + reads * units.read,
        "read request unit",
        "dynamodb-read-request",
        f"{count(contacts)} contacts x {units.read_before} units (the 5 items as they were) + "
        f"{count(reads)} reads of summaries x {units.read} units ({_page(demand)})",
    )
    _storage(bill)
    _quotas(bill, units)
    written = _peaks(demand, units)[0]
    bill.quota("dynamodb-new-table-write", written)
    bill.quota("dynamodb-new-table-read", _peaks(demand, units)[1])


def provisioned(bill: Biller) -> None:
    """Capacity by the hour, enough for the peak all day, with its head-room."""
    demand, units, headroom = bill.demand, _Units.of(bill.demand), bill.sizing.headroom
    written, read = _peaks(demand, units)
    for name, id_, value, unit in (
        ("write capacity", "dynamodb-write-capacity", written, "WCU-hour"),
        ("read capacity", "dynamodb-read-capacity", read, "RCU-hour"),
    ):
        capacity = max(1, math.ceil(value * headroom))
        formula = f"{capacity:,} units/s at the peak{times(headroom)} x 730 h"
        bill.line(name, capacity * HOURS_A_MONTH, unit, id_, formula)
    bill.note(
        "the adapter makes tables that are billed on demand: a table with provisioned capacity is made beforehand"
    )
    _storage(bill)
    _quotas(bill, units)


def _written(demand: Demand, units: _Units) -> str:
    w = demand.workload
    return (
        f"{units.written} units (1 item of {w.record_bytes:,} bytes and 4 of {w.summary_bytes:,} bytes, for each 1 KB, "
        "twice as in a transaction)"
    )


def _page(demand: Demand) -> str:
    w = demand.workload
    return f"{w.summaries_per_customer} rows of {w.summary_bytes:,} bytes together, for each 4 KB"


def _peaks(demand: Demand, units: _Units) -> tuple[Fraction, Fraction]:
    """Units written and read in a second of the peak."""
    contacts, reads = demand.interactions.peak, demand.summary_reads.peak
    return contacts * units.written, contacts * units.read_before + reads * units.read


def _storage(bill: Biller) -> None:
    demand, w = bill.demand, bill.demand.workload
    items = demand.interactions.kept(w.retention_days) + w.customers * w.summaries_per_customer
    bill.line(
        "storage",
        gigabytes(demand.interaction_bytes + demand.summary_bytes + ITEM_BYTES * items),
        "GB-month",
        "dynamodb-storage",
        f"{in_gb(demand.interaction_bytes)} of interactions kept {w.retention_days} days + "
        f"{in_gb(demand.summary_bytes)} of summaries + {ITEM_BYTES} bytes for each of {count(items)} items",
    )
    bill.note("transactions that others were faster than are written again, and billed again: not counted")


def _quotas(bill: Biller, units: _Units) -> None:
    written, read = _peaks(bill.demand, units)
    bill.quota("dynamodb-table-write", written)
    bill.quota("dynamodb-table-read", read)
    w = bill.demand.workload
    bill.quota("dynamodb-item-bytes", max(w.record_bytes, w.summary_bytes))
    allowed = Fraction(bill.book.quota("dynamodb-partition-write").limit, units.summaries_written)
    bill.quota(
        "dynamodb-partition-write",
        None,
        note=f"how much falls to the busiest customer is not given; one customer can have {rate(allowed)} contacts",
    )
