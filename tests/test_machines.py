"""The state machines: what they kill alone, that they draw borders on purpose, end in time, and can be extended."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.contracts import contract_for
from stackproof.contracts.case import Case
from stackproof.contracts.clauses import planned_clauses
from stackproof.contracts.expectations import ContractViolation
from stackproof.contracts.machines import (
    CORE,
    Budget,
    CacheMachine,
    Machine,
    SearchMachine,
    Stage,
    StoreMachine,
    explore,
)
from stackproof.contracts.machines.strategies import border_sizes
from stackproof.contracts.mutants import all_mutants
from stackproof.interfaces import CacheCapabilities, CacheValue, RejectedError

MACHINES: dict[str, type[Machine]] = {"cache": CacheMachine, "interactions": StoreMachine, "search": SearchMachine}
_numbers = itertools.count(1)
PATIENT = replace(CORE, seconds=100.0)
"""The normal number of sequences, also on a machine that is busy."""


def explored(
    concern: str, make: Callable[..., Any], kind: type[Machine] | None = None, seed: int = 1, budget: Budget = PATIENT
) -> Stage:
    """Run a machine as a clause does: two instances of one namespace, the normal number of sequences. Raises what it finds."""
    contract = contract_for(concern)()
    namespace = f"machines_{next(_numbers)}"
    contract.make_backend = lambda namespace: make(namespace=namespace)  # type: ignore[attr-defined]
    clause = next(p.clause for p in planned_clauses(contract_for(concern)) if p.clause.id.endswith("-40"))
    case = Case(clause, seed)
    handles = [case.instances.open(contract, namespace, case.journal) for _ in range(2)]
    contract.capabilities = contract.declared(handles[0])
    stage = Stage(contract, case, namespace, handles, budget)
    try:
        explore(kind or MACHINES[concern], stage)
    finally:
        case.instances.close(contract)
    return stage


def backend_of(mutant: str) -> type[Any]:
    return next(each.backend for each in all_mutants() if each.name == mutant)


@pytest.mark.parametrize(
    ("mutant", "what"),
    [
        ("cache:CutsTextsAt64Bytes", "a store that truncates values at 64 bytes"),
        ("interactions:CutsTextsAt64Bytes", "a store that truncates values at 64 bytes"),
        ("cache:WritesAllEntriesBack", "a store that loses a racing write"),
        ("interactions:LosesARacingContact", "a store that loses a racing write"),
        ("cache:DeletesByPrefix", "a store that matches prefixes by raw string"),
        ("interactions:MatchesCustomersByPrefix", "a store that matches prefixes by raw string"),
        ("search:DeletesByPrefix", "a store that matches prefixes by raw string"),
    ],
)
def test_a_machine_alone_kills(mutant: str, what: str) -> None:
    for seed in (1, 2):
        with pytest.raises(ContractViolation) as caught:
            explored(mutant.partition(":")[0], backend_of(mutant), seed=seed, budget=replace(PATIENT, shrinking=0.1))
        assert "found in a sequence of" in caught.value.why, what


def test_a_failing_sequence_is_made_small_and_its_calls_are_told() -> None:
    with pytest.raises(ContractViolation) as caught:
        explored("cache", backend_of("cache:DeletesByPrefix"), budget=replace(PATIENT, shrinking=30.0))
    sequence = caught.value.why.partition("found in a sequence of ")[2]
    assert int(sequence.partition(":")[0]) <= 4


def test_the_same_seed_makes_the_same_sequences() -> None:
    budget = Budget(
        examples=12, steps=15, seconds=100.0
    )  # a machine that is busy must not end one of them before the other
    runs = [explored("interactions", MemoryInteractionStore, seed=seed, budget=budget) for seed in (5, 5, 6)]
    assert runs[0].fired == runs[1].fired != runs[2].fired


def test_borders_are_drawn_on_purpose() -> None:
    assert {63, 64, 65, 999, 1000} <= set(border_sizes(1000))
    assert max(border_sizes(1000)) == 1000
    sizes: set[int] = set()

    class Measuring(MemoryCache):
        capabilities = replace(MemoryCache.capabilities, max_value_bytes=5000)

        def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
            sizes.add(len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else 0)
            super().set(key, value, ttl)

    explored("cache", Measuring)
    assert sizes & {63, 64, 65}
    assert sizes & {4999, 5000}


def test_a_slow_backend_gets_few_sequences() -> None:
    class Slow(MemorySearchIndex):
        def search(self, query: Any) -> Any:
            time.sleep(0.01)
            return super().search(query)

    budget = Budget(examples=500, steps=20, seconds=0.5)
    began = time.monotonic()
    stage = explored("search", Slow, budget=budget)
    assert budget.least <= stage.examples < 100
    assert time.monotonic() - began < 60


PLUGIN_TEST = """
import hypothesis.strategies as st

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.contracts import CacheContract
from stackproof.contracts.machines import CacheMachine, step

