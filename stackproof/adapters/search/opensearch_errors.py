"""What the answers and errors of OpenSearch mean to a caller: pure, without a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import urllib3.exceptions as transport
from opensearchpy.exceptions import (
    ConnectionError as BrokenConnectionError,
)
from opensearchpy.exceptions import (
    ConnectionTimeout,
    OpenSearchException,
    SSLError,
    TransportError,
)

from stackproof.interfaces import (
    BackendError,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    UnavailableError,
)

TOO_LARGE = 413
BUSY = frozenset({429, 503})
"""Answers of a server that refuses work for the moment: nothing was applied."""
GATEWAY = frozenset({502, 504})
"""Answers of something before the server, which may have got the request."""
_REFUSED_LOGIN = frozenset({401, 403})
_NOT_FOUND = 404
_NEVER_SENT = (transport.NewConnectionError, transport.ConnectTimeoutError)
_IN_HANDSHAKE = (
    "CERTIFICATE",
    "HANDSHAKE",
    "WRONG_VERSION_NUMBER",
    "UNKNOWN_CA",
    "HTTP_REQUEST",
    "UNSUPPORTED_PROTOCOL",
)
"""What OpenSSL calls the errors that end a handshake; any other one may come when the request was sent."""


def status_of(error: OpenSearchException) -> int:
    """The status of an answer; 0 where there was none."""
    found = error.status_code if isinstance(error, TransportError) else 0
    return found if isinstance(found, int) else 0


def was_never_sent(error: OpenSearchException) -> bool:
    """Whether the connection could not be made: then the server has nothing of the request."""
    if isinstance(error, SSLError):
        return any(word in str(error).upper() for word in _IN_HANDSHAKE)
    return isinstance(error, BrokenConnectionError) and isinstance(error.info, _NEVER_SENT)


def broke(error: OpenSearchException) -> bool:
    """Whether the connection ended while the answer was awaited. A time limit that passed is something else."""
    return (
        isinstance(error, BrokenConnectionError)
        and not isinstance(error, ConnectionTimeout)
        and not was_never_sent(error)
    )


def reason_of(info: object) -> str:
    """The sentence that an error in an answer has, with its kind and with what to do about the usual ones."""
    error = info.get("error", info) if isinstance(info, Mapping) else info
    if not isinstance(error, Mapping):
        return str(error)[:300]
    cause = _deepest(error)
    kind, reason = str(cause.get("type", "")), str(cause.get("reason", ""))[:300]
    return f"{_advice(kind, reason)}{kind}: {reason}" if kind else reason


def _deepest(error: Mapping[str, Any]) -> Mapping[str, Any]:
    """What lies beneath "all shards failed"."""
    roots = error.get("root_cause")
    if roots and isinstance(roots, list) and isinstance(roots[0], Mapping):
        return roots[0]
    cause = error.get("caused_by")
    return cause if not error.get("reason") and isinstance(cause, Mapping) else error


def _advice(kind: str, reason: str) -> str:
    if kind == "index_closed_exception":
        return "the index is closed, POST /<index>/_open opens it; "
    if kind == "index_not_found_exception":
        return "the index or its alias is not there any more; "
    if kind == "cluster_block_exception" and "flood-stage" in reason:
        return "the disk of the server is full, so that the index is read-only; "
    if kind == "cluster_block_exception":
        return "the index is read-only; "
    return ""


def is_blocked(info: object) -> bool:
    """Whether somebody, or a full disk, has made the index read-only or closed it: waiting a moment changes nothing."""
    error = info.get("error", info) if isinstance(info, Mapping) else info
    kind = _deepest(error).get("type") if isinstance(error, Mapping) else ""
    return kind in ("cluster_block_exception", "index_closed_exception", "index_not_found_exception")


def translated(error: OpenSearchException, where: str, seconds: float, *, writes: bool) -> BackendError:
    """The error of ours that says what a caller can do. ``writes``: whether the request changes something."""
    status = status_of(error)
    info = error.info if isinstance(error, TransportError) and len(error.args) > 2 else str(error)
    if was_never_sent(error):
        return UnavailableError(f"{where} cannot be reached: {info}")
    if isinstance(error, ConnectionTimeout):
        if writes:
            return IndeterminateError(f"{where} did not answer within {seconds:g} s; the write may be applied or not")
        return OperationTimeoutError(f"{where} did not answer within {seconds:g} s")
    if status == 0 or status in GATEWAY:
        what = f"the connection to {where} broke" if status == 0 else f"a gateway before {where} answered {status}"
        if writes:
            return IndeterminateError(f"{what} during a write, which may be applied or not: {info}")
        return UnavailableError(f"{what}: {info}")
    reason = reason_of(info)
    if status in BUSY:
        return UnavailableError(f"{where} refuses work for the moment, nothing was applied: {reason}")
    if is_blocked(info):
        return UnavailableError(f"{where}: {reason}")
    if status in _REFUSED_LOGIN:
        return UnavailableError(f"{where} refused the credentials, or they lack a permission ({status}): {reason}")
    if status == _NOT_FOUND:
        return UnavailableError(f"{where} knows no such place (404): {reason}")
    if status >= 500:
        unsure = IndeterminateError if writes else UnavailableError
        return unsure(f"{where} failed ({status}): {reason}")
    return RejectedError(f"{where} rejected the request ({status}): {reason}")
