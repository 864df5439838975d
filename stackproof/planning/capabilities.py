"""What the built-in backends declare, without importing a driver, and what a plan may ask of them. Pure.

A test holds the table to the classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from stackproof.interfaces import (
    CacheCapabilities,
    Capabilities,
    ConfigurationError,
    Delivery,
    EventCapabilities,
    InteractionCapabilities,
    LogCapabilities,
    Order,
    SearchCapabilities,
)

from .demand import Workload

_DYNAMODB = InteractionCapabilities(
    max_text_bytes=256, remote=True, throttles=True, partial_batches=True, paged_reads=True
)
_CQL = InteractionCapabilities(remote=True, paged_reads=True)
_KAFKA = EventCapabilities(
    delivery=Delivery.AT_LEAST_ONCE,
    order=Order.PER_KEY,
    max_payload_bytes=768 * 1024,
    delivery_seconds=1.0,
    groups=True,
    durable=True,
    takeover_seconds=13.0,
    replay=True,
    remote=True,
)
_REDIS = CacheCapabilities(ttl_resolution=0.002, shared=True, remote=True)

DECLARED: Mapping[tuple[str, str], Capabilities] = {
    ("interactions", "postgres"): InteractionCapabilities(bulk=True, remote=True),
    ("interactions", "dynamodb"): _DYNAMODB,
    ("interactions", "scylla"): _CQL,
    ("interactions", "cassandra"): _CQL,
    ("interactions", "keyspaces"): _CQL,
    ("events", "redis"): EventCapabilities(order=Order.TOTAL, remote=True),
    ("events", "kafka"): _KAFKA,
    ("events", "redpanda"): _KAFKA,
    ("events", "msk"): _KAFKA,
    ("events", "eventbridge"): EventCapabilities(
        delivery=Delivery.AT_LEAST_ONCE,
        delivery_seconds=5.0,
        groups=True,
        durable=True,
        takeover_seconds=35.0,
        remote=True,
        throttles=True,
        partial_batches=True,
    ),
    ("events", "kinesis"): EventCapabilities(
        delivery=Delivery.AT_LEAST_ONCE,
        order=Order.PER_KEY,
        delivery_seconds=3.0,
        groups=True,
        durable=True,
        takeover_seconds=15.0,
        replay=True,
        remote=True,
        throttles=True,
        partial_batches=True,
    ),
    ("search", "postgres"): SearchCapabilities(delete=True, remote=True, matching=True),
    ("search", "opensearch"): SearchCapabilities(
        delete=True, remote=True, matching=True, throttles=True, partial_batches=True
    ),
    ("cache", "redis"): _REDIS,
    ("cache", "elasticache"): _REDIS,
    ("cache", "upstash"): replace(_REDIS, max_value_bytes=991_808),
    ("cache", "dragonfly"): replace(_REDIS, ttl_resolution=1.0),
    ("cache", "local"): CacheCapabilities(),
    ("logs", "console"): LogCapabilities(counts_drops=True),
    ("logs", "cloudwatch"): LogCapabilities(counts_drops=True, throttles=True, max_record_bytes=256 * 1024 - 26),
}
"""Concern and backend -> what its adapter declares."""

_OF_CONCERN: Mapping[str, Any] = {
    "interactions": InteractionCapabilities,
    "events": EventCapabilities,
    "search": SearchCapabilities,
    "cache": CacheCapabilities,
    "logs": LogCapabilities,
}
_NO_VIRTUES = frozenset({"remote", "throttles", "partial_batches", "paged_reads"})
"""What a backend declares and nobody would ask for."""
KEY_ORDER, AT_LEAST_ONCE = "key_order", "at_least_once"
"""What can be asked of events beside the capabilities that are there or not."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A capability that the application cannot do without."""

    concern: str
    name: str

    @property
    def text(self) -> str:
        """As it is typed."""
        return f"{self.concern}.{self.name.replace('_', '-')}"

    def met_by(self, declared: Capabilities) -> bool:
        if self.name == KEY_ORDER:
            return getattr(declared, "order", Order.NONE) is not Order.NONE
        if self.name == AT_LEAST_ONCE:
            return getattr(declared, "delivery", None) is Delivery.AT_LEAST_ONCE
        return bool(getattr(declared, self.name))


SHARED_CACHE = Requirement("cache", "shared")
"""What every application of more than one process needs: a cache that the others see."""


def requirable() -> tuple[str, ...]:
    """Everything that can be asked for, as it is typed."""
    found = [
        Requirement(concern, field.name).text
        for concern, kind in _OF_CONCERN.items()
        for field in fields(kind)
        if isinstance(field.default, bool) and field.name not in _NO_VIRTUES
    ]
    return (*found, *(Requirement("events", name).text for name in (KEY_ORDER, AT_LEAST_ONCE)))


def parse_requirement(text: str) -> Requirement:
    """A requirement from ``events.durable``; a `ConfigurationError` that lists the known ones for anything else."""
    wanted = text.strip().lower().replace("_", "-")
    if wanted not in requirable():
        raise ConfigurationError(
            f"--require {text!r} is no capability that can be asked for; known are: {', '.join(requirable())}"
        )
    concern, _, name = wanted.partition(".")
    return Requirement(concern, name.replace("-", "_"))


def lacks(concern: str, backend: str, asked: tuple[Requirement, ...], workload: Workload) -> tuple[str, ...]:
    """Why the backend cannot do what is asked, a sentence each; nothing for one of which nothing is declared here."""
    declared = DECLARED.get((concern, backend))
    if declared is None:
        return ()
    missing = [
        f"capability missing: {requirement.text} is asked for, and {concern}={backend} does not declare it"
        for requirement in asked
        if requirement.concern == concern and not requirement.met_by(declared)
    ]
    return (*missing, *_too_large(concern, backend, declared, workload))


_SIZES = {
    "events": ("max_payload_bytes", "event_bytes"),
    "search": ("max_document_bytes", "document_bytes"),
    "cache": ("max_value_bytes", "cached_bytes"),
    "logs": ("max_record_bytes", "log_bytes_per_decision"),
}


def _too_large(concern: str, backend: str, declared: Capabilities, workload: Workload) -> tuple[str, ...]:
    if concern not in _SIZES:
        return ()
    limit_name, size_name = _SIZES[concern]
    limit, size = int(getattr(declared, limit_name)), int(getattr(workload, size_name))
    if size <= limit:
        return ()
    option = "--" + size_name.replace("_", "-")
    return (f"capability missing: {concern}={backend} takes at most {limit:,} bytes, and {option} is {size:,}",)
