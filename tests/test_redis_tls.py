"""Redis behind TLS with a password: verified unless the URL says otherwise, and each refusal one clear error, at once."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shared_servers import redis_server
from tls import Certificates, TlsFront, made_certificates

from stackproof.adapters.cache.redis import RedisCache
from stackproof.adapters.events.redis_pubsub import RedisPubSubPublisher
from stackproof.adapters.redis_client import RedisClient
from stackproof.adapters.redis_cluster import open_client
from stackproof.adapters.settings import Settings
from stackproof.interfaces import BackendError, ConfigurationError, UnavailableError
from stackproof.servers.ports import free_port

QUICK = 3.0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return made_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def front(certificates: Certificates) -> Iterator[TlsFront]:
    with TlsFront(redis_server().port, certificates) as made:
        yield made


@pytest.fixture
def password() -> str:
    return redis_server().variables()["REDIS_URL"].split("@")[0].rpartition(":")[2]


def opened(url: str, ca_file: str = "") -> RedisClient:
    return open_client(url, connect_timeout=5.0, operation_timeout=5.0, ca_file=ca_file)


def refusal(url: str, ca_file: str = "", cluster: str = "") -> str:
    """What a write is told. It comes at once, and ping says that nobody is there."""
    client = opened(url + cluster, ca_file)
    began = time.monotonic()
    with pytest.raises(BackendError) as caught:
        client.execute("SET", "k", "v", repeatable=False)
    assert time.monotonic() - began < QUICK
    assert type(caught.value) is UnavailableError, "nothing was applied"
    assert client.ping() is False
    client.close()
    return str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("place", ["variable", "query"])
def test_a_certificate_is_verified_with_the_ca_that_is_named(
    front: TlsFront, certificates: Certificates, password: str, host: str, place: str
) -> None:
    query = f"?ssl_ca_certs={certificates.ca}" if place == "query" else ""
    variables = {"REDIS_URL": f"rediss://:{password}@{host}:{front.port}/0{query}"}
    if place == "variable":
        variables["REDIS_CA_FILE"] = certificates.ca
    cache = RedisCache.from_settings(Settings(variables), namespace=f"tls:{host}:{place}")
    cache.set("k", "v")
    assert cache.get_or_fetch("k", lambda: "other") == "v"
    cache.drop_namespace()
    cache.disconnect()
    bus = RedisPubSubPublisher.from_settings(Settings(variables), namespace="tls")
    assert bus.ping()
    bus.disconnect()


CLUSTER = pytest.mark.parametrize("cluster", ["", "?cluster=true"])


@CLUSTER
def test_a_certificate_of_an_unknown_ca_is_refused(front: TlsFront, password: str, cluster: str) -> None:
    told = refusal(f"rediss://:{password}@127.0.0.1:{front.port}/0", cluster=cluster)
    assert "certificate is not trusted" in told
    assert "REDIS_CA_FILE" in told


@CLUSTER
def test_a_certificate_of_another_ca_is_refused(front: TlsFront, password: str, tmp_path: Path, cluster: str) -> None:
    other = made_certificates(tmp_path).ca
    told = refusal(f"rediss://:{password}@127.0.0.1:{front.port}/0", other, cluster)
    assert "certificate is not trusted" in told


def test_a_certificate_for_another_host_is_refused(front: TlsFront, certificates: Certificates, password: str) -> None:
    address_map = f"redis.example:6379=127.0.0.1:{front.port}"
    url = f"rediss://:{password}@redis.example:6379/0"
    client = open_client(
        url, connect_timeout=5.0, operation_timeout=5.0, ca_file=certificates.ca, address_map=address_map
    )
    with pytest.raises(UnavailableError, match=r"certificate is not trusted .*redis\.example"):
        client.execute("GET", "k", repeatable=True)
    client.close()


def test_without_verification_only_where_the_url_says_so(front: TlsFront, password: str) -> None:
    client = opened(f"rediss://:{password}@127.0.0.1:{front.port}/0?ssl_cert_reqs=none")
    assert client.ping()
    client.close()


@pytest.mark.parametrize("credentials", [":wrong", "nobody:wrong", ""])
@CLUSTER
def test_a_wrong_password_is_refused(
    front: TlsFront, certificates: Certificates, credentials: str, cluster: str
) -> None:
    at = "@" if credentials else ""
    told = refusal(f"rediss://{credentials}{at}127.0.0.1:{front.port}/0", certificates.ca, cluster)
    assert "refused the user name or password" in told
    assert "wrong" not in told.replace("WRONGPASS", "")


@CLUSTER
def test_plain_text_to_a_port_of_tls_is_refused(front: TlsFront, password: str, cluster: str) -> None:
    told = refusal(f"redis://:{password}@127.0.0.1:{front.port}/0", cluster=cluster)
    assert "write rediss://" in told
    assert password not in told


def test_tls_to_a_port_without_is_refused(certificates: Certificates, password: str) -> None:
    client = open_client(
        f"rediss://:{password}@127.0.0.1:{redis_server().port}/0",
        connect_timeout=1.0,
        operation_timeout=1.0,
        ca_file=certificates.ca,
    )
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="cannot be reached"):
        client.execute("SET", "k", "v", repeatable=False)
    assert time.monotonic() - began < QUICK
    client.close()


def test_the_authorities_are_read_once_and_a_ca_that_is_named_is_the_only_one(
    front: TlsFront, certificates: Certificates, password: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """redis-py would read those of the system for each connection, and trust them beside the one that is named."""
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca)  # the system trusts it
    made = []
    make = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda *args, **said: made.append(said) or make(*args, **said))
    url = f"rediss://:{password}@127.0.0.1:{front.port}/0"
    client = opened(url)
    assert client.ping()
    for _ in range(3):
        client.dedicated_connection(b"name").disconnect()
    client.close()
    assert len(made) == 1
    assert "not trusted" in refusal(url, made_certificates(tmp_path).ca)


class TestConfiguration:
    @pytest.mark.parametrize("content", [None, "no certificate"])
    def test_a_ca_file_that_holds_none_is_named(self, tmp_path: Path, content: str | None) -> None:
        file = tmp_path / "ca.pem"
        if content is not None:
            file.write_text(content)
        with pytest.raises(ConfigurationError, match=r"ca\.pem.*cannot be used"):
            opened("rediss://127.0.0.1:1/0", str(file))
        with pytest.raises(ConfigurationError, match=r"ca\.pem.*cannot be used"):
            opened(f"rediss://127.0.0.1:1/0?ssl_ca_certs={file}")

    def test_a_ca_file_without_tls_is_a_mistake(self, certificates: Certificates) -> None:
        with pytest.raises(ConfigurationError, match="write rediss://"):
            opened("redis://127.0.0.1:1/0", certificates.ca)

    def test_the_certificate_of_a_client(self, certificates: Certificates, tmp_path: Path) -> None:
        pair = f"ssl_certfile={certificates.certificate}&ssl_keyfile={certificates.key}"
        opened(f"rediss://127.0.0.1:1/0?{pair}&ssl_min_version={ssl.TLSVersion.TLSv1_3.value}").close()
        with pytest.raises(ConfigurationError, match=r"none\.pem cannot be used"):
            opened(f"rediss://127.0.0.1:1/0?ssl_certfile={tmp_path}/none.pem")

    @pytest.mark.parametrize("query", ["ssl_cert_reqs=perhaps", "cluster=perhaps", "ssl_min_version=1"])
    def test_what_cannot_be_read_is_refused(self, query: str) -> None:
        with pytest.raises(ConfigurationError, match="no usable Redis URL"):
            opened(f"rediss://127.0.0.1:{free_port()}/0?{query}")
