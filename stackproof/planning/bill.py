"""What a month of one backend costs, line by line: what the models of `families` fill in. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from stackproof.interfaces import ConfigurationError

from .amount import EXACT, Amount, Number, Quantity, plain
from .demand import GB, HOURS_A_MONTH, Demand
from .price_book import PriceBook, Quota


@dataclass(frozen=True, slots=True)
class Sizing:
    """How many machines a backend has, where that is not counted in requests. What is not given is the least,
    and said to be that.

    Requests are those of the concern: contacts and reads of summaries, events published, searches, commands to a cache.
    """

    instances: int | None = None
    """Taken as it is: machines, brokers, shards of a cache."""
    instance_price: str = ""
    """The id of the price of one; "" for that of the model."""
    per_instance: Decimal | None = None
    """Requests a second that one carries (or one more adds), head-room taken off: from a measured ceiling."""
    instance_bytes: int | None = None
    """Of data that one holds, where that limits it."""
    copies: int | None = None
    """Of each record, the first one included; None for that of the model."""
    headroom: Fraction = Fraction(1)
    """Capacity that is bought beforehand (units, shards) is bought for this many times the peak."""

    def __post_init__(self) -> None:
        if self.headroom < 1:
            raise ConfigurationError(f"a sizing has headroom {float(self.headroom):g}; it must be 1 or more")
        for name in ("instances", "per_instance", "instance_bytes", "copies"):
            value = getattr(self, name)
            if value is not None and (not Decimal(value).is_finite() or value <= 0):
                raise ConfigurationError(f"a sizing has {name} {value}; it must be more than 0")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill: quantity x price = amount."""

    item: str
    quantity: Quantity
    unit: str
    price: str
    """The id of the price; empty where nothing is bought."""
    amount: Amount
    formula: str
    """How the quantity comes about, in words and numbers."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of a quota, or of a measured ceiling, is used; of a rate, at the peak."""

    name: str
    what: str
    used: Fraction | None
    """None: not known; ``note`` says why."""
    allowed: Fraction
    unit: str
    kind: str
    """hard, soft (can be raised), start (what a new one has), measured."""
    source: str
    note: str = ""

    @property
    def is_rate(self) -> bool:
        """Whether it bounds what happens in a second, and not what is kept."""
        return self.unit.endswith("/s")

    @property
    def exceeded(self) -> bool | None:
        """None where it is not known."""
        return None if self.used is None else self.used > self.allowed


@dataclass(frozen=True, slots=True)
class BackendCost:
    """What a month of one backend costs, and which limits it meets."""

    concern: str
    backend: str
    hosting: str
    currency: str
    lines: tuple[Line, ...]
    limits: tuple[Limit, ...]
    notes: tuple[str, ...]
    counted: tuple[str, ...] | None = None
    """Where its machines were counted from what was measured: what that assumes. None where they were not."""

    @property
    def total(self) -> Amount:
        return Amount.total((line.amount for line in self.lines), currency=self.currency)

    @property
    def exceeded(self) -> tuple[Limit, ...]:
        """The limits that the demand surely exceeds; those of a new table or stream are not among them, as they grow."""
        return tuple(limit for limit in self.limits if limit.exceeded and limit.kind != "start")

    @property
    def prices(self) -> tuple[str, ...]:
        """The ids of the prices that it rests on."""
        return tuple(dict.fromkeys(line.price for line in self.lines if line.price))


