"""The clauses about faults: the doubles without a defect pass all of them, and a harness without faults is told so."""

from __future__ import annotations

from pathlib import Path

import pytest

DOUBLES = """
    import stackproof.contracts as contracts
    from stackproof.contracts.mutants import remote, remote_logs

    class Given:
        def make_backend(self, namespace):
            return self.double(namespace=namespace)
        def make_faulty(self, namespace):
            return self.double.make_faulty(namespace)

    class TestCache(Given, contracts.CacheContract):
        double = remote.RemoteCache
    class TestStore(Given, contracts.InteractionContract):
        double = remote.RemoteStore
    class TestIndex(Given, contracts.SearchContract):
        double = remote.RemoteIndex
    class TestBus(Given, contracts.EventContract):
        double = remote.RemoteBus
    class TestLog(Given, contracts.EventContract):
        double = remote.RemoteLog
    class TestLogs(Given, contracts.LogContract):
        double = remote_logs.RemoteHandler
"""
CLAUSES = ("LIFE-09", "LIFE-10", "LIFE-11", "LIFE-16")
OF_A_CONCERN = (
    "STORE-28",
    "STORE-29",
    "STORE-30",
    "EVENT-06",
    "EVENT-08",
    "SEARCH-07",
    "SEARCH-23",
    "CACHE-25",
    "LOG-03",
    "LOG-04",
)
OF_TWO_DOUBLES = ("EVENT-06", "EVENT-08")
"""Those of events run on the bus and on the log."""
ONLY = [word for clause in CLAUSES + OF_A_CONCERN for word in ("--stackproof-clause", clause)]


def test_the_doubles_without_a_defect_pass_every_fault_clause(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(DOUBLES)
    result = pytester.runpytest_subprocess("--stackproof-profile", "full", *ONLY)
    result.assert_outcomes(passed=5 * len(CLAUSES) + len(OF_A_CONCERN) + len(OF_TWO_DOUBLES))


def test_a_remote_backend_whose_harness_has_no_faults_is_skipped_with_the_reason(pytester: pytest.Pytester) -> None:
    without = DOUBLES.replace("def make_faulty", "def unused")
    pytester.makepyfile(without)
    result = pytester.runpytest_subprocess("--stackproof-profile", "full", "-rs", *ONLY)
    result.assert_outcomes(skipped=5 * len(CLAUSES) + len(OF_A_CONCERN) + len(OF_TWO_DOUBLES))
    result.stdout.fnmatch_lines(["*make_faulty*"])
    assert result.ret != 0, "what was skipped is no pass"


def test_backends_without_a_server_prove_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from stackproof.adapters.events.memory import MemoryEventPublisher
        from stackproof.contracts import EventContract

        class TestBus(EventContract):
            def make_backend(self, namespace):
                return MemoryEventPublisher(namespace=namespace)
        """
    )
    verdicts = Path(pytester.path) / "verdicts.json"
    result = pytester.runpytest_subprocess("--stackproof-profile", "full", "--stackproof-json", str(verdicts), *ONLY)
    assert result.ret == 0
    assert verdicts.read_text().count("NOT_SUPPORTED") >= 4


# Proofs of absence

UNDECLARED = """
    import pytest
    from dataclasses import replace
    import stackproof.contracts as contracts
    from stackproof.contracts.faulty import NETWORK
    from stackproof.contracts.mutants import remote, remote_logs
    from stackproof.interfaces import UnavailableError

    def without(capabilities, *names):
        return replace(capabilities, **dict.fromkeys(names, False))

    class Given:
        def make_backend(self, namespace):
            return self.double(namespace=namespace)
        def make_faulty(self, namespace):
            return self.double.make_faulty(namespace)

    class TestStore(Given, contracts.InteractionContract):
        double = remote.RemoteStore
        capabilities = without(double.capabilities, "throttles", "partial_batches", "paged_reads")
    class TestIndex(Given, contracts.SearchContract):
        double = remote.RemoteIndex
        capabilities = without(double.capabilities, "throttles", "partial_batches")
    class TestBus(Given, contracts.EventContract):
        double = remote.RemoteBus
        capabilities = without(double.capabilities, "throttles", "partial_batches")
    class TestLogs(Given, contracts.LogContract):
        double = remote_logs.RemoteHandler
        capabilities = without(double.capabilities, "throttles")

    class Busy(remote.RemoteCache):
        asked = 0
        def set(self, key, value, ttl=None):
            self.asked += 1
            if self.asked % 40 == 0:
                raise UnavailableError("come again later")
            super().set(key, value, ttl)
    class TestCache(contracts.CacheContract):
        capabilities = without(Busy.capabilities, "throttles")
        def make_backend(self, namespace):
            return Busy(namespace=namespace)
"""


def test_what_is_not_declared_and_can_happen_is_a_failure(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(UNDECLARED)
    new = [
        word
        for clause in ("LIFE-16", "STORE-29", "STORE-30", "SEARCH-23", "EVENT-06", "LOG-03")
        for word in ("--stackproof-clause", clause)
    ]
    result = pytester.runpytest_subprocess("--stackproof-profile", "full", *new)
    result.assert_outcomes(failed=4 + 5)
    result.stdout.fnmatch_lines(["*throttles is not declared, and was not shown to be absent*"])
    result.stdout.fnmatch_lines(["*raised UnavailableError: come again later*"])


def test_a_fault_that_the_harness_cannot_make_is_skipped(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from stackproof.contracts import InteractionContract
        from stackproof.contracts.faulty import NETWORK, Faulty
        from stackproof.contracts.mutants.remote import RemoteStore

        class TestStore(InteractionContract):
            def make_backend(self, namespace):
                return RemoteStore(namespace=namespace)
            def make_faulty(self, namespace):
                made = RemoteStore(namespace=namespace)
                made.link.kinds = lambda: NETWORK
                return Faulty(made, made.link)
        """
    )
    only = ("--stackproof-clause", "STORE-29", "--stackproof-clause", "LIFE-16")
    result = pytester.runpytest_subprocess("--stackproof-profile", "full", "-rs", *only)
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*make_faulty cannot make the fault 'part refused'*"])
