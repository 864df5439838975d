"""ScyllaDB, Cassandra and Keyspaces, as our adapter uses them: two rows a contact, the claim of its id and one by customer."""

from __future__ import annotations

from stackproof.planning.amount import Quantity
from stackproof.planning.bill import Biller, chunks, count, gigabytes, in_gb
from stackproof.planning.demand import KB

from . import own

ROWS = 2
COPIES = 3
LEAST_HOSTS = 3


def own_cluster(bill: Biller) -> None:
    """Nodes of the team's own, with three copies of each row unless the sizing says otherwise."""
    demand = bill.demand
    copies, size = bill.sizing.copies or COPIES, demand.interaction_bytes * ROWS
    peak = demand.interactions.peak + demand.summary_reads.peak
    own.hosts(bill, "nodes", peak, max(LEAST_HOSTS, copies), size * copies)
    own.disk(bill, size, copies, "interactions, each as a claim and as a contact")
    bill.note("compaction needs free room on the disks, which is not counted")


def keyspaces(bill: Biller) -> None:
    """Amazon Keyspaces on demand. None of its prices is known."""
    demand = bill.demand
    contacts, reads = demand.interactions.per_month, demand.summary_reads.per_month
    each = chunks(demand.workload.record_bytes, KB)
    light = ["what a lightweight transaction of Keyspaces is billed as has no source here"]
    bill.line(
        "write requests",
        Quantity.of(contacts * ROWS * each, unknown=light),
        "write request unit",
        "keyspaces-write-request",
        f"{count(contacts)} contacts x {ROWS} rows x {each} units (for each 1 KB)",
    )
    rows = [
        "how many contacts of a customer are read for a page of summaries depends on the history, which is not given"
    ]
    bill.line(
        "read requests",
        Quantity.of(reads, unknown=rows),
        "read request unit",
        "keyspaces-read-request",
        f"{count(reads)} reads of summaries x at least 1 unit",
    )
    size = demand.interaction_bytes * ROWS
    bill.line(
        "storage",
        gigabytes(size),
        "GB-month",
        "keyspaces-storage",
        f"{in_gb(demand.interaction_bytes)} of interactions x {ROWS} rows; the copies are in the price",
    )
    # Each of the two rows is in a table of its own, so that a table takes one write of each contact.
    bill.quota("keyspaces-table-write", demand.interactions.peak * each)
    bill.quota("keyspaces-table-read", demand.summary_reads.peak, note="at least: one unit for a read of summaries")
    bill.quota("keyspaces-row-bytes", demand.workload.record_bytes)
