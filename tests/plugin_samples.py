"""A small contract of its own, and a session of pytest on a class that fills it in."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest

CONTRACT = """
    import time
    import pytest
    from stackproof.contracts import Contract, clause, absence, expect
    from stackproof.interfaces import CacheCapabilities, CacheStore, MISSING, UnavailableError
    from stackproof.adapters.cache.memory import MemoryCache

    class SmallContract(Contract):
        concern = "cache"
        interface = CacheStore

        def exercise(self, backend):
            backend.set("smoke", 1)
            expect(backend.get("smoke"), "the value").equals(1)

        @clause("T-01", "What is set is got.", because="otherwise why set it", learnt_from=("C1",), sees=("reads", 1))
        def test_set_get(self, backend, evidence):
            backend.set("k", "v", ttl=0.4)
            expect(backend.get("k"), "the value of k").equals("v")
            evidence.saw("reads")

        @clause("T-03", "Shared.", because="x", needs="shared", sees=("reads", 1))
        def test_shared(self, backend, another, evidence):
            backend.set("k", 1)
            expect(another().get("k"), "the other's value").equals(1)
            evidence.saw("reads")

        @absence("T-03")
        def prove_not_shared(self, backend, another, evidence):
            backend.set("k", 1)
            expect(another().get("k"), "the other's value").is_missing()
            evidence.saw("absence probes")
"""

HOLDS = """
    class OneContract(SmallContract):
        pass

    class DemandingContract(SmallContract):
        @clause("T-02", "Nothing is seen.", because="evidence counts", sees=("miracles", 2))
        def test_nothing(self, backend, evidence):
            evidence.saw("miracles")
"""


def run(pytester: pytest.Pytester, body: str, *args: str) -> tuple[pytest.RunResult, dict[str, dict[str, Any]]]:
    pytester.makepyfile(textwrap.dedent(CONTRACT) + textwrap.dedent(HOLDS) + textwrap.dedent(body))
    target = pytester.path / "verdicts.json"
    result = pytester.runpytest_subprocess("--stackproof-json", str(target), "-p", "no:cacheprovider", *args)
    rows = json.loads(target.read_text())["clauses"] if target.exists() else []
    return result, {row["clause"]: row for row in rows}
