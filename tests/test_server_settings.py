"""What servers say of themselves, asked from real ones; what they do not tell is unknown, with the reason."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import jsonschema
import psycopg
import pytest
from shared_servers import postgres_server, redis_server, server, variables_of

from stackproof.adapters.settings import Settings
from stackproof.interfaces import Document, Event, Interaction, InteractionType
from stackproof.measurement.evidence import Evidence, from_json, gather, kept_evidence, same_evidence, to_json
from stackproof.measurement.server_settings import cql as cql_settings
from stackproof.measurement.server_settings import kafka as kafka_settings
from stackproof.measurement.server_settings import redis as redis_settings
from stackproof.measurement.server_settings.asking import ask_servers
from stackproof.measurement.server_settings.containers import container_settings, read
from stackproof.measurement.server_settings.durability import Survives
from stackproof.measurement.server_settings.records import ServerSettings, Setting, Told, described, together
from stackproof.reports.json_page import FORMS
from stackproof.servers import Server
from stackproof.servers.embedded import EmbeddedRedis
from stackproof.servers.external import ExternalServer
from stackproof.targets import parse_target
from stackproof.verification.asking import UNTOLD, Answer, _asked_as, ask_external
from stackproof.verification.fidelity import COMPATIBLE, NATIVE
from stackproof.verification.run import _fidelity, describe_server


def asked(backend: str, variables: Mapping[str, str], namespace: str | None = None) -> ServerSettings:
    """What the server of a backend says, asked as one that somebody else runs."""
    target = parse_target(backend)
    (found,) = ask_servers([target], [ExternalServer(target.server, variables)], Settings(variables), namespace)
    return found


def gathered(backend: str, started: Server) -> Evidence:
    return gather([parse_target(backend)], [started], Settings(dict(started.variables())))


@pytest.fixture
def namespace() -> str:
    return f"evidence{secrets.token_hex(4)}"


@pytest.fixture
def made(namespace: str) -> Iterator[Any]:
    """Makes an adapter of the namespace, and removes everything of it at the end."""
    adapters: list[Any] = []

    def make(backend: str, variables: Mapping[str, str]) -> Any:
        adapters.append(parse_target(backend).make(Settings(variables), namespace))
        return adapters[-1]

    yield make
    for adapter in adapters:
        adapter.drop_namespace()
        adapter.disconnect()


class TestPostgres:
    def test_what_it_tells(self) -> None:
        found = asked("interactions=postgres", postgres_server().variables())
        assert found.technology == "postgres"
        assert found.value("version") == postgres_server().version()
        told = {name: found.value(name) for name in ("fsync", "synchronous_commit", "full_page_writes", "replicas")}
        assert told == {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "replicas": "0 connected, 0 synchronous",
        }
        assert not [setting.name for setting in found.settings if setting.unknown]
        assert found.value("connections") == "16"

    def test_what_holds_for_the_user_counts_not_what_the_file_says(self) -> None:
        role = f"hasty{secrets.token_hex(4)}"
        url = postgres_server().variables()["DATABASE_URL"]
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
            connection.execute(f"ALTER ROLE {role} SET synchronous_commit = off")
        try:
            host = url.rpartition("@")[2]
            found = asked("interactions=postgres", {"DATABASE_URL": f"postgresql://{role}:x@{host}"})
        finally:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"DROP ROLE {role}")
        assert found.value("synchronous_commit") == "off"

    def test_nobody_there_is_unknown_without_host_and_user(self) -> None:
        found = asked("search=postgres", {"DATABASE_URL": "postgresql://alice:secret@127.0.0.1:1/db"})
        assert {setting.unknown for setting in found.settings} == {"the server did not tell (UnavailableError)"}
        assert found.value("connect timeout") == "5 s"  # that much is known
        shown = json.dumps(found.to_data())
        assert not [word for word in ("alice", "secret", "127.0.0.1") if word in shown]


class TestRedis:
    def test_what_it_tells(self) -> None:
        found = asked("cache=redis", redis_server().variables())
        assert (found.technology, found.value("version")) == ("redis", redis_server().version())
        assert found.value("appendonly") == "no"
        assert (found.value("masters"), found.value("replicas")) == ("1", "0")
        assert not [setting.name for setting in found.settings if setting.unknown]

    def test_a_log_on_disk_shows_in_the_durability(self) -> None:
        with EmbeddedRedis(appendonly=True, appendfsync="always") as strict:
            (row,) = gathered("cache=redis", strict).durability
        assert row.power_loss.answer is Survives.YES
        (usual,) = gathered("cache=redis", redis_server()).durability
        assert usual.power_loss.answer is Survives.NO

    def test_who_must_not_ask_for_the_configuration(self) -> None:
        with EmbeddedRedis() as refusing:
            url = refusing.variables()["REDIS_URL"]
            client = _commands(url)
            client.execute_command("ACL", "SETUSER", "poor", "on", ">pw", "~*", "+@all", "-config")
            host = url.rpartition("@")[2]
            found = asked("cache=redis", {"REDIS_URL": f"redis://poor:pw@{host}"})
            client.close()
        assert found.why_unknown("appendonly") == "CONFIG is refused, as managed services do"
        assert found.value("version") is not None
        assert "poor" not in json.dumps(found.to_data())

    @pytest.mark.parametrize(
        ("url", "protection"),
        [
            ("redis://127.0.0.1:1", "no"),
            ("rediss://127.0.0.1:1", "yes, verified"),
            ("rediss://127.0.0.1:1?ssl_cert_reqs=none", "yes, not verified"),
            ("rediss://127.0.0.1:1?ssl_cert_reqs=optional", "yes, verified"),
            ("rediss://127.0.0.1:1?ssl_check_hostname=false", "yes, verified, but for any host"),
        ],
    )
    def test_tls_is_what_the_url_says(self, url: str, protection: str) -> None:
        target = parse_target("cache=redis")
        told = {each.name: each.value for each in redis_settings.client(Settings({"REDIS_URL": url}), [target])}
        assert told["TLS"] == protection

    def test_each_master_of_a_cluster(self) -> None:
        found = asked("cache=elasticache", variables_of("redis-cluster"))
        assert (found.value("masters"), found.asked) == ("3", "each of 3 masters")
        assert int(found.value("replicas") or -1) >= 0
        assert found.value("protocol") == "cluster"


class TestKafka:
    def test_what_it_tells(self) -> None:
        found = asked("events=kafka", variables_of("kafka"))
        assert (found.technology, found.value("brokers")) == ("kafka", "1")
        assert found.why_unknown("version") == "Kafka's protocol does not tell the release of a broker"
        unknown = {setting.name for setting in found.settings if setting.unknown}
        assert unknown == {"version"}
        assert (found.value("acks"), found.value("enable.idempotence")) == ("all", "true")

    def test_the_topics_of_the_run_are_asked_for(self, made: Any, namespace: str) -> None:
        variables = variables_of("kafka")
        made("events=kafka", variables).publish("orders", Event(key="k", type="t", payload={}))
        found = asked("events=kafka", variables, namespace)
        assert found.asked.endswith("and 1 topics of this run")
        assert found.value("topic replication factor") == "1"

    def test_no_password_is_recorded(self) -> None:
        variables = {"KAFKA_BROKERS": "127.0.0.1:1", "KAFKA_USERNAME": "alice", "KAFKA_PASSWORD": "s3cret"}
        shown = json.dumps(asked("events=kafka", variables | {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}).to_data())
        assert not [word for word in ("s3cret", "alice", "127.0.0.1") if word in shown]


class TestCql:
    def test_what_it_tells(self, made: Any, namespace: str) -> None:
        variables = variables_of("cassandra")
        made("interactions=cassandra", variables).record_event(_interaction())
        found = asked("interactions=cassandra", variables, namespace)
        assert (found.technology, found.asked) == ("cassandra", "its only node")
        assert found.value("commitlog_sync") in ("batch", "group", "periodic")
        assert found.value("replication factor") == "1"
        assert found.value("consistency") == "LOCAL_QUORUM"
        assert not [setting.name for setting in found.settings if setting.unknown]

    def test_a_keyspace_that_is_not_there(self) -> None:
        found = asked("interactions=cassandra", {**variables_of("cassandra"), "SCYLLA_KEYSPACE": "nobody_made_this"})
        assert found.why_unknown("replication factor") == "our keyspace is not there yet"


class TestOpenSearch:
    def test_before_the_run_made_its_index(self) -> None:
        found = asked("search=opensearch", variables_of("opensearch"))
        assert (found.technology, found.value("nodes")) == ("opensearch", "1")
        assert found.why_unknown("index.translog.durability").startswith("no index of this run was there")

    def test_the_index_of_the_run_is_asked_for_defaults_included(self, made: Any, namespace: str) -> None:
        variables = variables_of("opensearch")
        made("search=opensearch", variables).index([Document(tenant="t", id="1", title="title", text="text")])
        found = asked("search=opensearch", variables, namespace)
        assert (found.value("index.translog.durability") or "").lower() == "request"
        assert found.value("copies in place") == "1 of 1"
        assert not [setting.name for setting in found.settings if setting.unknown]


class TestContainers:
    def test_image_and_limits_of_a_container_of_ours(self) -> None:
        found = container_settings(server("redis-tls"))
        assert {setting.name for setting in found} >= {"image", "image digest", "cpu limit", "memory limit"}
        assert "sha256:" in next(setting.value for setting in found if setting.name == "image digest")

    def test_what_the_daemon_says(self) -> None:
        said = read(
            {
                "container": {
                    "Config": {"Image": "redis:8"},
                    "HostConfig": {"NanoCpus": 1_500_000_000, "Memory": 2**29, "CpuShares": 0, "NetworkMode": "host"},
                },
                "image": {"Id": "sha256:ab", "RepoDigests": ["redis@sha256:cd"]},
            }
        )
        assert said == {
            "image": "redis:8",
            "image digest": "sha256:cd",
            "cpu limit": "1.5 cores",
            "cpu shares": "1024",
            "memory limit": "536870912 bytes",
            "network": "of the machine",
        }

    def test_what_is_no_container_has_none(self) -> None:
        assert container_settings(redis_server()) == ()


class TestEvidence:
    def test_through_json_and_back(self) -> None:
        found = gathered("cache=redis", redis_server())
        assert from_json(to_json(found)) == found

    def test_the_schema_describes_it(self) -> None:
        form = next(form for form in FORMS if form.name == "evidence")
        jsonschema.validate(json.loads(to_json(gathered("cache=redis", redis_server()))), form.schema())

    @pytest.mark.parametrize("text", ["{}", "[]", "x", '{"schema": "stackproof-evidence/1"}', '{"schema": "other/1"}'])
    def test_what_is_no_evidence_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r".+"):
            from_json(text)

    def test_a_run_without_any(self, tmp_path: Any) -> None:
        assert kept_evidence(tmp_path) is None

    def test_equal_and_different_servers(self) -> None:
        found = gathered("cache=redis", redis_server())
        assert same_evidence(found, found) == ()
        with EmbeddedRedis(appendonly=True) as other:
            reasons = same_evidence(found, gathered("cache=redis", other))
        assert reasons == ("appendonly of redis differs: no and yes",)

    def test_a_server_on_one_side_only(self) -> None:
        one, other = gathered("cache=redis", redis_server()), gathered("interactions=postgres", postgres_server())
        reasons = same_evidence(one, other)
        assert "only one of them used the server postgres" in reasons

    def test_a_service_that_tells_nothing(self) -> None:
        found = asked("interactions=dynamodb", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
        assert found.why_unknown("version") == "a service of AWS tells no settings"

    def test_a_driver_that_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import importlib

        def refuse(name: str) -> Any:
            raise ModuleNotFoundError(f"No module named {name}", name="psycopg")

        monkeypatch.setattr(importlib, "import_module", refuse)
        found = asked("search=postgres", {"DATABASE_URL": "postgresql://127.0.0.1:1/db"})
        assert found.why_unknown("version") == "the driver is not installed (psycopg)"

    def test_two_backends_on_one_server_are_asked_once(self) -> None:
        targets = [parse_target(name) for name in ("events=redis", "cache=redis")]
        evidence = gather(targets, [redis_server()], Settings(dict(redis_server().variables())))
        assert [each.backends for each in evidence.servers] == [("events=redis", "cache=redis")]
        assert [row.backend for row in evidence.durability] == ["events=redis", "cache=redis"]


class TestValues:
    def test_what_was_not_told_has_a_reason(self) -> None:
        told = Told("x", "", {"a": "1"}, {"b": "refused"})
        assert described({"a": "A.", "b": "B.", "c": "C."}, told, "no such setting") == (
            Setting("a", "1", "A."),
            Setting("b", "", "B.", "refused"),
            Setting("c", "", "C.", "no such setting"),
        )

    def test_nodes_that_differ(self) -> None:
        assert together(["yes", "yes"]) == "yes"
        assert together(["yes", "no", "yes"]) == "yes on 2, no on 1"


def _commands(url: str) -> Any:
    import redis

    return redis.Redis.from_url(url)


def _interaction() -> Interaction:
    kind = InteractionType.IMPRESSION
    return Interaction(
        event_id="e", tenant="t", customer="c", offer="o", interaction_type=kind, timestamp=datetime.now(UTC)
    )


class TestCertificates:
    """A certificate names version and settings of an external server: asked in the same way."""

    def test_version_and_settings(self) -> None:
        told = ask_external(ExternalServer("postgres", postgres_server().variables()))
        assert (told.technology, told.version) == ("postgres", postgres_server().version())
        assert told.facts["fsync"] == "on"
        told = ask_external(ExternalServer("redis", redis_server().variables()))
        assert (told.technology, told.version) == ("redis", redis_server().version())
        assert told.facts["appendonly"] == "no"

    def test_brokers_and_clusters_are_asked_too(self) -> None:
        for name, technology, fact in (("kafka", "kafka", "brokers"), ("cassandra", "cassandra", "nodes")):
            told = ask_external(ExternalServer(name, variables_of(name)))
            assert (told.technology, told.facts[fact]) == (technology, "1")

    @pytest.mark.parametrize(
        ("server", "variables"),
        [
            ("postgres", {"DATABASE_URL": "postgresql://127.0.0.1:1/db"}),
            ("valkey", {"REDIS_URL": "redis://127.0.0.1:1"}),
            ("redis-cluster", {"REDIS_URL": "redis://127.0.0.1:1"}),
            ("kafka", {"KAFKA_BROKERS": "127.0.0.1:1"}),
            ("cassandra", {"SCYLLA_CONTACT_POINTS": "127.0.0.1:1"}),
            ("cassandra", {"KEYSPACES_ENDPOINT": "127.0.0.1:1", "KEYSPACES_AUTH": "none"}),
            ("opensearch", {"OPENSEARCH_URL": "http://127.0.0.1:1"}),
        ],
    )
    def test_who_does_not_answer_is_nothing_that_a_backend_is_for(
        self, server: str, variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("stackproof.verification.asking._SECONDS", 0.5)
        told = ask_external(ExternalServer(server, variables))
        assert (told.technology, told.version) == (UNTOLD, "")
        assert list(told.facts) == ["not told"]

    def test_a_service_of_aws_is_told_by_its_address(self) -> None:
        assert ask_external(ExternalServer("aws", {"AWS_REGION": "eu-west-1"})) == Answer("")

    def test_a_server_of_ones_own_is_no_service_and_no_other_engine(self) -> None:
        """Whatever the backend is called that was pointed at it."""
        url = redis_server().variables()
        for backend, fidelity in (("redis", NATIVE), ("dragonfly", COMPATIBLE), ("upstash", COMPATIBLE)):
            target = parse_target(f"cache={backend}")
            record = describe_server(ExternalServer(target.server, url))
            assert (record.technology, record.fidelity) == ("redis", NATIVE)
            assert _fidelity(target, {record.name: record}) == fidelity

    def test_the_way_to_keyspaces_is_taken_where_it_is_the_only_one(self) -> None:
        keyspaces, scylla = {"KEYSPACES_ENDPOINT": "host"}, {"SCYLLA_CONTACT_POINTS": "host"}
        assert _asked_as("cassandra", keyspaces).name == "interactions=keyspaces"
        assert _asked_as("cassandra", scylla).name == "interactions=cassandra"
        assert _asked_as("cassandra", keyspaces | scylla).name == "interactions=cassandra"


class TestBrands:
    """What tells a service or another implementation from what it is compatible with."""

    @pytest.mark.parametrize(
        ("lines", "brand"),
        [
            (("redis_version", "upstash_version"), "upstash"),
            (("redis_version", "valkey_version", "server_name"), "valkey"),
            (("redis_version", "dragonfly_version"), "dragonfly"),
            (("redis_version",), "redis"),
            ((), ""),
        ],
    )
    def test_of_redis(self, lines: tuple[str, ...], brand: str) -> None:
        assert redis_settings.brand_of(lines)[1] == brand

    @pytest.mark.parametrize(
        ("host", "brand"),
        [
            ("shop-abc123.serverless.use1.cache.amazonaws.com", "elasticache-serverless"),
            ("shop-abc123.SERVERLESS.cnn1.cache.amazonaws.com.cn", "elasticache-serverless"),
            ("clustercfg.shop.abc123.use1.cache.amazonaws.com", "valkey"),
            ("x.serverless.use1.cache.amazonaws.com.example", "valkey"),
            ("127.0.0.1", "valkey"),
        ],
    )
    def test_of_elasticache(self, host: str, brand: str) -> None:
        """Serverless is told by its address: it says that it is the engine with which it is compatible."""
        lines = ("redis_version", "valkey_version")
        assert redis_settings.brand_of(lines, [host]) == ("valkey_version", brand)
        assert redis_settings.brand_of((), [host]) == ("", "")

    def test_of_kafka(self) -> None:
        msk = "b-1.shop.abc123.c2.kafka.eu-west-1.amazonaws.com"
        serverless = "boot-abc123.c1.kafka-serverless.us-east-1.amazonaws.com"
        assert kafka_settings.brand_of("redpanda.2d339cd9-b540", ["10.0.0.1"]) == "redpanda"
        assert kafka_settings.brand_of("MkU3OEVBNTcwNTJENDM2Qk", [msk]) == "msk"
        assert kafka_settings.brand_of(None, [serverless]) == "msk"
        assert kafka_settings.brand_of(None, [msk, "10.0.0.1"]) == "kafka"
        assert kafka_settings.brand_of("MkU3OEVBNTcwNTJENDM2Qk", ["kafka.amazonaws.com.example"]) == "kafka"
        assert kafka_settings.brand_of(None, []) == "kafka"

    def test_of_cql(self) -> None:
        assert cql_settings.brand_of([("Amazon Keyspaces",)], is_scylla=False) == "keyspaces"
        assert cql_settings.brand_of([("Test Cluster",)], is_scylla=False) == "cassandra"
        assert cql_settings.brand_of([], is_scylla=False) == "cassandra"
        assert cql_settings.brand_of([("any",)], is_scylla=True) == "scylla"
