"""The search index on PostgreSQL: its contract on a real server, and what only this adapter can get wrong."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from functools import partial

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared_servers import postgres_server, postgres_url

from stackproof.adapters.postgres_schema import schema_name
from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.adapters.search.postgres import MAX_POSITIONS, PostgresSearchIndex, _search_statement
from stackproof.adapters.settings import Settings
from stackproof.contracts import SearchContract
from stackproof.contracts.callers import Callers
from stackproof.contracts.hostile import HOSTILE_TEXTS
from stackproof.interfaces import (
    PHRASE_PLACES,
    PHRASE_WORDS,
    ConfigurationError,
    Document,
    IndeterminateError,
    Match,
    RejectedError,
    SearchIndex,
    SearchQuery,
    UnavailableError,
    words_of,
)

NOBODY = "postgresql://user:s3cret@127.0.0.1:1/postgres"


class TestPostgresSearchIndex(SearchContract):
    def make_backend(self, namespace: str) -> PostgresSearchIndex:
        return PostgresSearchIndex(postgres_url(), namespace=namespace)

    def make_unreachable(self, namespace: str) -> PostgresSearchIndex:
        return PostgresSearchIndex(NOBODY, namespace=namespace)


@pytest.fixture
def index(request: pytest.FixtureRequest) -> Iterator[PostgresSearchIndex]:
    made = PostgresSearchIndex(postgres_url(), namespace=request.node.name.partition("[")[0])
    yield made
    made.drop_namespace()
    made.disconnect()


@pytest.fixture
def sql(
    index: PostgresSearchIndex, request: pytest.FixtureRequest
) -> Iterator[Callable[..., list[tuple[object, ...]]]]:
    """Runs a statement beside the adapter, in the same schema."""
    schema = schema_name("search", request.node.name.partition("[")[0])
    index.index([])
    index.delete("t", ["nothing"])  # the tables exist now
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        connection.execute(f'SET search_path TO "{schema}"'.encode())

        def run(statement: str, *values: object) -> list[tuple[object, ...]]:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

        yield run


def _document(id_: str, title: str, text: str = "") -> Document:
    return Document(tenant="t", id=id_, title=title, text=text)


def _found(index: SearchIndex, text: str, limit: int = 1000) -> list[str]:
    return [hit.id for hit in index.search(SearchQuery(tenant="t", text=text, limit=limit))]


def test_five_thousand_documents(index: PostgresSearchIndex) -> None:
    documents = [_document(f"d{n:04d}", f"offer {n % 100}", f"unique{n} common bucket{n % 10}") for n in range(5000)]
    assert index.index(reversed(documents)) == 5000
    for n in (0, 999, 1000, 2500, 4999):
        assert _found(index, f"unique{n}") == [f"d{n:04d}"]
    assert sorted(_found(index, "bucket7 common")) == [f"d{n:04d}" for n in range(7, 5000, 10)]
    assert _found(index, "common", limit=5) == ["d0000", "d0001", "d0002", "d0003", "d0004"]
    assert index.delete("t", (f"d{n:04d}" for n in range(4000))) == 4000
    assert len(_found(index, "common")) == 1000


def test_the_first_search_after_a_restart_works(index: PostgresSearchIndex) -> None:
    index.index([_document("d", "gold")])
    postgres_server().restart()
    assert _found(index, "gold") == ["d"]
    assert index.index([_document("e", "gold")]) == 1


def test_while_the_server_is_away_a_search_is_an_error_and_never_empty(index: PostgresSearchIndex) -> None:
    index.index([_document("d", "gold")])
    postgres_server().kill()
    try:
        for _ in range(3):
            begun = time.monotonic()
            with pytest.raises(UnavailableError):
                _found(index, "gold")
            assert time.monotonic() - begun < 10
            assert not index.ping()
    finally:
        postgres_server().start()
    assert _found(index, "gold") == ["d"]
    assert index.ping()


def test_an_unreachable_server_is_an_error_without_the_password() -> None:
    with PostgresSearchIndex(NOBODY) as index:
        for operation in (
            lambda: _found(index, "gold"),
            lambda: index.index([_document("d", "gold")]),
            lambda: index.delete("t", ["d"]),
        ):
            with pytest.raises(UnavailableError) as caught:
                operation()
            assert "s3cret" not in str(caught.value)
        assert not index.ping()


def test_threads_that_migrate_at_once(index: PostgresSearchIndex) -> None:
    others = [PostgresSearchIndex(postgres_url(), namespace="test_threads_that_migrate_at_once") for _ in range(8)]
    callers = Callers()
    callers.each([partial(other.index, [_document(f"d{n}", "gold")]) for n, other in enumerate(others)])
    assert callers.overlapping > 1
    for other in others:
        other.disconnect()
    assert _found(index, "gold") == [f"d{number}" for number in range(8)]


def _index_in_a_process(address: str, number: int) -> None:
    with PostgresSearchIndex(address, namespace="test_processes_that_migrate_at_once") as index:
        index.index([_document(f"d{number}", "gold")])


def test_processes_that_migrate_at_once(index: PostgresSearchIndex) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_index_in_a_process, args=(postgres_url(), number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert _found(index, "gold") == ["d0", "d1", "d2"]


PARSER_ODDITIES = (
    "1e5 1e-5 -3 3.14 0x1f 007 1st 10ms 1.2.3 abc123 123abc a1b2c3 foo-bar foo_bar jo@mail.example.com host.example.com"
    " /usr/local/x.html <b>bold</b> &amp; http://h.example/p?q=1 क्रेडिट i\u0307 信用卡 カード บัตร 𠮷 q\u0323\u0307 "
    + "x"
    * 3000
)
"""What PostgreSQL's own parser takes for numbers, hosts, paths, tags, or cuts at marks (depending on the locale)."""


