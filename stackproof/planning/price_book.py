"""The price book: what a unit costs and what a service allows, each with its source, and the user's own file over it.

The file beside this module is data; docs/prices.md says how a price gets in. A price without an amount is not known, and
makes every sum unknown that it is part of. What is wrong in a file is a `ConfigurationError` with file, entry and field.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from stackproof.interfaces import ConfigurationError

from .amount import Amount, Quantity

SCHEMA = "stackproof-prices/1"
STALE_DAYS = 180
"""A price older than this is told."""
BUILT_IN = "prices.toml"
MOST_MONEY = Decimal(10) ** 12
MOST_UNITS = 10**12
MOST_DIGITS = 12
"""After the point."""
MOST_BYTES = 10**18
_ID = re.compile(r"[a-z0-9][a-z0-9-]*\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")


class Confidence(StrEnum):
    """How far a price can be relied on."""

    HIGH = "high"
    """From the provider's own list or documentation."""
    MEDIUM = "medium"
    """From one other page, or worked out."""
    LOW = "low"
    """Sources contradict each other, or none is known."""


@dataclass(frozen=True, slots=True)
class Price:
    """What one dimension of a service costs."""

    id: str
    provider: str
    service: str
    dimension: str
    unit: str
    per: int
    """``low`` and ``high`` are for so many units: a power of ten."""
    low: Decimal | None
    """None: not known."""
    high: Decimal | None
    currency: str
    region: str
    date: datetime.date | None
    """When the source said so; None where it does not say."""
    source: str
    confidence: Confidence
    note: str
    file: str
    """The file that it came from."""
    holds_bytes: int | None = None
    """Of data: what one of the machines that are priced has room for; None where that is not known, or not limited."""
    holds_source: str = ""

    @property
    def of_one(self) -> Amount:
        """The price of one unit, exactly; not known where there is no amount."""
        if self.low is None or self.high is None:
            why = f": {self.note}" if self.note else ""
            return Amount.not_known(
                f"the price {self.id} ({self.service}, {self.dimension}) is not known{why}", currency=self.currency
            )
        return Amount(self.low, self.high, self.currency).per(self.per)

    def stale(self, today: datetime.date) -> str:
        """A sentence where the price is older than `STALE_DAYS`, or where its age is not known; else empty."""
        if self.low is None:
            return ""
        if self.date is None:
            return f"the price {self.id} has no date: its age is not known"
        days = (today - self.date).days
        if days < 0:
            return f"the price {self.id} is of {self.date.isoformat()}, which is in the future"
        if days <= STALE_DAYS:
            return ""
        return f"the price {self.id} is of {self.date.isoformat()}, {days} days old (more than {STALE_DAYS})"


@dataclass(frozen=True, slots=True)
class Quota:
    """What a service allows."""

    id: str
    service: str
    what: str
    limit: int
    unit: str
    kind: str
    """hard; soft: can be raised; start: what a new one has, which grows with use."""
    source: str
    note: str
    file: str


@dataclass(frozen=True, slots=True)
class PriceBook:
    """All prices and quotas that a cost rests on, in one currency."""

    currency: str
    prices: Mapping[str, Price]
    quotas: Mapping[str, Quota]
    files: tuple[str, ...] = field(default=())

    def price(self, id: str) -> Price:  # noqa: A002 - it is what the file calls it
        """The price of this id; a `ConfigurationError` for one that is in no file."""
        if id not in self.prices:
            raise ConfigurationError(
                f"there is no price {id!r} in {', '.join(self.files)}; `prices.ID` in your file adds it"
            )
        return self.prices[id]

    def of_one(self, id: str) -> Amount:  # noqa: A002
        """What one unit costs, in the currency of the book. Where it is priced in another one, that is not known."""
        price = self.price(id)
        if price.currency == self.currency:
            return price.of_one
        reason = f"the price {id} is in {price.currency}, and no rate of exchange to {self.currency} is known"
        return Amount.not_known(reason, currency=self.currency)

    def cost(self, id: str, quantity: Quantity) -> Amount:  # noqa: A002
        """Quantity times price, exactly."""
        return self.of_one(id) * quantity

    def quota(self, id: str) -> Quota:  # noqa: A002
        """The quota of this id; a `ConfigurationError` for one that is in no file."""
        if id not in self.quotas:
            raise ConfigurationError(f"there is no quota {id!r} in {', '.join(self.files)}")
        return self.quotas[id]

    def warnings(self, today: datetime.date, used: Iterable[str] | None = None) -> tuple[str, ...]:
        """A sentence for each price that is stale on that day; of all, or of those that were used."""
        ids = self.prices if used is None else dict.fromkeys(used)
        return tuple(text for each in ids if (text := self.price(each).stale(today)))

    def without(self, *ids: str) -> PriceBook:
        """The same book, in which these prices are not known. For questions of the kind: what rests on it?"""
        gone = {each: replace(self.price(each), low=None, high=None, note="set to unknown") for each in ids}
        return replace(self, prices={**self.prices, **gone})


