"""A pair: one operation of an adapter, and the same statements through its driver alone.

The twin is what a careful user of the driver would write to get the same answer: the same statements, encoding,
acknowledgement and time limits, connections that may be used by several threads, and the records of `stackproof.interfaces`
as results. What it leaves out is what only the adapter promises: its checks of the input, its own errors, `disconnect` that
waits, and what is done where a server fails.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar

from stackproof.adapters.settings import Settings

Call = Callable[[Any], object]

_MARK = "_stackproof_operation"
M = TypeVar("M", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Pair:
    """Two ways to do the same."""

    adapter: Call
    """Does the operation through the adapter, with one item."""
    raw: Call
    """The same through the driver."""
    item: Callable[[int], Any]
    """What the n-th call is given. Made before the time is taken; no two calls share a number."""
    comparable: bool = True
    """Whether both give an equal answer to an equal item. Then that is checked before anything is measured."""
    most: int = 2_000
    """Calls in one block at most: for what fills a server."""
    finish: Callable[[], None] = lambda: None
    """Called after a block, outside of what is measured."""


class UnequalError(AssertionError):
    """The twin does something else: what it costs would say nothing."""


def check_equal(pair: Pair, numbers: range = range(-5, 0)) -> None:
    """Raise `UnequalError` where adapter and twin answer differently."""
    for number in numbers:
        ours, theirs = pair.adapter(pair.item(number)), pair.raw(pair.item(number))
        if pair.comparable and ours != theirs:
            raise UnequalError(f"the adapter answers {ours!r:.300}, its driver alone {theirs!r:.300}")


def operation(name: str) -> Callable[[M], M]:
    """Marks a method of `Twins` that gives the pair of this operation."""

    def mark(method: M) -> M:
        setattr(method, _MARK, name)
        return method

    return mark


class Twins(ABC):
    """All pairs of one backend, with what they need: an adapter, and its driver. Nothing is connected before it is entered."""

    backend: ClassVar[str]
    """Such as ``cache=redis``."""
    driver: ClassVar[str]
    """What the twin calls, for the table: ``redis-py``."""

    def __init__(self, settings: Settings, namespace: str) -> None:
        self.settings = settings
        self.namespace = namespace

    @classmethod
    def operations(cls) -> tuple[str, ...]:
        """The names of the operations, as they stand in the class and its bases."""
        return tuple(cls._methods())

    def pair(self, name: str) -> Pair:
        """The pair of an operation."""
        made: Pair = getattr(self, self._methods()[name])()
        return made

    @classmethod
    def _methods(cls) -> dict[str, str]:
        found = {}
        for base in reversed(cls.__mro__):
            for attribute, method in vars(base).items():
                if hasattr(method, _MARK):
                    found[getattr(method, _MARK)] = attribute
        return found

    @abstractmethod
    def open(self) -> None:
        """Make both, and whatever data the operations need."""

    @abstractmethod
    def close(self) -> None:
        """Remove the data, close both."""

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
