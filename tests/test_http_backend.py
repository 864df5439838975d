"""From end to end: a backend that talks HTTP meets the faults of its service in the service's own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from http_search import BulkSearchIndex, search_service
from http_services import Client, DynamoDB, HttpService

from stackproof.contracts.faulty import NETWORK, Fault
from stackproof.interfaces import Document, SearchQuery, UnavailableError
from stackproof.servers.http_faults import (
    DYNAMODB_THROTTLED,
    OPENSEARCH_THROTTLED,
    BulkRejected,
    ShortPages,
    Throttled,
    UnprocessedItems,
)
from stackproof.verification.faults import HttpFaults, HttpWords

CLAUSES = ("LIFE-09", "LIFE-10", "LIFE-11", "LIFE-16", "SEARCH-07", "SEARCH-23")
HERE = Path(__file__).parent


def verdicts(pytester: pytest.Pytester, kind: str, *clauses: str) -> dict[str, Any]:
    """What the clauses say about a backend, by id."""
    pytester.makepyfile(
        f"""
        import sys
        sys.path.insert(0, {str(HERE)!r})
        import http_search

        class TestIndex(http_search.HttpSearchContract):
            kind = http_search.{kind}
        """
    )
    found = Path(pytester.path) / "verdicts.json"
    only = [word for clause in clauses for word in ("--stackproof-clause", clause)]
    pytester.runpytest_subprocess("--stackproof-profile", "full", "--stackproof-json", str(found), *only)
    return {row["clause"]: row for row in json.loads(found.read_text())["clauses"] if row["clause"] in clauses}


def test_a_backend_over_http_keeps_the_clauses_about_faults(pytester: pytest.Pytester) -> None:
    rows = verdicts(pytester, "BulkSearchIndex", *CLAUSES)
    assert {clause: (row["verdict"], row["reason"]) for clause, row in rows.items()} == dict.fromkeys(
        CLAUSES, ("PASS", "")
    )
    assert rows["SEARCH-23"]["evidence"]["refused documents"] > 100
    assert rows["LIFE-16"]["evidence"]["refused requests"] > 10


def test_one_that_does_not_look_into_bulk_answers_is_found(pytester: pytest.Pytester) -> None:
    rows = verdicts(pytester, "IgnoresErrorsTrue", "LIFE-16", "SEARCH-23")
    assert rows["SEARCH-23"]["verdict"] == "FAIL"
    assert "documents that index gives" in rows["SEARCH-23"]["failure"]["headline"]
    assert rows["LIFE-16"]["verdict"] == "PASS", "throttling as a whole has a status of its own"


def test_what_the_faults_of_an_http_service_tell() -> None:
    service = search_service()
    faults = HttpFaults("127.0.0.1", service.port, HttpWords(Throttled(OPENSEARCH_THROTTLED), BulkRejected()))
    refusals = {Fault.THROTTLED, Fault.THROTTLED_ONCE, Fault.PART_REFUSED}
    index = BulkSearchIndex(faults.port, "told")
    documents = [Document(tenant="t", id=str(n), title="gold") for n in range(10)]
    try:
        assert faults.kinds() == NETWORK | refusals == set(Fault) - {Fault.PAGES_CUT}
        faults.begin(Fault.THROTTLED_ONCE)
        assert index.index(documents[:1]) == 1
        assert (faults.happened(), faults.taken()) == (1, 0)
        faults.begin(Fault.PART_REFUSED)
        assert index.index(documents) == 10
        assert faults.taken() == 10, "nothing was sent twice"
        assert faults.happened() > 5
        faults.begin(Fault.THROTTLED)
        with pytest.raises(UnavailableError):
            index.index(documents)
        faults.end()
        assert len(index.search(SearchQuery(tenant="t", text="gold"))) == 10
        faults.begin(Fault.REFUSED)
        assert not index.ping()
        faults.end()
        assert index.ping()
    finally:
        faults.close()
        service.close()


def test_pages_of_a_service_are_cut() -> None:
    dynamodb = DynamoDB()
    dynamodb.tables["t"] = [{"id": {"N": str(n)}} for n in range(5)]
    service = HttpService(dynamodb)
    words = HttpWords(Throttled(DYNAMODB_THROTTLED), UnprocessedItems(), ShortPages(2, empty=True))
    faults = HttpFaults("127.0.0.1", service.port, words)
    client = Client(faults.port)
    try:
        assert faults.kinds() == set(Fault)
        faults.begin(Fault.PAGES_CUT)
        first = client.aws("DynamoDB_20120810.Query", TableName="t")[1]
        second = client.aws("DynamoDB_20120810.Query", TableName="t", ExclusiveStartKey=first["LastEvaluatedKey"])[1]
        assert (len(first["Items"]), second["Items"]) == (2, [])
        assert second["LastEvaluatedKey"] == first["LastEvaluatedKey"]
        assert faults.happened() == 2
        faults.end()
        assert len(client.aws("DynamoDB_20120810.Query", TableName="t")[1]["Items"]) == 5
    finally:
        client.close()
        faults.close()
        service.close()


def test_a_service_without_batches_cannot_refuse_a_part_of_one() -> None:
    faults = HttpFaults("127.0.0.1", 1, HttpWords(Throttled(OPENSEARCH_THROTTLED)))
    try:
        assert Fault.PART_REFUSED not in faults.kinds()
        for fault in (Fault.PART_REFUSED, Fault.PAGES_CUT):
            with pytest.raises(ValueError, match=fault.value):
                faults.begin(fault)
    finally:
        faults.close()
