"""The search index on OpenSearch: its contract on a real server, and what only this adapter can get wrong there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opensearchpy import OpenSearch
from shared_servers import variables_of

from stackproof.adapters.search import opensearch, opensearch_mapping, opensearch_query
from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.adapters.search.opensearch import OpenSearchSearchIndex
from stackproof.adapters.search.opensearch_bulk import Tally, Write, key_of
from stackproof.adapters.search.opensearch_mapping import alias_of
from stackproof.adapters.settings import Settings
from stackproof.contracts import SearchContract
from stackproof.contracts.callers import Callers
from stackproof.contracts.expectations import eventually
from stackproof.contracts.faulty import Fault
from stackproof.interfaces import (
    BackendError,
    ConfigurationError,
    Document,
    IndeterminateError,
    RejectedError,
    SearchIndex,
    SearchQuery,
    UnavailableError,
    words_of,
)
from stackproof.servers.http_proxy import Answer, HttpProxy, Request, Service
from stackproof.targets import parse_target
from stackproof.verification.faults import HttpFaults, behind, way_to

NOBODY = {"OPENSEARCH_URL": "http://user:s3cret@127.0.0.1:1"}


def made(namespace: str, **variables: str) -> OpenSearchSearchIndex:
    return OpenSearchSearchIndex.from_settings(Settings({**variables_of("opensearch"), **variables}), namespace)


class TestOpenSearchSearchIndex(SearchContract):
    def make_backend(self, namespace: str) -> OpenSearchSearchIndex:
        return made(namespace)

    def make_unreachable(self, namespace: str) -> OpenSearchSearchIndex:
        return OpenSearchSearchIndex.from_settings(Settings(NOBODY), namespace)


SEEN_LATER = """
    from stackproof import Settings
    from stackproof.adapters.search.opensearch import OpenSearchSearchIndex
    from stackproof.contracts import SearchContract

    class TestSeenLater(SearchContract):
        def make_backend(self, namespace):
            return OpenSearchSearchIndex.from_settings(Settings.from_environment(), namespace)
"""


def test_without_a_refresh_in_each_call_what_is_written_is_found_within_the_declared_delay(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clauses that the delay is about; the others take minutes where each of their writes waits for a refresh."""
    for name, value in {**variables_of("opensearch"), "OPENSEARCH_VISIBLE_WITHIN": "3"}.items():
        monkeypatch.setenv(name, value)
    pytester.makepyfile(test_later=SEEN_LATER)
    about_the_delay = "become_visible_in_time or replaces_the_old_one or other_instances_see"
    ran = pytester.runpytest_subprocess("-k", about_the_delay)
    outcomes = ran.parseoutcomes()
    assert outcomes.pop("deselected"), ran.outlines
    assert outcomes == {"passed": 3}, ran.outlines


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    return request.node.name.partition("[")[0]


@pytest.fixture
def index(namespace: str) -> Iterator[OpenSearchSearchIndex]:
    with made(namespace) as opened:
        yield opened
        opened.drop_namespace()


@pytest.fixture
def server() -> Iterator[OpenSearch]:
    """Asks the server beside the adapter."""
    client = OpenSearch(hosts=[variables_of("opensearch")["OPENSEARCH_URL"]])
    yield client
    client.close()


@pytest.fixture
def faults() -> Iterator[tuple[HttpFaults, dict[str, str]]]:
    """Faults before the server, and the variables that lead through them."""
    way = way_to(parse_target("search=opensearch"))
    assert way is not None
    found, settings = behind(way, Settings(dict(variables_of("opensearch"))))
    assert isinstance(found, HttpFaults)
    yield found, dict(settings.variables)
    found.close()


def _document(id_: str, title: str, text: str = "") -> Document:
    return Document(tenant="t", id=id_, title=title, text=text)


def _found(index: SearchIndex, text: str, limit: int = 1000) -> list[str]:
    return [hit.id for hit in index.search(SearchQuery(tenant="t", text=text, limit=limit))]


# Content


