"""The client of all AWS adapters: what it takes from the settings, how often it asks, and what an error says."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from http_services import Asked, HttpService, Told, amz

from stackproof.adapters.aws_client import ATTEMPTS, MOST_ATTEMPTS, AwsClient, AwsPlace, Effect
from stackproof.adapters.aws_errors import code_of, may_be_applied, translated
from stackproof.adapters.aws_names import namespaced
from stackproof.adapters.settings import Settings
from stackproof.interfaces import (
    BackendError,
    ClosedError,
    ConfigurationError,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    UnavailableError,
)

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-to-be-shown", "AWS_REGION": "eu-central-1"}
SHORT = {"STACKPROOF_CONNECT_TIMEOUT": "1", "STACKPROOF_OPERATION_TIMEOUT": "1"}
THROTTLED = "ThrottlingException"

Answers = Callable[[Callable[[Asked], Told]], tuple[AwsClient, HttpService]]


@pytest.fixture
def answered() -> Iterator[Answers]:
    """A client of a service that answers as the test says."""
    made: list[Any] = []

    def make(respond: Callable[[Asked], Told], **variables: str) -> tuple[AwsClient, HttpService]:
        service = HttpService(respond)
        url = f"http://127.0.0.1:{service.port}"
        client = AwsClient.from_settings("kinesis", Settings({**KEYS, "AWS_ENDPOINT_URL": url, **variables}))
        made.extend((client, service))
        return client, service

    yield make
    for each in made:
        each.close()


def refusal(code: str, status: int = 400) -> Told:
    return amz({"__type": code, "message": "no"}, status)


def one_after_the_other(*answers: Told) -> Callable[[Asked], Told]:
    """Each answer once, the last one from then on."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def write(client: AwsClient, effect: Effect) -> dict[str, Any]:
    return client.call("put_record", effect, StreamName="s", Data=b"1", PartitionKey="k")


# Settings


