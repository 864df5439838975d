"""The clauses about forks and ends of programs: doubles without a defect pass, and handlers of the standard library are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

DOUBLES = """
    import stackproof.contracts as contracts
    from stackproof.contracts.mutants import processes_doubles as doubles

    class Given:
        def make_backend(self, namespace):
            return self.double(namespace=namespace)

    class TestCache(Given, contracts.CacheContract):
        double = doubles.FileCache
    class TestStore(Given, contracts.InteractionContract):
        double = doubles.FileStore
    class TestIndex(Given, contracts.SearchContract):
        double = doubles.FileIndex
    class TestBus(Given, contracts.EventContract):
        double = doubles.FileBus
"""


def rows_of(pytester: pytest.Pytester, module: str, *asked: str) -> list[dict[str, Any]]:
    pytester.makepyfile(module)
    target = pytester.path / "verdicts.json"
    options = ("--stackproof-profile", "full", "--stackproof-json", str(target), "-p", "no:cacheprovider")
    only = [word for clause in asked for word in ("--stackproof-clause", clause)]
    pytester.runpytest_subprocess(*options, *only)
    rows: list[dict[str, Any]] = json.loads(target.read_text())["clauses"]
    return [row for row in rows if row["clause"] in asked]


def test_what_outlives_a_process_is_looked_for_after_sigterm(pytester: pytest.Pytester) -> None:
    rows = rows_of(pytester, DOUBLES, "LIFE-14")
    assert {(row["concern"], row["verdict"]) for row in rows} == {
        (concern, "PASS") for concern in ("cache", "interactions", "search", "events")
    }
    for row in rows:
        assert row["evidence"]["acknowledged writes that another process saw"] >= 20, row


PARTITIONED = """
    import stackproof.contracts as contracts
    from stackproof.contracts.mutants.processes_groups import PartitionedBus

    class TestBus(contracts.EventContract):
        def make_backend(self, namespace):
            return PartitionedBus(namespace=namespace)
"""


def test_a_group_whose_members_are_killed_and_come_and_go_passes_without_a_defect(pytester: pytest.Pytester) -> None:
    rows = rows_of(pytester, PARTITIONED, "EVENT-41", "EVENT-42")
    assert {row["clause"]: row["verdict"] for row in rows} == {"EVENT-41": "PASS", "EVENT-42": "PASS"}, rows
    evidence = {row["clause"]: row["evidence"] for row in rows}
    assert evidence["EVENT-41"]["handler calls that were killed"] == 2, "one of each group"
    assert evidence["EVENT-42"]["changes while handlers failed"] >= 3


NO_TAKEOVER = """
    from dataclasses import replace
    import stackproof.contracts as contracts
    from stackproof.adapters.events.memory import MemoryEventPublisher
    from stackproof.contracts.mutants.processes_doubles import FileBus

    class TestOfItsProcess(contracts.EventContract):
        def make_backend(self, namespace):
            return MemoryEventPublisher(namespace=namespace)

    class TestWithoutGroups(contracts.EventContract):
        def make_backend(self, namespace):
            return FileBus(namespace=namespace)

    class Boaster(MemoryEventPublisher):
        capabilities = replace(MemoryEventPublisher.capabilities, takeover_seconds=0.1)

    class TestBoaster(contracts.EventContract):
        def make_backend(self, namespace):
            return Boaster(namespace=namespace)
