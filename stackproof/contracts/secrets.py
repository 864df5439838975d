"""Secrets in what a backend says: a driver's error often quotes the address that it could not reach, password included."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from .verdicts import ClauseResult, Failure

HIDDEN = "***"
_WORDS = r"password|passwd|pwd|passphrase|secret|token|credential|(?:access|api|private)[_-]?key"
_SPACE = re.compile(r"(\s+)")
_NAMED = re.compile(
    rf"((?:{_WORDS})[\w-]{{0,40}}+(?:\s*=\s*|['\"]\s*:\s*(?=['\"])))"
    r"""(\*\*\*(?=[\s&'",)}]|$)|'(?:\\.|[^'\\])*'?|"(?:\\.|[^"\\])*"?|[^\s&'"]+)""",
    re.IGNORECASE,
)
"""``password=...``, as in a query, a keyword string or a call; ``'password': '...'``, as in a dictionary."""
_PARTS_OF_WORDS = ("pass", "pwd", "secret", "token", "credential", "key")
_TELLING_NAME = re.compile(_WORDS, re.IGNORECASE)
_SHORTEST = 6
"""A shorter value is a word like any other: hiding it would hide half of the text."""


def scrubbed(text: str, environ: Mapping[str, str] | None = None) -> str:
    """The text without passwords: those in addresses, and the values of variables whose name says that they are secret."""
    text = _without_user_infos(text)
    lowered = text.lower()
    if any(part in lowered for part in _PARTS_OF_WORDS):  # the pattern is slow, and values of some MB come by
        text = _NAMED.sub(rf"\1{HIDDEN}", text)
    for secret in _secrets(tuple((os.environ if environ is None else environ).items())):
        text = text.replace(secret, HIDDEN)
    return text


def without_secrets(result: ClauseResult) -> ClauseResult:
    """A result as it may be shown and kept: every text that came from the backend, scrubbed."""
    failure = result.failure
    if failure is not None:
        failure = Failure(
            scrubbed(failure.headline),
            tuple(map(scrubbed, failure.done)),
            scrubbed(failure.expected),
            scrubbed(failure.seen),
            failure.again,
        )
    return replace(result, reason=scrubbed(result.reason), failure=failure, notes=tuple(map(scrubbed, result.notes)))


def _without_user_infos(text: str) -> str:
    if "://" not in text or "@" not in text:
        return text
    words = _SPACE.split(text)
    spans = [(word, *_user_info(word)) for word in words]
    return "".join(word[:begin] + HIDDEN + word[end:] if begin < end else word for word, begin, end in spans)


def _user_info(word: str) -> tuple[int, int]:
    """Where the user info of a URL begins and ends; equal where there is none.

    It reaches up to the last @: a password that was not encoded may hold an @ or a slash. A user alone may be a token.
    """
    before, slashes, _ = word.partition("://")
    begin = len(before) + len(slashes)
    return (begin, max(begin, word.rfind("@"))) if slashes else (0, 0)


@lru_cache(8)
def _secrets(environ: tuple[tuple[str, str], ...]) -> list[str]:
    """The secrets that the environment holds, longest first, also as a repr and a URL's reader would write them.

    Asked thousands of times with the same environment, and slow.
    """
    found: set[str] = set()
    for name, value in environ:
        if _TELLING_NAME.search(name):
            found.add(value)
        found.update(_passwords_in(value))
    found |= {unquote(secret) for secret in found}
    found |= {repr(secret)[1:-1] for secret in found}
    return sorted((secret for secret in found if len(secret) >= _SHORTEST), key=len, reverse=True)


def _passwords_in(value: str) -> Iterator[str]:
    """The passwords of an address, a URL or a keyword string: a driver may quote them without the rest."""
    for word in value.split():
        begin, end = _user_info(word)
        yield word[begin:end].partition(":")[2]
    if "://" in value and "@" in value:
        yield _password_of(value)
    for _, secret in _NAMED.findall(value):
        yield secret.strip("'\"")


def _password_of(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
