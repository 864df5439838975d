"""Why a small part of a register's history has no order: an argument in sentences.

It follows Gibbons and Korach: a value that was written once is there, without a break, from the first operation about it
to the last one. Two values cannot be there at the same instant.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .operation import Operation

Argument = tuple[str, list[Operation]]
"""A sentence, and the operations that it names."""


def argue(part: Sequence[Operation]) -> Argument:
    """The simplest argument that applies; where none does, that no order was found."""
    none: Argument = (f"every order of these {len(part)} operations contradicts one of the answers", [])
    text, named = next(
        itertools.chain(_without_a_source(part), _missing(part), _two_at_once(part), _deletes(part)), none
    )
    return f"key {part[0].key!r}: {text}: a contradiction", list(dict.fromkeys(named))


def _when(operation: Operation) -> str:
    verb = {"get": "read", "set": "write", "delete": "delete"}[operation.kind]
    what = f" of {operation.value!r}" if operation.kind == "set" else ""
    end = f"ended at {operation.end:.6g}" if operation.end != math.inf else "was never seen to end"
    return f"the {verb}{what} by process {operation.process} that began at {operation.start:.6g} and {end}"


def _reads(part: Sequence[Operation]) -> list[Operation]:
    return [each for each in part if each.kind == "get" and each.ok]


def _writes(part: Sequence[Operation], value: object) -> list[Operation]:
    return [each for each in part if each.kind == "set" and each.value == value and each.may_have_happened]


def _without_a_source(part: Sequence[Operation]) -> Iterator[Argument]:
    """A read of what nobody had written."""
    for read in _reads(part):
        if read.result is None:
            continue
        writes = _writes(part, read.result)
        saw = f"{_when(read)} saw {read.result!r}"
        if not writes and any(each.kind == "set" and each.value == read.result for each in part):
            failed = [each for each in part if each.kind == "set" and each.value == read.result]
            yield f"{saw}; the only write of {read.result!r} failed, so it did not take effect", [*failed, read]
        elif not writes:
            yield f"{saw}; nobody ever wrote {read.result!r}", [read]
        elif all(read.precedes(write) for write in writes):
            first = min(writes, key=lambda each: each.start)
            text = f"the first write of {read.result!r} began at {first.start:.6g}, after that read was over"
            yield f"{saw}; {text}", [read, first]


def _missing(part: Sequence[Operation]) -> Iterator[Argument]:
    """A read of nothing, though something was there and nobody can have taken it away in between."""
    for read in _reads(part):
        if read.result is not None:
            continue
        before = [each for each in part if each.kind == "set" and each.ok and each.precedes(read)]
        deletes = [each for each in part if each.kind == "delete" and each.may_have_happened]
        for write in before:
            in_time = [each for each in deletes if not each.precedes(write) and each.start <= read.end]
            if not in_time:
                text = f"{_when(write)} was over before it, and no delete came in between"
                yield f"{_when(read)} saw no value; {text}", [write, read]


@dataclass(frozen=True, slots=True)
class _Zone:
    """When a value must have been there: without a break between ``since`` and ``until``, if it was there at two instants
    (``held``); otherwise at some instant from ``until`` to ``since``."""

    value: object
    write: Operation
    first: Operation
    last: Operation

    @property
    def since(self) -> float:
        return self.first.end

    @property
    def until(self) -> float:
        return self.last.start

    @property
    def held(self) -> bool:
        return self.since < self.until

    @property
    def named(self) -> list[Operation]:
        return [self.write, self.first, self.last]

    def text(self) -> str:
        if self.held:
            return (
                f"{self.value!r} was written once, so it was there without a break from the end of {_when(self.first)}"
                f" to the beginning of {_when(self.last)}"
            )
        return (
            f"{self.value!r} was there at some instant from {self.until:.6g} to {self.since:.6g} ({_when(self.first)})"
        )


def _zones(part: Sequence[Operation]) -> list[_Zone]:
    """The zones of the values that were written once, by a write that took effect for certain or was observed."""
    values = {repr(each.value): each.value for each in part if each.kind == "set"}
    zones = []
    for value in values.values():
        writes = _writes(part, value)
        about = [*writes, *(each for each in _reads(part) if each.result == value)]
        if len(writes) != 1 or not any(each.ok for each in about):
            continue
        first = min(about, key=lambda each: each.latest)
        zones.append(_Zone(value, writes[0], first, max(about, key=lambda each: each.start)))
    return zones


def _two_at_once(part: Sequence[Operation]) -> Iterator[Argument]:
    """Two values that must have been there at the same instant."""
    zones = _zones(part)
    for zone, other in itertools.permutations(zones, 2):
        if not zone.held:
            continue
        both_held = other.held and max(zone.since, other.since) < min(zone.until, other.until)
        within = not other.held and zone.since < other.until and other.since < zone.until
        if both_held or within:
            yield f"{zone.text()}; yet {other.text()}", [*zone.named, *other.named]
    for zone in zones:
        if zone.held:
            yield from _empty_within(zone, part)


def _empty_within(zone: _Zone, part: Sequence[Operation]) -> Iterator[Argument]:
    """Nothing was there at some instant at which a value was held."""
    for other in part:
        empty = (other.kind == "get" and other.result is None) or other.kind == "delete"
        if empty and other.ok and zone.since < other.start and other.end < zone.until:
            left = "saw no value" if other.kind == "get" else "left no value"
            yield f"{zone.text()}; yet {_when(other)} {left}", [*zone.named, other]


def _deletes(part: Sequence[Operation]) -> Iterator[Argument]:
    """More deletes that found something than writes that put something there, or one that found nothing."""
    told = [each for each in part if each.kind == "delete" and each.ok and each.result is True]
    writes = [each for each in part if each.kind == "set" and each.may_have_happened]
    if len(told) > len(writes):
        whose = "; ".join(map(_when, told))
        yield (
            f"{len(told)} deletes found a value, which each takes away, but only {len(writes)} can have been written ({whose})",
            [],
        )
    for delete in told:
        if all(delete.precedes(write) for write in writes):
            yield f"{_when(delete)} found a value; no write had begun by then", [delete, *writes[:1]]
    removers = [each for each in part if each.kind == "delete" and each.may_have_happened]
    for delete in removers:
        if not delete.ok or delete.result is not False:
            continue
        for write in (each for each in writes if each.ok and each.precedes(delete)):
            if not any(
                each is not delete and not each.precedes(write) and each.start <= delete.end for each in removers
            ):
                text = f"{_when(write)} was over before it, and no other delete came between"
                yield f"{_when(delete)} found no value; {text}", [write, delete]