def test_five_thousand_documents(index: OpenSearchSearchIndex) -> None:
    documents = [_document(f"d{n:04d}", f"offer {n % 100}", f"unique{n} common bucket{n % 10}") for n in range(5000)]
    assert index.index(reversed(documents)) == 5000
    for n in (0, 999, 1000, 2500, 4999):
        assert _found(index, f"unique{n}") == [f"d{n:04d}"]
    assert sorted(_found(index, "bucket7 common")) == [f"d{n:04d}" for n in range(7, 5000, 10)]
    assert _found(index, "common", limit=5) == ["d0000", "d0001", "d0002", "d0003", "d0004"]
    assert index.delete("t", (f"d{n:04d}" for n in range(4000))) == 4000
    assert len(_found(index, "common")) == 1000


def test_a_title_outweighs_a_text_however_frequent_its_word_is_in_titles(index: OpenSearchSearchIndex) -> None:
    index.index([_document("z in title", "gold", "silver"), _document("a in text", "silver", "gold")])
    index.index([_document(f"n{n:03d}", "gold", "filler " * 5) for n in range(200)])
    found = _found(index, "gold")
    assert found.index("z in title") < found.index("a in text")
    assert _found(index, "silver") == ["a in text", "z in title"]


def test_the_longest_words_stay_whole(index: OpenSearchSearchIndex) -> None:
    longest = "\U00010428" * 255  # two UTF-16 units each
    index.index([_document("d", longest), _document("e", "\U00010428")])
    assert words_of(longest) == [longest]
    assert _found(index, longest) == ["d"]
    assert _found(index, "\U00010428") == ["e"]


def test_ids_and_tenants_beyond_a_key(index: OpenSearchSearchIndex) -> None:
    long = "é" * 500
    documents = [Document(tenant=tenant, id=id_, title="gold") for tenant in (long, long + "é") for id_ in (long, "d")]
    assert index.index(documents) == 4
    for tenant in (long, long + "é"):
        assert sorted(hit.id for hit in index.search(SearchQuery(tenant=tenant, text="gold"))) == ["d", long]
    assert index.delete(long, [long, "no"]) == 1
    with pytest.raises(RejectedError, match="limit is 1024") as caught:
        index.index([Document(tenant="t", id="é" * 513, title="gold"), _document("good", "gold")])
    assert list(caught.value.failed) == ["é" * 513]
    assert _found(index, "gold") == ["good"]


def test_a_query_of_very_many_words(index: OpenSearchSearchIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(f"w{n}" for n in range(4000))
    index.index([_document("all", "x", text), _document("most", "x", text.replace("w3900 ", ""))])
    assert _found(index, text) == ["all"]
    assert _found(index, text.replace("w3900 ", "")) == ["all", "most"]
    assert _found(index, f"{text} other") == []
    # Candidates over several pages, of which some have the further words.
    monkeypatch.setattr(opensearch_query, "WORDS_PER_REQUEST", 2)
    monkeypatch.setattr(opensearch, "PAGE", 7)
    index.index([_document(f"d{n:02d}", "a b c d", "e" if n % 5 == 0 else "") for n in range(40)])
    right = [f"d{n:02d}" for n in range(0, 40, 5)]
    assert _found(index, "a b c d e") == right
    assert _found(index, "a b c d e", limit=3) == right[:3]
    assert len(_found(index, "a b c d")) == 40


any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)


@given(any_text, any_text)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_gives_the_answer_of_the_reference(index: OpenSearchSearchIndex, text: str, query: str) -> None:
    reference = MemorySearchIndex()
    documents = [_document("d", "", text), _document("e", "gold", text[::2])]
    for each in (index, reference):
        each.index(documents)
    for asked in (query, text, *words_of(text)[:3]):
        assert sorted(_found(index, asked)) == sorted(_found(reference, asked))


# Writes that meet


