"""The parts of the OpenSearch search index that need no server: keys, bulk requests, queries, errors, settings, signatures."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from http_services import Asked, HttpService, Told
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opensearchpy import exceptions as driver
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError

from stackproof.adapters.search.opensearch import OpenSearchSearchIndex
from stackproof.adapters.search.opensearch_bulk import (
    MAX_KEY_BYTES,
    BulkWriter,
    RequestTooLargeError,
    Tally,
    Write,
    chunks,
    key_of,
    routing_of,
)
from stackproof.adapters.search.opensearch_client import Effect, OpenSearchClient
from stackproof.adapters.search.opensearch_errors import reason_of, translated
from stackproof.adapters.search.opensearch_mapping import alias_of, generation_of, index_name
from stackproof.adapters.search.opensearch_place import OpenSearchPlace
from stackproof.adapters.search.opensearch_query import WORDS_PER_REQUEST, checked, groups_of, search_body
from stackproof.adapters.settings import Settings
from stackproof.contracts.hostile import HOSTILE_TEXTS, has_utf8
from stackproof.interfaces import (
    BackendError,
    ClosedError,
    ConfigurationError,
    Document,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    SearchQuery,
    UnavailableError,
)

encodable = st.text(st.characters(codec="utf-8"), max_size=700)


# Keys and names


@given(encodable, encodable, encodable, encodable)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # four long texts at a time
def test_two_documents_never_have_one_key(tenant: str, id_: str, other_tenant: str, other_id: str) -> None:
    same = (tenant, id_) == (other_tenant, other_id)
    assert (key_of(tenant, id_) == key_of(other_tenant, other_id)) is same
    assert 0 < len(key_of(tenant, id_).encode()) <= MAX_KEY_BYTES


def test_keys_that_look_alike_are_told_apart() -> None:
    pairs = [("a", "b:c"), ("a:b", "c"), ("1:a", "b"), ("", "1:ab"), ("1", ":ab"), ("a", "#x"), ("#", "a"), ("ab", "")]
    pairs += [("t", "x" * size) for size in (508, 509, 510, 511, 1024)] + [("t" * 512, "x" * 512)]
    assert len({key_of(*pair) for pair in pairs}) == len(pairs)


@given(encodable)
@settings(deadline=None)
def test_a_routing_is_never_a_list_or_an_option(tenant: str) -> None:
    assert set(routing_of(tenant)) <= set("0123456789abcdef")


def test_names_of_indexes_are_those_that_the_server_takes() -> None:
    spaces = ["", "a", "A", "a_b", "a:b", "a.b", "a-b", "-v1", "é", "x" * 300, "x" * 301]
    names = [alias_of(name) for name in spaces]
    assert len(set(names)) == len(spaces)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_") and len(name) <= 200 for name in names)
    assert generation_of("a", index_name("a", 7)) == 7
    assert [generation_of("a", name) for name in ("a", "b-v1", "a-v0", "a-vx", "aa-v1", "a-v1-v2")] == [0] * 6


# Bulk requests


class Shelf:
    """A server's side of bulk requests, with versions as OpenSearch has them. ``troubles`` are done one for each request."""

    def __init__(self, *troubles: Callable[[Shelf, list[Any]], Any]) -> None:
        self.kept: dict[str, tuple[int, Any]] = {}
        self.requests: list[list[str]] = []
        self.troubles = list(troubles)
        self.largest = 10**9

    def send(self, body: bytes) -> tuple[dict[str, Any], bool]:
        if len(body) > self.largest:
            raise RequestTooLargeError("too large")
        lines = iter([json.loads(line) for line in body.splitlines()])
        actions = [(next(iter(line.items())), None if "delete" in line else next(lines)) for line in lines]
        self.requests.append([meta["_id"] for (_, meta), _ in actions])
        trouble = self.troubles.pop(0) if self.troubles else None
        found = trouble(self, actions) if trouble else self.apply(actions)
        return found if isinstance(found, tuple) else (found, False)

    def apply(self, actions: list[Any], but: dict[str, Any] | None = None) -> dict[str, Any]:
        items = []
        for (name, meta), source in actions:
            refusal = (but or {}).get(meta["_id"])
            version, kept = self.kept.get(meta["_id"], (0, None))
            if refusal:
                items.append({name: refusal})
            elif version >= meta["version"]:
                items.append({name: {"status": 409, "error": conflict(version, meta["version"])}})
            else:
                self.kept[meta["_id"]] = (meta["version"], source)
                items.append({name: {"status": 404 if source is None and kept is None else 200}})
        return {"errors": True, "items": items}


