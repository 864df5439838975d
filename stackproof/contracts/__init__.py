"""Contracts: what a third party subclasses to hold a backend to its interface. Imports no driver.

    from stackproof.contracts import CacheCapabilities, CacheContract

    class TestMyCache(CacheContract):
        capabilities = CacheCapabilities(ttl_resolution=0.001)

        def make_backend(self, namespace):
            return MyCache(prefix=namespace)

Names are imported when they are asked for: pytest loads this package at every start, wherever it is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stackproof.interfaces.capabilities import (
    CacheCapabilities,
    Delivery,
    EventCapabilities,
    InteractionCapabilities,
    LogCapabilities,
    Order,
    SearchCapabilities,
)

from . import guard

if TYPE_CHECKING:
    from .asyncio_bridge import bridged
    from .cache import CacheContract
    from .clauses import Clause, absence, clause
    from .contract import Contract
    from .events import EventContract
    from .expectations import ContractViolation, eventually, expect, expect_error
    from .interactions import InteractionContract
    from .logs import LogContract
    from .search import SearchContract
    from .verdicts import Verdict

_HOMES = {
    "CacheContract": "cache",
    "EventContract": "events",
    "InteractionContract": "interactions",
    "LogContract": "logs",
    "SearchContract": "search",
    "Clause": "clauses",
    "clause": "clauses",
    "absence": "clauses",
    "Contract": "contract",
    "ContractViolation": "expectations",
    "expect": "expectations",
    "expect_error": "expectations",
    "eventually": "expectations",
    "bridged": "asyncio_bridge",
    "Verdict": "verdicts",
}

CONCERNS = ("interactions", "events", "search", "cache", "logs")
"""The five concerns, in the order of the system's own description."""


def contract_for(concern: str) -> type[Contract[Any]]:
    """The contract of a concern."""
    name = {"interactions": "Interaction", "events": "Event", "search": "Search", "cache": "Cache", "logs": "Log"}[
        concern
    ]
    found: type[Contract[Any]] = getattr(importlib.import_module(f"{__name__}.{concern}"), f"{name}Contract")
    return found


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


__all__ = [
    "CONCERNS",
    "CacheCapabilities",
    "CacheContract",
    "Clause",
    "Contract",
    "ContractViolation",
    "Delivery",
    "EventCapabilities",
    "EventContract",
    "InteractionCapabilities",
    "InteractionContract",
    "LogCapabilities",
    "LogContract",
    "Order",
    "SearchCapabilities",
    "SearchContract",
    "Verdict",
    "absence",
    "bridged",
    "clause",
    "contract_for",
    "eventually",
    "expect",
    "expect_error",
]

guard.watch()  # before any other module of the suite is there to be patched
