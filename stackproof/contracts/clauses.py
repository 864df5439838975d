"""A clause: one rule of a contract, as a value that hangs on the test method which checks it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from .alterations import alteration_of

_Function = TypeVar("_Function", bound=Callable[..., None])

CLAUSE_ATTRIBUTE = "__stackproof_clause__"
ABSENCE_ATTRIBUTE = "__stackproof_absence__"
VISIBLE_ATTRIBUTE = "__stackproof_absence_is_visible__"
BIRTH_ATTRIBUTE = "__stackproof_born_with__"
"""On a contract class: the clause methods that it was made with, so that one which is deleted later is missed."""
ABSENCE_EVIDENCE = "absence probes"
"""What a proof of absence must have seen at least once."""
PROFILES = ("core", "full")


@dataclass(frozen=True, slots=True)
class Need:
    """The capability that a clause is about: declared when its value is one of ``values`` (none given: when it is true)."""

    capability: str
    values: tuple[object, ...] = ()

    def met_by(self, capabilities: object) -> bool:
        value = getattr(capabilities, self.capability)
        return value in self.values if self.values else bool(value)

    def __str__(self) -> str:
        named = " or ".join(str(getattr(value, "value", value)) for value in self.values)
        return f"{self.capability} = {named}" if named else self.capability


@dataclass(frozen=True, slots=True)
class Clause:
    """One rule of a contract."""

    id: str
    rule: str
    """One sentence that states the rule."""
    because: str
    """Why it matters to somebody who uses the backend."""
    learnt_from: tuple[str, ...]
    """Rows of the bug catalogue: real adapters that broke it."""
    sees: tuple[tuple[str, int], ...]
    """The evidence that must be seen for a PASS: names and minimal counts."""
    needs: Need | None
    """The capability that makes it apply; without it, absence is proven instead. None: core, nobody can opt out."""
    profile: str
    """"core" clauses always run, "full" ones only with ``--profile full``."""
    since: str
    seconds: float
    """After this long the clause is INCONCLUSIVE. What it waits for the backend, in bounded time, does not count: how long
    that is, the backend declares."""
    provisional: bool = False


def clause(
    id: str,  # noqa: A002 - the field's name for it
    rule: str,
    *,
    because: str,
    sees: tuple[str, int] | tuple[tuple[str, int], ...],
    learnt_from: tuple[str, ...] = (),
    needs: str | tuple[str, object] | None = None,
    profile: str = "core",
    since: str = "0.1",
    seconds: float = 60.0,
    provisional: bool = False,
) -> Callable[[_Function], _Function]:
    """Declare that a test method of a contract checks this clause."""
    sightings: tuple[tuple[str, int], ...]
    sightings = (sees,) if isinstance(sees[0], str) else sees
    if not sightings or any(minimum < 1 for _, minimum in sightings):
        raise ValueError(f"{id}: a clause without evidence could pass on nothing")
    if profile not in PROFILES:
        raise ValueError(f"{id}: the profile is one of {PROFILES}, not {profile!r}")
    value = Clause(id, rule, because, learnt_from, sightings, _need(needs), profile, since, seconds, provisional)

    def attach(function: _Function) -> _Function:
        setattr(function, CLAUSE_ATTRIBUTE, value)
        return function

    return attach


def absence(clause_id: str, *, visible: bool = True) -> Callable[[_Function], _Function]:
    """Declare that a method proves the absence of the capability which the clause needs.

    It runs instead of the clause when the capability is not declared, with the same fixtures (its parameters are
    a subset of the clause's), and registers `ABSENCE_EVIDENCE`. ``visible=False`` says that no proof is possible: what
    is not promised may still be there, by chance. Then the method holds what must be kept without the capability.
    """

    def attach(function: _Function) -> _Function:
        setattr(function, ABSENCE_ATTRIBUTE, clause_id)
        setattr(function, VISIBLE_ATTRIBUTE, visible)
        return function

    return attach


def clause_of(function: object) -> Clause | None:
    """The clause that a function checks."""
    return getattr(function, CLAUSE_ATTRIBUTE, None)


@dataclass(frozen=True, slots=True)
class Planned:
    """A clause as one contract class has it."""

    clause: Clause
    method: str
    altered: str
    """How a subclass changed it; empty where it is the contract's own."""
    body: object = None
    """The function that was declared with the clause, to be told from what is called in its place."""


def planned_clauses(contract: type[Any], profile: str = "full") -> Iterator[Planned]:
    """The clauses of a contract class, by id (LIFE last); those that a subclass replaced or removed are marked.

    The plan comes from the classes that first declared each method, so that a subclass cannot make a clause vanish.
    """
    first: dict[str, Clause] = {}
    origin: dict[str, object] = {}
    again: dict[str, str] = {}
    methods: dict[str, str] = {}
    everything = alteration_of(contract)
    for base in reversed(contract.__mro__):
        for name, function in {**vars(base), **base.__dict__.get(BIRTH_ATTRIBUTE, {})}.items():
            found = clause_of(function)
            if found is None or name in first:
                continue
            if found.id in methods:  # the first one stays the clause: another body under its id must not answer for it
                again[methods[found.id]] = f"{found.id} was declared again by {base.__qualname__}.{name}"
                continue
            first[name], origin[name], methods[found.id] = found, function, name
    for name, value in sorted(first.items(), key=lambda item: _by_id(item[1].id)):
        if profile == "core" and value.profile != "core":
            continue
        current = inspect.getattr_static(contract, name, None)
        altered = again.get(name, "") or everything or _other_proof(contract, value)
        if current is None:
            altered = f"{name} was removed"
        elif current is not origin[name]:
            altered = f"{name} was overridden in {getattr(current, '__qualname__', contract.__qualname__)}"
        yield Planned(value, name, altered, origin[name])


def _other_proof(contract: type[Any], value: Clause) -> str:
    """Whether somebody declared another proof of absence than the first one."""
    found = [function for _, function in _proofs(contract, value.id)]
    name = next((name for name, _ in _proofs(contract, value.id)), "")
    if len(found) > 1 or (found and inspect.getattr_static(contract, name, None) is not found[0]):
        return f"the proof that {value.needs} is absent was replaced"
    return ""


def _by_id(clause_id: str) -> tuple[bool, str, int, str]:
    """The order of clauses: those of the concern by number, then those that all concerns share."""
    prefix, _, number = clause_id.rpartition("-")
    return prefix == "LIFE", prefix, int(number) if number.isdigit() else 0, number


def absence_proof(contract: type[Any], clause_id: str) -> Callable[..., None] | None:
    """The method that proves the absence of what a clause needs: the first one, so that no subclass brings another."""
    return next((proof for _, proof in _proofs(contract, clause_id)), None)


def _proofs(contract: type[Any], clause_id: str) -> Iterator[tuple[str, Callable[..., None]]]:
    """Every method that was declared to be the proof, with its name; the first one first."""
    for base in reversed(contract.__mro__):
        for name, function in vars(base).items():
            if getattr(function, ABSENCE_ATTRIBUTE, None) == clause_id:
                yield name, function


def _need(needs: str | tuple[str, object] | None) -> Need | None:
    if needs is None:
        return None
    if isinstance(needs, str):
        return Need(needs)
    name, values = needs
    return Need(name, values if isinstance(values, tuple) else (values,))
