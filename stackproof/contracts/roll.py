"""The roll of a session: which contract classes were met while pytest collected, with which tests, and which of these run.

It is taken while tests are found, so that a hook which takes some away afterwards takes them away from the run only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from .selection import Selection

NOT_ASKED_FOR = "not executed: deselected on the command line"
NOT_REACHED = "not executed: the session ended before it"
TAKEN_AWAY = "not executed: deselected"

Method = tuple[type[Any], str]
"""A contract class and the name of one of its methods."""


@dataclass(slots=True)
class Roll:
    """What was met, what was taken away again, what is to run."""

    selection: Selection = field(default_factory=Selection)
    classes: dict[type[Any], str] = field(default_factory=dict)
    """Contract class -> its node id."""
    _items: dict[pytest.Item, Method] = field(default_factory=dict)
    _deselected: set[pytest.Item] = field(default_factory=set)
    _running: set[pytest.Item] = field(default_factory=set)

    def meet(self, owner: type[Any], nodeid: str) -> None:
        self.classes.setdefault(owner, nodeid)

    def collected(self, item: pytest.Item) -> None:
        """A test was found."""
        owner = getattr(item, "cls", None)
        if owner in self.classes:
            self._items[item] = owner, getattr(item, "originalname", item.name)

    def known(self) -> Iterable[pytest.Item]:
        return self._items

    def deselected(self, items: Iterable[pytest.Item]) -> None:
        """pytest was told that these do not run."""
        self._deselected.update(items)

    def to_run(self, items: Iterable[pytest.Item]) -> Counter[Method]:
        """What is left in the end, and how often each method of a contract class will be called."""
        for item in items:
            self.collected(item)
            self._running.add(item)
        return Counter(method for item, method in self._items.items() if item in self._running)

    def why_not(self, owner: type[Any], method: str) -> tuple[str, str]:
        """Why a method was not called, or not with all its parameters: the reason, and in what way the session is altered."""
        absent = [item for item, known in self._items.items() if known == (owner, method) and item not in self._running]
        met = any(known == (owner, method) for known in self._items.values())
        if met and not absent:
            return NOT_REACHED, ""
        if not met and self.selection.is_of_a_part(self.classes[owner]):
            return NOT_ASKED_FOR, ""
        if met and all(item in self._deselected and self.selection.spares(item.nodeid) for item in absent):
            return NOT_ASKED_FOR, ""
        return TAKEN_AWAY, "taken out of the session, and not by what was typed on the command line" if met else (
            "pytest did not collect it"
        )