{machine}

class TestMine(CacheContract):
    machine = MyMachine

    def make_backend(self, namespace):
        return MemoryCache(namespace=namespace)
"""


def verdict_of(pytester: pytest.Pytester, machine: str) -> tuple[pytest.RunResult, str]:
    pytester.makepyfile(test_mine=PLUGIN_TEST.format(machine=machine))
    result = pytester.runpytest("-q", "-k", "any_sequence")
    lines = [line for line in result.outlines if "CACHE-40" in line]
    return result, "\n".join([*lines, *result.outlines[-3:]])


def test_a_machine_can_be_extended(pytester: pytest.Pytester) -> None:
    result, said = verdict_of(
        pytester,
        """
class MyMachine(CacheMachine):
    @step(number=st.integers(0, 8))
    def read_twice(self, number):
        assert self.handle(0).get(self.key(number)) == self.handle(1).get(self.key(number)) or True
""",
    )
    result.assert_outcomes(passed=1, deselected=result.parseoutcomes()["deselected"])
    assert "altered" not in said


def test_a_rule_that_never_fires_leaves_the_clause_undecided(pytester: pytest.Pytester) -> None:
    result, said = verdict_of(
        pytester,
        """
class MyMachine(CacheMachine):
    @step(when=lambda machine: False)
    def never(self):
        raise AssertionError
""",
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "INCONCLUSIVE" in said
    assert "all kinds of operations done: 0 of 1" in said


def test_a_machine_whose_rule_was_replaced_shows_as_altered(pytester: pytest.Pytester) -> None:
    result, said = verdict_of(
        pytester,
        """
class MyMachine(CacheMachine):
    def _read(self, on, key):
        pass
""",
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "altered" in said
    assert "MyMachine._read" in said


def test_a_machine_of_another_concern_is_refused(pytester: pytest.Pytester) -> None:
    result, said = verdict_of(
        pytester,
        "from stackproof.contracts.machines import SearchMachine\n\nclass MyMachine(SearchMachine):\n    pass\n",
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "CacheMachine" in said


def test_small_limits_bound_what_is_drawn() -> None:
    largest = 0

    class Tiny(MemoryCache):
        capabilities = CacheCapabilities(ttl_resolution=0.001, shared=True, max_key_bytes=16, max_value_bytes=80)

        def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
            nonlocal largest
            largest = max(largest, len(value) if isinstance(value, str | bytes) else 0)
            if isinstance(value, str | bytes) and len(value) > 80:
                raise RejectedError("too large")
            super().set(key, value, ttl)

    assert explored("cache", Tiny).examples > 5
    assert largest == 81, "the limit was tried, one byte more, and nothing beyond"


def test_few_sequences_are_enough_for_every_rule() -> None:
    """A further exploration begins with the rules that never fired: else a slow backend would stay undecided."""
    budget = Budget(examples=2, steps=8, seconds=100.0)
    silent = [explored("search", MemorySearchIndex, seed=seed, budget=budget).silent for seed in (1, 2, 5, 10, 12, 13)]
    assert sum(not each for each in silent) >= 4, silent