def test_what_is_stored_is_exactly_our_words(
    index: PostgresSearchIndex, sql: Callable[..., list[tuple[object, ...]]]
) -> None:
    texts = {**HOSTILE_TEXTS, "parser oddities": PARSER_ODDITIES}
    index.index([_document(name, "", text) for name, text in texts.items()])
    stored = dict(sql("SELECT id, tsvector_to_array(words) FROM documents"))
    assert {name: set(lexemes) for name, lexemes in stored.items()} == {n: set(words_of(t)) for n, t in texts.items()}
    for word in words_of(PARSER_ODDITIES):
        assert "parser oddities" in _found(index, word)


def test_positions_and_weights(index: PostgresSearchIndex, sql: Callable[..., list[tuple[object, ...]]]) -> None:
    index.index([_document("short", "Gold card", "card gold"), _document("long", "", "a " * 20_000 + "end")])
    vectors = dict(sql("SELECT id, words::text FROM documents"))
    assert vectors["short"] == "'card':2A,4B 'gold':1A,5B"
    places = ",".join(f"{n}B" for n in range(1, MAX_POSITIONS + 1))
    assert vectors["long"] == f"'a':{places} 'end':16383B"
    assert [hit.score >= 0 for hit in index.search(SearchQuery(tenant="t", text="a end"))] == [True]


def _phrase(index: PostgresSearchIndex, text: str) -> list[str]:
    return [hit.id for hit in index.search_for(Match.PHRASE, SearchQuery(tenant="t", text=text))]


@pytest.mark.parametrize("before", [PHRASE_WORDS - 2, 16_380, 16_381, 16_382, 17_000])
def test_phrases_are_found_among_so_many_words_and_none_is_made_up_beyond(
    index: PostgresSearchIndex, before: int
) -> None:
    """PostgreSQL has one place for all words behind the last one that it knows: no word may seem to stand before that."""
    filler = [f"{n:x}" for n in range(before)]
    index.index([_document("row", "", " ".join([*filler, "gold", "card"]))])
    index.index([_document("apart", "", " ".join([*filler, "gold", "and", "one", "card"]))])
    assert sorted(_found(index, "gold card")) == ["apart", "row"]
    found = _phrase(index, "gold card")
    assert found == ["row"] if before < PHRASE_WORDS else found in ([], ["row"])


def test_phrases_are_found_at_so_many_places_of_a_word(index: PostgresSearchIndex) -> None:
    for before in (PHRASE_PLACES - 1, PHRASE_PLACES):
        index.index([_document(f"d{before}", "", "gold and " * before + "gold card")])
    assert _phrase(index, "gold card") == [f"d{PHRASE_PLACES - 1}"]
    assert "32 ones" in str(PostgresSearchIndex.__doc__), "the docstring tells what is missed"


def test_a_search_uses_the_index_for_words_and_tenant(
    index: PostgresSearchIndex, sql: Callable[..., list[tuple[object, ...]]]
) -> None:
    index.index([_document(f"d{n}", f"offer{n} gold", " ".join(f"w{n + m}" for m in range(50))) for n in range(3000)])
    sql("VACUUM ANALYZE documents")
    query = SearchQuery(tenant="t", text="offer7 gold")
    statement, values = _search_statement(query, words_of(query.text))
    with psycopg.connect(postgres_url()) as connection:
        connection.execute(f'SET search_path TO "{index._pool.schema}"'.encode())
        plan = connection.execute(b"EXPLAIN " + statement, values).fetchall()
    condition = next(line for (line,) in plan if "Index Cond" in line)
    assert "ARRAY[tenant]" in condition
    assert "offer7" in condition


