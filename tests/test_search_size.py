"""What the bill says that documents take on PostgreSQL, against what they take there."""

from __future__ import annotations

import random
import uuid
from dataclasses import replace

import psycopg
import pytest
from shared_servers import postgres_url

from stackproof.adapters.search.postgres import PostgresSearchIndex
from stackproof.interfaces import Document
from stackproof.planning.demand import Demand, Workload
from stackproof.planning.families.postgres import indexed_bytes
from stackproof.scenarios.steps import corpus


def _text(size: int, chance: random.Random) -> str:
    words: list[str] = []
    while sum(map(len, words)) + len(words) <= size:
        words.append(corpus._word(corpus.VOCABULARY.rank(chance.random())))
    return " ".join(words)[:size]


@pytest.mark.parametrize(("size", "documents"), [(300, 10_000), (2_000, 5_000)])
def test_documents_take_what_the_bill_says(size: int, documents: int) -> None:
    url, namespace, chance = postgres_url(), f"size-{uuid.uuid4().hex[:8]}", random.Random(1)
    with PostgresSearchIndex(url, namespace=namespace) as index, psycopg.connect(url, autocommit=True) as connection:
        database = "SELECT pg_database_size(current_database())"
        index.index([Document(tenant="t", id="first", title="the tables are there now")])
        before = connection.execute(database).fetchone()
        texts = [_text(size, chance) for _ in range(documents)]
        index.index(
            Document(tenant="t", id=f"doc-{number}", title=text[:30], text=text[30:])
            for number, text in enumerate(texts)
        )
        after = connection.execute(database).fetchone()
        index.drop_namespace()
    assert before is not None
    assert after is not None
    demand = Demand.of(replace(Workload(1), records=documents, document_bytes=size))
    assert 0.8 < (after[0] - before[0]) / indexed_bytes(demand) < 1.3


def test_no_documents_take_nothing() -> None:
    assert indexed_bytes(Demand.of(Workload(1, records=0, searches_per_day=0))) == 0