def test_a_request_that_comes_late_replaces_nothing(index: OpenSearchSearchIndex, server: OpenSearch) -> None:
    late = [Write.of(_document("d", "older")), Write.of(_document("gone", "older"))]
    version = index._writer._version()
    index.index([_document("d", "newer"), _document("gone", "newer")])
    index.delete("t", ["gone"])
    body = b"".join(write.lines(version) for write in late)
    answer = server.bulk(body=body, index=alias_of("test_a_request_that_comes_late_replaces_nothing"))
    assert [item["index"]["status"] for item in answer["items"]] == [409, 409]
    server.indices.refresh(index=alias_of("test_a_request_that_comes_late_replaces_nothing"))
    assert (_found(index, "older"), _found(index, "newer")) == ([], ["d"])


def test_a_clock_that_is_behind_loses_no_write(index: OpenSearchSearchIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    index.index([_document("d", "of a machine whose clock is right"), _document("e", "gold")])
    index.delete("t", ["e"])
    monkeypatch.setattr(index._writer, "_version", lambda: 5)
    monkeypatch.setattr(index._remover, "_version", lambda: 3)
    assert index.index([_document("d", "of one that is behind"), _document("e", "gold"), _document("f", "gold")]) == 3
    assert (_found(index, "behind"), _found(index, "right"), _found(index, "gold")) == (["d"], [], ["e", "f"])
    assert index.delete("t", ["d", "e", "z"]) == 2
    assert _found(index, "gold") == ["f"]


def test_index_and_delete_of_the_same_documents_at_once(index: OpenSearchSearchIndex) -> None:
    documents = [_document(f"d{n}", "gold", "card " * 20) for n in range(50)]
    until = time.monotonic() + 1.0

    def work(number: int) -> None:
        order = documents[::-1] if number % 2 else documents
        while time.monotonic() < until:
            if number < 3:
                assert index.index(order) == 50
            else:
                index.delete("t", [document.id for document in order])

    callers = Callers()
    callers.each([partial(work, number) for number in range(5)])
    assert callers.overlapping > 1


# What the server refuses


def test_only_what_is_refused_for_the_moment_is_sent_again(faults: tuple[HttpFaults, dict[str, str]]) -> None:
    found, variables = faults
    with made("test_only_what_is_refused", **variables) as index:
        index.index([_document("first", "gold")])
        found.begin(Fault.PART_REFUSED)
        assert index.index([_document(f"d{n:03d}", "gold") for n in range(100)]) == 100
        assert found.taken() == 100, "nothing was sent twice"
        assert index.delete("t", [f"d{n:03d}" for n in range(50)] + ["missing"]) == 50
        found.begin(Fault.THROTTLED)
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="rejected_execution_exception"):
            index.index([_document("later", "gold")])
        assert time.monotonic() - began < 10
        assert not index.ping()
        found.end()
        assert len(_found(index, "gold")) == 51
        index.drop_namespace()


class Largest:
    """A server, or something before it, that takes requests up to a size."""

    def __init__(self, size: int) -> None:
        self.size = size

    def applies(self, request: Request) -> bool:
        return "_bulk" in request.path and len(request.body) > self.size

    def answer(self, request: Request, service: Service) -> Answer:
        service.count("too large")
        return Answer((("Content-Type", "text/plain"),), b"Request Entity Too Large", 413)


def test_requests_that_are_too_large_are_halved() -> None:
    host, _, port = variables_of("opensearch")["OPENSEARCH_URL"].rpartition("/")[2].partition(":")
    with HttpProxy(host, int(port)) as proxy:
        proxy.rewrite(Largest(20_000))
        namespace = "test_requests_that_are_too_large"
        with made(namespace, OPENSEARCH_URL=f"http://127.0.0.1:{proxy.port}", OPENSEARCH_COMPRESS="no") as index:
            documents = [_document(f"d{n:02d}", "gold", "filler " * 300) for n in range(60)]
            documents[17] = _document("d17", "gold", "x " * 20_000)
            with pytest.raises(RejectedError, match="does not take a request of") as caught:
                index.index(documents)
            assert list(caught.value.failed) == ["d17"]
            assert len(_found(index, "gold")) == 59
            index.drop_namespace()
        assert proxy.counts["too large"] > 5


