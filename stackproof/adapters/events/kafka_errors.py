"""librdkafka's errors in our own words."""

from __future__ import annotations

from confluent_kafka import KafkaError

from stackproof.interfaces import (
    BackendError,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    UnavailableError,
)

REFUSALS = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError._SSL,
    }
)
"""Of a connection. Waiting does not help, but an administrator may."""
_FORBIDDEN = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
_UNFIT = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_RECORD,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.POLICY_VIOLATION,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_CONFIG,
        KafkaError._INVALID_ARG,
    }
)
_NEVER_WRITTEN = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._QUEUE_FULL,
    }
)
_TOO_LATE = frozenset({KafkaError._TIMED_OUT, KafkaError._MSG_TIMED_OUT, KafkaError.REQUEST_TIMED_OUT})


def text_of(error: BaseException) -> str:
    """What an exception of the driver says, without the form of its class."""
    first = error.args[0] if error.args else error
    return str(first.str()) if isinstance(first, KafkaError) else str(first)


def translated(error: KafkaError, where: str, seconds: float, *, sent: bool) -> BackendError:
    """The error of ours that says what a caller can do.

    ``sent``: it is about a record that was handed to the driver. The driver does not tell whether a record that was not
    acknowledged in time had ever left, so that its fate is open.
    """
    code, text = error.code(), error.str()
    if code in REFUSALS:
        return UnavailableError(f"{where} refused the connection: {text}")
    if code in _FORBIDDEN:
        return UnavailableError(f"{where} does not allow this to its user: {text}")
    if code in _UNFIT:
        return RejectedError(f"{where} rejected this: {text}")
    if sent and code not in _NEVER_WRITTEN:
        if code in _TOO_LATE:
            return IndeterminateError(
                f"{where} did not acknowledge the event within {seconds:g} s; it may be written or not"
            )
        return IndeterminateError(f"{where} did not acknowledge the event, which may be written or not: {text}")
    if code in _TOO_LATE:
        return OperationTimeoutError(f"{where} did not answer within {seconds:g} s: {text}")
    return UnavailableError(f"{where} cannot serve now, nothing was applied: {text}")
