"""What an application asks of its stack, from a few numbers that its owners know. Pure, and exact: no float is used.

A month has 730 hours, as the price lists count it. Requests are whole: a part of one is counted as one.
A gigabyte is 10^9 bytes; where a provider counts 2^30 bytes, the bill is 7 % lower.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from decimal import Decimal, localcontext
from fractions import Fraction

from stackproof.interfaces import ConfigurationError

HOURS_A_MONTH = 730
DAY = 86_400
GB = 10**9
KB = 1024
"""Of request units (1 KB, 4 KB, 25 KB, 64 KB)."""

MOST_DECISIONS = 10**13
"""A day: more than a thousand for everybody on earth."""
LONGEST_DAYS = 36_500
LONGEST_MONTHS = 1_200
LARGEST_RECORD = 10**9
MOST = 10**15
"""Of anything that is counted."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The numbers that a demand follows from. What is absurd, or contradicts itself, is a `ConfigurationError`.

    The defaults of what one decision does are the mix of the scenario `decision`; the sizes are assumptions to be replaced.
    """

    decisions_per_day: int
    peak_factor: Decimal = Decimal(5)
    """The rate of the busiest minute over the mean rate of the day."""
    growth_per_month: Decimal = Decimal(0)
    """0.1: a tenth more each month."""
    interactions_per_decision: Decimal = Decimal(1)
    record_bytes: int = 1_000
    """One interaction as it is stored, its part of the indexes included."""
    retention_days: int = 365
    """How long interactions are kept."""
    summary_reads_per_decision: Decimal = Decimal(1)
    customers: int = 100_000
    summaries_per_customer: int = 20
    """Rows of a customer, which a read of summaries reads all."""
    summary_bytes: int = 300
    events_per_decision: Decimal = Decimal(1)
    event_bytes: int = 1_000
    event_retention_days: int = 7
    """How long a log keeps events."""
    subscriptions: int = 1
    """Groups that each receive every event."""
    records: int = 100_000
    """Documents in the search index."""
    document_bytes: int = 1_000
    searches_per_day: int = 10_000
    cache_reads_per_decision: Decimal = Decimal(2)
    cache_hit_ratio: Decimal = Decimal("0.95")
    cached_values: int = 100_000
    cached_bytes: int = 1_000
    """Of one value, with its key."""
    log_bytes_per_decision: int = 1_024
    log_retention_days: int = 30

    def __post_init__(self) -> None:
        for field in fields(self):
            self._check_number(field.name)
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigurationError(f"{_option(name)} is {value}; it lies between {low} and {high}")
        self._check_together()

    def _check_number(self, name: str) -> None:
        value = getattr(self, name)
        kind = "a whole number" if name in _WHOLE else "a number"
        allowed = (int,) if name in _WHOLE else (int, Decimal)
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise ConfigurationError(f"{_option(name)} is {value!r}; it must be {kind}, exactly (an int or a Decimal)")
        if isinstance(value, Decimal) and not value.is_finite():
            raise ConfigurationError(f"{_option(name)} is {value}; it must be a finite number")

    def _check_together(self) -> None:
        """What is possible alone, and not together."""
        for per_decision, bytes_of in _SIZES_OF.items():
            if getattr(self, per_decision) and not getattr(self, bytes_of):
                raise ConfigurationError(
                    f"{_option(per_decision)} is {getattr(self, per_decision)} while {_option(bytes_of)} is 0: "
                    "what is stored or sent has a size"
                )
        if self.searches_per_day and not self.records:
            raise ConfigurationError(
                f"--searches-per-day is {self.searches_per_day} while --records is 0: there is nothing to be searched"
            )
        if self.cache_reads_per_decision and self.cache_hit_ratio and not self.cached_values:
            raise ConfigurationError(
                f"--cache-hit-ratio is {self.cache_hit_ratio} while --cached-values is 0: an empty cache has no hits"
            )
        if self.summary_reads_per_decision and not self.customers:
            raise ConfigurationError(
                f"--summary-reads-per-decision is {self.summary_reads_per_decision} while --customers is 0"
            )

    def in_month(self, month: int) -> Workload:
        """The workload after so many months of growth; 0 is now. Only decisions grow, rounded up to whole ones."""
        if not 0 <= month <= LONGEST_MONTHS:
            raise ConfigurationError(f"a month of a plan lies between 0 and {LONGEST_MONTHS}, not at {month}")
        with localcontext(prec=60):
            grown = self.decisions_per_day * (1 + Decimal(self.growth_per_month)) ** month
            decisions = math.ceil(grown)
        if decisions > MOST_DECISIONS:
            raise ConfigurationError(
                f"--growth-per-month {self.growth_per_month} makes {decisions:.3g} decisions a day of "
                f"{self.decisions_per_day:,} in month {month}; that is more than {MOST_DECISIONS:,}"
            )
        return replace(self, decisions_per_day=decisions)


_BOUNDS: dict[str, tuple[Decimal | int, Decimal | int]] = {
    "decisions_per_day": (1, MOST_DECISIONS),
    "peak_factor": (1, 1_000),
    "growth_per_month": (Decimal("-0.9"), 10),
    "interactions_per_decision": (0, 1_000),
    "record_bytes": (0, LARGEST_RECORD),
    "retention_days": (0, LONGEST_DAYS),
    "summary_reads_per_decision": (0, 1_000),
    "customers": (0, MOST),
    "summaries_per_customer": (0, 1_000_000),
    "summary_bytes": (0, LARGEST_RECORD),
    "events_per_decision": (0, 1_000),
    "event_bytes": (0, LARGEST_RECORD),
    "event_retention_days": (0, LONGEST_DAYS),
    "subscriptions": (0, 1_000),
    "records": (0, MOST),
    "document_bytes": (0, LARGEST_RECORD),
    "searches_per_day": (0, MOST_DECISIONS),
    "cache_reads_per_decision": (0, 1_000),
    "cache_hit_ratio": (0, 1),
    "cached_values": (0, MOST),
    "cached_bytes": (0, LARGEST_RECORD),
    "log_bytes_per_decision": (0, LARGEST_RECORD),
    "log_retention_days": (0, LONGEST_DAYS),
}
_WHOLE = frozenset(_BOUNDS) - {
    "peak_factor",
    "growth_per_month",
    "interactions_per_decision",
    "summary_reads_per_decision",
    "events_per_decision",
    "cache_reads_per_decision",
    "cache_hit_ratio",
}


def whole_fields() -> frozenset[str]:
    """The fields of a workload that are whole numbers."""
    return _WHOLE


_SIZES_OF = {
    "interactions_per_decision": "record_bytes",
    "events_per_decision": "event_bytes",
    "records": "document_bytes",
    "cached_values": "cached_bytes",
}


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Flow:
    """Something that happens again and again."""

    per_month: int
    """Whole, rounded up."""
    mean: Fraction
    """Per second."""
    peak: Fraction
    """Per second, in the busiest minute."""
    bytes_each: int = 0

    @property
    def bytes_per_month(self) -> int:
        return self.per_month * self.bytes_each

    def kept(self, days: int) -> int:
        """How many there are when each is kept so many days."""
        return math.ceil(self.mean * DAY * days)

    @property
    def peak_bytes(self) -> Fraction:
        """Per second."""
        return self.peak * self.bytes_each


@dataclass(frozen=True, slots=True)
class Demand:
    """What a workload asks of each concern: rates a second, requests a month, bytes that are kept."""

    workload: Workload
    decisions: Flow
    interactions: Flow
    summary_reads: Flow
    events: Flow
    searches: Flow
    cache_reads: Flow
    cache_hits: Flow
    log_lines: Flow
    interaction_bytes: int
    """Kept, when the whole retention has passed at this rate."""
    summary_bytes: int
    event_log_bytes: int
    """Kept by a log of events, one copy."""
    index_bytes: int
    """Of documents, one copy."""
    cache_bytes: int
    log_bytes: int
    """Kept, as they came in."""

    @classmethod
    def of(cls, workload: Workload) -> Demand:
        """The demand of a workload as it is now."""
        w = workload

        def each(per_decision: Decimal | Fraction | int, bytes_each: int = 0) -> Flow:
            return _flow(Fraction(w.decisions_per_day) * Fraction(per_decision), w.peak_factor, bytes_each)

        interactions = each(w.interactions_per_decision, w.record_bytes)
        events = each(w.events_per_decision, w.event_bytes)
        log_lines = each(1, w.log_bytes_per_decision)
        return cls(
            workload=w,
            decisions=each(1),
            interactions=interactions,
            summary_reads=each(w.summary_reads_per_decision, w.summaries_per_customer * w.summary_bytes),
            events=events,
            searches=_flow(Fraction(w.searches_per_day), w.peak_factor, w.document_bytes),
            cache_reads=each(w.cache_reads_per_decision, w.cached_bytes),
            cache_hits=each(Fraction(w.cache_reads_per_decision) * Fraction(w.cache_hit_ratio), w.cached_bytes),
            log_lines=log_lines,
            interaction_bytes=_kept(interactions, w.retention_days),
            summary_bytes=w.customers * w.summaries_per_customer * w.summary_bytes,
            event_log_bytes=_kept(events, w.event_retention_days),
            index_bytes=w.records * w.document_bytes,
            cache_bytes=w.cached_values * w.cached_bytes,
            log_bytes=_kept(log_lines, w.log_retention_days),
        )


def _flow(a_day: Fraction, peak_factor: Decimal | int, bytes_each: int) -> Flow:
    mean = a_day / DAY
    return Flow(math.ceil(a_day * HOURS_A_MONTH / 24), mean, mean * Fraction(peak_factor), bytes_each)


def _kept(flow: Flow, days: int) -> int:
    return flow.kept(days) * flow.bytes_each
