"""The clause of the cache about histories: what concurrent callers see together has one order."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from stackproof.interfaces import MISSING, CacheStore, CacheValue, Missing

from .cache_fetches import CacheFetchClauses
from .callers import Callers
from .clauses import clause
from .evidence import Evidence
from .histories import Recorder, check_register
from .judged_history import DECIDED, ENOUGH, OVERLAPPING, InStep, must_be_valid, rounds

CALLERS = 6
ROUNDS = 4
OPERATIONS = 60
"""Of each caller, in each round."""
KEYS = ("a", "b")
"""Few, so that callers meet."""


class CacheHistoryClauses(CacheFetchClauses):
    """Concurrent get, set and delete of the same keys."""

    @clause(
        "CACHE-23",
        "What concurrent callers set, delete and get has one order per key that explains every answer.",
        because="a cache that loses a racing write, or brings a deleted entry back, serves what nobody can explain",
        learnt_from=("C4",),
        sees=((OVERLAPPING, ENOUGH), (DECIDED, ROUNDS)),
        seconds=60.0,
    )
    def test_every_key_is_a_register(
        self,
        cache: CacheStore,
        another: Callable[[], CacheStore],
        callers: Callers,
        rng: random.Random,
        evidence: Evidence,
    ) -> None:
        instances = [cache, another() if self.capabilities.shared else cache]
        for round_number in rounds(ROUNDS, evidence):
            recorder, pace = Recorder(), InStep(CALLERS)
            keys = tuple(f"{key}{round_number}" for key in KEYS)
            work = [
                partial(_work, instances[caller % 2], caller, keys, random.Random(rng.random()), recorder, pace)  # noqa: S311
                for caller in range(CALLERS)
            ]
            callers.each(work)
            history = recorder.history()
            what = "what concurrent callers of get, set and delete saw"
            expected = "one order of all operations on a key in which each read sees the latest value"
            must_be_valid(check_register(history), history, evidence, what, expected)


def _work(
    cache: CacheStore, caller: int, keys: tuple[str, ...], rng: random.Random, recorder: Recorder, pace: InStep
) -> None:
    """One caller's operations: every value is written once, so that a read tells which write it saw."""
    for number in range(OPERATIONS):
        if number % 4 == 0:
            pace.wait()
        key = rng.choice(keys)
        kind = rng.choices(("get", "set", "delete"), (5, 4, 1))[0]
        value = f"{caller}.{number}"
        if kind == "get":
            recorder.call(kind, key, partial(cache.get, key), process=caller, answer=_or_nothing)
        elif kind == "set":
            recorder.call(kind, key, partial(cache.set, key, value), process=caller, value=value)
        else:
            recorder.call(kind, key, partial(cache.delete, key), process=caller, answer=bool)


def _or_nothing(found: CacheValue | Missing) -> Any:
    return None if found is MISSING else found
