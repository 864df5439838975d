"""OpenSearch: data nodes by the hour, a disk with copies of the index."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from stackproof.planning.amount import Quantity
from stackproof.planning.bill import Biller, gigabytes, hours, in_gb

from . import own

INSTANCE, STORAGE = "opensearch-c4-2xlarge-search", "opensearch-storage-gp3"
COPIES = 2
ROOM = Decimal("1.45")
"""Of disk for each byte of documents and copy (docs.aws.amazon.com/opensearch-service/latest/developerguide/bp-storage.html)."""


def managed(bill: Biller) -> None:
    """Amazon OpenSearch Service: a data node for each copy at least, and as many as the volumes of all copies need."""
    copies, price = bill.sizing.copies or COPIES, bill.sizing.instance_price or INSTANCE
    size = bill.demand.index_bytes
    room = Fraction(ROOM) * size * copies
    nodes, formula = bill.several("data nodes", bill.demand.searches.peak, copies, room, bill.holds(price))
    bill.line("data nodes", hours(nodes), "instance-hour", price, f"({formula}) x 730 h")
    bill.line(
        "storage",
        Quantity.of(gigabytes(size)) * copies * ROOM,
        "GB-month",
        STORAGE,
        f"{in_gb(size)} of documents x {copies} copies x {ROOM} of room",
    )
    bill.note("no dedicated master nodes are counted")


def own_cluster(bill: Biller) -> None:
    """Nodes of the team's own: one for each copy at least, and as many as the disks of all copies need."""
    copies, size = bill.sizing.copies or COPIES, bill.demand.index_bytes
    own.hosts(bill, "data nodes", bill.demand.searches.peak, copies, Fraction(ROOM) * size * copies)
    own.disk(bill, size, copies, "documents", room=ROOM)
