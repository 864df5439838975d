"""Money and quantities as exact decimals with a range, and with the reasons why they are not fully known. Pure.

An unknown is never 0. An amount with reasons is a lower bound: what is known of it lies between ``low`` and ``high``, and
something that nobody priced comes on top. Sums and products keep the reasons, so that a total says why it is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal, DecimalException, DivisionByZero, Inexact, InvalidOperation, Overflow
from typing import Self, TypeAlias

Number: TypeAlias = "Decimal | int"
"""What a quantity or an amount is made of. A float is none: 0.1 as a float is not a tenth."""

CENT = Decimal("0.01")
EXACT = Context(prec=80, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
"""Arithmetic that raises where a digit would be lost."""


def exact(value: Number, what: str) -> Decimal:
    """The value as a finite decimal that is not negative. TypeError for a float or a bool, ValueError for the others."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise TypeError(f"{what} is a Decimal or an int, not {type(value).__name__}")
    decimal = Decimal(value)
    if not decimal.is_finite() or decimal < 0:
        raise ValueError(f"{what} is a finite number from 0 on, not {value}")
    return decimal


def _merged(*reasons: Iterable[str]) -> tuple[str, ...]:
    """Each reason once, in the order in which they came."""
    return tuple(dict.fromkeys(reason for group in reasons for reason in group))


@dataclass(frozen=True, slots=True)
class Quantity:
    """How much of something a month takes: a range, and why even that may not be all of it."""

    low: Decimal
    high: Decimal
    unknown: tuple[str, ...] = ()
    """A sentence each. With a reason, ``low`` is a lower bound, and ``high`` the end of what is known."""

    def __post_init__(self) -> None:
        exact(self.low, "a quantity")
        if exact(self.high, "a quantity") < self.low:
            raise ValueError(f"a quantity lies between {self.low} and {self.high}, which is nothing")

    @classmethod
    def of(cls, low: Number, high: Number | None = None, unknown: Iterable[str] = ()) -> Self:
        """This much; or from ``low`` to ``high``."""
        first = exact(low, "a quantity")
        return cls(first, first if high is None else exact(high, "a quantity"), tuple(unknown))

    @property
    def known(self) -> bool:
        """Whether the range is all of it."""
        return not self.unknown

    def __mul__(self, factor: Number) -> Quantity:
        times = exact(factor, "a factor")
        return Quantity(EXACT.multiply(self.low, times), EXACT.multiply(self.high, times), self.unknown)

    def __str__(self) -> str:
        if not self.known:
            return f"at least {plain(self.low)}"
        return plain(self.low) if self.low == self.high else f"{plain(self.low)} to {plain(self.high)}"


@dataclass(frozen=True, slots=True)
class Amount:
    """Money: between ``low`` and ``high``, plus what ``unknown`` names."""

    low: Decimal
    high: Decimal
    currency: str
    unknown: tuple[str, ...] = ()
    """Why it is not all of it, a sentence each."""

    def __post_init__(self) -> None:
        exact(self.low, "an amount")
        if exact(self.high, "an amount") < self.low:
            raise ValueError(f"an amount lies between {self.low} and {self.high}, which is nothing")

    @classmethod
    def of(cls, low: Number, high: Number | None = None, *, currency: str) -> Self:
        """This much; or from ``low`` to ``high``."""
        first = exact(low, "an amount")
        return cls(first, first if high is None else exact(high, "an amount"), currency)

    @classmethod
    def not_known(cls, reason: str, *, currency: str) -> Self:
        """Of which nothing is known but why."""
        return cls(Decimal(0), Decimal(0), currency, (reason,))

    @classmethod
    def total(cls, amounts: Iterable[Amount], *, currency: str) -> Amount:
        """The sum; nothing to add is 0."""
        total = Amount(Decimal(0), Decimal(0), currency)
        for amount in amounts:
            total = total + amount
        return total

    @property
    def known(self) -> bool:
        """Whether the range is all of it."""
        return not self.unknown

    def __add__(self, other: Amount) -> Amount:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be added: no rate of exchange is known here")
        low, high = EXACT.add(self.low, other.low), EXACT.add(self.high, other.high)
        return Amount(low, high, self.currency, _merged(self.unknown, other.unknown))

    def __mul__(self, factor: Number | Quantity) -> Amount:
        """So many of it. What is unknown stays unknown, also where nothing is bought of it."""
        times = factor if isinstance(factor, Quantity) else Quantity.of(factor)
        low, high = EXACT.multiply(self.low, times.low), EXACT.multiply(self.high, times.high)
        return Amount(low, high, self.currency, _merged(self.unknown, times.unknown))

    def per(self, units: int) -> Amount:
        """The part of one, of an amount that is for a power of ten of units. ValueError where a digit would be lost."""
        if units < 1:
            raise ValueError(f"an amount is for 1 unit or more, not for {units}")
        try:
            low, high = (EXACT.divide(bound, Decimal(units)) for bound in (self.low, self.high))
        except DecimalException as error:
            raise ValueError(f"{self.low} for {units} units has no exact price of one") from error
        return Amount(low, high, self.currency, self.unknown)

    def below(self, limit: Amount) -> bool | None:
        """Whether it is surely less than ``limit``: True, False, or None where the ranges or what is unknown do not tell."""
        if self.currency != limit.currency:
            raise ValueError(
                f"{self.currency} and {limit.currency} cannot be compared: no rate of exchange is known here"
            )
        if self.known and self.high < limit.low:
            return True
        if limit.known and self.low >= limit.high:
            return False
        return None

    def __str__(self) -> str:
        low, high = cents(self.low), cents(self.high)
        if not self.known:
            if 0 < self.low < CENT:
                return f"more than 0 {self.currency}"
            return f"at least {low} {self.currency}" if self.low else "unknown"
        return f"{low} {self.currency}" if low == high else f"{low} to {high} {self.currency}"


def plain(value: Decimal) -> str:
    """A number for people: thousands apart, no needless zeros, no exponent."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def cents(value: Decimal) -> str:
    """Money for people, in two digits; what would read as nothing and is not is less than a cent."""
    return f"<{CENT}" if 0 < value < CENT else f"{value:,.2f}"
