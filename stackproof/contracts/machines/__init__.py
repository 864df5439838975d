"""State machines: any sequence of operations on a backend, compared with a model. One for each concern, open to be extended.

Hypothesis makes the sequences and makes a failing one small. It is imported here and nowhere else in the contracts, so
that nobody waits for it who runs no machine.
"""

from .cache import CacheMachine
from .events import EventsMachine
from .logs import LogsMachine
from .machine import Machine, bounded, explore, step
from .search import SearchMachine
from .stage import CORE, FULL, Budget, Stage
from .store import StoreMachine

__all__ = [
    "CORE",
    "FULL",
    "Budget",
    "CacheMachine",
    "EventsMachine",
    "LogsMachine",
    "Machine",
    "SearchMachine",
    "Stage",
    "StoreMachine",
    "bounded",
    "explore",
    "step",
]