def conflict(has: int, given: int) -> dict[str, str]:
    reason = f"[1:ta]: version conflict, current version [{has}] is higher or equal to the one provided [{given}]"
    return {"type": "version_conflict_engine_exception", "reason": reason}


BUSY = {"status": 429, "error": {"type": "rejected_execution_exception", "reason": "too much to do"}}
BAD = {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": "bad"}}
FLOOD = {
    "status": 429,
    "error": {
        "type": "cluster_block_exception",
        "reason": "index [x] blocked by: disk usage exceeded flood-stage watermark",
    },
}


def refusing(**but: Any) -> Callable[[Shelf, list[Any]], Any]:
    return lambda shelf, actions: shelf.apply(actions, {key_of("t", name): what for name, what in but.items()})


def written(shelf: Shelf, *ids: str, patience: float = 2.0) -> Tally:
    tally = Tally()
    writer = BulkWriter(shelf.send, patience, lambda: None)
    writer.write([Write.of(Document(tenant="t", id=id_, title=id_)) for id_ in ids], tally)
    return tally


def keys(text: str) -> list[str]:
    return [key_of("t", id_) for id_ in text]


def test_what_is_refused_for_the_moment_is_sent_again_alone() -> None:
    shelf = Shelf(refusing(a=BUSY, c=BUSY), refusing(c=BUSY))
    tally = written(shelf, *"abcd")
    assert (tally.done, tally.failed) == (4, {})
    assert shelf.requests == [keys("abcd"), keys("ac"), keys("c")]


def test_what_is_refused_for_good_is_named_and_costs_nobody_else() -> None:
    shelf = Shelf(refusing(b=BAD, c=BUSY))
    tally = written(shelf, *"abcd")
    assert (tally.done, tally.refused, tally.postponed) == (3, {"b": "mapper_parsing_exception: bad"}, {})
    assert shelf.requests == [keys("abcd"), keys("c")]


def test_what_is_refused_to_the_end_is_named_with_the_reason() -> None:
    tally = written(Shelf(*[refusing(b=BUSY)] * 1000), *"ab", patience=0.2)
    assert tally.done == 1
    assert tally.postponed == {"b": "rejected_execution_exception: too much to do"}


def test_a_full_disk_is_no_moment_to_wait_for() -> None:
    shelf = Shelf(refusing(a=FLOOD, b=FLOOD))
    tally = written(shelf, *"ab")
    assert (tally.done, sorted(tally.postponed), len(shelf.requests)) == (0, ["a", "b"], 1)
    assert "the disk of the server is full" in tally.postponed["a"]


def test_a_request_that_is_too_large_is_halved_until_it_fits() -> None:
    shelf = Shelf()
    shelf.largest = 2 * Write.of(Document(tenant="t", id="a", title="a")).size
    tally = Tally()
    documents = [Document(tenant="t", id=id_, title="x" * 1000 if id_ == "c" else id_) for id_ in "abcde"]
    BulkWriter(shelf.send, 1.0, lambda: None).write([Write.of(each) for each in documents], tally)
    assert (tally.done, tally.refused) == (4, {"c": "too large"})
    assert sorted(id_ for request in shelf.requests for id_ in request) == keys("abde")


def test_a_clock_that_is_behind_loses_no_write() -> None:
    shelf = Shelf()
    ahead = 2**62
    shelf.kept[key_of("t", "a")] = (ahead, {"title": "written by a machine whose clock is ahead"})
    assert written(shelf, "a").done == 1
    version, source = shelf.kept[key_of("t", "a")]
    assert (version, source["title"]) == (ahead + 1, "a")


def test_a_request_that_comes_late_does_not_replace_what_was_written_since() -> None:
    shelf = Shelf()
    late: list[Any] = []
    shelf.troubles = [lambda _, actions: late.append(actions) or ({"items": [{"index": BAD}]}, False)]
    written(shelf, "a")  # given up
    shelf.troubles = []
    tally = Tally()
    BulkWriter(shelf.send, 1.0, lambda: None).write([Write.of(Document(tenant="t", id="a", title="newer"))], tally)
    shelf.apply(late[0])
    assert shelf.kept[key_of("t", "a")][1]["title"] == "newer"


def test_what_was_applied_before_its_connection_broke_is_done_and_is_not_done_again() -> None:
    def twice(shelf: Shelf, actions: list[Any]) -> Any:
        shelf.apply(actions)
        version, _ = shelf.kept[key_of("t", "b")]
        shelf.kept[key_of("t", "b")] = (version + 1000, {"title": "written by another one since"})
        return shelf.apply(actions), True

    shelf = Shelf(twice)
    assert written(shelf, *"abc").done == 3
    assert len(shelf.requests) == 1
    assert shelf.kept[key_of("t", "b")][1]["title"] == "written by another one since"


def test_what_is_refused_after_its_connection_broke_is_in_doubt() -> None:
    def busy(shelf: Shelf, actions: list[Any]) -> Any:
        return {"items": [{"index": {"status": 429, "error": told("busy", "full")["error"]}} for _ in actions]}, True

    shelf = Shelf(*[busy] * 50)
    tally = Tally()
    BulkWriter(shelf.send, 0.1, lambda: None).write([Write.of(Document(tenant="t", id="a", title="x"))], tally)
    assert tally.in_doubt
    assert (tally.done, set(tally.postponed)) == (0, {"a"})
    assert not written(Shelf(), "a").in_doubt


def test_removals_count_what_was_there() -> None:
    shelf, tally = Shelf(), Tally()
    written(shelf, *"ab")
    BulkWriter(shelf.send, 1.0, lambda: None).write([Write.removal("t", id_) for id_ in "abz"], tally)
    assert (tally.done, tally.failed) == (2, {})


@given(st.lists(st.integers(0, 3000), max_size=60), st.integers(1, 7), st.integers(1, 5000))
@settings(deadline=None)
def test_chunks_keep_both_limits_and_everything(sizes: list[int], most: int, most_bytes: int) -> None:
    writes = [Write(str(n), str(n), "r", b"x" * size) for n, size in enumerate(sizes)]
    found = list(chunks(writes, most, most_bytes))
    assert [write for chunk in found for write in chunk] == writes
    assert all(len(chunk) <= most for chunk in found)
    assert all(len(chunk) == 1 or sum(write.size for write in chunk) <= most_bytes for chunk in found)


@given(st.sampled_from(sorted(HOSTILE_TEXTS)), st.sampled_from(sorted(HOSTILE_TEXTS)))
@settings(deadline=None)
def test_no_text_ends_a_line_of_a_bulk_request(title: str, text: str) -> None:
    document = Document(tenant="t", id=title, title=HOSTILE_TEXTS[title], text=HOSTILE_TEXTS[text])
    if not has_utf8(document.title):
        return
    write = Write.of(document)
    lines = write.lines(7).split(b"\n")
    assert len(lines) == 3
    assert len(write.lines(2**63)) <= write.size + len(write.key.encode())


# Queries


def test_words_are_asked_for_as_terms_within_the_tenant() -> None:
    query = SearchQuery(tenant="a", text="ignored", kind="flow", limit=7)
    body = search_body(query, ["gold", "card"], query.limit)
    assert body["query"]["bool"] == {
        "filter": [{"term": {"tenant": "a"}}, {"term": {"kind": "flow"}}],
        "must": [{"term": {"words": "gold"}}, {"term": {"words": "card"}}],
    }
    assert (body["size"], body["sort"]) == (7, [{"_score": "desc"}, {"id": "asc"}])


def test_many_words_go_into_several_requests() -> None:
    words = [f"w{n}" for n in range(2 * WORDS_PER_REQUEST + 1)]
    groups = groups_of(words)
    assert [len(group) for group in groups] == [WORDS_PER_REQUEST, WORDS_PER_REQUEST, 1]
    assert [word for group in groups for word in group] == words


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"type": "x"}, "status": 400},
        {"timed_out": True, "_shards": {"failed": 0}, "hits": {"hits": []}},
        {"timed_out": False, "_shards": {"failed": 1}, "hits": {"hits": []}},
    ],
)
def test_a_part_of_an_answer_is_an_error(answer: dict[str, Any]) -> None:
    with pytest.raises(UnavailableError):
        checked(answer, "OpenSearch")