"""


def test_who_cannot_take_over_says_so(pytester: pytest.Pytester) -> None:
    rows = rows_of(pytester, NO_TAKEOVER, "EVENT-41")
    verdicts = {row["target"].rpartition("::")[2]: row["verdict"] for row in rows}
    assert verdicts == {
        "TestOfItsProcess": "NOT_SUPPORTED",
        "TestWithoutGroups": "NOT_SUPPORTED",
        "TestBoaster": "FAIL",
    }


LOGS = """
    import logging, logging.handlers, queue
    from stackproof.contracts.logs import LogContract
    from stackproof.interfaces import LogCapabilities

    class Given(LogContract):
        capabilities = LogCapabilities(structured=False)
        delivery_seconds = 1.0

    class TestStream(Given):
        def make_backend(self, namespace):
            return logging.StreamHandler(self.sink.stream)

    class TestMemory(Given):
        def make_backend(self, namespace):
            return logging.handlers.MemoryHandler(100, logging.CRITICAL, logging.StreamHandler(self.sink.stream))

    class QueuedHandler(logging.handlers.QueueHandler):
        def __init__(self, stream):
            super().__init__(queue.SimpleQueue())
            self.listener = logging.handlers.QueueListener(self.queue, logging.StreamHandler(stream))
            self.listener.start()
        def close(self):
            if self.listener._thread is not None:
                self.listener.stop()
            super().close()

    class TestQueue(Given):
        def make_backend(self, namespace):
            return QueuedHandler(self.sink.stream)

    class TestOfItsProcess(Given):
        '''The destination is a list in the process: what a child logs is seen by the child alone.'''
        def make_backend(self, namespace):
            self.arrived = getattr(self, "arrived", [])
            handler = logging.Handler()
            handler.emit = lambda record: self.arrived.append(record.getMessage())
            return handler
        def delivered(self, namespace):
            return self.arrived
"""


def test_handlers_of_the_standard_library(pytester: pytest.Pytester) -> None:
    rows = rows_of(pytester, LOGS, "LIFE-12", "LIFE-13", "LIFE-14", "LIFE-15")
    verdicts = {(row["target"].rpartition("::")[2], row["clause"]): row["verdict"] for row in rows}
    clauses = ("LIFE-12", "LIFE-13", "LIFE-14", "LIFE-15")
    classes = ("TestStream", "TestMemory", "TestQueue", "TestOfItsProcess")
    expected = {(name, clause): "PASS" for name in classes for clause in clauses}
    # The child flushes the records that its parent had collected, and so does the parent.
    expected["TestMemory", "LIFE-12"] = "FAIL"
    # The thread that sends is not in the child.
    expected["TestQueue", "LIFE-12"] = "FAIL"
    assert verdicts == expected, [row["failure"] for row in rows if row["failure"]]


LIBRARIES = """
    import sys
    sys.path.insert(0, {root!r})
    from examples.third_party_backends import indexes, stores
    from stackproof.contracts import InteractionContract, SearchContract

    class TestSqliteUtils(SearchContract):
        make_backend = staticmethod(indexes.make_sqlite_utils)

    class TestTinyDb(InteractionContract):
        make_backend = staticmethod(stores.make_tinydb)
"""


def test_the_error_of_a_library_that_is_closed_under_its_callers_is_told(pytester: pytest.Pytester) -> None:
    pytest.importorskip("sqlite_utils")
    pytest.importorskip("tinydb")
    rows = rows_of(pytester, LIBRARIES.format(root=str(ROOT)), "LIFE-14")
    verdicts = {row["concern"]: row["verdict"] for row in rows}
    # Which of the callers' errors comes last is left to chance: the closed database, or what threads do to each other before.
    assert verdicts == {"search": "FAIL", "interactions": "FAIL"}, rows


NAMESPACES = """
    import pathlib
    import stackproof.contracts as contracts
    from stackproof.contracts.mutants import processes_doubles as doubles

    def note(what, namespace):
        with pathlib.Path(NOTES).open("a") as notes:
            notes.write(f"{what} {namespace}\\n")

    class TestCache(contracts.CacheContract):
        def make_backend(self, namespace):
            note("made", namespace)
            return doubles.FileCache(namespace=namespace)

        def remove_namespace(self, backend, namespace):
            note("removed", namespace)
"""


@pytest.mark.parametrize("clause", ["LIFE-12", "LIFE-13", "LIFE-14"])
def test_what_a_child_stores_is_taken_away_too(pytester: pytest.Pytester, clause: str) -> None:
    notes = pytester.path / "notes"
    rows = rows_of(pytester, NAMESPACES.replace("NOTES", repr(str(notes))), clause)
    assert [row["verdict"] for row in rows] == ["PASS"]
    told = [line.split() for line in notes.read_text().splitlines()]
    made, removed = ({name for what, name in told if what == which} for which in ("made", "removed"))
    assert made
    assert made <= removed
