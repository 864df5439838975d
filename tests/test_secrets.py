"""Secrets: what is hidden, what is not, and that no cut leaves the beginning of one."""

from __future__ import annotations

import time

import pytest

from stackproof.contracts.expectations import shown
from stackproof.contracts.secrets import scrubbed


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("at redis://u:hunter2@h:1/0.", "at redis://***@h:1/0."),
        ("at redis://u:hun/ter2@h:1/0", "at redis://***@h:1/0"),
        ("at redis://u:hun@ter2@h", "at redis://***@h"),
        ("at https://hunter2@h/x", "at https://***@h/x"),
        ("postgresql://h/db?user=u&password=hunter2&port=1", "postgresql://h/db?user=u&password=***&port=1"),
        ("host=h password=hunter2 port=1", "host=h password=*** port=1"),
        ("host=h password = 'hun ter\\'2' port=1", "host=h password = *** port=1"),
        ("connect(passwd='hunter2', db=0)", "connect(passwd=***, db=0)"),
        ("{'password': 'hunter2', 'db': 0}", "{'password': ***, 'db': 0}"),
        ('{"api_key": "hunter2"}', '{"api_key": ***}'),
        ("aws_secret_access_key=hunter2", "aws_secret_access_key=***"),
        ("SASL_PASSWORD='hunter2", "SASL_PASSWORD=***"),
    ],
)
def test_what_is_hidden(text: str, clean: str) -> None:
    assert scrubbed(text, {}) == clean
    assert scrubbed(clean, {}) == clean


@pytest.mark.parametrize(
    "text",
    [
        "the password was refused: authentication failed",
        "https://h/x and me@example.org",
        "tokens: expected 3, seen 4",
        "set('key', 'a@b') -> None",
    ],
)
def test_what_is_not_hidden(text: str) -> None:
    assert scrubbed(text, {}) == text


@pytest.mark.parametrize(
    "environ",
    [
        {"API_TOKEN": "hunter2\\"},
        {"MY_URL": "redis://u:hunter2%5C@h"},
        {"MY_URL": "redis://u:hunter2\\@h/1@2"},
        {"DSN": "host=h password=hunter2\\"},
    ],
)
def test_a_secret_of_the_environment_is_hidden_wherever_it_stands(environ: dict[str, str]) -> None:
    secret = "hunter2\\@h/1" if "@2" in environ.get("MY_URL", "") else "hunter2\\"
    for text in (f"refused: {secret}!", f"refused: {secret!r}!"):
        assert "hunter2" not in scrubbed(text, environ)


@pytest.mark.parametrize("lead", range(60, 205, 5))
def test_a_value_that_is_cut_shows_no_beginning_of_a_secret(lead: int) -> None:
    class Odd:
        def __repr__(self) -> str:
            return "o" * lead + "redis://u:hunter2secret@h" + "y" * 600

    text = "x" * lead + "redis://u:hunter2secret@h" + "y" * 200
    for value in (text, [text], Odd(), text.encode() * 2, "\n" * 90 + text[60:]):
        assert "hunter2" not in shown(value)


def test_large_values_are_scrubbed_in_time() -> None:
    """Each call on a backend is shown, with its values: a pattern that is quadratic would stop everything."""
    for large in ("://" * 300_000 + "@", "password" * 100_000, "x" * 1_000_000, b"\xff" * 1_000_000):
        began = time.monotonic()
        shown(large)
        assert time.monotonic() - began < 20.0


def test_a_value_of_some_megabytes_is_searched_at_the_ends_that_are_shown() -> None:
    """And quickly: sequences of operations write such values hundreds of times."""
    value = "postgresql://u:hunter2@h/db " + "x" * 3_000_000 + " password=hunter2"
    began = time.thread_time()  # of this thread alone: others may have the processors
    said = [shown(value), shown(value.encode())]
    assert time.thread_time() - began < 0.5
    for text in said:
        assert "hunter2" not in text
        assert "postgresql://***@h/db" in text
        assert text.rstrip("'\"").endswith("password=***")
        assert len(text) < 500
