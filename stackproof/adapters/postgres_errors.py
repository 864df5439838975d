"""PostgreSQL's errors as ours, and waiting for its answers no longer than the caller said."""

from __future__ import annotations

import math
from collections.abc import Generator
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg import errors

from stackproof.adapters.green_waits import GreenWaits
from stackproof.interfaces import (
    BackendError,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    UnavailableError,
)

T = TypeVar("T")

LOOK_SECONDS = 0.1
"""How often one who waits looks at the time limit; psycopg's own interval."""

# The input is at fault.
_INPUT_AT_FAULT = (errors.DataError, errors.IntegrityError, errors.ProgramLimitExceeded)
# The server gave up within its statement or lock timeout, and rolled back.
_SERVER_GAVE_UP = (errors.QueryCanceled, errors.LockNotAvailable)


class DeadlinePassedError(psycopg.OperationalError):
    """The client's own time limit passed while it waited for the server's answer."""


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose every wait ends at ``deadline``, also when the server hangs without closing the socket."""

    deadline: float = math.inf
    _green: GreenWaits | None = None
    """Under gevent's patches: what waits in psycopg's place."""

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **options: Any) -> T:
        """Drive one exchange with the server, and give up at the deadline."""
        return super().wait(self._until_deadline(gen), *args, **options)

    def _until_deadline(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        # Whoever waits resumes the generator when the socket is ready, and every 0.1 s with a false value when it is not.
        green = self._green_waits()
        try:
            wanted = next(gen)
            while True:
                ready = (yield wanted) if green is None else green.ready(wanted)
                if not ready and monotonic() > self.deadline:
                    raise DeadlinePassedError("no answer within the operation timeout")
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _green_waits(self) -> GreenWaits | None:
        """None where psycopg is to wait: without gevent, and in a thread whose hub is another one."""
        if self._green is None and GreenWaits.wanted() and not self.closed:
            self._green = GreenWaits(self.pgconn.socket, LOOK_SECONDS)
        return self._green if self._green is not None and self._green.here else None

    def close(self) -> None:
        """Close it. Again: does nothing."""
        green, self._green = self._green, None
        if green is not None:
            green.close()
        super().close()

    def __del__(self, *_: Any) -> None:
        # Only an interruption lets a connection go without `close` (see `PostgresPool`); psycopg would warn.
        if hasattr(self, "pgconn"):
            self.pgconn.finish()


def translated(error: psycopg.Error, server: str, writes: bool) -> BackendError:
    """The one place where an error of the driver becomes one of ours."""
    what = f"{server}: {first_line(error)}"
    answered = error.sqlstate is not None and error.diag.severity_nonlocalized == "ERROR"
    if isinstance(error, _INPUT_AT_FAULT):
        return RejectedError(f"rejected by {what}")
    if isinstance(error, _SERVER_GAVE_UP):
        return OperationTimeoutError(f"rolled back at its time limit by {what}")
    if answered:  # the server says that it failed, so it has rolled back
        return UnavailableError(f"refused by {what}")
    if writes:
        return IndeterminateError(f"the answer was lost, the outcome is open, at {what}")
    if isinstance(error, DeadlinePassedError):
        return OperationTimeoutError(f"no answer in time from {what}")
    return UnavailableError(f"lost the connection to {what}")


def first_line(error: psycopg.Error) -> str:
    """What the server said first, or what the driver made of it."""
    return (error.diag.message_primary or str(error) or type(error).__name__).splitlines()[0]