def test_the_more_special_variable_wins() -> None:
    variables = {
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://all:1",
        "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": "http://logs:1",
    }
    place = AwsPlace.of("logs", Settings(variables))
    assert (place.region, place.endpoint, place.attempts) == ("eu-west-1", "http://logs:1", ATTEMPTS)
    assert AwsPlace.of("dynamodb", Settings(variables)).endpoint == "http://all:1"
    assert AwsPlace.of("dynamodb", Settings({"AWS_DEFAULT_REGION": "us-east-1"})).region == "us-east-1"
    ignored = AwsPlace.of("logs", Settings({**variables, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}))
    assert ignored.endpoint == ""
    assert AwsPlace.of("logs", Settings({"AWS_MAX_ATTEMPTS": "1000"})).attempts == MOST_ATTEMPTS


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"AWS_REGION": ""}, "AWS_REGION is not set"),
        ({"AWS_REGION": "no region"}, "region_name"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "are set together"),
        ({"AWS_ENDPOINT_URL": "nowhere"}, "Invalid endpoint"),
        ({"AWS_PROFILE": "of-nobody"}, "of-nobody"),
        ({"AWS_MAX_ATTEMPTS": "few"}, "AWS_MAX_ATTEMPTS"),
        ({"STACKPROOF_OPERATION_TIMEOUT": "0"}, "STACKPROOF_OPERATION_TIMEOUT"),
    ],
)
def test_settings_that_cannot_work_are_said(changed: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        AwsClient.from_settings("dynamodb", Settings({**KEYS, **changed}))
    assert "not-to-be-shown" not in str(caught.value)


def test_the_snapshot_counts_and_not_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    with pytest.raises(ConfigurationError, match="no AWS credentials"):
        AwsClient.from_settings("dynamodb", Settings({"AWS_REGION": "eu-central-1"}))
    client = AwsClient.from_settings("dynamodb", Settings({**KEYS, "AWS_REGION": "eu-north-1"}))
    assert client._client.meta.endpoint_url == "https://dynamodb.eu-north-1.amazonaws.com"
    client.close()


def test_the_profile_of_the_snapshot_gives_region_and_keys(tmp_path: Any) -> None:
    file = tmp_path / "config"
    file.write_text("[profile mine]\nregion = eu-south-1\naws_access_key_id = a\naws_secret_access_key = b\n")
    client = AwsClient.from_settings("logs", Settings({"AWS_CONFIG_FILE": str(file), "AWS_PROFILE": "mine"}))
    assert client.place.region == "eu-south-1"
    client.close()


# How often


def test_what_is_throttled_comes_again_and_succeeds(answered: Answers) -> None:
    client, service = answered(
        one_after_the_other(refusal(THROTTLED), refusal(THROTTLED), amz({"SequenceNumber": "1"}))
    )
    assert write(client, Effect.ONCE)["SequenceNumber"] == "1"
    assert len(service.heard) == 3


def test_what_stays_throttled_is_unavailable_after_bounded_attempts(answered: Answers) -> None:
    client, service = answered(lambda _: refusal(THROTTLED))
    with pytest.raises(UnavailableError, match="throttles, nothing was applied") as caught:
        write(client, Effect.ONCE)
    assert 2 <= len(service.heard) <= ATTEMPTS
    assert code_of(caught.value) == THROTTLED
    assert isinstance(caught.value.__cause__, ClientError)


def test_a_write_that_must_not_come_twice_is_sent_once_where_it_may_be_applied(answered: Answers) -> None:
    client, service = answered(one_after_the_other(refusal("InternalFailure", 500), amz({})))
    with pytest.raises(IndeterminateError):
        write(client, Effect.ONCE)
    assert len(service.heard) == 1


@pytest.mark.parametrize("effect", [Effect.NONE, Effect.IDEMPOTENT])
def test_what_may_come_twice_does(answered: Answers, effect: Effect) -> None:
    client, service = answered(one_after_the_other(refusal("InternalFailure", 500), amz({"SequenceNumber": "1"})))
    assert write(client, effect)["SequenceNumber"] == "1"
    assert len(service.heard) == 2


def test_a_refusal_does_not_hide_that_an_earlier_attempt_may_be_applied(answered: Answers) -> None:
    client, _ = answered(one_after_the_other(refusal("InternalFailure", 500), refusal(THROTTLED)))
    with pytest.raises(IndeterminateError):
        write(client, Effect.IDEMPOTENT)
    client, _ = answered(one_after_the_other(refusal("InternalFailure", 500), refusal(THROTTLED)))
    with pytest.raises(UnavailableError):
        write(client, Effect.NONE)


def test_the_time_of_an_operation_ends_its_repetition(answered: Answers) -> None:
    waiting = threading.Event()

    def hang(_: Asked) -> Told:
        waiting.wait(10)
        return amz({})

    client, service = answered(hang, **SHORT)
    try:
        for effect, error in ((Effect.NONE, OperationTimeoutError), (Effect.IDEMPOTENT, IndeterminateError)):
            began = time.monotonic()
            with pytest.raises(error, match="within 1 s"):
                write(client, effect)
            assert time.monotonic() - began < 8
        assert len(service.heard) <= 4
    finally:
        waiting.set()


def test_an_answer_that_was_cut_is_no_answer(answered: Answers) -> None:
    """The SDK does not compare the length of a body with what was said: half a body of JSON is an empty answer to it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: 200\r\n\r\n"
        half = head + b'{"FailedRecordCount": 1, '

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(half)
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65536):  # with words unheard, closing would be a reset
                            pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        client = AwsClient.from_settings("kinesis", Settings({**KEYS, "AWS_ENDPOINT_URL": url, **SHORT}))
        with pytest.raises(IndeterminateError, match="ended after"):
            write(client, Effect.ONCE)
        with pytest.raises(UnavailableError, match="ended after"):
            client.call("list_streams", Effect.NONE)
        client.close()
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)


# What an error says


def of_the_service(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Op")


@pytest.mark.parametrize(
    ("error", "read", "written"),
    [
        (
            EndpointConnectionError(endpoint_url="http://u:secret@h", error="refused"),
            UnavailableError,
            UnavailableError,
        ),
        (ConnectTimeoutError(endpoint_url="http://u:secret@h", error="late"), UnavailableError, UnavailableError),
        (SSLError(endpoint_url="http://u:secret@h", error="self-signed"), UnavailableError, UnavailableError),
        (ReadTimeoutError(endpoint_url="http://u:secret@h", error="late"), OperationTimeoutError, IndeterminateError),
        (ConnectionClosedError(endpoint_url="http://u:secret@h", error="reset"), UnavailableError, IndeterminateError),
        (NoCredentialsError(), UnavailableError, UnavailableError),
        (of_the_service("AccessDeniedException"), UnavailableError, UnavailableError),
        (of_the_service("ProvisionedThroughputExceededException"), UnavailableError, UnavailableError),
        (of_the_service("Unheard", 429), UnavailableError, UnavailableError),
        (of_the_service("ResourceNotFoundException"), UnavailableError, UnavailableError),
        (of_the_service("ValidationException"), RejectedError, RejectedError),
        (of_the_service("InternalServerError", 500), UnavailableError, IndeterminateError),
        (of_the_service("ThrottlingException", 503), UnavailableError, UnavailableError),
    ],
)
def test_each_error_says_what_a_caller_can_do(
    error: Any, read: type[BackendError], written: type[BackendError]
) -> None:
    unsure = may_be_applied(error)
    for writes, kind in ((False, read), (True, written)):
        found = translated(error, "the service", 1.0, writes, unsure)
        assert type(found) is kind
        assert "secret" not in str(found)


def test_after_close_it_is_closed(answered: Answers) -> None:
    client, _ = answered(lambda _: amz({}))
    client.call("list_streams", Effect.NONE)
    assert client.answers("list_streams")
    client.close()
    client.close()
    assert not client.answers("list_streams")
    with pytest.raises(ClosedError):
        client.call("list_streams", Effect.NONE)


def test_a_forked_child_has_connections_of_its_own(answered: Answers) -> None:
    client, _ = answered(lambda asked: amz({"of": asked[2]["x-amz-target"]}))
    client.call("list_streams", Effect.NONE)
    inherited = client._client
    child = os.fork()
    if child == 0:
        client.call("list_streams", Effect.NONE)
        os._exit(0 if client._client is not inherited else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    client.call("list_streams", Effect.NONE)
    assert client._client is inherited


def test_a_certificate_that_nobody_known_signed_is_refused(answered: Answers, tmp_path: Path) -> None:
    _, service = answered(lambda _: amz({"StreamNames": []}))
    file = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    service._server.socket = context.wrap_socket(service._server.socket, server_side=True)
    there = {**KEYS, **SHORT, "AWS_ENDPOINT_URL": f"https://127.0.0.1:{service.port}"}
    for variables, works in ((there, False), ({**there, "AWS_CA_BUNDLE": str(file)}, True)):
        client = AwsClient.from_settings("kinesis", Settings(variables))
        if works:
            assert client.call("list_streams", Effect.NONE)["StreamNames"] == []
        else:
            with pytest.raises(UnavailableError, match="cannot be reached"):
                client.call("list_streams", Effect.NONE)
        client.close()


def self_signed(folder: Path) -> Path:
    """A file with a key and a certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    file = folder / "self-signed.pem"
    file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(pem))
    return file


# Names


@pytest.mark.parametrize("pair", [("a_b", "a__b"), ("a.b", "a_2e_b"), ("a:b", "a_b"), ("", "x"), ("A", "a")])
def test_two_namespaces_have_two_names(pair: tuple[str, str]) -> None:
    one, other = (namespaced("p-", "c", namespace, 255) for namespace in pair)
    assert one != other
    assert all(c.isalnum() or c in "_.-" for c in one + other)


def test_a_name_that_is_too_long_is_a_digest() -> None:
    one, other = (namespaced("p-", "c", "ü" * 60 + end, 64) for end in "ab")
    assert one != other
    assert len(one) <= 64
