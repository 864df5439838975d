"""What a backend declares about itself: one frozen class per concern, one property per capability.

A capability that is declared is verified; one that is *not* declared is proven absent. Numeric ones are limits:
the suite's test data stay at or under them, and one step beyond must be rejected before anything is sent.
An adapter declares its own as the class attribute ``capabilities``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import Enum

from .errors import ConfigurationError


class Delivery(Enum):
    """How often a connected subscriber sees an accepted event."""

    AT_MOST_ONCE = "at most once"
    """An event whose handler raises, or that arrives while nobody is connected, is gone."""
    AT_LEAST_ONCE = "at least once"
    """An event whose handler raises is delivered again until a handler returns."""


class Order(Enum):
    """The order in which one subscriber sees the events that one publisher sent."""

    NONE = "none"
    PER_KEY = "per key"
    TOTAL = "total"


LEAST = {"max_key_bytes": 16, "max_payload_bytes": 256, "max_document_bytes": 256}
"""Capability -> the smallest limit that can be declared: the suite's smallest test data must stay under it."""


class _Checked:
    """A declaration that cannot be true is refused when it is made: a limit that is no number would switch clauses off."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            value, default = getattr(self, field.name), field.default
            trouble = _trouble(value, default, LEAST.get(field.name, 1))
            if trouble:
                raise ConfigurationError(f"{type(self).__name__}({field.name}={value!r}): {trouble}")


def _trouble(value: object, default: object, least: int) -> str:
    """What is wrong with a declared value, judged by the kind of its default."""
    if isinstance(default, bool | Enum):
        return "" if isinstance(value, type(default)) else f"a {type(default).__name__} is needed"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return "a finite number of at least 0 is needed"
    if isinstance(default, int) and (not isinstance(value, int) or value < least):
        return f"a whole number of at least {least} is needed"
    return ""


@dataclass(frozen=True, slots=True)
class CacheCapabilities(_Checked):
    """What a `CacheStore` declares."""

    ttl_resolution: float = 0.001
    """Seconds. An entry lives at least its ttl and is gone at the latest one resolution after it (plus scheduling)."""
    max_key_bytes: int = 1024
    """Largest key, in bytes of its UTF-8 form, at least 16. A longer one is rejected."""
    max_value_bytes: int = 1024 * 1024
    """Largest value for which a round trip is promised, in bytes (a string of n ASCII characters has n)."""
    shared: bool = False
    """Two instances made for the same namespace see the same entries, and share one fetch in `get_or_fetch`."""
    remote: bool = False
    """The entries are kept by a server that this process reaches over a socket, and that can therefore go away."""
    throttles: bool = False
    """The server may refuse work for the moment, and asks to come again: see `Backend` for what the backend does then."""


@dataclass(frozen=True, slots=True)
class EventCapabilities(_Checked):
    """What an `EventPublisher` declares."""

    delivery: Delivery = Delivery.AT_MOST_ONCE
    """How often a subscriber that is connected sees an accepted event."""
    order: Order = Order.NONE
    """NONE, PER_KEY or TOTAL: the order in which one subscriber sees events, also when a handler fails once."""
    max_payload_bytes: int = 256 * 1024
    """Largest payload, in bytes of its compact JSON form, at least 256; one byte more is rejected before anything is sent."""
    delivery_seconds: float = 2.0
    """Upper bound of the time from `publish` returning to the handler being called, on an idle system."""
    groups: bool = False
    """Subscriptions that name the same group share the events between them."""
    durable: bool = False
    """A group keeps its place while it has no member: what is published meanwhile is delivered when a member comes back.
    Needs ``groups``."""
    takeover_seconds: float = 0.0
    """Upper bound of the time from the death of a member of a group, killed with its process, until another member is called
    with what the dead one had not finished, on an idle system. 0: nobody gets it. Needs ``groups`` and delivery at least once."""
    replay: bool = False
    """Events are kept, and a subscription can begin with those that were published before it."""
    shared: bool = True
    """An event published through one instance reaches subscribers of another instance of the same namespace."""
    remote: bool = False
    """Events travel through a server that this process reaches over a socket, and that can therefore go away."""
    throttles: bool = False
    """The server may refuse work for the moment, and asks to come again: see `Backend` for what the backend does then."""
    partial_batches: bool = False
    """The server takes batches from the backend, may take a part of one, and names the rest: it is sent again, alone."""

    def __post_init__(self) -> None:
        _Checked.__post_init__(self)
        if self.durable and not self.groups:
            raise ConfigurationError(
                "EventCapabilities(durable=True): it is groups that keep their place; declare them too"
            )
        if self.takeover_seconds and not (self.groups and self.delivery is Delivery.AT_LEAST_ONCE):
            raise ConfigurationError(
                f"EventCapabilities(takeover_seconds={self.takeover_seconds:g}): it is members of a group that take over, and"
                " what is delivered at least once; declare both, too"
            )


@dataclass(frozen=True, slots=True)
class InteractionCapabilities(_Checked):
    """What an `InteractionStore` declares."""

    timestamp_resolution: float = 0.000001
    """Seconds. Timestamps are equal after a round trip up to this; finer digits are cut off."""
    value_digits: int = 38
    """Significant decimal digits of `Interaction.value` and of sums that are kept exactly; more are rejected."""
    max_text_bytes: int = 512
    """Largest text field (tenant, customer, offer ...), in bytes of UTF-8; a longer one is rejected."""
    bulk: bool = False
    """`record_events` stores a batch of any size, all or nothing."""
    durable: bool = True
    """What `record_event` returned for is seen by every other instance of the same namespace and survives this process."""
    remote: bool = False
    """Interactions are kept by a server that this process reaches over a socket, and that can therefore go away."""
    throttles: bool = False
    """The server may refuse work for the moment, and asks to come again: see `Backend` for what the backend does then."""
    partial_batches: bool = False
    """The server takes batches from the backend, may take a part of one, and names the rest: it is sent again, alone."""
    paged_reads: bool = False
    """The server answers reads in pages of its own, which may end early or be empty: the backend reads on to the last one."""


@dataclass(frozen=True, slots=True)
class SearchCapabilities(_Checked):
    """What a `SearchIndex` declares."""

    visible_within: float = 0.0
    """Seconds after `index` returned in which its documents are found; 0 means at once."""
    max_document_bytes: int = 256 * 1024
    """Largest title plus text, in bytes of UTF-8, at least 256; a longer document is rejected by name."""
    batch_size: int = 1000
    """The backend's own largest batch; `index` takes any number of documents nevertheless."""
    delete: bool = False
    """`delete` removes documents from the index."""
    matching: bool = False
    """`search_for` finds any of the words of a query, phrases, and words that begin with those of a query."""
    durable: bool = True
    """Indexed documents are seen by every other instance of the same namespace."""
    remote: bool = False
    """Documents are kept by a server that this process reaches over a socket, and that can therefore go away."""
    throttles: bool = False
    """The server may refuse work for the moment, and asks to come again: see `Backend` for what the backend does then."""
    partial_batches: bool = False
    """The server takes batches from the backend, may take a part of one, and names the rest: it is sent again, alone."""


@dataclass(frozen=True, slots=True)
class LogCapabilities(_Checked):
    """What a log transport (any `logging.Handler`) declares."""

    structured: bool = True
    """Each record arrives as one JSON object."""
    max_record_bytes: int = 256 * 1024
    """A record larger than this is split, or cut with a visible mark; it is never lost as a whole."""
    counts_drops: bool = False
    """The handler has an integer attribute ``dropped``: how many records it gave up, ever."""
    throttles: bool = False
    """The destination may refuse records for the moment. The handler sends them again after a pause; what it gives up, it
    counts in an integer attribute ``dropped``, and nothing is raised into the application."""


Capabilities = CacheCapabilities | EventCapabilities | InteractionCapabilities | SearchCapabilities | LogCapabilities