def load_prices(own: Path | None = None) -> PriceBook:
    """The prices that come with stackproof, and those of the user's own file instead of them where it has any.

    A price of the own file replaces the whole entry of its id, or adds one. Its ``currency`` at the top becomes that of the
    book; what is priced in another one is then not known.
    """
    book = _built_in()
    if own is None:
        return book
    try:
        text = own.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--prices {own} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"--prices {own} cannot be read: it is not UTF-8") from error
    mine = parse_prices(text, str(own))
    return PriceBook(
        currency=mine.currency or book.currency,
        prices={**book.prices, **mine.prices},
        quotas={**book.quotas, **mine.quotas},
        files=(*book.files, *mine.files),
    )


@cache
def _built_in() -> PriceBook:
    text = (files(__package__) / BUILT_IN).read_text(encoding="utf-8")
    return parse_prices(text, BUILT_IN)


def parse_prices(text: str, file: str) -> PriceBook:
    """The prices and quotas of one file. ``currency`` is empty where the file does not say it."""
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{file} is no TOML: {error}") from error
    top = _Entry(file, "", data)
    top.only({"schema", "currency", "prices", "quotas"})
    if top.text("schema") != SCHEMA:
        top.wrong("schema", f"must be {SCHEMA!r}, not {data['schema']!r}")
    currency = top.matching("currency", _CURRENCY, "a code of three letters, such as USD") if "currency" in data else ""
    prices = {entry.id: _price(entry, currency) for entry in top.tables("prices")}
    quotas = {entry.id: _quota(entry) for entry in top.tables("quotas")}
    return PriceBook(currency, prices, quotas, (file,))


_WHAT = frozenset(("provider", "service", "dimension", "unit", "region"))
_HOW_MUCH = frozenset(("per", "amount", "low", "high", "currency"))
_PRICE = _WHAT | _HOW_MUCH | {"date", "source", "confidence", "note", "holds_bytes", "holds_source"}
_QUOTA = frozenset(("service", "what", "limit", "unit", "kind", "source", "note"))


def _price(entry: _Entry, currency: str) -> Price:
    entry.only(_PRICE)
    low, high = _bounds(entry)
    per = entry.whole("per", 1, MOST_UNITS) if "per" in entry.data else 1
    if str(per).strip("0") != "1":
        entry.wrong("per", f"must be a power of ten, not {per}: the price of one unit would have no end")
    code = "a code of three letters, such as USD"
    if "currency" in entry.data or not currency:
        currency = entry.matching("currency", _CURRENCY, code)
    return Price(
        id=entry.id,
        provider=entry.text("provider"),
        service=entry.text("service"),
        dimension=entry.text("dimension"),
        unit=entry.text("unit"),
        per=per,
        low=low,
        high=high,
        currency=currency,
        region=entry.text("region"),
        date=entry.day("date") if "date" in entry.data else None,
        source=entry.text("source"),
        confidence=Confidence(entry.one_of("confidence", [str(c) for c in Confidence])),
        note=entry.text("note") if "note" in entry.data else "",
        file=entry.file,
        holds_bytes=entry.whole("holds_bytes", 1, MOST_BYTES) if "holds_bytes" in entry.data else None,
        holds_source=_holds_source(entry),
    )


def _holds_source(entry: _Entry) -> str:
    """How much a machine holds has a source of its own: a list of prices seldom says it."""
    if "holds_bytes" in entry.data:
        return entry.text("holds_source")
    if "holds_source" in entry.data:
        entry.wrong("holds_source", "is the source of holds_bytes, which is missing")
    return ""


