"""Servers in containers answer, die and come back, refuse strangers, and leave nothing behind, however their run ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from shared_servers import container, our_images, server
from test_servers import environment, until

from stackproof.servers import MissingWheelError, ServerError
from stackproof.servers.containers import labels, sweep
from stackproof.servers.containers.certificates import make_certificates
from stackproof.servers.containers.container import ContainerServer
from stackproof.servers.containers.cql_wire import CqlConnection, is_scylla
from stackproof.servers.containers.engine import NoDockerError, opened
from stackproof.servers.containers.kafka import KafkaContainer, KafkaIamContainer
from stackproof.servers.containers.kafka_wire import KafkaConnection
from stackproof.servers.containers.kinds import CONTAINERS
from stackproof.servers.containers.options import ContainerOptions
from stackproof.servers.containers.postgres import PostgresContainer
from stackproof.servers.containers.redis import RedisContainer, RedisTlsContainer
from stackproof.servers.containers.redis_cluster import RedisClusterContainer
from stackproof.servers.resp import RespConnection
from stackproof.servers.sets import servers_for

HOLDER = """
import json, sys
from stackproof.servers.sets import servers_for
images = json.loads(sys.argv[1])
try:
    with servers_for(sys.argv[2:], "container", images) as started:
        print(json.dumps({"run": started._run.path.name, "keeper": started._run.keeper_pid}), flush=True)
        sys.stdin.read()
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresContainer]:
    made = container("postgres")
    assert isinstance(made, PostgresContainer)
    with made:
        yield made


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisContainer]:
    made = container("redis")
    assert isinstance(made, RedisContainer)
    with made:
        yield made


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Certificates of an authority that no server trusts, and that signed none of them."""
    return make_certificates(tmp_path_factory.mktemp("stranger"))


@pytest.fixture
def docker() -> Iterator[Any]:
    our_images()
    with opened() as client:
        yield client.client


def running(name: str) -> Any:
    return server(name)


# -- life


@pytest.mark.parametrize("name", sorted(set(CONTAINERS) - {"postgres", "redis"}))
def test_a_server_answers_dies_and_comes_back(name: str) -> None:
    it = running(name)
    before = dict(it.variables())
    version, facts = it.version(), it.facts()
    assert version[0].isdigit()
    assert all(isinstance(value, str) for value in facts.values())
    it.kill()
    with pytest.raises((ServerError, OSError)):
        it._answers()
    it.start()
    assert it._answers()
    assert dict(it.variables()) == before
    assert it.version() == version


def test_postgres_keeps_what_it_acknowledged_when_it_is_killed(postgres: PostgresContainer) -> None:
    url = postgres.variables()["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        connection.execute("INSERT INTO kept VALUES (42)")
    postgres.kill()
    postgres.start()
    postgres.restart()
    assert postgres.variables()["DATABASE_URL"] == url
    assert postgres.ask("SELECT number FROM kept") == "42"
    facts = postgres.facts()
    assert (facts["fsync"], facts["synchronous_commit"]) == ("on", "on")


def test_cassandra_keeps_every_acknowledged_write_when_it_is_killed() -> None:
    cassandra = running("cassandra")
    assert cassandra.facts()["commitlog_sync"] == "batch"
    with cassandra._connection() as cql:
        cql.rows("CREATE KEYSPACE durable WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
        cql.rows("CREATE TABLE durable.kept (number text PRIMARY KEY)")
        for number in range(200):
            cql.rows(f"INSERT INTO durable.kept (number) VALUES ('{number}')")
    cassandra.kill()
    cassandra.start()
    with cassandra._connection() as cql:
        assert len(cql.rows("SELECT number FROM durable.kept")) == 200
        cql.rows("DROP KEYSPACE durable")


def test_a_frozen_server_gives_no_answer_and_goes_on(redis: RedisContainer) -> None:
    with redis.connection() as open_before:
        redis.pause()
        open_before._socket.settimeout(0.3)
        with pytest.raises(ServerError, match="did not answer in time"):
            open_before.ask("PING")
        redis.resume()
    assert redis._answers()


def test_a_server_that_is_cut_from_its_network_is_not_reached_until_it_is_back(redis: RedisContainer) -> None:
    redis.disconnect()
    with pytest.raises(ServerError):
        redis._answers()
    redis.reconnect()
    until(lambda: _answers(redis), "the return of the network", 10)


def _answers(it: ContainerServer) -> bool:
    try:
        return it._answers()
    except (ServerError, OSError):
        return False


def test_a_frozen_server_can_be_killed(redis: RedisContainer) -> None:
    redis.pause()
    redis.kill()
    redis.kill()
    redis.start()
    redis.start()
    assert redis._answers()


def test_a_replica_takes_over_when_a_master_is_killed() -> None:
    cluster = running("redis-cluster")
    assert isinstance(cluster, RedisClusterContainer)
    before = cluster.masters()
    assert len(before) == 3
    lost = before[0]
    cluster.kill_node(lost)
    until(lambda: len(cluster.masters()) == 3 and lost not in cluster.masters(), "the failover", 30)
    cluster.start_node(lost)
    cluster.wait_until_whole()
    assert lost not in cluster.masters()


# -- what is seen from outside


def test_ports_are_published_on_the_loopback_address_alone(redis: RedisContainer) -> None:
    redis.container.reload()
    bindings = redis.container.attrs["NetworkSettings"]["Ports"][f"{redis.port}/tcp"]
    assert bindings == [{"HostIp": "127.0.0.1", "HostPort": str(redis.port)}]


@pytest.mark.parametrize(
    "name", ["redis-tls", "kafka-sasl", "kafka-iam", "cassandra-tls", "postgres-tls", "redis-cluster"]
)
def test_docker_shows_no_password(name: str) -> None:
    it = running(name)
    it.container.reload()
    shown = json.dumps(it.container.attrs)
    assert it._password not in shown
    assert it._run.secret not in shown


def test_everything_carries_the_labels_of_its_run(redis: RedisContainer, docker: Any) -> None:
    run = redis._started_run().path.name
    found = {"label": f"stackproof.run={run}"}
    (seen,) = docker.containers.list(filters=found)
    assert seen.labels["stackproof.owner"] == str(os.getpid())
    assert seen.labels["stackproof.owner-started"] == labels.started(os.getpid())
    assert len(docker.networks.list(filters=found)) == len(docker.volumes.list(filters=found)) == 1


def test_limits_are_kept() -> None:
    options = ContainerOptions.from_environment(
        {
            **our_images(),
            "STACKPROOF_CONTAINER_MEMORY": "256m",
            "STACKPROOF_CONTAINER_CPUS": "0.5",
            "STACKPROOF_CONTAINER_CPU_SHARES": "128",
        }
    )
    with RedisContainer(options=options) as limited:
        host = limited.container.attrs["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["CpuShares"]) == (256 * 2**20, 500_000_000, 128)
    assert options.heap() == 128


def test_on_the_network_of_the_machine_it_listens_on_loopback_alone() -> None:
    options = ContainerOptions.from_environment({**our_images(), "STACKPROOF_CONTAINER_NETWORK": "host"})
    with RedisContainer(options=options) as shared:
        listening = {c.laddr.ip for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == shared.port}
        assert listening == {"127.0.0.1"}
        with pytest.raises(ServerError, match="cannot be cut"):
            shared.disconnect()


@pytest.mark.parametrize(
    ("variable", "value"),
    [("NETWORK", "moon"), ("MEMORY", "lots"), ("MEMORY", "1k"), ("CPUS", "0"), ("CPUS", "nan"), ("CPU_SHARES", "one")],
)
def test_options_that_cannot_be_are_named(variable: str, value: str) -> None:
    with pytest.raises(ServerError, match=f"STACKPROOF_CONTAINER_{variable}="):
        ContainerOptions.from_environment({f"STACKPROOF_CONTAINER_{variable}": value})


# -- refusals


def test_redis_refuses_strangers(stranger: Any) -> None:
    redis = running("redis-tls")
    assert isinstance(redis, RedisTlsContainer)
    with pytest.raises(ServerError, match="WRONGPASS"):
        RespConnection(redis.port, "wrong", context=redis.certificates.context())
    with pytest.raises(ServerError, match=r"certificate|CERTIFICATE"):
        RespConnection(redis.port, redis._password, context=stranger.context())
    with pytest.raises(ServerError):
        RespConnection(redis.port, redis._password)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda url: url.replace("sslmode=verify-full", "sslmode=disable"), r"rejects connection.*no encryption"),
        (lambda url: url.replace("stackproof:", "stackproof:wrong"), "password authentication failed"),
    ],
)
def test_postgres_refuses_strangers(change: Callable[[str], str], reason: str) -> None:
    url = running("postgres-tls").variables()["DATABASE_URL"]
    with psycopg.connect(url) as connection:
        assert connection.info.pgconn.ssl_in_use
    with pytest.raises(psycopg.OperationalError, match=reason):
        psycopg.connect(change(url))


def test_postgres_is_not_believed_under_another_authority(stranger: Any) -> None:
    url = running("postgres-tls").variables()["DATABASE_URL"].partition("&sslrootcert=")[0]
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(f"{url}&sslrootcert={stranger.ca}")


def test_cassandra_refuses_strangers(stranger: Any) -> None:
    cassandra = running("cassandra-tls")
    where, context = ("127.0.0.1", cassandra.port), cassandra.certificates.context()
    for user in (("cassandra", "cassandra"), ("cassandra", "wrong"), ("nobody", cassandra._password)):
        with pytest.raises(ServerError, match=r"refused.*(incorrect|credentials)"):
            CqlConnection(*where, user=user, context=context)
    with pytest.raises(ServerError, match="asks for a user and a password"):
        CqlConnection(*where, context=context)
    with pytest.raises(ssl.SSLCertVerificationError):
        CqlConnection(*where, user=("cassandra", cassandra._password), context=stranger.context())
    with pytest.raises((ServerError, OSError)):
        CqlConnection(*where, user=("cassandra", cassandra._password))
    assert not is_scylla(*where, context)


@pytest.mark.parametrize("name", ["kafka-tls", "kafka-sasl", "kafka-iam"])
def test_kafka_refuses_strangers(name: str, stranger: Any) -> None:
    """On every port: the one for ourselves takes our certificate, and nothing else."""
    kafka = running(name)
    trusting = ssl.create_default_context(cafile=str(kafka.certificates.ca))
    with pytest.raises((ServerError, OSError)), KafkaConnection(kafka._admin_port, trusting) as without_certificate:
        without_certificate.brokers()
    with pytest.raises(ssl.SSLCertVerificationError):
        KafkaConnection(kafka._admin_port, stranger.context())
    trusting.load_cert_chain(stranger.client_chain, stranger.client_key)
    with pytest.raises((ServerError, OSError)), KafkaConnection(kafka._admin_port, trusting) as another_authority:
        another_authority.brokers()
    for port in kafka.ports:
        with pytest.raises((ServerError, OSError)), KafkaConnection(port) as plaintext:
            plaintext.brokers()
    if name != "kafka-tls":
        with pytest.raises((ServerError, OSError)), KafkaConnection(kafka.port, kafka.certificates.context()) as silent:
            silent.brokers()  # no login


def test_kafka_takes_what_it_should_and_no_wrong_password() -> None:
    given = running("kafka-sasl").variables()
    login = {
        "security.protocol": given["KAFKA_SECURITY_PROTOCOL"],
        "sasl.mechanism": given["KAFKA_SASL_MECHANISM"],
        "sasl.username": given["KAFKA_USERNAME"],
        "ssl.ca.location": given["KAFKA_CA_FILE"],
    }
    assert brokers(given["KAFKA_BROKERS"], {**login, "sasl.password": given["KAFKA_PASSWORD"]}) == 1
    assert brokers(given["KAFKA_BROKERS"], {**login, "sasl.password": "wrong"}) == 0


def test_kafka_checks_amazons_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = running("kafka-iam")
    assert isinstance(kafka, KafkaIamContainer)
    given = kafka.variables()
    assert brokers(given["MSK_BROKERS"], iam_login(given, given["AWS_SECRET_ACCESS_KEY"])) == 1
    assert brokers(given["MSK_BROKERS"], iam_login(given, "wrong")) == 0
    assert "a wrong signature" in kafka.logs()
    scram = kafka.scram_variables()
    login = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": scram["MSK_USERNAME"],
        "sasl.password": scram["MSK_PASSWORD"],
        "ssl.ca.location": scram["MSK_CA_FILE"],
    }
    assert brokers(scram["MSK_BROKERS"], login) == 1


def iam_login(given: Any, secret: str) -> dict[str, Any]:
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
    from botocore.credentials import CredentialProvider, Credentials

    class Fixed(CredentialProvider):
        def load(self) -> Credentials:
            return Credentials(given["AWS_ACCESS_KEY_ID"], secret)

    def token(_config: str) -> tuple[str, float]:
        signed, expires = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(
            given["AWS_REGION"], Fixed()
        )
        return signed, expires / 1000

    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "OAUTHBEARER",
        "oauth_cb": token,
        "ssl.ca.location": given["MSK_CA_FILE"],
    }


def brokers(where: str, login: dict[str, Any], seconds: float = 15.0) -> int:
    """How many brokers tell us about themselves; 0 when they refuse us, which is told at once."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    refused: list[str] = []
    told = {"error_cb": lambda error: refused.append(str(error)), "log_level": 0, "broker.address.family": "v4"}
    client = AdminClient({"bootstrap.servers": where, **login, **told})
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        client.poll(0.1)
        try:
            return len(client.list_topics(timeout=2).brokers)
        except KafkaException:
            if any("uthentication" in said for said in refused):
                return 0
    raise AssertionError(f"neither let in nor refused within {seconds:g} s: {refused}")


