"""Test data of the state machines: the usual, the hostile, and what lies exactly at a border."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from stackproof.contracts.cache_samples import FALSY_VALUES, LOOK_ALIKE_KEYS, PLAIN_VALUES, size_of
from stackproof.contracts.hostile import HOSTILE_TEXTS, UNENCODABLE, WITH_NUL, has_utf8
from stackproof.interfaces import CacheValue

T = TypeVar("T")

_POWERS = (64, 128, 250, 255, 256, 512, 1024, 4096, 65536)
"""Sizes at which real backends cut, page, or change their representation."""
_SHAPES = ("x", "é", "€", "𝔊")
"""Characters of one, two, three and four bytes."""
HOSTILE = tuple(text for name, text in HOSTILE_TEXTS.items() if name not in UNENCODABLE)
"""Every hostile text that has a UTF-8 form."""
STORABLE = tuple(text for name, text in HOSTILE_TEXTS.items() if name not in UNENCODABLE | WITH_NUL)
"""Those of them that no store may refuse."""


def pick(values: Sequence[T]) -> SearchStrategy[T]:
    """One of these, the first ones preferred when a failure is made smaller. Unlike `sampled_from` it has a short name."""
    return st.integers(0, len(values) - 1).map(lambda number: values[number])


def border_sizes(limit: int) -> list[int]:
    """The sizes at and around the usual borders, up to a limit, which is one of them."""
    around = {size + step for size in (*_POWERS, limit) for step in (-1, 0, 1)}
    return sorted(size for size in around if 0 < size <= limit)


def text_of(size: int, shape: str = "x", salt: int = 0) -> str:
    """A text of exactly so many bytes of UTF-8, which no other salt gives where there is room for it."""
    mark = f"{salt}."[:size]
    rest = size - len(mark)
    count, odd = divmod(rest, len(shape.encode()))
    return mark + shape * count + "x" * odd


def border_texts(limit: int) -> SearchStrategy[str]:
    """Texts whose size lies at a border: of characters of one to four bytes."""
    return st.builds(text_of, st.sampled_from(border_sizes(limit)), st.sampled_from(_SHAPES), st.integers(0, 9))


def within(texts: Sequence[str], limit: int) -> list[str]:
    """Those that are not too long."""
    return [text for text in texts if 0 < len(text.encode()) <= limit]


@cache
def texts(limit: int, hostile: tuple[str, ...] = STORABLE) -> SearchStrategy[str]:
    """Any text that is not empty, up to so many bytes."""
    free = st.text(
        st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=max(1, min(20, limit // 4))
    )
    known = within(hostile, limit)
    kinds = [st.sampled_from("abc"), free, border_texts(limit)]
    return st.one_of(*kinds, *([pick(known)] if known else []))


def key_pool(limit: int, salt: int) -> list[str]:
    """Few keys, so that operations meet: simple ones, some that a careless mapping makes one of, one of the largest size."""
    chance = random.Random(salt)  # noqa: S311 - test data
    group = chance.choice(LOOK_ALIKE_KEYS)
    alike = chance.sample(group, min(3, len(group)))
    return list(dict.fromkeys(within(["a", "ab", *alike, chance.choice(HOSTILE), text_of(limit)], limit)))


@cache
def cache_values(limit: int) -> SearchStrategy[CacheValue]:
    """What a cache must keep, up to a size."""
    plain = [value for value in PLAIN_VALUES.values() if size_of(value) <= limit]
    edges = [value for value in plain if isinstance(value, int | float | str)]
    leaves = st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)
    )
    small = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ).filter(lambda value: _has_utf8(value) and size_of(value) <= limit)
    sizes = [size for size in border_sizes(limit) if size <= 70_000 or size >= limit]
    border = st.builds(text_of, st.sampled_from(sizes), st.sampled_from(_SHAPES), st.integers(0, 9))
    as_bytes = st.builds(lambda size: b"\xff" * size, st.sampled_from(sizes))
    return st.one_of(
        st.sampled_from(["v", "w", *FALSY_VALUES.values()]), pick(plain), pick(edges), border, as_bytes, small
    )


@cache
def amounts(digits: int) -> SearchStrategy[Decimal]:
    """Decimals: usual ones, ones that binary fractions spoil, ones of exactly the declared digits."""
    whole = st.integers(-(10**digits) + 1, 10**digits - 1)
    longest = st.builds(
        lambda sign, end, places: Decimal((sign, (9,) * (digits - 1) + (end,), -places)),
        st.integers(0, 1),
        st.integers(1, 9),
        st.integers(0, digits),
    )
    usual = st.sampled_from(
        [Decimal(0), Decimal(1), Decimal("0.1"), Decimal("30.40"), Decimal("-2.675"), Decimal("1E+3")]
    )
    return st.one_of(
        usual, longest, st.builds(lambda n, places: Decimal(n).scaleb(-places), whole, st.integers(0, digits))
    )


@cache
def instants(resolution: float) -> SearchStrategy[datetime]:
    """Aware datetimes with odd offsets, at borders of days, months and years, as exact as the backend keeps them."""
    offsets = st.sampled_from([0, 1, -1, 330, 345, -210, 765, 840, -720]).map(lambda m: timezone(timedelta(minutes=m)))
    borders = st.sampled_from(
        [
            datetime(2026, 11, 23, 12),
            datetime(2026, 12, 31, 23, 59, 59, 999999),
            datetime(2027, 1, 1),
            datetime(2024, 2, 29, 23, 30),
            datetime(2021, 1, 3, 23, 59, 59),
            datetime(1970, 1, 1),
            datetime(1969, 12, 31, 23, 59, 59, 500000),
        ]
    )
    free = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1))
    micros = max(1, round(resolution * 1_000_000))

    def made(moment: datetime, zone: timezone) -> datetime:
        cut = moment.microsecond - moment.microsecond % micros if micros < 1_000_000 else 0
        return moment.replace(microsecond=cut, tzinfo=zone)

    return st.builds(made, borders | free, offsets)


def _has_utf8(value: object) -> bool:
    try:
        repr(value).encode()
    except UnicodeEncodeError:
        return False
    return not _surrogates(value)


def _surrogates(value: object) -> bool:
    if isinstance(value, str):
        return not has_utf8(value)
    if isinstance(value, dict):
        return any(map(_surrogates, value)) or any(map(_surrogates, value.values()))
    return isinstance(value, list) and any(map(_surrogates, value))
