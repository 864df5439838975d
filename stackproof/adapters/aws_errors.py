"""The errors of botocore as ours: what a caller can do about each, and nothing secret in its text."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.exceptions import ConnectionError as SdkConnectionError
from botocore.exceptions import HTTPClientError as SdkHttpError

from stackproof.interfaces import (
    BackendError,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    UnavailableError,
)

THROTTLED = frozenset(
    {
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""How services say "not now". Nothing of the call was applied."""
NOT_ALLOWED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "UnrecognizedClientException",
    }
)
"""The caller is not known, or may not do this. The service's text is not shown: it can quote the request with its token."""
NOT_THERE = frozenset({"ResourceNotFoundException", "TableNotFoundException", "ResourceInUseException"})
"""What is asked is not there, or not yet."""
_NOT_SENT = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError, SSLError)
LONGEST_TEXT = 300
SERVER_ERROR = 500


class CutAnswerError(SdkConnectionError):  # type: ignore[misc]
    """The answer ended before its end."""

    fmt = "the answer ended after {got} of {said} bytes"


def code_of(error: BaseException) -> str:
    """What the service called the error that is this one, or its cause; empty where it was none of the service."""
    found = error if isinstance(error, ClientError) else error.__cause__
    return str(found.response.get("Error", {}).get("Code", "")) if isinstance(found, ClientError) else ""


def answer_of(error: BaseException) -> dict[str, Any]:
    """The service's whole answer that is the cause of an error; empty where there is none."""
    found = error if isinstance(error, ClientError) else error.__cause__
    return dict(found.response) if isinstance(found, ClientError) else {}


def may_be_applied(error: BaseException) -> bool:
    """Whether the call that ended so may have been applied all the same."""
    if isinstance(error, ClientError):
        return _status(error) >= SERVER_ERROR and code_of(error) not in THROTTLED
    return isinstance(error, SdkConnectionError | SdkHttpError) and not isinstance(error, _NOT_SENT)


def translated(
    error: ClientError | BotoCoreError, where: str, operation_timeout: float, writes: bool, unsure: bool
) -> BackendError:
    """The error of ours that says what a caller can do.

    ``unsure`` says that this attempt, or one before it, may have been applied: for a write that decides.
    """
    if isinstance(error, ClientError):
        return _of_an_answer(error, where, writes and unsure)
    if writes and unsure:
        if isinstance(error, ReadTimeoutError):
            return IndeterminateError(
                f"{where} did not answer within {operation_timeout:g} s; the write may be applied or not"
            )
        return IndeterminateError(
            f"the connection to {where} broke during a write, which may be applied or not: {_text(error)}"
        )
    if isinstance(error, ReadTimeoutError):
        return OperationTimeoutError(f"{where} did not answer within {operation_timeout:g} s")
    if isinstance(error, _NOT_SENT):
        return UnavailableError(f"{where} cannot be reached: {_text(error)}")
    if isinstance(error, SdkConnectionError | SdkHttpError):
        return UnavailableError(f"the connection to {where} broke: {_text(error)}")
    if isinstance(error, NoCredentialsError) or "redential" in type(error).__name__:
        return UnavailableError(f"there are no credentials for {where}: {type(error).__name__}")
    return RejectedError(f"the call cannot be sent to {where}: {_text(error)}")


def _of_an_answer(error: ClientError, where: str, unsure: bool) -> BackendError:
    code = code_of(error)
    if unsure:
        return IndeterminateError(
            f"{where} failed during a write, which may be applied or not: {code} {_message(error)}"
        )
    if code in NOT_ALLOWED:
        return UnavailableError(f"{where} refused the credentials, or they lack a permission: {code}")
    if code in THROTTLED or _status(error) == 429:
        return UnavailableError(f"{where} throttles, nothing was applied: {code} {_message(error)}")
    if _status(error) >= SERVER_ERROR or code in NOT_THERE:
        return UnavailableError(f"{where} cannot serve now: {code} {_message(error)}")
    return RejectedError(f"{where} rejected the call: {code} {_message(error)}")


def unusable(service: str, error: Exception) -> str:
    """The sentence of a `ConfigurationError` about settings that the SDK cannot use."""
    return f"the settings for AWS ({service}) cannot be used: {_text(error)}"


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))[:LONGEST_TEXT]


def _text(error: Exception) -> str:
    """What happened, without the address: the SDK quotes it as it was given, a password included."""
    reason = getattr(error, "kwargs", {}).get("error") or error
    return str(reason)[:LONGEST_TEXT] or type(error).__name__