def test_a_query_of_very_many_words(index: PostgresSearchIndex) -> None:
    text = " ".join(f"w{n}" for n in range(30_000))
    index.index([_document("all", "x", text), _document("most", "x", text.replace("w29000 ", ""))])
    assert _found(index, text) == ["all"]
    assert _found(index, text.replace("w29000 ", "")) == ["all", "most"]


def test_words_beyond_the_size_of_a_tsvector_are_rejected_by_name(index: PostgresSearchIndex) -> None:
    growing = " ".join("㌖" * 40 + str(n) for n in range(2000))  # each character becomes six: キロメートル
    with pytest.raises(RejectedError, match="tsvector") as caught:
        index.index([_document("a", "gold"), _document("big", "gold", growing), _document("z", "gold")])
    assert list(caught.value.failed) == ["big"]
    assert _found(index, "gold") == ["a", "z"]


def test_what_the_server_rejects_costs_nobody_else(
    index: PostgresSearchIndex, sql: Callable[..., list[tuple[object, ...]]]
) -> None:
    sql("ALTER TABLE documents ADD CHECK (id NOT IN ('d013', 'd140'))")
    with pytest.raises(RejectedError) as caught:
        index.index([_document(f"d{n:03d}", "gold") for n in range(200)])
    assert sorted(caught.value.failed) == ["d013", "d140"]
    assert len(_found(index, "gold")) == 198


def test_a_batch_that_broke_half_way_is_indeterminate(
    index: PostgresSearchIndex, sql: Callable[..., list[tuple[object, ...]]]
) -> None:
    sql(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'no space left' USING ERRCODE = 'disk_full'; END $$"
    )
    sql(
        "CREATE TRIGGER full_disk BEFORE INSERT ON documents FOR EACH ROW WHEN (NEW.id = 'd1400') EXECUTE FUNCTION full_disk()"
    )
    batch = [_document(f"d{n:04d}", "gold") for n in range(1500)]
    with pytest.raises(IndeterminateError, match="1000 of 1500"):
        index.index(batch)
    assert len(_found(index, "gold")) == 1000
    with pytest.raises(UnavailableError, match="no space left"):
        index.index(batch[1400:])
    sql("DROP TRIGGER full_disk ON documents")
    assert index.index(batch) == 1500


def test_index_and_delete_of_the_same_documents_never_deadlock(index: PostgresSearchIndex) -> None:
    documents = [_document(f"d{n}", "gold", "card " * 20) for n in range(200)]
    until = time.monotonic() + 1.0

    def work(number: int) -> None:
        order = documents[::-1] if number % 2 else documents
        while time.monotonic() < until:
            if number < 3:
                index.index(order)
            else:
                index.delete("t", [document.id for document in order])

    callers = Callers()
    callers.each([partial(work, number) for number in range(5)])
    assert callers.overlapping > 1


def test_a_dropped_namespace_is_empty_and_can_be_used_again(index: PostgresSearchIndex) -> None:
    for _ in range(3):
        assert index.index([_document("d", "gold")]) == 1
        assert _found(index, "gold") == ["d"]
        index.drop_namespace()
        assert _found(index, "gold") == []


def test_the_empty_namespace_is_not_dropped() -> None:
    with PostgresSearchIndex(postgres_url()) as index, pytest.raises(ConfigurationError):
        index.drop_namespace()


def test_settings() -> None:
    with PostgresSearchIndex.from_settings(
        Settings({"DATABASE_URL": postgres_url()}), namespace="test_settings"
    ) as index:
        assert index.index([_document("d", "gold")]) == 1
        index.drop_namespace()
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        PostgresSearchIndex.from_settings(Settings({}))


any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)


@given(any_text, any_text)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_gives_the_answer_of_the_reference(index: PostgresSearchIndex, text: str, query: str) -> None:
    reference = MemorySearchIndex()
    documents = [_document("d", "", text), _document("e", "gold", text[::2])]
    for each in (index, reference):
        each.index(documents)
    for asked in (query, text, *words_of(text)):
        assert sorted(_found(index, asked)) == sorted(_found(reference, asked))
