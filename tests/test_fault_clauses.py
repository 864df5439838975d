"""The clauses about faults: the doubles without a defect pass all of them, and a harness without faults is told so."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackproof.adapters.settings import Settings
from stackproof.contracts.faulty import Fault
from stackproof.interfaces import ConfigurationError
from stackproof.verification.faulty import through

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
    class TestLogs(Given, contracts.LogContract):
        double = remote_logs.RemoteHandler
"""
CLAUSES = ("LIFE-09", "LIFE-10", "LIFE-11", "LIFE-14")
OF_A_CONCERN = ("STORE-28", "STORE-29", "EVENT-06", "EVENT-08", "SEARCH-07", "SEARCH-23", "CACHE-25", "LOG-03")
ONLY = [word for clause in CLAUSES + OF_A_CONCERN for word in ("--stackproof-clause", clause)]


def test_the_doubles_without_a_defect_pass_every_fault_clause(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(DOUBLES)
    result = pytester.runpytest_subprocess("--stackproof-profile", "full", *ONLY)
    result.assert_outcomes(passed=4 * len(CLAUSES) + len(OF_A_CONCERN))


def test_a_remote_backend_whose_harness_has_no_faults_is_skipped_with_the_reason(pytester: pytest.Pytester) -> None:
    without = DOUBLES.replace("def make_faulty", "def unused")
    pytester.makepyfile(without)
    result = pytester.runpytest_subprocess("--stackproof-profile", "full", "-rs", *ONLY)
    result.assert_outcomes(skipped=4 * len(CLAUSES) + len(OF_A_CONCERN))
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


def test_the_address_keeps_its_secrets_and_path_behind_the_proxy() -> None:
    settings = Settings({"REDIS_URL": "redis://me:p%40ss@localhost:7777/3", "OTHER": "kept"})
    faults, variables = through(settings, "REDIS_URL")
    try:
        for fault in faults.kinds():
            faults.begin(fault)
        for fault in set(Fault) - faults.kinds():
            with pytest.raises(ValueError, match="no TCP proxy"):
                faults.begin(fault)
        faults.end()
        url = variables["REDIS_URL"]
        assert url.startswith("redis://me:p%40ss@127.0.0.1:")
        assert url.endswith("/3")
        assert variables["OTHER"] == "kept"
        assert faults.happened() == 0
    finally:
        faults.close()


@pytest.mark.parametrize("url", ["", "unix:///run/redis.sock", "host=here dbname=x"])
def test_an_address_without_a_port_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="names no host and port"):
        through(Settings({"REDIS_URL": url}), "REDIS_URL")
