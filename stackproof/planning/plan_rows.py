"""The rows of a plan that follow from its workload alone. Pure."""

from __future__ import annotations

from dataclasses import fields

from .demand import Demand, Flow, Workload
from .plan_record import FlowRow, KeptRow, Statement


def inputs(workload: Workload) -> dict[str, str]:
    """By the names of their options."""
    return {"--" + field.name.replace("_", "-"): f"{getattr(workload, field.name)}" for field in fields(Workload)}


def flow_rows(demand: Demand) -> tuple[FlowRow, ...]:
    """What happens again and again."""

    def row(name: str, flow: Flow) -> FlowRow:
        return FlowRow(name, flow.per_month, float(flow.mean), float(flow.peak), flow.bytes_per_month)

    return (
        row("decisions", demand.decisions),
        row("interactions written", demand.interactions),
        row("summaries read", demand.summary_reads),
        row("events published", demand.events),
        row("searches", demand.searches),
        row("cache reads", demand.cache_reads),
        row("log lines", demand.log_lines),
    )


def kept_rows(demand: Demand) -> tuple[KeptRow, ...]:
    """What is kept, one copy."""
    w = demand.workload
    return (
        KeptRow(f"interactions, {w.retention_days} days", demand.interaction_bytes),
        KeptRow("summaries", demand.summary_bytes),
        KeptRow(f"events in a log, {w.event_retention_days} days", demand.event_log_bytes),
        KeptRow("documents in the index", demand.index_bytes),
        KeptRow("values in the cache", demand.cache_bytes),
        KeptRow(f"log lines, {w.log_retention_days} days", demand.log_bytes),
    )


def _kept_by(concern: str, demand: Demand) -> int:
    """Bytes that are kept of a concern, one copy."""
    return {
        "interactions": demand.interaction_bytes + demand.summary_bytes,
        "events": demand.event_log_bytes,
        "search": demand.index_bytes,
        "cache": demand.cache_bytes,
        "logs": demand.log_bytes,
    }[concern]


def without(concern: str, demand: Demand) -> Statement:
    """That a stack has no backend for a concern, and what is in no sum for that."""
    kept = _kept_by(concern, demand)
    beside = f", and what could be kept there ({kept:,} bytes) is in no sum" if kept else ""
    return Statement(f"Nothing is asked of {concern}: the stack has no backend for it{beside}.", ())


def sentence(text: str) -> str:
    """As a sentence; a name such as p99 or cache=redis keeps its small letter."""
    first = text.partition(" ")[0].rstrip(":,;")
    return (text[:1].upper() if first.isalpha() else text[:1]) + text[1:].rstrip(".") + "."
