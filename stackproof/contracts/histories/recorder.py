"""Records what threads do with a backend as a history: each call with its interval and how it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from stackproof.interfaces import BackendError, IndeterminateError, JsonValue

from .operation import Operation, Outcome

_T = TypeVar("_T")


class Recorder:
    """The operations of one history. May be used from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._zero = clock()
        self._operations: list[Operation] = []
        self._running: dict[int, Operation] = {}
        self._numbers = 0
        self._lock = threading.Lock()

    def now(self) -> float:
        """Seconds since the history began."""
        return self._clock() - self._zero

    def call(
        self,
        kind: str,
        key: str,
        function: Callable[[], _T],
        *,
        process: int,
        value: JsonValue = None,
        answer: Callable[[_T], JsonValue] | None = None,
    ) -> Operation:
        """Do one operation and write it down; ``answer`` turns what was returned into the operation's result.

        An `IndeterminateError` makes it indeterminate, any other `BackendError` means that nothing was applied. Every other
        error is recorded as indeterminate and raised: a backend has no business raising it.
        """
        began = Operation(
            kind=kind, key=key, start=self.now(), process=process, value=value, outcome=Outcome.INDETERMINATE
        )
        with self._lock:
            self._numbers += 1
            number = self._numbers
            self._running[number] = began
        outcome, result = Outcome.INDETERMINATE, None
        try:
            returned = function()
            ended = self.now()  # before anything else is done with the answer
            outcome, result = Outcome.OK, answer(returned) if answer is not None else None
        except IndeterminateError:
            ended = self.now()
        except BackendError:
            ended = self.now()
            outcome = Outcome.FAIL
        except BaseException:
            self._finish(number, began, self.now(), Outcome.INDETERMINATE, None)
            raise
        return self._finish(number, began, ended, outcome, result)

    def wrote(self, operation: Operation) -> None:
        """Add an operation that was observed in another way (the call of a handler, say)."""
        with self._lock:
            self._operations.append(operation)

    def history(self) -> list[Operation]:
        """What was recorded so far, in order of beginning. What still runs has no end, and is indeterminate."""
        with self._lock:
            return sorted([*self._operations, *self._running.values()], key=lambda each: (each.start, each.end))

    def handler(self, process: int, handle: Callable[[Any], None] | None = None) -> Callable[[Any], None]:
        """A handler of events that records each of its calls as ``deliver``; what ``handle`` raises, it raises."""

        def deliver(event: Any) -> None:
            start, outcome = self.now(), Outcome.FAIL
            try:
                if handle is not None:
                    handle(event)
                outcome = Outcome.OK
            finally:
                self.wrote(
                    Operation(
                        kind="deliver",
                        key=event.key,
                        start=start,
                        end=self.now(),
                        process=process,
                        outcome=outcome,
                        value=event.event_id,
                    )
                )

        return deliver

    def _finish(self, number: int, began: Operation, ended: float, outcome: Outcome, result: JsonValue) -> Operation:
        operation = Operation(
            kind=began.kind,
            key=began.key,
            start=began.start,
            end=ended,
            process=began.process,
            outcome=outcome,
            value=began.value,
            result=result,
        )
        with self._lock:
            del self._running[number]
            self._operations.append(operation)
        return operation
