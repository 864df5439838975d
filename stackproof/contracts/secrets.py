"""Secrets in what a backend says: a driver's error often quotes the address that it could not reach, password included."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from .verdicts import ClauseResult, Failure

HIDDEN = "***"
_IN_URL = re.compile(r"(?<=://)[^/@\s'\"]*:[^/@\s'\"]*(?=@)")
_TELLING_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|(ACCESS|API|PRIVATE)_?KEY", re.IGNORECASE)
_SHORTEST = 6
"""A shorter value is a word like any other: hiding it would hide half of the text."""


def scrubbed(text: str, environ: Mapping[str, str] | None = None) -> str:
    """The text without passwords: those in URLs, and the values of variables whose name says that they are secret."""
    text = _IN_URL.sub(HIDDEN, text)
    for secret in _secrets(os.environ if environ is None else environ):
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


def _secrets(environ: Mapping[str, str]) -> list[str]:
    """The secrets that the environment holds, longest first."""
    found: set[str] = set()
    for name, value in environ.items():
        if _TELLING_NAME.search(name):
            found.add(value)
        if "://" in value and "@" in value:
            password = _password_of(value)
            found |= {password, unquote(password)}
    return sorted((secret for secret in found if len(secret) >= _SHORTEST), key=len, reverse=True)


def _password_of(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