@dataclass
class Biller:
    """Takes down the lines of one backend, while a model works them out."""

    demand: Demand
    book: PriceBook
    sizing: Sizing = field(default_factory=Sizing)
    beside: str = ""
    """The concern whose server, of the same technology, this one shares; "" for none."""
    lines: list[Line] = field(default_factory=list)
    limits: list[Limit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def line(self, item: str, quantity: Quantity | Number, unit: str, price: str, formula: str) -> None:
        """So much of what a price is for."""
        much = quantity if isinstance(quantity, Quantity) else Quantity.of(quantity)
        self.lines.append(Line(item, much, unit, price, self.book.cost(price, much), formula))

    def free(self, item: str, why: str) -> None:
        """Something for which nobody sends a bill."""
        nothing = Amount.of(0, currency=self.book.currency)
        self.lines.append(Line(item, Quantity.of(0), "", "", nothing, why))

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def quota(self, id: str, used: Fraction | int | None, units: int = 1, note: str = "") -> None:  # noqa: A002
        """What is used of ``units`` times a quota of the price book."""
        quota: Quota = self.book.quota(id)
        share = None if used is None else Fraction(used)
        allowed = Fraction(quota.limit * units)
        self.limits.append(
            Limit(id, quota.what, share, allowed, quota.unit, quota.kind, quota.source, note or quota.note)
        )

    def single(self, what: str, peak: Fraction) -> Quantity:
        """One machine, as what writes cannot be spread: a measured ceiling becomes a limit, none a reason."""
        if self.sizing.per_instance is None:
            if self.sizing.instances is not None:
                return Quantity.of(self.sizing.instances)
            return Quantity.of(1, unknown=[f"whether one {what} carries {rate(peak)} at the peak is not measured"])
        allowed = Fraction(self.sizing.per_instance)
        self.limits.append(
            Limit("measured-ceiling", f"requests to one {what}", peak, allowed, "requests/s", "measured", "sizing")
        )
        return Quantity.of(self.sizing.instances or 1)

    def holds(self, price: str) -> int | None:
        """Bytes of data that one machine at this price has room for, as the sizing or else the price book says; None: unknown."""
        return self.sizing.instance_bytes or self.book.price(price).holds_bytes

    def several(
        self,
        what: str,
        peak: Fraction,
        least: int,
        data: Fraction | int = 0,
        holds: int | None = None,
        priced: str = "its price",
    ) -> tuple[Quantity, str]:
        """As many as the peak asks for, and the data where ``data`` (bytes) is given, of which each ``holds`` so many, as is said
        beside the price ``priced``; and the formula."""
        sizing = self.sizing
        if sizing.instances is not None:
            return Quantity.of(sizing.instances), f"{sizing.instances} x {what}, as given"
        needed, unknown, parts = least, [], [f"at least {least} x {what}"]
        if sizing.per_instance is None:
            unknown.append(f"how many {what} carry {rate(peak)} at the peak is not measured")
        else:
            needed = max(needed, math.ceil(peak / Fraction(sizing.per_instance)))
            parts.append(f"{rate(peak)} at the peak / {plain(sizing.per_instance)}/s for each")
        if data and holds is None:
            unknown.append(
                f"how much data each of the {what} holds is not known: give holds_bytes beside {priced}, in a file for --prices"
            )
        elif data and holds is not None:
            needed = max(needed, math.ceil(Fraction(data) / holds))
            parts.append(f"{in_gb(data)} of data / {in_gb(holds)} for each")
        return Quantity.of(needed, unknown=unknown), "; ".join(parts)


def times(headroom: Fraction) -> str:
    """What a formula says about a peak that head-room is added to; nothing where none is."""
    return "" if headroom == 1 else f" x {float(headroom):g} of head-room"


def hours(machines: Quantity, copies: int = 1) -> Quantity:
    """The hours of a month of machines."""
    return machines * (HOURS_A_MONTH * copies)


def gigabytes(size: int) -> Decimal:
    """Exactly."""
    return EXACT.divide(Decimal(size), Decimal(GB))


def chunks(size: int, unit: int) -> int:
    """How many units of so many bytes a request of this size is billed as: at least one."""
    return max(1, math.ceil(Fraction(size, unit)))


def rate(value: Fraction) -> str:
    """A rate for people."""
    digits = 0 if value >= 100 else 2
    return f"{float(value):,.{digits}f}/s"


def in_gb(size: Fraction | int) -> str:
    """A size for people."""
    return f"{float(Fraction(size) / GB):,.3g} GB" if size < 100 * GB else f"{round(Fraction(size) / GB):,} GB"


def count(value: int) -> str:
    """A number for people."""
    return f"{value:,}"