# Errors


def told(kind: str, reason: str) -> dict[str, Any]:
    return {"error": {"root_cause": [{"type": kind, "reason": reason}], "type": "outer", "reason": "all shards failed"}}


@pytest.mark.parametrize(
    ("error", "read", "write", "says"),
    [
        (driver.ConnectionTimeout("TIMEOUT", "", OSError()), OperationTimeoutError, IndeterminateError, "within 3 s"),
        (driver.ConnectionError("N/A", "", OSError("reset")), UnavailableError, IndeterminateError, "reset"),
        (driver.SSLError("N/A", "CERTIFICATE_VERIFY_FAILED", OSError()), UnavailableError, UnavailableError, "reached"),
        (driver.SSLError("N/A", "BAD_RECORD_MAC", OSError()), UnavailableError, IndeterminateError, "broke"),
        (driver.TransportError(429, "", told("busy", "full")), UnavailableError, UnavailableError, "busy: full"),
        (driver.TransportError(503, "", "no backend"), UnavailableError, UnavailableError, "no backend"),
        (driver.TransportError(502, "", ""), UnavailableError, IndeterminateError, "gateway"),
        (driver.TransportError(500, "", ""), UnavailableError, IndeterminateError, "failed"),
        (driver.AuthenticationException(401, "", "Unauthorized"), UnavailableError, UnavailableError, "credentials"),
        (
            driver.NotFoundError(404, "", told("index_not_found_exception", "x")),
            UnavailableError,
            UnavailableError,
            "alias",
        ),
        (
            driver.RequestError(400, "", told("index_closed_exception", "closed")),
            UnavailableError,
            UnavailableError,
            "_open",
        ),
        (
            driver.RequestError(400, "", told("parsing_exception", "no")),
            RejectedError,
            RejectedError,
            "parsing_exception",
        ),
        (driver.SerializationError("<html>"), UnavailableError, IndeterminateError, "<html>"),
    ],
)
def test_an_error_says_what_may_have_been_applied(
    error: driver.OpenSearchException, read: type[Exception], write: type[Exception], says: str
) -> None:
    for writes, kind in ((False, read), (True, write)):
        found = translated(error, "OpenSearch at x", 3.0, writes=writes)
        assert type(found) is kind
        assert says in str(found)


