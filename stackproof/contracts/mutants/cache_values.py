"""Caches with one defect each: what happens to values on the way in and out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stackproof.adapters.cache.memory import Entry, MemoryCache
from stackproof.interfaces import CacheValue

from . import mutant


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with every part of it changed, the innermost first."""
    if type(value) in (list, tuple):
        return change(type(value)(mapped(item, change) for item in value))
    if type(value) is dict:
        return change({change(name): mapped(item, change) for name, item in value.items()})
    return change(value)


class _OtherValues(MemoryCache):
    """A base for caches that change what they store."""

    def _change(self, part: Any) -> Any:
        return part

    def _entry(self, value: CacheValue, ttl: float | None) -> Entry:
        try:
            changed = mapped(value, self._change)
        except RecursionError:  # it contains itself: rejected below
            changed = value
        return super()._entry(changed, ttl)


@mutant(of=MemoryCache, killed_by="CACHE-14")
class IntegersAreFloats(_OtherValues):
    """Integers pass through a float and lose their last digits beyond 2**53."""

    def _change(self, part: Any) -> Any:
        return int(float(part)) if type(part) is int and abs(part) < 2**63 else part


@mutant(of=MemoryCache, killed_by="CACHE-14")
class BytesAreText(_OtherValues):
    """Bytes pass through UTF-8, with question marks for what is none."""

    def _change(self, part: Any) -> Any:
        return part.decode(errors="replace").encode() if type(part) is bytes else part


@mutant(of=MemoryCache, killed_by="CACHE-14")
class LongTextsAreCut(_OtherValues):
    """Text is cut at 64 KiB."""

    def _change(self, part: Any) -> Any:
        return part[:65_536] if type(part) is str else part


@mutant(of=MemoryCache, killed_by="CACHE-14")
class FloatsAreRounded(_OtherValues):
    """Floats keep fifteen digits."""

    def _change(self, part: Any) -> Any:
        return float(f"{part:.15g}") if type(part) is float else part


@mutant(of=MemoryCache, killed_by="CACHE-14")
class MinusZeroIsZero(_OtherValues):
    """The sign of a zero is lost."""

    def _change(self, part: Any) -> Any:
        return part + 0.0 if type(part) is float else part


@mutant(of=MemoryCache, killed_by="CACHE-14")
class NumbersOfText(_OtherValues):
    """Text that looks like a number comes back as one."""

    def _change(self, part: Any) -> Any:
        return int(part) if type(part) is str and part.isascii() and part.isdigit() else part


@mutant(of=MemoryCache, killed_by="CACHE-15")
class TuplesAreLists(_OtherValues):
    """A tuple comes back as a list."""

    def _change(self, part: Any) -> Any:
        return list(part) if type(part) is tuple else part


@mutant(of=MemoryCache, killed_by="CACHE-15")
class UnknownIsText(_OtherValues):
    """What cannot be stored is stored as the text that it prints as."""

    def _change(self, part: Any) -> Any:
        known = type(part) in (type(None), bool, int, float, str, bytes, list, dict, tuple)
        return part if known else str(part)


@mutant(of=MemoryCache, killed_by="CACHE-15")
class IntegersWrap(_OtherValues):
    """Integers beyond 64 bits lose their upper bits."""

    def _change(self, part: Any) -> Any:
        return part if type(part) is not int else (part + 2**63) % 2**64 - 2**63


@mutant(of=MemoryCache, killed_by="CACHE-15")
class SurrogatesAreReplaced(_OtherValues):
    """Text without a UTF-8 form is stored with question marks."""

    def _change(self, part: Any) -> Any:
        return part.encode(errors="replace").decode() if type(part) is str else part


@mutant(of=MemoryCache, killed_by="CACHE-15")
class NamesBecomeText(_OtherValues):
    """The keys of a dictionary are made text."""

    def _change(self, part: Any) -> Any:
        return {str(name): item for name, item in part.items()} if type(part) is dict else part


@mutant(of=MemoryCache, killed_by="CACHE-14")
class LargeFetchesAreNotKept(MemoryCache):
    """A fetched value of more than 100 kB is returned, but the error of storing it is swallowed."""

    def _put(self, key: str, entry: Entry) -> None:
        large = isinstance(entry.value, str | bytes) and len(entry.value) > 100_000
        if not (large and key in self._space.flights):
            super()._put(key, entry)


@mutant(of=MemoryCache, killed_by="CACHE-15")
class CutsWhatIsTooLarge(MemoryCache):
    """Text and bytes beyond the declared size are cut to it, without a word."""

    def _entry(self, value: CacheValue, ttl: float | None) -> Entry:
        kept = value[: self.capabilities.max_value_bytes] if isinstance(value, str | bytes) else value
        return super()._entry(kept, ttl)