def test_compressed_requests(namespace: str) -> None:
    with made(namespace, OPENSEARCH_COMPRESS="yes") as index:
        assert index.index([_document(f"d{n}", "gold", "filler " * 100) for n in range(10)]) == 10
        assert len(_found(index, "gold")) == 10
        index.drop_namespace()


BLOCKED = {
    "closed": ("index_closed_exception", "_open"),
    "read-only": ("cluster_block_exception", "read-only"),
    "gone": ("not there any more",),
}


@pytest.mark.parametrize("trouble", BLOCKED)
def test_an_index_that_takes_nothing_is_told_at_once(
    index: OpenSearchSearchIndex, server: OpenSearch, namespace: str, trouble: str
) -> None:
    index.index([_document("d", "gold")])
    name = opensearch_mapping.index_name(alias_of(namespace), 1)
    match trouble:
        case "closed":
            server.indices.close(index=name)
        case "read-only":
            server.indices.put_settings(index=name, body={"index.blocks.read_only_allow_delete": True})
        case "gone":
            server.indices.delete(index=name)
    operations: dict[str, Callable[[], Any]] = {"index": lambda: index.index([_document("e", "gold")])}
    if trouble != "read-only":
        operations |= {"search": lambda: _found(index, "gold"), "delete": lambda: index.delete("t", ["d"])}
    for operation in operations.values():
        began = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            operation()
        assert time.monotonic() - began < 4
        assert all(word in str(caught.value) for word in BLOCKED[trouble])
    assert not server.indices.exists(index=alias_of(namespace)) or trouble != "gone", "nothing is made in its place"
    if trouble == "read-only":
        assert _found(index, "gold") == ["d"]


# The index and its alias


def test_indexes_that_are_not_ours_are_refused(server: OpenSearch, namespace: str) -> None:
    alias = alias_of(namespace)
    bodies: dict[str, tuple[dict[str, dict[str, Any]], str]] = {
        "of nobody": ({f"{alias}-v1": {"aliases": {alias: {}}}}, "was not made by this release"),
        "of an older release": (
            {f"{alias}-v1": {"aliases": {alias: {}}, "mappings": {"_meta": {"stackproof": 0}}}},
            "rebuild",
        ),
        "two": ({f"{alias}-v{n}": {"aliases": {alias: {}}} for n in (1, 2)}, "several indexes"),
        "no alias": ({alias: {}}, "is an index and not an alias"),
    }
    for indexes, says in bodies.values():
        for name, body in indexes.items():
            server.indices.create(index=name, body=body)
        try:
            with made(namespace) as index, pytest.raises(ConfigurationError, match=says):
                index.index([_document("d", "gold")])
        finally:
            for name in indexes:
                server.indices.delete(index=name)
    server.indices.create(index=f"{alias}-v1")
    try:
        with made(namespace) as index, pytest.raises(UnavailableError, match="no alias"):
            index.index([_document("d", "gold")])
    finally:
        server.indices.delete(index=f"{alias}-v1")


def test_unknown_fields_are_refused(index: OpenSearchSearchIndex, server: OpenSearch, namespace: str) -> None:
    index.index([])
    _found(index, "gold")
    body = '{"index":{}}\n{"tenant":"t","surprise":1}\n'
    (item,) = server.bulk(body=body, index=alias_of(namespace))["items"]
    assert item["index"]["error"]["type"] == "strict_dynamic_mapping_exception"


def test_a_rebuild_moves_everything_and_searches_go_on(
    index: OpenSearchSearchIndex, server: OpenSearch, namespace: str
) -> None:
    index.index([_document(f"d{n:03d}", "gold") for n in range(300)])
    version = server.get(index=alias_of(namespace), id=key_of("t", "d007"), routing=_routing())["_version"]
    sibling = made(namespace)
    sibling.index([_document("of the sibling", "gold")])
    assert index.rebuild() == f"{alias_of(namespace)}-v2"
    assert len(_found(index, "gold")) == len(_found(sibling, "gold")) == 301
    again = server.get(index=alias_of(namespace), id=key_of("t", "d007"), routing=_routing())["_version"]
    assert again == version, "else a late request would be newer than what is there"
    assert sibling.index([_document("d007", "silver")]) == 1
    assert _found(index, "silver") == ["d007"]
    assert list(server.indices.get(index=f"{alias_of(namespace)}-v*")) == [f"{alias_of(namespace)}-v2"]
    sibling.disconnect()


