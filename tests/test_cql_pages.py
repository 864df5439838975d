"""What a fault proxy understands of CQL's protocol: pages are asked for that are shorter, and nothing else is changed."""

from __future__ import annotations

import struct

import pytest

from stackproof.servers.cql_pages import EXECUTE, QUERY, RESULT, CqlDialect, CqlPages

STARTUP, READY = 0x01, 0x02
LIMIT = 16
INT = struct.pack(">h", 0x09)


def frame(kind: int, body: bytes, stream: int = 7, answer: bool = False, flags: int = 0) -> bytes:
    return struct.pack(">BBhBi", 0x84 if answer else 0x04, flags, stream, kind, len(body)) + body


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def value(content: bytes | None) -> bytes:
    return struct.pack(">i", -1) if content is None else struct.pack(">i", len(content)) + content


def asks(kind: int, size: int | None = 5_000, begin: bytes | None = None, names: bool = False) -> bytes:
    """The body of a read with two values, one of them null, and a time at its end."""
    flags = 0x01 | 0x20 | (0x04 if size else 0) | (0x08 if begin else 0) | (0x40 if names else 0)
    body = value(b"SELECT") if kind == QUERY else text("prepared")
    body += struct.pack(">hBh", 6, flags, 2)
    for content in (b"bank", None):
        body += (text("name") if names else b"") + value(content)
    body += struct.pack(">i", size) if size else b""
    body += value(begin) if begin else b""
    return body + struct.pack(">q", 1)


COLUMNS = {
    "none, as they are known": (0x04, 2, b""),
    "of one table": (0x01, 2, text("ks") + text("t") + text("a") + INT + text("b") + INT),
    "of several tables": (0x00, 1, text("ks") + text("t") + text("a") + INT),
    "of all kinds": (
        0x01,
        5,
        text("ks")
        + text("t")
        + (text("a") + struct.pack(">h", 0x00) + text("a.class"))
        + (text("b") + struct.pack(">h", 0x20) + INT)
        + (text("c") + struct.pack(">h", 0x21) + INT + struct.pack(">h", 0x22) + INT)
        + (text("d") + struct.pack(">h", 0x30) + text("ks") + text("u") + struct.pack(">h", 1) + text("f") + INT)
        + (text("e") + struct.pack(">hh", 0x31, 2) + INT + INT),
    ),
}


def rows(columns: str, more: bytes | None, number: int = 1) -> bytes:
    flags, count, described = COLUMNS[columns]
    body = struct.pack(">iii", 2, flags | (0x02 if more else 0), count) + (value(more) if more else b"")
    return body + described + struct.pack(">i", number) + b"rows" * number


@pytest.fixture
def pages() -> CqlPages:
    made = CqlPages()
    made.limit = LIMIT
    return made


@pytest.mark.parametrize("kind", [QUERY, EXECUTE])
@pytest.mark.parametrize("names", [False, True])
@pytest.mark.parametrize("begin", [None, b"begin"])
def test_a_read_asks_for_shorter_pages(pages: CqlPages, kind: int, names: bool, begin: bytes | None) -> None:
    sent = frame(kind, asks(kind, 5_000, begin, names))
    assert CqlDialect(pages).requests(sent) == [frame(kind, asks(kind, LIMIT, begin, names))]


@pytest.mark.parametrize(
    "sent",
    [
        frame(STARTUP, b"\0\0"),
        frame(QUERY, asks(QUERY, None)),
        frame(QUERY, asks(QUERY, LIMIT)),
        frame(EXECUTE, asks(EXECUTE, 3)),
        frame(EXECUTE, b"compressed", flags=0x01),
    ],
)
def test_what_asks_for_no_longer_pages_stays(pages: CqlPages, sent: bytes) -> None:
    dialect = CqlDialect(pages)
    answer = frame(RESULT, rows("of one table", b"more"), answer=True)
    assert dialect.requests(sent) == [sent]
    assert dialect.answers(answer) == [answer]
    assert pages.counts == {}


def test_without_the_fault_all_stays() -> None:
    pages = CqlPages()
    dialect, sent = CqlDialect(pages), frame(EXECUTE, asks(EXECUTE))
    assert dialect.requests(sent) == [sent]
    assert pages.counts == {}


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("more", [None, b"what comes after"])
def test_every_second_further_page_is_empty_and_goes_on_where_it_began(
    pages: CqlPages, columns: str, more: bytes | None
) -> None:
    dialect = CqlDialect(pages)
    whole = frame(RESULT, rows(columns, more), answer=True)
    for begin, expected in (
        (None, whole),
        (b"begin", whole),
        (b"begin", frame(RESULT, rows(columns, b"begin", number=0), answer=True)),
        (b"begin", whole),
    ):
        dialect.requests(frame(EXECUTE, asks(EXECUTE, 5_000, begin)))
        assert dialect.answers(whole) == [expected]
    assert pages.counts == {"empty pages": 1} | ({"pages cut": 3} if more else {})


def test_frames_go_on_when_they_are_whole_and_belong_to_their_stream(pages: CqlPages) -> None:
    dialect = CqlDialect(pages)
    one, two = (frame(EXECUTE, asks(EXECUTE), stream) for stream in (1, 2))
    short = [frame(EXECUTE, asks(EXECUTE, LIMIT), stream) for stream in (1, 2)]
    both = one + two
    assert dialect.requests(both[:5]) == []
    assert dialect.requests(both[5 : len(one) + 3]) == [short[0]]
    assert dialect.requests(both[len(one) + 3 :]) == [short[1]]
    answers = b"".join(frame(RESULT, rows("of one table", b"more"), stream, answer=True) for stream in (2, 3, 1))
    assert dialect.answers(answers) == [answers]
    assert pages.counts == {"pages cut": 2}, "nobody asked on stream 3"


@pytest.mark.parametrize("piece", [b"\x16\x03\x01" + b"\0" * 9, b"GET / HTTP/1.1\r\n", b"\x04" + b"\xff" * 12])
def test_what_is_not_cql_is_told(pages: CqlPages, piece: bytes) -> None:
    with pytest.raises(ValueError, match="not CQL"):
        CqlDialect(pages).requests(piece)
