"""PostgreSQL behind TLS: verified where nobody said otherwise, and each refusal one sentence that says what to type."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import conninfo
from shared_servers import postgres_server
from tls import Certificates, TlsFront, made_certificates

from stackproof.adapters.interactions.postgres import PostgresInteractionStore
from stackproof.adapters.postgres_pool import PostgresPool
from stackproof.adapters.postgres_tls import VERIFIED, PostgresTls, postgres_tls, protected
from stackproof.adapters.search.postgres import PostgresSearchIndex
from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError, SummariesQuery, UnavailableError

QUICK = 4.0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return made_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def front(certificates: Certificates) -> Iterator[TlsFront]:
    with TlsFront(postgres_server().port, certificates, postgres=True) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of libpq says nothing, and the home has no certificates."""
    for name in ("PGSSLMODE", "PGSSLROOTCERT", "PGSERVICE", "PGHOST", "PGHOSTADDR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def password() -> str:
    return postgres_server().variables()["DATABASE_URL"].split("@")[0].rpartition(":")[2]


def address(front: TlsFront, password: str, query: str, host: str = "127.0.0.1") -> str:
    return f"postgresql://stackproof:{password}@{host}:{front.port}/postgres?{query}"


def refusal(url: str, tls: PostgresTls = VERIFIED) -> str:
    pool = PostgresPool(url, component="tls", tls=tls)
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="cannot connect to") as caught:
        pool.fetch(b"SELECT 1", [])
    assert time.monotonic() - began < QUICK
    assert pool.ping() is False
    pool.close()
    return str(caught.value)


class TestWhatHolds:
    """Which mode libpq is given."""

    @pytest.mark.parametrize(
        ("url", "mode"),
        [
            ("postgresql://db.example/x", "verify-full"),
            ("host=db.example dbname=x", "verify-full"),
            ("postgresql://10.1.2.3/x", "verify-full"),
            ("postgresql://localhost,db.example/x", "verify-full"),
            ("postgresql://db.example/x?hostaddr=127.0.0.1", "verify-full"),
            ("postgresql://localhost/x?hostaddr=203.0.113.5", "verify-full"),
            ("postgresql://localhost/x?hostaddr=127.0.0.1,203.0.113.5", "verify-full"),
            ("postgresql:///x?host=/var/run/postgresql&hostaddr=203.0.113.5", "verify-full"),
            ("postgresql://localhost/x?hostaddr=::1", None),
            ("postgresql://db.example/x?sslmode=require", "verify-full"),
            ("postgresql://localhost/x?sslmode=require", "verify-full"),
            ("postgresql://db.example/x?sslmode=verify-ca", "verify-ca"),
            ("postgresql://db.example/x?sslmode=prefer", None),
            ("postgresql://db.example/x?sslmode=disable", None),
            ("postgresql://localhost/x", None),
            ("postgresql://127.0.0.1:5433,[::1]/x", None),
            ("postgresql:///x?host=/var/run/postgresql", None),
            ("postgresql:///x?hostaddr=127.0.0.1", None),
            ("dbname=x", None),
            ("service=here", None),
        ],
    )
    def test_without_other_words(self, url: str, mode: str | None) -> None:
        options = PostgresTls().options(conninfo.conninfo_to_dict(url))
        assert options.get("sslmode") == mode
        assert ("sslrootcert" in options) is (mode is not None)
        assert PostgresTls(verify=False).options(conninfo.conninfo_to_dict(url)) == {}

    def test_the_environment_of_libpq_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        far = conninfo.conninfo_to_dict("postgresql:///x")
        monkeypatch.setenv("PGHOST", "db.example")
        assert PostgresTls().options(far)["sslmode"] == "verify-full"
        monkeypatch.setenv("PGSSLROOTCERT", "/ca.pem")
        assert PostgresTls().options(far) == {"sslmode": "verify-full"}
        monkeypatch.setenv("PGSSLMODE", "disable")
        assert PostgresTls().options(far) == {}

    @pytest.mark.parametrize("url", ["postgresql://localhost/x", "postgresql:///x?hostaddr=127.0.0.1", "dbname=x"])
    def test_host_and_address_come_from_the_environment_each_by_itself(
        self, monkeypatch: pytest.MonkeyPatch, url: str
    ) -> None:
        given = conninfo.conninfo_to_dict(url)
        elsewhere = {"PGHOST": "db.example"} if "hostaddr" in url else {"PGHOSTADDR": "203.0.113.5"}
        for name, value in elsewhere.items():
            monkeypatch.setenv(name, value)
        assert PostgresTls().options(given)["sslmode"] == "verify-full"

    def test_whose_authorities_are_trusted(self, certificates: Certificates, tmp_path: Path) -> None:
        far = conninfo.conninfo_to_dict("postgresql://db.example/x")
        assert PostgresTls().options(far)["sslrootcert"] != certificates.ca
        usual = tmp_path / ".postgresql" / "root.crt"
        usual.parent.mkdir()
        usual.touch()
        assert PostgresTls().options(far)["sslrootcert"] == str(usual)
        assert PostgresTls(certificates.ca).options(far)["sslrootcert"] == certificates.ca
        said = {**far, "sslrootcert": "/said.pem"}
        assert "sslrootcert" not in PostgresTls(certificates.ca).options(said)
        with pytest.raises(ConfigurationError, match="DATABASE_CA_FILE"):
            PostgresTls("/nowhere.pem").options(far)

    def test_the_variables(self) -> None:
        assert postgres_tls(Settings({})) == PostgresTls()
        said = {"DATABASE_CA_FILE": "/ca.pem", "DATABASE_TLS_VERIFY": "No"}
        assert postgres_tls(Settings(said)) == PostgresTls("/ca.pem", verify=False)
        with pytest.raises(ConfigurationError, match="neither yes nor no"):
            postgres_tls(Settings({"DATABASE_TLS_VERIFY": "perhaps"}))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("mode", ["verify-full", "verify-ca", "require"])
