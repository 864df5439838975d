"""Adapters on servers that take nobody without TLS, a password or a certificate: in with the right ones, refused with wrong ones.

Each refusal is one typed error, soon, that shows no secret: a wrong password, an authority that did not sign the
server's certificate, and a connection that is not encrypted.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from shared_servers import variables_of

from stackproof.adapters.settings import Settings
from stackproof.contracts.interaction_samples import contact
from stackproof.interfaces import BackendError, ConfigurationError, Document, Event, SearchQuery, SummariesQuery
from stackproof.targets import parse_target

SOON = 20.0
"""Seconds. The limits of the adapters are 2 s; their drivers may try more than once."""
LIMITS = {"STACKPROOF_CONNECT_TIMEOUT": "2", "STACKPROOF_OPERATION_TIMEOUT": "2"}
SECRET = "not-the-password"
VARIANTS = {
    "redis-tls": "cache=redis",
    "redis-cluster": "cache=elasticache",
    "kafka-sasl": "events=kafka",
    "kafka-tls": "events=kafka",
    "kafka-iam": "events=msk",
    "cassandra-tls": "interactions=scylla",
    "postgres-tls": "search=postgres",
}
WRONG: Mapping[str, Mapping[str, Callable[[dict[str, str], str], dict[str, str]]]] = {
    "redis-tls": {
        "password": lambda given, _: {"REDIS_URL": _another_password(given["REDIS_URL"])},
        "authority": lambda given, ca: {"REDIS_URL": given["REDIS_URL"].partition("?")[0], "REDIS_CA_FILE": ca},
        "plaintext": lambda given, _: {
            "REDIS_URL": given["REDIS_URL"].partition("?")[0].replace("rediss://", "redis://")
        },
    },
    "redis-cluster": {"password": lambda given, _: {"REDIS_URL": _another_password(given["REDIS_URL"])}},
    "kafka-sasl": {
        "password": lambda given, _: {"KAFKA_PASSWORD": SECRET},
        "authority": lambda given, ca: {"KAFKA_CA_FILE": ca},
        "plaintext": lambda given, _: {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_CA_FILE": ""},
    },
    "kafka-tls": {
        "no certificate": lambda given, _: {"KAFKA_CERTIFICATE_FILE": "", "KAFKA_KEY_FILE": ""},
        "authority": lambda given, ca: {"KAFKA_CA_FILE": ca},
        "plaintext": lambda given, _: dict.fromkeys(
            ("KAFKA_SECURITY_PROTOCOL", "KAFKA_CA_FILE", "KAFKA_CERTIFICATE_FILE", "KAFKA_KEY_FILE"), ""
        ),
    },
    "kafka-iam": {
        "secret key": lambda given, _: {"AWS_SECRET_ACCESS_KEY": SECRET},
        "authority": lambda given, ca: {"MSK_CA_FILE": ca},
        "plaintext": lambda given, _: {"MSK_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "MSK_CA_FILE": ""},
    },
    "cassandra-tls": {
        "password": lambda given, _: {"SCYLLA_PASSWORD": SECRET},
        "authority": lambda given, ca: {"SCYLLA_CA_FILE": ca},
        "plaintext": lambda given, _: {"SCYLLA_TLS": "false", "SCYLLA_CA_FILE": ""},
    },
    "postgres-tls": {
        "password": lambda given, _: {"DATABASE_URL": _another_password(given["DATABASE_URL"])},
        "authority": lambda given, ca: {
            "DATABASE_URL": f"{given['DATABASE_URL'].partition('?')[0]}?sslmode=verify-full&sslrootcert={ca}"
        },
        "plaintext": lambda given, _: {"DATABASE_URL": f"{given['DATABASE_URL'].partition('?')[0]}?sslmode=disable"},
    },
}


def _another_password(url: str) -> str:
    head, at, rest = url.rpartition("@")
    return f"{head.rpartition(':')[0]}:{SECRET}{at}{rest}"


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> str:
    import trustme

    place = tmp_path_factory.mktemp("authority") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(place))
    return str(place)


def use(backend: Any, concern: str) -> None:
    """One round trip."""
    if concern == "cache":
        backend.set("key", "value", ttl=30)
        assert backend.get("key") == "value"
    elif concern == "interactions":
        event = contact()
        backend.record_event(event)
        page = backend.get_summaries(SummariesQuery(tenant=event.tenant, customer=event.customer))
        assert page.rows
    elif concern == "events":
        backend.publish("topic", Event(type="test.happened.v1", payload={"n": 1}))
    else:
        backend.index([Document(tenant="t", id="d", title="found")])
        assert [hit.id for hit in backend.search(SearchQuery(tenant="t", text="found"))] == ["d"]


def made(target: str, variables: Mapping[str, str]) -> Any:
    return parse_target(target).make(Settings({**variables, **LIMITS}), f"variant_{uuid.uuid4().hex[:8]}")


@pytest.mark.parametrize("variant", VARIANTS)
def test_with_the_right_ones_the_adapter_works(variant: str) -> None:
    concern = VARIANTS[variant].partition("=")[0]
    with made(VARIANTS[variant], variables_of(variant)) as backend:
        use(backend, concern)
        assert backend.ping()
        backend.drop_namespace()


@pytest.mark.parametrize(("variant", "wrong"), [(name, wrong) for name, those in WRONG.items() for wrong in those])
def test_with_wrong_ones_it_is_refused(variant: str, wrong: str, stranger: str) -> None:
    given = dict(variables_of(variant))
    changed = {**given, **WRONG[variant][wrong](given, stranger)}
    concern, began = VARIANTS[variant].partition("=")[0], time.monotonic()
    with pytest.raises((BackendError, ConfigurationError)) as caught, made(VARIANTS[variant], changed) as backend:
        use(backend, concern)
    assert time.monotonic() - began < SOON
    said = str(caught.value)
    assert len(said) > 20, said
    assert SECRET not in said
    for name, value in given.items():
        if "PASSWORD" in name or "SECRET" in name:
            assert value not in said
