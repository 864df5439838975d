"""The errors of the CQL driver as ours: what each says about a statement that may have been sent."""

from __future__ import annotations

from typing import Any, TypeAlias

from cassandra import (
    AuthenticationFailed,
    InvalidRequest,
    OperationTimedOut,
    RateLimitReached,
    ReadFailure,
    ReadTimeout,
    RequestValidationException,
    Unauthorized,
    Unavailable,
    WriteFailure,
    WriteTimeout,
    WriteType,
)
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.policies import RetryPolicy
from cassandra.protocol import ErrorMessage, IsBootstrappingErrorMessage, OverloadedErrorMessage

from stackproof.interfaces import (
    BackendError,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    UnavailableError,
)

TABLETS_HINT = (
    "; ScyllaDB before 2025.4 has no conditional writes in a keyspace with tablets:"
    " create it WITH tablets = {'enabled': false}"
)


def translated(error: Exception, server: str, *, writes: bool, conditional: bool = False) -> BackendError:
    """The error of ours that says what a caller can do.

    ``writes`` says that the statement changes something, ``conditional`` that it is a lightweight transaction: of these an
    accepted proposal can be completed by somebody else later, so that "too few replicas" is no proof that nothing is applied.
    """
    what = f"{server}: {told(error)}"
    match error:
        case NoHostAvailable():
            # Writes are never sent again by the driver (`RetryReadsOnce`), so this one was not sent at all.
            return UnavailableError(f"no node can be reached of {what}")
        case Unavailable() if not conditional:
            return UnavailableError(f"too few replicas are alive at {what}")
        case RateLimitReached():
            return UnavailableError(f"refused for the moment by {what}")
        case AuthenticationFailed() | Unauthorized():
            return UnavailableError(f"the user, the password or a permission is refused by {what}")
        case InvalidRequest() if "tablets" in str(error):
            return UnavailableError(f"refused by {what}{TABLETS_HINT}")
        case InvalidRequest() | RequestValidationException() if _names_no_table(error):
            return UnavailableError(f"the tables are not there at {what}")
        case InvalidRequest() | RequestValidationException():
            return RejectedError(f"rejected by {what}")
        case IsBootstrappingErrorMessage():
            return UnavailableError(f"not ready yet is {what}")
        case _ if writes:
            return IndeterminateError(f"the write may be applied or not at {what}")
        case OperationTimedOut() | ReadTimeout():
            return OperationTimeoutError(f"no answer in time from {what}")
    return UnavailableError(f"the read failed at {what}")


def told(error: Exception) -> str:
    """What happened, in one line: the driver's own texts hold object addresses and dictionaries."""
    match error:
        case NoHostAvailable():
            return _reasons(error.errors)
        case OperationTimedOut():
            return "no answer within the operation timeout"
        case WriteTimeout():
            kind = WriteType.value_to_name.get(error.write_type, error.write_type)
            return f"write timeout ({kind}, {error.received_responses} of {error.required_responses} replicas answered)"
        case ReadTimeout():
            return f"read timeout ({error.received_responses} of {error.required_responses} replicas answered)"
        case WriteFailure() | ReadFailure():
            return f"{error.failures} replicas failed"
        case Unavailable():
            return f"{error.alive_replicas} of {error.required_replicas} replicas are alive"
        case ErrorMessage():
            return f"{error.summary}: {error.message}".splitlines()[0]
    return (str(error) or type(error).__name__).splitlines()[0]


def _reasons(errors: object) -> str:
    """The driver gives a dictionary, or where it could make no pool the list of hosts alone."""
    if isinstance(errors, dict):
        return (
            "; ".join(sorted({told(reason) for reason in errors.values() if isinstance(reason, Exception)}))
            or "none is up"
        )
    return f"no connection to {', '.join(map(str, errors))}" if isinstance(errors, list) else "none is up"


def is_broken_connection(error: BaseException | None) -> bool:
    """Whether the connection broke while a statement was on its way."""
    return isinstance(error, ConnectionException)


def is_refusal(error: BaseException | None, managed: bool) -> bool:
    """Whether the server answered that it does not want to, for the moment.

    A managed service tells that a table or a partition is at its throughput by a time-out that the *server* reports
    (https://repost.aws/knowledge-center/keyspaces-resolve-timeout-exceptions).
    """
    if isinstance(error, OverloadedErrorMessage | IsBootstrappingErrorMessage | RateLimitReached):
        return True
    return managed and isinstance(error, ReadTimeout | WriteTimeout)


def _names_no_table(error: Exception) -> bool:
    text = str(error).lower()
    return any(said in text for said in ("unconfigured table", "does not exist", "keyspace ", "undefined name"))


Decision: TypeAlias = "tuple[int, None]"


class RetryReadsOnce(RetryPolicy):  # type: ignore[misc]
    """The driver sends a statement again only where it is marked as idempotent, and then once, to the next node.

    The driver's default policy asks another node about every broken connection, also for writes that are not safe to repeat.
    """

    def on_read_timeout(self, *_: Any, **__: Any) -> Decision:
        """Let it fail: the caller's time is over, too."""
        return self.RETHROW, None

    def on_write_timeout(self, *_: Any, **__: Any) -> Decision:
        """Let it fail, whatever the type of write: what happens then is decided by who knows what was written."""
        return self.RETHROW, None

    def on_unavailable(self, query: Any, *_: Any, retry_num: int, **__: Any) -> Decision:
        """Another node may see more replicas."""
        return self._once(query, retry_num)

    def on_request_error(self, query: Any, *_: Any, retry_num: int, **__: Any) -> Decision:
        """The connection broke, or the node is overloaded."""
        return self._once(query, retry_num)

    def _once(self, query: Any, retry_num: int) -> Decision:
        again = retry_num == 0 and query is not None and query.is_idempotent
        return (self.RETRY_NEXT_HOST if again else self.RETHROW), None