def _bounds(entry: _Entry) -> tuple[Decimal | None, Decimal | None]:
    """The amount, or the range; None and None where it is not known."""
    if "amount" in entry.data:
        for other in ("low", "high"):
            if other in entry.data:
                entry.wrong(other, "cannot be given beside amount: give one price, or the two ends of a range")
        amount = entry.money("amount")
        return amount, amount
    if "low" not in entry.data and "high" not in entry.data:
        return None, None
    low, high = entry.money("low"), entry.money("high")
    if high < low:
        entry.wrong("high", f"is {high}, which is less than low, {low}")
    return low, high


def _quota(entry: _Entry) -> Quota:
    entry.only(_QUOTA)
    return Quota(
        id=entry.id,
        service=entry.text("service"),
        what=entry.text("what"),
        limit=entry.whole("limit", 1, MOST_BYTES),
        unit=entry.text("unit"),
        kind=entry.one_of("kind", ["hard", "soft", "start"]),
        source=entry.text("source"),
        note=entry.text("note") if "note" in entry.data else "",
        file=entry.file,
    )


T = TypeVar("T")


class _Entry:
    """A table of a file; whatever is wrong with it becomes one sentence that names file, entry and field."""

    def __init__(self, file: str, path: str, data: Mapping[str, Any]) -> None:
        self.file = file
        self.path = path
        self.data = data
        self.id = path.rpartition(".")[2]

    def wrong(self, name: str, what: str) -> NoReturn:
        where = f"{self.file}, {self.path}: " if self.path else f"{self.file}: "
        raise ConfigurationError(f"{where}{name} {what}")

    def only(self, known: Iterable[str]) -> None:
        unknown = sorted(self.data.keys() - set(known))
        if unknown:
            self.wrong(repr(unknown[0]), f"is not known there; known are: {', '.join(sorted(known))}")

    def tables(self, name: str) -> Iterable[_Entry]:
        inside = self._get(name, dict, "a table of entries") if name in self.data else {}
        for key, data in inside.items():
            entry = _Entry(self.file, f"{name}.{key}", data if isinstance(data, dict) else {})
            if not isinstance(data, dict):
                self.wrong(f"{name}.{key}", "must be a table")
            if not _ID.match(key):
                self.wrong(f"{name}.{key!r}", "is no id: ids have small letters, digits and hyphens")
            yield entry

    def text(self, name: str) -> str:
        value: str = self._get(name, str, "a text")
        if not value.strip() or not value.isprintable():
            self.wrong(name, "must be one line of text that is not empty")
        return value

    def matching(self, name: str, form: re.Pattern[str], what: str) -> str:
        value = self.text(name)
        if not form.match(value):
            self.wrong(name, f"must be {what}, not {value!r}")
        return value

    def one_of(self, name: str, allowed: list[str]) -> str:
        value = self.text(name)
        if value not in allowed:
            self.wrong(name, f"must be {', '.join(allowed[:-1])} or {allowed[-1]}, not {value!r}")
        return value

    def whole(self, name: str, low: int, high: int) -> int:
        value: int = self._get(name, int, "a whole number")
        if not low <= value <= high:
            self.wrong(name, f"is {value}; it lies between {low:,} and {high:,}")
        return value

    def money(self, name: str) -> Decimal:
        value = Decimal(self._get(name, (int, Decimal), "a number"))
        if not value.is_finite() or not 0 <= value <= MOST_MONEY:
            self.wrong(
                name, f"is {value}; a price lies between 0 and {MOST_MONEY:,}, and is left out where it is not known"
            )
        if value != round(value, MOST_DIGITS):
            self.wrong(name, f"has more than {MOST_DIGITS} digits after the point")
        return value

    def day(self, name: str) -> datetime.date:
        value: datetime.date = self._get(name, datetime.date, "a date, such as 2026-05-03 without quotes")
        if isinstance(value, datetime.datetime):
            self.wrong(name, "must be a date without a time")
        return value

    def _get(self, name: str, kind: type | tuple[type, ...], what: str) -> Any:
        if name not in self.data:
            self.wrong(name, "is missing")
        value = self.data[name]
        if isinstance(value, bool) or not isinstance(value, kind):
            self.wrong(name, f"must be {what}, not {value!r}")
        return value
