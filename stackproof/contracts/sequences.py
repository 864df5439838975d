"""How a clause runs a state machine. The machines themselves are in `machines`, and imported when a clause runs one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from stackproof.interfaces import ConfigurationError

from .case import Case
from .contract import B, Contract
from .evidence import Evidence

if TYPE_CHECKING:
    from .machines import Machine

EXAMPLES = "sequences of operations"
STEPS = "operations in sequences"
LOOKS = "looks around the adapter"
ALL_RULES = "all kinds of operations done"
SEES = ((EXAMPLES, 5), (STEPS, 100), (ALL_RULES, 1))
"""What every clause with a machine must see."""


class SequenceClauses(Contract[B]):
    """A contract with a state machine."""

    machine: ClassVar[type[Machine] | None] = None
    """A subclass of the concern's machine, with further steps. None: the machine as it is."""

    shrink_seconds: ClassVar[float] = 3.0
    """How long a failing sequence is made smaller, twice: by what was drawn, and by its steps."""

    explore_seconds: ClassVar[float | None] = None
    """How long sequences are explored; None: as long as the profile says."""

    def explore_sequences(
        self, kind: type[Machine], case: Case, namespace: str, handles: list[Any], evidence: Evidence
    ) -> None:
        """Run the contract's machine, and say what it saw."""
        __tracebackhide__ = True
        from .machines import CORE, FULL, Stage, explore

        machine = self.machine or kind
        if not issubclass(machine, kind):
            raise ConfigurationError(f"the machine of this contract is a {kind.__name__}, not {machine.__name__}")
        budget = replace(FULL if case.thorough else CORE, shrinking=self.shrink_seconds)
        if self.explore_seconds is not None:
            budget = replace(budget, seconds=self.explore_seconds)
        stage = Stage(self, case, namespace, handles, budget, self.around(namespace))
        try:
            explore(machine, stage)
        finally:
            if stage.around is not None:
                stage.around.close()
                evidence.saw(LOOKS, stage.looks)
            evidence.saw(EXAMPLES, stage.examples)
            evidence.saw(STEPS, stage.fired.total())
        if stage.silent:
            evidence.saw(f"never done: {', '.join(stage.silent)}")
        evidence.saw(ALL_RULES, int(not stage.silent))
