"""Writes to a CQL cluster that nobody waits for: sent, and sent again where that helps, by the threads of the driver."""

from __future__ import annotations

import time
from collections.abc import Callable, MutableSet, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from stackproof.interfaces import BackendError, Done, IndeterminateError, StackproofError

from .waiting_line import tell

if TYPE_CHECKING:
    from .cql_client import CqlClient, Statement

Answer: TypeAlias = "dict[str, Any] | None"
"""The row that a claim found there already, by its columns; None where it was applied, and for every other write."""


class Pending:
    """One operation of an adapter that is under way: whoever ends it first tells its end, and nobody else does."""

    __slots__ = ("_once", "_pending")

    def __init__(self, done: Done, pending: MutableSet[Pending]) -> None:
        self._once = [done]  # taking it out is one step, whichever threads try at the same time
        self._pending = pending
        pending.add(self)

    def forget(self) -> None:
        """It did not begin: nobody is told."""
        self._once.clear()
        self._pending.discard(self)

    def end(self, error: StackproofError | None) -> None:
        """Tell the end, unless it was told. It counts as running until that is done, so that closing waits for it."""
        try:
            done = self._once.pop()
        except IndexError:
            return
        tell(done, error)
        self._pending.discard(self)


class DeferredWrite:
    """One statement on its way, which is repeated by the rules of `CqlClient` without a thread that waits.

    ``then`` is called with the answer, ``failed`` with an error of ours: one of them, once, by a thread of the driver or
    before `send` returns.
    """

    __slots__ = (
        "_attempt",
        "_client",
        "_deadline",
        "_doubt",
        "_failed",
        "_future",
        "_parameters",
        "_statement",
        "_then",
    )

    def __init__(
        self,
        client: CqlClient,
        statement: Statement,
        parameters: Sequence[Any],
        then: Callable[[Answer], None],
        failed: Callable[[BackendError], None],
    ) -> None:
        self._client = client
        self._statement = statement
        self._parameters = parameters
        self._then = then
        self._failed = failed
        self._deadline = time.monotonic() + client.access.operation_timeout
        self._attempt = 0
        self._doubt: BackendError | None = None
        self._future: Any = None

    def send(self) -> None:
        """Hand it to the driver."""
        try:
            self._future = self._client.execute_deferred(self._statement, self._parameters, self._deadline)
            self._future.add_callbacks(self._answered, self._raised)
        except Exception as error:  # noqa: BLE001 - what is no error of the driver is told as well, for nobody else hears of it
            self._raised(error)

    def _answered(self, rows: Sequence[tuple[Any, ...]] | None) -> None:
        future, self._future = self._future, None  # they refer to each other
        try:
            first = rows[0] if rows else (True,)  # [applied] is the first column
            self._then(None if first[0] else dict(zip(future._col_names, first, strict=True)))
        except Exception as error:  # noqa: BLE001 - an error here would cost the driver its connection
            self._failed(self._client.error_of(error, self._statement))

    def _raised(self, error: Exception) -> None:
        self._future = None
        ours = self._client.error_of(error, self._statement)
        self._doubt = self._doubt or (ours if isinstance(ours, IndeterminateError) else None)
        pause = self._client.pause_after(error, self._attempt, self._statement)
        self._attempt += 1
        if (
            pause is not None
            and time.monotonic() + pause < self._deadline
            and self._client.send_later(pause, self.send)
        ):
            return
        self._failed(self._doubt or ours)