BROKEN = driver.ConnectionError("N/A", "", OSError("reset"))
REFUSED = driver.ConnectionError("N/A", "refused", NewConnectionError(HTTPConnectionPool("x"), "refused"))


@pytest.mark.parametrize(
    ("attempts", "effect", "kind"),
    [
        ((REFUSED,), Effect.IDEMPOTENT, UnavailableError),
        ((BROKEN, REFUSED), Effect.IDEMPOTENT, IndeterminateError),
        ((BROKEN, REFUSED), Effect.NONE, UnavailableError),
        ((driver.TransportError(502, "", ""), REFUSED), Effect.IDEMPOTENT, IndeterminateError),
        ((BROKEN, driver.RequestError(400, "", told("parsing_exception", "no"))), Effect.IDEMPOTENT, RejectedError),
    ],
)
def test_what_the_first_attempt_may_have_applied_is_not_denied_by_the_second(
    attempts: tuple[driver.OpenSearchException, ...], effect: Effect, kind: type[Exception]
) -> None:
    """A server that is killed breaks the connection first and refuses the next one."""
    left = list(attempts)
    client = OpenSearchClient(OpenSearchPlace.of(Settings({"OPENSEARCH_URL": "http://127.0.0.1:1"})))

    def request(api: object) -> None:
        raise left.pop(0)

    with pytest.raises(BackendError) as caught:
        client.call(request, effect)
    assert type(caught.value) is kind
    assert caught.value.__cause__ is attempts[-1]
    assert not left


def test_a_disconnect_does_not_deny_what_an_attempt_may_have_applied() -> None:
    client = OpenSearchClient(OpenSearchPlace.of(Settings({"OPENSEARCH_URL": "http://127.0.0.1:1"})))

    def request(api: object) -> None:
        client.close()
        raise driver.TransportError(502, "", "")

    with pytest.raises(IndeterminateError):
        client.call(request, Effect.IDEMPOTENT)
    with pytest.raises(ClosedError):
        client.call(request, Effect.IDEMPOTENT)


