"""What redis-py's errors mean for a caller: not sent, applied or not, refused; and how each is said in one sentence."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import redis
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from stackproof.interfaces import (
    BackendError,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    UnavailableError,
)

NOT_NOW = (
    "max number of clients reached",
    "max concurrent connections exceeded",
    "max requests limit exceeded",
    "max daily request limit exceeded",
    "DB capacity quota exceeded",
    "Out of memory",
)
"""Answers of Redis, Upstash and Dragonfly at the end of a quota, without an error class. Nothing was applied."""


class NotSentError(redis.ConnectionError):
    """The connection could not be made: nothing of the command can have reached the server.

    ``lasting`` says that another attempt will not help: what was configured does not fit the server.
    """

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting


class NoClusterError(redis.RedisError):
    """A server was asked for the nodes of its cluster, and is none."""


def not_sent(error: Exception, *, tls: bool) -> NotSentError:
    """Why a connection could not be made, with what to type where the address asks for the wrong kind of connection."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NotSentError(
                f"its certificate is not trusted ({cause.verify_message.rstrip('.')}); name the file of its CA by "
                "REDIS_CA_FILE or ?ssl_ca_certs=, and the host as its certificate does",
                lasting=True,
            )
        if isinstance(cause, ssl.SSLError):
            return NotSentError(f"no TLS connection: {cause.reason or cause} (redis:// is without TLS)", lasting=True)
    if not tls and _hung_up(error):
        return NotSentError(
            f"{error} It hung up on the first words: either it listens for TLS "
            "(write rediss://), or it is in protected mode (it has no password, and talks to its own machine only)"
        )
    return NotSentError(str(error))


def _hung_up(error: Exception) -> bool:
    """Whether a server took the connection and ended it when it was spoken to, or answered what is not its protocol."""
    ended = any(isinstance(cause, ConnectionResetError | BrokenPipeError) for cause in _causes(error))
    return ended or isinstance(error, redis.InvalidResponse) or "closed by server" in str(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def translated(error: redis.RedisError, shown_url: str, operation_timeout: float, *, repeatable: bool) -> BackendError:
    """The error of ours that says what a caller can do about a redis-py error."""
    where = f"Redis at {shown_url}"
    match error:
        case AuthenticationError() | AuthorizationError() | NoPermissionError():
            return UnavailableError(
                f"{where} refused the user name or password, or lacks a permission for them: {error}"
            )
        case NotSentError():
            return UnavailableError(f"{where} cannot be reached: {error}")
        case NoClusterError():
            return UnavailableError(f"{where} is no cluster: write ?cluster=false, or nothing where CACHE_STORE=redis")
        case (
            BusyLoadingError()
            | OutOfMemoryError()
            | ReadOnlyError()
            | ClusterDownError()
            | TryAgainError()
            | AskError()
        ):
            return UnavailableError(f"{where} cannot serve now, nothing was applied: {error}")
        case ResponseError() if any(sentence in str(error) for sentence in NOT_NOW):
            return UnavailableError(f"{where} cannot serve now, nothing was applied: {error}")
        case redis.TimeoutError() if repeatable:
            return OperationTimeoutError(f"{where} did not answer within {operation_timeout:g} s")
        case redis.TimeoutError():
            return IndeterminateError(
                f"{where} did not answer within {operation_timeout:g} s; the write may be applied or not"
            )
        case redis.ConnectionError() if repeatable:
            return UnavailableError(f"the connection to {where} broke: {error}")
        case redis.ConnectionError():
            return IndeterminateError(
                f"the connection to {where} broke during a write, which may be applied or not: {error}"
            )
        case ResponseError() | redis.DataError():
            return RejectedError(f"{where} rejected the command: {error}")
    return IndeterminateError(f"{where} gave an answer that makes no sense: {error}")
