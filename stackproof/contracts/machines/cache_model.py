"""The model of a cache: a dictionary with a clock, which knows how long an entry surely lives, and when it has surely gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from stackproof.interfaces import MISSING, CacheValue, Missing

TOLERANCE = 0.015
"""Seconds. Clocks tick coarsely, and a process waits for its turn."""

Answer = CacheValue | Missing


@dataclass(frozen=True, slots=True)
class Span:
    """The interval of a call, in seconds of one clock."""

    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A value; where it expires, it is there at least until ``surely_until``, and gone from ``gone_from`` on."""

    value: CacheValue
    surely_until: float = float("inf")
    gone_from: float = float("inf")


@dataclass(slots=True)
class CacheModel:
    """What a cache holds."""

    resolution: float
    entries: dict[str, Entry] = field(default_factory=dict)

    def wrote(self, key: str, value: CacheValue, ttl: float | None, span: Span) -> None:
        """A `set` returned."""
        if ttl is not None and ttl <= 0:
            self.entries.pop(key, None)
        elif ttl is None:
            self.entries[key] = Entry(value)
        else:
            self.entries[key] = Entry(
                value, span.began + ttl - TOLERANCE, span.ended + ttl + self.resolution + TOLERANCE
            )

    def removed(self, key: str) -> None:
        """A `delete` returned."""
        self.entries.pop(key, None)

    def answers(self, key: str, span: Span) -> list[Answer]:
        """What a read in this interval may answer."""
        entry = self.entries.get(key)
        if entry is None or span.began >= entry.gone_from:
            return [MISSING]
        return [entry.value] if span.ended < entry.surely_until else [entry.value, MISSING]


@dataclass(frozen=True, slots=True)
class Call:
    """One of two calls at the same time: ``get``, ``set`` or ``delete``."""

    kind: str
    key: str
    value: str = ""


State = dict[str, CacheValue]


def outcomes(state: State, calls: tuple[Call, Call], answers: list[object]) -> list[State]:
    """The states that the two orders of two calls leave behind, where they explain the answers."""
    first, second = calls
    found = []
    for order, seen in (((first, second), answers), ((second, first), answers[::-1])):
        after, expected = _in_order(state, order)
        if expected == seen:
            found.append(after)
    return found


def _in_order(state: State, order: tuple[Call, Call]) -> tuple[State, list[object]]:
    after = dict(state)
    return after, list(_answers(after, order))


def _answers(state: State, order: tuple[Call, Call]) -> Iterator[object]:
    for call in order:
        if call.kind == "get":
            yield state.get(call.key, MISSING)
        elif call.kind == "set":
            state[call.key] = call.value
            yield None
        else:
            yield state.pop(call.key, MISSING) is not MISSING