def test_reasons_of_odd_answers() -> None:
    assert reason_of("plain") == "plain"
    assert reason_of({"error": "alias missing", "status": 404}) == "alias missing"
    assert reason_of({"error": {"caused_by": {"type": "deep", "reason": "down"}}}) == "deep: down"


# Settings


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "OPENSEARCH_URL is not set"),
        ({"OPENSEARCH_URL": "localhost:9200"}, "no usable OpenSearch URL"),
        ({"OPENSEARCH_URL": "ftp://localhost"}, "no usable OpenSearch URL"),
        ({"OPENSEARCH_URL": "http://u:s3cr/et@localhost:9200"}, "no usable OpenSearch URL"),
        ({"OPENSEARCH_URL": "http://u:s3cret@localhost:port"}, "no usable OpenSearch URL"),
        ({"OPENSEARCH_URL": "http://localhost?timeout=s3cret"}, "no usable OpenSearch URL"),
        ({"OPENSEARCH_URL": "http://localhost", "OPENSEARCH_AUTH": "kerberos"}, "known are: none, basic, sigv4"),
        ({"OPENSEARCH_URL": "http://localhost", "OPENSEARCH_AUTH": "basic"}, "names no user"),
        ({"OPENSEARCH_URL": "http://u:s3cret@localhost", "OPENSEARCH_AUTH": "sigv4"}, "names a user"),
        ({"OPENSEARCH_URL": "https://localhost", "OPENSEARCH_CA_FILE": "/nowhere.pem"}, "OPENSEARCH_CA_FILE"),
        ({"OPENSEARCH_URL": "https://localhost", "OPENSEARCH_CA_FILE": __file__}, "OPENSEARCH_CA_FILE"),
        ({"OPENSEARCH_URL": "http://localhost", "OPENSEARCH_VISIBLE_WITHIN": "1"}, "cannot be kept"),
        ({"OPENSEARCH_URL": "http://localhost", "OPENSEARCH_SHARDS": "many"}, "OPENSEARCH_SHARDS"),
    ],
)
def test_settings_that_cannot_work(variables: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        OpenSearchSearchIndex.from_settings(Settings(variables))
    assert "s3cr" not in str(caught.value)


AMAZON = {"OPENSEARCH_URL": "http://localhost", "OPENSEARCH_AUTH": "sigv4"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_REGION": "eu-central-1"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"AWS_SECRET_ACCESS_KEY": ""}, "together"),
        ({"AWS_REGION": ""}, "AWS_REGION"),
        ({"OPENSEARCH_SERVICE": "elastic"}, "known are: es, aoss"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no AWS credentials"),
    ],
)
def test_signing_needs_keys_and_a_region(
    changes: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):  # not to be taken behind the back of the settings
        monkeypatch.setenv(name, "of the process")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ConfigurationError, match=says):
        OpenSearchSearchIndex.from_settings(Settings(AMAZON | KEYS | changes))


def test_serverless_declares_that_it_is_slow_to_show() -> None:
    with OpenSearchSearchIndex.from_settings(Settings(AMAZON | KEYS | {"OPENSEARCH_SERVICE": "aoss"})) as index:
        assert index.capabilities.visible_within == 60
    assert OpenSearchSearchIndex.capabilities.visible_within == 0


# Who asks, and over what


FOUND = {"timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": []}}
INDEX = {"sp_search_x-v1": {"mappings": {"_meta": {"stackproof": 1}}}}


def service_that(allows: Callable[[Asked], bool]) -> HttpService:
    def respond(asked: Asked) -> Told:
        if not allows(asked):
            return 401, {"Content-Type": "text/plain"}, b"Unauthorized"
        found = FOUND if asked[1].partition("?")[0].endswith("_search") else INDEX
        return 200, {"Content-Type": "application/json"}, json.dumps(found).encode()

    return HttpService(respond)


@pytest.fixture
def serving() -> Iterator[Callable[[Callable[[Asked], bool]], HttpService]]:
    made: list[HttpService] = []

    def make(allows: Callable[[Asked], bool]) -> HttpService:
        made.append(service_that(allows))
        return made[-1]

    yield make
    for each in made:
        each.close()


