"""What a fault proxy understands of Kafka's protocol: answers are led back to the proxy, and nothing else is changed."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from stackproof.servers.kafka_wire import (
    DESCRIBE_CLUSTER,
    FETCH,
    FIND_COORDINATOR,
    METADATA,
    NEWEST,
    PRODUCE,
    VERSIONS,
    Asked,
    KafkaDialect,
    Messages,
    Place,
    framed,
    redirected,
)

INSTEAD = ("127.0.0.1", 19092)


def instead(_: Place) -> Place:
    return INSTEAD


def asked(kind: int, version: int, number: int = 7) -> Asked:
    return Asked(kind, version, number)


def text(value: str | None, compact: bool) -> bytes:
    if compact:
        return bytes([len(value) + 1]) + value.encode() if value is not None else b"\0"
    return struct.pack(">h", len(value)) + value.encode() if value is not None else struct.pack(">h", -1)


def place(host: str, port: int, compact: bool) -> bytes:
    return text(host, compact) + struct.pack(">i", port)


def metadata(version: int, host: str, port: int) -> bytes:
    compact = version >= 9
    message = struct.pack(">i", 7) + (b"\0" if compact else b"")
    message += struct.pack(">i", 5) if version >= 3 else b""
    message += b"\x03" if compact else struct.pack(">i", 2)
    for number in (1, 2):
        message += struct.pack(">i", number) + place(host, port, compact)
        message += text("rack" if number == 1 else None, compact) if version >= 1 else b""
        message += b"\x01\x00\x02ab" if compact else b""  # one tagged field
    return message + b"the rest, with topics"


def coordinator(version: int, host: str, port: int) -> bytes:
    compact = version >= 3
    message = struct.pack(">i", 7) + (b"\0" if compact else b"")
    message += struct.pack(">i", 5) if version >= 1 else b""
    if version >= 4:
        message += b"\x02" + text("group", True) + struct.pack(">i", 1) + place(host, port, True)
        return message + struct.pack(">h", 0) + text(None, True) + b"\0\0"
    message += struct.pack(">h", 0) + (text("fine", compact) if version >= 1 else b"")
    return message + struct.pack(">i", 1) + place(host, port, compact) + (b"\0" if compact else b"")


def cluster(version: int, host: str, port: int) -> bytes:
    message = struct.pack(">i", 7) + b"\0" + struct.pack(">ih", 5, 0) + text(None, True)
    message += b"\x01" if version >= 1 else b""
    message += text("cluster", True) + struct.pack(">i", 1) + b"\x02" + struct.pack(">i", 1) + place(host, port, True)
    message += text(None, True) + (b"\0" if version >= 2 else b"") + b"\0"
    return message + struct.pack(">i", -1) + b"\0"


@pytest.mark.parametrize(
    ("make", "kind", "version"),
    [
        *[(metadata, METADATA, version) for version in range(NEWEST[METADATA] + 1)],
        *[(coordinator, FIND_COORDINATOR, version) for version in range(NEWEST[FIND_COORDINATOR] + 1)],
        *[(cluster, DESCRIBE_CLUSTER, version) for version in range(NEWEST[DESCRIBE_CLUSTER] + 1)],
    ],
)
def test_addresses_are_exchanged_and_nothing_else(
    make: Callable[[int, str, int], bytes], kind: int, version: int
) -> None:
    given, wanted = make(version, "broker.example", 9092), make(version, *INSTEAD)
    assert redirected(given, asked(kind, version), instead) == wanted
    assert redirected(given, asked(kind, version), lambda broker: broker) == given


def test_a_coordinator_that_is_not_there_stays_away() -> None:
    given = coordinator(1, "", -1)
    assert redirected(given, asked(FIND_COORDINATOR, 1), instead) == given


def versions(version: int, error: int, kinds: list[tuple[int, int, int]]) -> bytes:
    compact = version >= 3
    message = struct.pack(">ih", 7, error) + (bytes([len(kinds) + 1]) if compact else struct.pack(">i", len(kinds)))
    for kind in kinds:
        message += struct.pack(">hhh", *kind) + (b"\0" if compact else b"")
    return message + b"the rest"


@pytest.mark.parametrize("version", [0, 2, 3, 4])
def test_versions_that_are_not_understood_are_not_offered(version: int) -> None:
    given = versions(version, 0, [(PRODUCE, 3, 13), (FETCH, 4, 18), (METADATA, 0, 9), (11, 0, 9)])
    wanted = versions(version, 0, [(PRODUCE, 3, 9), (FETCH, 4, 15), (METADATA, 0, 9), (11, 0, 9)])
    assert redirected(given, asked(VERSIONS, version), instead) == wanted


def test_a_client_that_is_too_new_for_a_broker_gets_its_answer_as_it_is() -> None:
    given = versions(0, 35, [(VERSIONS, 0, 3)])  # to a request of version 4: in the oldest form
    assert redirected(given, asked(VERSIONS, 4), instead) == given


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
def test_messages_are_found_however_the_stream_is_cut(size: int) -> None:
    sent = [b"first", b"", b"a longer one" * 5]
    stream = b"".join(map(framed, sent))
    messages = Messages()
    found = [each for at in range(0, len(stream), size) for each in messages.add(stream[at : at + size])]
    assert found == sent


def test_what_is_no_kafka_is_noticed() -> None:
    with pytest.raises(ValueError, match="not Kafka's protocol"):
        Messages().add(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(ValueError, match="ends too early"):
        redirected(metadata(9, "broker", 1)[:20], asked(METADATA, 9), instead)


def test_a_connection_knows_which_answer_belongs_to_which_request() -> None:
    dialect = KafkaDialect(instead)
    requests = [struct.pack(">hhi", METADATA, 1, 7), struct.pack(">hhi", 0, 9, 8)]
    for request in requests:
        assert dialect.requests(framed(request)) == [framed(request)]
    produced = struct.pack(">i", 8) + b"broker.example is only a text here"
    given = framed(metadata(1, "broker.example", 9092)) + framed(produced)
    assert dialect.answers(given[:30]) == []
    assert dialect.answers(given[30:]) == [framed(metadata(1, *INSTEAD)), framed(produced)]
