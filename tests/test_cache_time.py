"""How long entries live: what is told of one that does not go."""

from __future__ import annotations

from typing import Any

import pytest

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.contracts import CacheContract, cache_time
from stackproof.contracts.cache_time import must_expire, observe_lives
from stackproof.contracts.evidence import Evidence
from stackproof.contracts.expectations import ContractViolation
from stackproof.interfaces import MISSING, CacheValue


class Nones(MemoryCache):
    """A miss is told with None."""

    def get(self, key: str) -> Any:
        found = super().get(key)
        return None if found is MISSING else found


class Keeps(MemoryCache):
    def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        super().set(key, value)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_time, "GRACE_SECONDS", 0.1)


@pytest.mark.parametrize(
    ("kind", "words"), [(Nones, "s: get gave None, which is not MISSING"), (Keeps, "s: get gave 'v'")]
)
def test_what_was_seen_of_an_entry_that_stays(kind: type[MemoryCache], words: str) -> None:
    cache = kind()
    cache.set("k", "v", ttl=0.05)
    with pytest.raises(ContractViolation) as raised:
        must_expire(cache, "k", 0.05, 0.0)
    assert raised.value.seen.endswith(words)
    lives = observe_lives(cache, {0.05: lambda: cache.set("0.05 s", "v", ttl=0.05)}, 0.0)
    with pytest.raises(ContractViolation) as raised:
        lives[0.05].must_be(0.05, 0.0)
    assert raised.value.seen.endswith(words)


def test_what_was_read_counts_also_where_the_entry_does_not_go(monkeypatch: pytest.MonkeyPatch) -> None:
    class KeepsForEver(MemoryCache):
        def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
            super().set(key, value, None if ttl and ttl > 0.1 else ttl)

    monkeypatch.setattr(cache_time, "GRACE_SECONDS", 0.0)
    contract, evidence = CacheContract(), Evidence()
    contract.capabilities = KeepsForEver.capabilities
    with pytest.raises(ContractViolation, match=r"an entry that was set with ttl=0\.4"):
        contract.test_a_ttl_means_what_it_says(KeepsForEver(), evidence)
    assert evidence.counts()["reads of live entries"] > 10