def _routing() -> str:
    return Write.removal("t", "").routing


def test_writes_are_refused_while_an_index_is_rebuilt(
    index: OpenSearchSearchIndex, monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    index.index([_document("d", "gold")])
    errors: list[BaseException] = []

    def copy(*_: Any) -> None:
        for operation in (lambda: index.index([_document("e", "gold")]), lambda: index.delete("t", ["d"])):
            with pytest.raises(UnavailableError, match="read-only") as caught:
                operation()
            errors.append(caught.value)
        assert _found(index, "gold") == ["d"]
        raise BackendError("the copying fails")

    monkeypatch.setattr(opensearch_mapping, "_copy", copy)
    with pytest.raises(BackendError, match="the copying fails"):
        index.rebuild()
    assert len(errors) == 2
    assert index.index([_document("e", "gold")]) == 1, "the old index is as it was"
    assert _found(index, "gold") == ["d", "e"]
    monkeypatch.undo()
    assert index.rebuild().endswith("-v2"), "nothing of the first attempt is in the way"
    assert _found(index, "gold") == ["d", "e"]


def test_instances_that_make_the_index_at_once(index: OpenSearchSearchIndex, namespace: str) -> None:
    others = [made(namespace) for _ in range(6)]
    callers = Callers()
    callers.each([partial(other.index, [_document(f"d{n}", "gold")]) for n, other in enumerate(others)])
    assert callers.overlapping > 1
    for other in others:
        other.disconnect()
    assert _found(index, "gold") == [f"d{number}" for number in range(6)]


def test_a_dropped_namespace_is_empty_and_can_be_used_again(index: OpenSearchSearchIndex) -> None:
    for _ in range(2):
        assert index.index([_document("d", "gold")]) == 1
        assert _found(index, "gold") == ["d"]
        index.drop_namespace()
        assert _found(index, "gold") == []


def test_the_empty_namespace_is_not_dropped() -> None:
    with made("") as index, pytest.raises(ConfigurationError):
        index.drop_namespace()


# Errors


def test_an_unreachable_server_is_an_error_without_the_password() -> None:
    with OpenSearchSearchIndex.from_settings(Settings(NOBODY), "x") as index:
        for operation in (
            lambda: _found(index, "gold"),
            lambda: index.index([_document("d", "gold")]),
            lambda: index.delete("t", ["d"]),
        ):
            with pytest.raises(UnavailableError) as caught:
                operation()
            assert "s3cret" not in str(caught.value)
        assert not index.ping()


def test_a_batch_that_broke_half_way_is_indeterminate(
    faults: tuple[HttpFaults, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, variables = faults
    with made("test_a_batch_that_broke_half_way", **variables) as index:
        index.index([_document("first", "gold")])
        write, calls = index._writer.write, iter(range(100))

        def write_until_it_breaks(writes: list[Write], tally: Tally) -> None:
            if next(calls) == 1:
                found.begin(Fault.REFUSED)
            write(writes, tally)

        monkeypatch.setattr(index._writer, "write", write_until_it_breaks)
        batch = [_document(f"d{n:04d}", "gold") for n in range(1500)]
        with pytest.raises(IndeterminateError, match="1000 documents were written before this"):
            index.index(batch)
        found.end()
        assert index.index(batch) == 1500
        assert len(_found(index, "gold d1499")) == 0
        index.drop_namespace()


def test_what_is_indexed_is_seen_by_itself_later(namespace: str) -> None:
    with made(namespace, OPENSEARCH_VISIBLE_WITHIN="3") as index:
        assert index.capabilities.visible_within == 3
        index.index([_document("d", "gold")])
        eventually(lambda: _found(index, "gold") == ["d"], "the document is found", within=10.0)
        index.drop_namespace()
