"""How a mutant is declared, and the list of all of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

_Class = TypeVar("_Class", bound=type[Any])

CONCERNS = ("cache", "events", "interactions", "search", "logs")


@dataclass(frozen=True, slots=True)
class Mutant:
    """The reference with one defect."""

    name: str
    concern: str
    backend: type[Any]
    of: type[Any]
    killed_by: str
    """The clause that must FAIL on it."""
    imitates: str
    """The row of the bug catalogue that had this defect; empty where the interface alone taught it."""

    @property
    def defect(self) -> str:
        """The defect, in one sentence."""
        return (self.backend.__doc__ or "").strip().splitlines()[0]


_MUTANTS: dict[str, Mutant] = {}


def mutant(*, of: type[Any], killed_by: str, imitates: str = "") -> Callable[[_Class], _Class]:
    """Declare a class (a subclass of the reference ``of``, with a docstring that names its one defect) as a mutant."""

    def register(kind: _Class) -> _Class:
        concern = kind.__module__.rpartition(".")[2].partition("_")[0]
        name = f"{concern}:{kind.__name__}"
        if not kind.__doc__ or kind.__doc__ == of.__doc__:
            raise ValueError(f"the mutant {name} needs a docstring that names its defect")
        if name in _MUTANTS:
            raise ValueError(f"two mutants are called {name}")
        _MUTANTS[name] = Mutant(name, concern, kind, of, killed_by, imitates)
        return kind

    return register


def all_mutants() -> list[Mutant]:
    """Every mutant, by concern, in order of definition."""
    for concern in CONCERNS:
        importlib.import_module(f"{__package__}.{concern}")
    return sorted(_MUTANTS.values(), key=lambda m: CONCERNS.index(m.concern))