# -- how a run ends


class Holder:
    """A process that holds containers until it is told to end."""

    def __init__(self, *names: str) -> None:
        command = [sys.executable, "-c", HOLDER, json.dumps(dict(our_images())), *names]
        home = {name: os.environ[name] for name in ("HOME", "DOCKER_HOST") if name in os.environ}
        self.process = subprocess.Popen(
            command, env={**environment(), **home}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.run, self.keeper = str(told["run"]), int(told["keeper"])

    def remains(self) -> list[str]:
        """What is left in Docker."""
        found = {"label": f"stackproof.run={self.run}"}
        with opened() as docker:
            kinds = (
                docker.client.containers.list(all=True, filters=found, ignore_removed=True),
                docker.client.networks.list(filters=found),
            )
            return [thing.name for kind in (*kinds, docker.client.volumes.list(filters=found)) for thing in kind]

    def __enter__(self) -> Holder:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.process.kill()
        self.process.communicate()
        with opened() as docker:
            sweep.remove_run(self.run, docker)


def test_ctrl_c_leaves_nothing() -> None:
    with Holder("redis", "postgres") as holder:
        assert len(holder.remains()) == 5  # two containers, their volumes, one network
        holder.process.send_signal(signal.SIGINT)
        assert holder.process.wait(60) == 130
        assert holder.remains() == []


def test_the_keeper_removes_the_containers_of_a_killed_owner() -> None:
    with Holder("redis") as holder:
        holder.process.kill()
        until(lambda: not holder.remains(), "the end of the containers", 60)


def test_the_next_command_removes_what_a_killed_run_left() -> None:
    with Holder("redis", "postgres") as dead, Holder("redis") as alive:
        os.kill(dead.keeper, signal.SIGKILL)
        dead.process.kill()
        dead.process.wait()
        assert dead.remains()
        with servers_for(["redis"], "embedded", {}):
            pass
        assert dead.remains() == []
        assert alive.remains()


def test_only_what_certainly_died_here_is_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    ours = {
        labels.RUN: "stackproof-0-x",
        labels.DIRECTORY: str(tmp_path / "gone"),
        labels.HOST: socket.gethostname(),
        labels.BOOT: labels._boot(),
        labels.PROCESSES: labels._processes(),
        labels.USER: str(os.geteuid()),
        labels.OWNER: str(gone.pid),
        labels.OWNER_STARTED: "1",
    }
    living = {labels.OWNER: str(os.getpid()), labels.OWNER_STARTED: str(labels.started(os.getpid()))}
    assert sweep.is_dead(ours)
    assert sweep.is_dead({**ours, **living, labels.OWNER_STARTED: "1"}), "another process with the same id"
    assert sweep.is_dead({**ours, **living, labels.BOOT: "another start of the machine"})
    assert not sweep.is_dead({**ours, **living})
    assert not sweep.is_dead({**ours, labels.HOST: "another machine"})
    assert not sweep.is_dead({**ours, labels.USER: "4711"})
    assert not sweep.is_dead({**ours, labels.PROCESSES: "a container with its own processes"})
    assert not sweep.is_dead({})


def test_a_start_that_fails_leaves_nothing(docker: Any) -> None:
    """The first comes up, the second cannot."""
    broken = {**our_images(), "STACKPROOF_IMAGE_POSTGRES": our_images()["STACKPROOF_IMAGE_REDIS"]}
    servers = servers_for(["redis", "postgres"], "container", broken)
    with pytest.raises(ServerError, match="PostgreSQL did not start"):
        servers.__enter__()
    assert servers._run is not None
    assert not servers._run.path.exists()
    assert docker.containers.list(all=True, filters={"label": f"stackproof.run={servers._run.path.name}"}) == []


# -- what is missing


def test_a_missing_image_says_what_to_do() -> None:
    options = ContainerOptions.from_environment({"STACKPROOF_IMAGE_KAFKA": "stackproof/no-such-image:1"})
    with pytest.raises(ServerError) as caught:
        KafkaContainer(options=options).start()
    assert "stackproof/no-such-image:1 is not here" in str(caught.value)
    assert "images/build kafka" in str(caught.value)


def test_without_a_daemon_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    with pytest.raises(NoDockerError, match=r"no Docker daemon that answers here.*No such file"):
        servers_for(["redis"], "container", {}).__enter__()


def test_without_the_packages_the_line_to_type_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "testcontainers.core.docker_client", None)
    with pytest.raises(MissingWheelError) as caught:
        servers_for(["redis"], "container", {}).__enter__()
    assert str(caught.value) == "pip install 'stackproof[containers]'"


def test_what_no_image_carries_is_taken_embedded() -> None:
    with servers_for(["aws", "redis"], "container", our_images()) as both:
        assert [it.origin for it in both.servers] == ["embedded", "container"]
