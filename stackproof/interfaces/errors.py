"""The errors that every adapter raises: a small tree, one class per thing that a caller can do about it.

A driver's own exception never crosses an interface: adapters translate it and keep it as ``__cause__``.
"""

from __future__ import annotations

from collections.abc import Mapping


class StackproofError(Exception):
    """Base of everything that stackproof raises on purpose. Its text is one sentence for the user."""


class ConfigurationError(StackproofError):
    """The settings cannot work: unknown value, missing variable, missing extra. Repeating will not help."""


class BackendError(StackproofError):
    """Base of what an adapter raises while it is used."""


class UnavailableError(BackendError):
    """The server cannot be reached, or refuses (the connection, or work for the moment). Nothing was applied; repeat later."""


class OperationTimeoutError(BackendError, TimeoutError):
    """The time limit passed before the operation had any effect. Nothing was applied; it is safe to repeat."""


class IndeterminateError(BackendError):
    """The connection broke or the time limit passed after the request was sent: it may or may not have been applied.

    Safe to repeat only for idempotent operations (`record_event` with the same event id is one).
    """


class RejectedError(BackendError, ValueError):
    """The backend cannot take this input (too large, not storable, wrong type). Nothing of it was applied.

    ``failed`` maps the id of each rejected item of a batch to the reason; for a batch, every item that is *not*
    named was applied, unless the operation says that it is all-or-nothing. Empty for a single item.
    """

    def __init__(self, message: str, failed: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.failed: dict[str, str] = dict(failed or {})


class UnsupportedError(BackendError):
    """The backend lacks this optional capability. Raised before anything is sent."""


class ClosedError(BackendError):
    """The adapter was disconnected. It never reconnects by itself after `disconnect`."""
