"""What costs nothing here, and what a team runs on machines of its own."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from stackproof.planning.amount import Quantity
from stackproof.planning.bill import Biller, gigabytes, hours, in_gb
from stackproof.planning.demand import GB

HOST, DISK = "self-hosted-host", "self-hosted-disk"
"""What the disks of a machine hold stands beside the price of the disk: that of the machine has the memory of a cache."""
ANY_DISK = 100 * GB
"""Bytes of data for which every machine that anybody would run a database on has disks."""


def local(bill: Biller) -> None:
    """On the machine of who develops."""
    bill.free("server", "runs on this machine: nobody sends a bill")


def in_process(bill: Biller) -> None:
    """Inside of the application."""
    bill.free(
        "memory", f"{in_gb(bill.demand.cache_bytes)} in each process of the application, which is not billed here"
    )


def hosts(bill: Biller, what: str, peak: Fraction, least: int, data: Fraction | int) -> Quantity:
    """Machines of the team, as many as the peak and the data (bytes, of all copies) need; with their hours."""
    holds = bill.holds(DISK)
    if holds is None and data <= least * ANY_DISK:
        data = 0
    machines, formula = bill.several(what, peak, least, data, holds, f"the price {DISK}")
    bill.line("hosts", hours(machines), "host-hour", bill.sizing.instance_price or HOST, f"({formula}) x 730 h")
    return machines


def no_room(bill: Biller, size: int) -> list[str]:
    """Why the disks of one machine, which is all that there is, may not hold so much; nothing where they surely do."""
    if size <= (bill.holds(DISK) or ANY_DISK):
        return []
    return [f"whether the machine that is priced has disks for {in_gb(size)} of data is not known"]


def disk(
    bill: Biller,
    size: int,
    copies: int,
    of_what: str,
    *,
    room: Decimal = Decimal(1),
    unknown: Iterable[str] = (),
) -> None:
    """Disks of the team, for all copies, and so many times as much as is kept."""
    formula = f"{in_gb(size)} of {of_what} x {copies} copies" + (f" x {room} of room" if room != 1 else "")
    much = Quantity.of(gigabytes(size * copies), unknown=unknown) * room
    bill.line("disks", much, "GB-month", DISK, formula)
