"""The clause about memory, which all concerns share: what is closed and dropped is freed."""

from __future__ import annotations

import gc
import time
from collections import Counter
from typing import Any, TypeVar

from .clauses import clause
from .contract import Contract
from .evidence import Evidence
from .expectations import ContractViolation
from .journal import unwrapped

M = TypeVar("M")

ROUNDS = 2
"""After a first one, which is not judged."""
INSTANCES = 8
"""In each round. A leak leaves at least one object of each of them, and that in every round."""
SETTLE_SECONDS = 3.0
"""What threads that were told to end may need to let go of their objects."""


class MemoryClauses(Contract[M]):
    """What holds for the objects of an instance after its end."""

    @clause(
        "LIFE-15",
        "What an instance held in memory is freed once it is closed and dropped.",
        because="a worker that makes and closes instances for weeks grows until it is killed, in the middle of a request",
        learnt_from=("X2",),
        profile="full",
        sees=("instances opened and closed", (1 + ROUNDS) * INSTANCES),
        seconds=240.0,
    )
    def test_a_closed_instance_is_freed(self, backend: Any, namespace: str, evidence: Evidence) -> None:
        kept = unwrapped(backend)
        left: list[Counter[str]] = []
        for _ in range(1 + ROUNDS):
            # What the data themselves take, where they are in this process, is no leak: it is the same with one instance.
            before = _objects()
            for _ in range(INSTANCES):
                self.exercise(kept)
            after_one = _objects()
            for _ in range(INSTANCES):
                instance = unwrapped(self.make_backend(namespace))
                self.exercise(instance)
                self.close_backend(instance)
                evidence.saw("instances opened and closed")
            del instance
            self.exercise(kept)  # now nobody here has the last one in hand
            left.append(_left(after_one, usual=after_one.total() - before.total()))
        del left[0]  # what is made once and kept, by a driver and by Python itself, was made in the first round
        if all(objects.total() >= INSTANCES for objects in left):
            most = ", ".join(f"{number} {name}" for name, number in left[-1].most_common(4))
            seen = f"{left[-1].total()} objects more than one open instance leaves; most of them: {most}"
            raise ContractViolation(f"what {INSTANCES} closed instances leave in memory", "nothing", seen)


def _objects() -> Counter[str]:
    """The objects that the collector knows, by type."""
    gc.collect()
    return Counter(type(thing).__name__ for thing in gc.get_objects())


def _left(before: Counter[str], usual: int) -> Counter[str]:
    """The types of which there are more now, after waiting for threads that still end; none, where no more than usual."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (now := _objects()).total() - before.total() - usual >= INSTANCES:
        if time.monotonic() > deadline:
            return now - before
        time.sleep(0.05)
    return Counter()
