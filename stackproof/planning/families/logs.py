"""Log lines: on the console, where something else collects them, and in CloudWatch."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from stackproof.planning.amount import Quantity
from stackproof.planning.bill import Biller, gigabytes, in_gb

FREE_INGEST = Decimal(5)
"""GB a month that an account has free, if nothing else has used them."""

BATCH_LINES, BATCH_BYTES, LINE_EXTRA = 10_000, 1_048_576, 26
"""What one PutLogEvents takes, and what it counts for each line beside its text (docs.aws.amazon.com/AmazonCloudWatchLogs/latest/
APIReference/API_PutLogEvents.html)."""


def console(bill: Biller) -> None:
    """Lines that nobody keeps."""
    bill.free("lines", "written to the console of this machine, and not kept")


def collected(bill: Biller) -> None:
    """Lines that something which is not a part of the stack collects."""
    sent = bill.demand.log_lines.bytes_per_month
    bill.line("collection", gigabytes(sent), "GB", "self-hosted-log-collection", f"{in_gb(sent)} of lines")


def cloudwatch(bill: Biller) -> None:
    """CloudWatch Logs: what comes in, and what is kept."""
    demand = bill.demand
    sent = demand.log_lines.bytes_per_month
    volume = gigabytes(sent)
    bill.line(
        "ingestion",
        Quantity.of(max(Decimal(0), volume - FREE_INGEST), volume),
        "GB",
        "cloudwatch-logs-ingest",
        f"{in_gb(sent)} of lines; 5 GB less where the free tier of the account is not used up",
    )
    bill.line(
        "storage",
        Quantity.of(0, gigabytes(demand.log_bytes)),
        "GB-month",
        "cloudwatch-logs-storage",
        f"{in_gb(demand.log_bytes)} of lines kept {demand.workload.log_retention_days} days, at most: they are kept compressed",
    )
    bill.quota("cloudwatch-event-bytes", demand.workload.log_bytes_per_decision)
    lines = demand.log_lines
    batches = max(lines.peak / BATCH_LINES, (lines.peak_bytes + lines.peak * LINE_EXTRA) / BATCH_BYTES)
    bill.quota(
        "cloudwatch-put-requests",
        Fraction(batches),
        note="in full batches; beyond them each process of the application sends one a second",
    )
