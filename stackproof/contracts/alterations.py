"""What a third party changed of a contract besides its clauses: fixtures and helpers decide what a clause really looks at."""

from __future__ import annotations

from typing import Any

HOOKS = frozenset(
    {
        "make_backend",
        "make_unreachable",
        "make_faulty",
        "remove_namespace",
        "close_backend",
        "capabilities",
        "delivered",
        "delivery_seconds",
        "target_name",
        "only_clauses",
        "shrink_seconds",
        "machine",
        "around",
    }
)
"""What a third party fills in. Everything else of a contract is ours."""

_ALWAYS = frozenset({"declared", "meets", "__getattribute__"})
"""What changes every clause of every contract: what the backend declares, and what is found under any name."""

_OURS = "stackproof.contracts."


def alteration_of(contract: type[Any]) -> str:
    """Which part of the contract a subclass replaced, in a few words; empty where it only filled in the hooks.

    Clause methods are not looked at here: the plan tells about each of them. A contract for which a third party writes
    `exercise` for the first time (a concern of its own) replaces nothing.
    """
    ours = [base for base in contract.__mro__ if base.__module__.startswith(_OURS)]
    fixed = {name for base in ours if getattr(base, "concern", "") for name in vars(base)}
    fixtures = {name for base in ours for name, value in vars(base).items() if _is_fixture(value)}
    for base in contract.__mro__:
        if base in ours or base is object:
            continue
        for name in vars(base):
            if name in _ALWAYS:
                return f"{name} was replaced in {base.__qualname__}"
            if name in HOOKS or name.startswith(("__", "test_", "_abc_")):
                continue
            if name in fixed | fixtures:
                return f"{name} was replaced in {base.__qualname__}"
    return _alteration_of_machine(getattr(contract, "machine", None))


def _alteration_of_machine(machine: type[Any] | None) -> str:
    """A state machine may get further steps; what the suite's own one does must stay."""
    mro = machine.__mro__ if machine is not None else ()
    ours = [base for base in mro if base.__module__.startswith(_OURS)]
    fixed = {name for base in ours for name in vars(base) if not name.startswith("__")}
    for base in mro:
        if base in ours or base.__module__.startswith("hypothesis."):
            continue
        replaced = sorted(fixed & vars(base).keys())
        if replaced:
            return f"{base.__qualname__}.{replaced[0]} was replaced"
    return ""


def _is_fixture(value: object) -> bool:
    return type(value).__name__ in ("FixtureFunctionDefinition", "FixtureFunctionMarker")
