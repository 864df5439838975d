"""What costs nothing here, and what a team runs on machines of its own."""

from __future__ import annotations

from fractions import Fraction

from stackproof.planning.amount import Quantity
from stackproof.planning.bill import Biller, gigabytes, hours, in_gb

HOST, DISK = "self-hosted-host", "self-hosted-disk"


def local(bill: Biller) -> None:
    """On the machine of who develops."""
    bill.free("server", "runs on this machine: nobody sends a bill")


def in_process(bill: Biller) -> None:
    """Inside of the application."""
    bill.free(
        "memory", f"{in_gb(bill.demand.cache_bytes)} in each process of the application, which is not billed here"
    )


def hosts(bill: Biller, what: str, peak: Fraction, least: int) -> Quantity:
    """Machines of the team; with their hours."""
    machines, formula = bill.several(what, peak, least)
    bill.line("hosts", hours(machines), "host-hour", bill.sizing.instance_price or HOST, f"({formula}) x 730 h")
    return machines


def disk(bill: Biller, size: int, copies: int, of_what: str) -> None:
    """Disks of the team, for all copies."""
    formula = f"{in_gb(size)} of {of_what} x {copies} copies"
    bill.line("disks", gigabytes(size * copies), "GB-month", DISK, formula)
