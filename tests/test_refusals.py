"""A backend that refuses what is declared to fit: whose fault it is said to be, and which limits are named."""

from __future__ import annotations

from typing import Any

import pytest
from plugin_samples import run

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.contracts import CacheContract
from stackproof.contracts.case import Case
from stackproof.contracts.clauses import clause_of
from stackproof.contracts.judge import judge
from stackproof.contracts.refusals import raised_call, told_limits
from stackproof.contracts.verdicts import Verdict
from stackproof.interfaces import CacheCapabilities, UnavailableError

SHORT_KEYS = """
    class ShortKeys(MemoryCache):
        capabilities = CacheCapabilities(max_key_bytes=256)

        def _short(self, key):
            if len(key.encode(errors="replace")) > 256:
                raise RejectedError("key size")

        def get(self, key):
            self._short(key)
            return super().get(key)

        def set(self, key, value, ttl=None):
            self._short(key)
            return super().set(key, value, ttl)

        def delete(self, key):
            self._short(key)
            return super().delete(key)

    class TestShort(CacheContract):
        capabilities = CacheCapabilities(ttl_resolution=0.001)

        def make_backend(self, namespace):
            return ShortKeys(namespace=namespace)
"""


def test_a_declaration_that_replaces_the_adapters_own_is_named(pytester: pytest.Pytester) -> None:
    imports = """
    from stackproof.contracts import CacheContract
    from stackproof.interfaces import RejectedError
    """
    _, rows = run(pytester, imports + SHORT_KEYS, "-k", "TestShort", *CLAUSES)
    for clause in ("CACHE-09", "CACHE-40"):
        row: dict[str, Any] = rows[clause]
        assert row["verdict"] == "FAIL", row["reason"]
        assert "RejectedError: key size" in row["failure"]["headline"]
        assert row["failure"]["headline"].startswith("cache.")
        assert "max_key_bytes=1024 (the default) is declared" in row["failure"]["seen"]
        assert "replaces the adapter's own as a whole, which has max_key_bytes=256" in row["failure"]["seen"]


CLAUSES = ("--stackproof-clause", "CACHE-09", "--stackproof-clause", "CACHE-40")


def test_sizes_stand_beside_the_limits_that_they_are_about() -> None:
    call = raised_call(MemoryCache().set, "cache.set", ("é" * 150,), {"value": {"a": 1}})
    assert told_limits(call, CacheCapabilities(max_key_bytes=999), None) == (
        "key of 300 bytes; max_key_bytes=999 is declared"
    )
    assert told_limits(None, object(), None) == ""


def test_a_backend_error_that_no_journal_saw_is_no_crash_of_the_clause() -> None:
    clause = clause_of(CacheContract.test_any_sequence_is_that_of_a_dictionary)
    assert clause is not None
    verdict, reason, failure = judge(Case(clause, seed=1), UnavailableError("gone"))
    assert verdict is Verdict.FAIL
    assert failure is not None
    assert "UnavailableError: gone" in reason


REMEMBERS = """
    from stackproof.contracts import CacheContract

    class Remembers(MemoryCache):
        fetched = {}

        def get_or_fetch(self, key, fetch, ttl=None):
            if key not in self.fetched:
                self.fetched[key] = super().get_or_fetch(key, fetch, ttl)
            return self.fetched[key]

    class TestRemembers(CacheContract):
        shrink_seconds = 0.2

        def make_backend(self, namespace):
            return Remembers(namespace=namespace)
"""


def test_a_fetch_that_was_left_out_is_what_was_expected(pytester: pytest.Pytester) -> None:
    _, rows = run(pytester, REMEMBERS, "-k", "TestRemembers", "--stackproof-clause", "CACHE-40")
    failure = rows["CACHE-40"]["failure"]
    assert failure["headline"].endswith("without a fetch: expected a fetch: the key has no entry"), failure
    assert failure["seen"].startswith("no fetch, and the answer ")