def asked_with(**variables: str) -> list[Any]:
    settings = Settings({"STACKPROOF_OPERATION_TIMEOUT": "2", "STACKPROOF_CONNECT_TIMEOUT": "2", **variables})
    with OpenSearchSearchIndex.from_settings(settings, namespace="x") as index:
        return index.search(SearchQuery(tenant="t", text="gold"))


def test_user_and_password_of_the_url(serving: Callable[..., HttpService]) -> None:
    service = serving(lambda asked: asked[2].get("authorization") == "Basic dXNlcjpwQC86dw==")  # user:p@/:w
    assert asked_with(OPENSEARCH_URL=f"http://user:p%40%2F%3Aw@127.0.0.1:{service.port}/prefix") == []
    assert all(path.startswith("/prefix/sp_search_x") for _, path, _, _ in service.heard)
    with pytest.raises(UnavailableError, match="credentials") as caught:
        asked_with(OPENSEARCH_URL=f"http://user:s3cret@127.0.0.1:{service.port}")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("compress", ["no", "yes"])
@pytest.mark.parametrize("amazon", ["es", "aoss"])
def test_requests_are_signed_for_amazon(serving: Callable[..., HttpService], amazon: str, compress: str) -> None:
    service = serving(lambda asked: asked[2].get("authorization", "").startswith("AWS4-HMAC-SHA256 "))
    settings = {**KEYS, "AWS_SESSION_TOKEN": "token", "OPENSEARCH_AUTH": "sigv4", "OPENSEARCH_SERVICE": amazon}
    asked_with(OPENSEARCH_URL=f"http://127.0.0.1:{service.port}", OPENSEARCH_COMPRESS=compress, **settings)
    keys_of_it = botocore.credentials.Credentials("AKIDEXAMPLE", "s3cret", "token")
    for method, path, headers, body in service.heard:
        assert headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest()
        signed = {name: headers[name] for name in ("x-amz-date", "x-amz-security-token", "x-amz-content-sha256")}
        request = botocore.awsrequest.AWSRequest(method, f"http://{headers['host']}{path}", signed, body)
        request.context["timestamp"] = headers["x-amz-date"]
        auth = botocore.auth.SigV4Auth(keys_of_it, amazon, "eu-central-1")
        right = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        assert headers["authorization"].endswith(f"Signature={right}")
    assert any(headers.get("content-encoding") == "gzip" for _, _, headers, _ in service.heard) is (compress == "yes")


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The port of an HTTPS service, and the file with the certificate that it can be trusted by."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = tmp_path / "key.pem"
    plain = serialization.NoEncryption()
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
    service = service_that(lambda _: True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, private)
    service.encrypt(context)
    yield service.port, trusted
    service.close()


def test_a_server_that_a_file_of_certificates_vouches_for(tls: tuple[int, Path]) -> None:
    port, trusted = tls
    assert asked_with(OPENSEARCH_URL=f"https://localhost:{port}", OPENSEARCH_CA_FILE=str(trusted)) == []


def test_a_server_that_nobody_vouches_for_is_refused(tls: tuple[int, Path]) -> None:
    port, trusted = tls
    with pytest.raises(UnavailableError, match=r"(?i)certificate verify failed"):
        asked_with(OPENSEARCH_URL=f"https://localhost:{port}")
    with pytest.raises(UnavailableError, match=r"(?i)certificate verify failed"):  # it is of another host
        asked_with(OPENSEARCH_URL=f"https://127.0.0.1:{port}", OPENSEARCH_CA_FILE=str(trusted))


def test_http_and_https_are_not_taken_for_each_other(
    tls: tuple[int, Path], serving: Callable[..., HttpService]
) -> None:
    with pytest.raises(UnavailableError):
        asked_with(OPENSEARCH_URL=f"http://localhost:{tls[0]}")
    with pytest.raises(UnavailableError):
        asked_with(OPENSEARCH_URL=f"https://localhost:{serving(lambda _: True).port}")


def test_what_a_place_shows() -> None:
    place = OpenSearchPlace("https://user:s3cret@host:1234/x")
    assert "s3cret" not in f"{place!r} {place.shown}"
    assert place.shown == "https://***@host:1234/x"


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    with OpenSearchSearchIndex.from_settings(Settings({"OPENSEARCH_URL": "http://127.0.0.1:1"})) as index:
        assert not index.ping()
    assert threading.active_count() == before
