"""A case: one clause that runs once on one backend, with everything that it opened, saw and did."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from .callers import Callers
from .clauses import Clause
from .evidence import Evidence
from .instances import Instances
from .journal import Journal


@dataclass(slots=True)
class Case:
    """The state of one running clause."""

    clause: Clause
    seed: int
    thorough: bool = False
    """Whether the profile is ``full``: what can be done for longer is."""
    evidence: Evidence = field(default_factory=Evidence)
    journal: Journal = field(default_factory=Journal)
    callers: Callers = field(default_factory=Callers)
    instances: Instances = field(default_factory=Instances)
    declared: Any = None
    """The capabilities that hold for the backend."""
    own: Any = None
    """Those that its own class declares, where the test class declares others."""
    absent: bool = False
    """Whether the proof of absence ran instead of the clause."""
    absence_visible: bool = True
    """Whether it can prove anything, see `absence`."""

    @property
    def rng(self) -> random.Random:
        """Random numbers that depend on the seed and the clause only."""
        return random.Random(f"{self.seed}:{self.clause.id}")  # noqa: S311 - test data