def test_a_certificate_is_verified(
    front: TlsFront, certificates: Certificates, password: str, host: str, mode: str
) -> None:
    url = address(front, password, f"sslmode={mode}", host)
    settings = Settings({"DATABASE_URL": url, "DATABASE_CA_FILE": certificates.ca})
    for adapter in (PostgresInteractionStore, PostgresSearchIndex):
        made = adapter.from_settings(settings, namespace="tls")
        assert made.ping()
        if isinstance(made, PostgresInteractionStore):
            assert made.get_summaries(SummariesQuery(tenant="t", customer="c")).rows == ()
        made.drop_namespace()
        made.disconnect()
    assert "sslmode=verify" in protected(settings)


@pytest.mark.parametrize("query", ["sslmode=verify-full", "sslmode=require", "sslmode=verify-full&sslrootcert={other}"])
def test_a_certificate_of_an_unknown_ca_is_refused(front: TlsFront, password: str, tmp_path: Path, query: str) -> None:
    told = refusal(address(front, password, query.format(other=made_certificates(tmp_path / "other").ca)))
    assert "SSL error" in told
    assert "DATABASE_CA_FILE" in told


def test_a_certificate_for_another_host_is_refused(front: TlsFront, certificates: Certificates, password: str) -> None:
    """A server that is named, and is not local, is verified though its URL says nothing of TLS."""
    url = address(front, password, "hostaddr=127.0.0.1", "db.example")
    told = refusal(url, PostgresTls(certificates.ca))
    assert "does not match host name" in told
    assert "as its certificate does" in told


def test_without_verification_where_the_user_says_so(front: TlsFront, password: str) -> None:
    url = address(front, password, "hostaddr=127.0.0.1&sslmode=require", "db.example")
    pool = PostgresPool(url, component="tls", tls=PostgresTls(verify=False))
    assert pool.ping()
    pool.close()


def test_a_wrong_password_is_refused(front: TlsFront, certificates: Certificates) -> None:
    told = refusal(address(front, "hunter2", "sslmode=verify-full"), PostgresTls(certificates.ca))
    assert "password authentication failed" in told
    assert "hunter2" not in told


def test_plain_text_to_a_server_that_wants_tls_is_refused(front: TlsFront, password: str) -> None:
    told = refusal(address(front, password, "sslmode=disable"))
    assert "no encryption" in told
    assert "write sslmode=verify-full" in told
    assert password not in told


def test_a_server_without_tls_is_refused_where_tls_is_wanted(certificates: Certificates, password: str) -> None:
    port = postgres_server().port
    url = f"postgresql://stackproof:{password}@db.example:{port}/postgres?hostaddr=127.0.0.1"
    told = refusal(url, PostgresTls(certificates.ca))
    assert "does not support SSL" in told
    assert "write sslmode=disable" in told
