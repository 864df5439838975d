"""An opensearch-py client as the search index needs it: bounded in time, no hidden repetition, errors in our own words.

The driver repeats a request three times by default whose connection broke, whatever it does. Here that is switched off, because
only the caller knows what a second execution does. What is repeated here: requests that the server refused for the moment, with
pauses and jitter, within the operation timeout; and once what does no harm, where a connection broke.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar
from weakref import WeakSet

import urllib3
from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchException
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from stackproof.adapters.running_calls import RunningCalls
from stackproof.interfaces import BackendError, ClosedError, IndeterminateError, OperationTimeoutError, RejectedError

from .opensearch_bulk import FIRST_PAUSE, LONGEST_PAUSE
from .opensearch_errors import BUSY, GATEWAY, broke, is_blocked, status_of, translated
from .opensearch_place import OpenSearchPlace

T = TypeVar("T")

_WAIT = wait_random_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE)

# The driver warns of each failed request. Without any handler Python would print that on standard error.
logging.getLogger("opensearch").addHandler(logging.NullHandler())


class Effect(Enum):
    """What a request does, and so what may be done when nobody knows whether it was applied."""

    NONE = "it reads"
    IDEMPOTENT = "it writes, and writing it twice is writing it once"
    ONCE = "it writes, and a second time its answer would be another one"


_clients: WeakSet[OpenSearchClient] = WeakSet()


def _after_fork() -> None:
    """A forked child has none of the threads whose requests ran, and shares no connection with its parent."""
    for client in _clients:
        client._begin_again()


os.register_at_fork(after_in_child=_after_fork)


class OpenSearchClient:
    """Requests to one OpenSearch address, safe in threads. After a fork the child makes its own connections.

    ``connect_timeout`` bounds the making of a connection, ``operation_timeout`` each wait for a part of an answer, and the time
    in which a request that is refused for the moment is sent again.
    """

    def __init__(
        self,
        place: OpenSearchPlace,
        *,
        connect_timeout: float = 5.0,
        operation_timeout: float = 5.0,
        max_connections: int = 16,
        compress: bool = False,
    ) -> None:
        self.where = f"OpenSearch at {place.shown}"
        self.operation_timeout = operation_timeout
        self._longest_request = connect_timeout + operation_timeout
        self._timeout = urllib3.Timeout(connect=connect_timeout, read=operation_timeout)
        self._api = OpenSearch(
            hosts=[place.host_options()],
            timeout=self._timeout,
            pool_maxsize=max_connections,
            max_retries=0,
            retry_on_status=(),
            http_compress=compress,
        )
        self._running = RunningCalls(self.where)
        _clients.add(self)

    def call(self, request: Callable[[OpenSearch], T], effect: Effect) -> T:
        """Make a request; the driver's errors come out as ours."""
        return self.call_noting(request, effect)[0]

    def call_noting(self, request: Callable[[OpenSearch], T], effect: Effect) -> tuple[T, bool]:
        """The same, and whether the request was sent again after a connection broke: it may have been applied before."""
        return self._running.run(lambda: self._told(request, effect), self._api.close)

    def _told(self, request: Callable[[OpenSearch], T], effect: Effect) -> tuple[T, bool]:
        doubts, began = list[BackendError](), time.monotonic()
        try:
            try:
                return request(self._api), False
            except OpenSearchException as error:
                first = error
            return self._attempts(request, effect, doubts, first, self.operation_timeout - (time.monotonic() - began))
        except (OpenSearchException, ClosedError) as error:
            told = error if isinstance(error, ClosedError) else self._translated(error, effect)
            if doubts and not isinstance(told, RejectedError):
                raise doubts[0] from error
            raise told from error.__cause__ if told is error else error

    def ping(self) -> bool:
        """Whether the server answers now; whether there are documents does not matter. Never raises."""
        try:
            self.call(lambda api: api.indices.exists_alias(name="stackproof_search"), Effect.NONE)
        except BackendError:
            return False
        return True

    def server_limit(self, seconds: float) -> dict[str, Any]:
        """The parameters by which the server gives up after so long.

        The driver takes a ``timeout`` alone for its own, and sends nothing of it.
        """
        return {"timeout": f"{seconds * 1000:.0f}ms", "request_timeout": self._timeout}

    def wait_for_task(self, task: str, seconds: float) -> dict[str, Any]:
        """The end of a task that the server does beside its other work."""
        deadline = time.monotonic() + seconds
        params = {"wait_for_completion": "true", "ignore": (408, 500), **self.server_limit(self.operation_timeout / 2)}

        def ask(api: OpenSearch) -> Any:
            return api.tasks.get(task_id=task, params=dict(params))

        while time.monotonic() < deadline:
            found: dict[str, Any] = self.call(ask, Effect.NONE)
            if found.get("completed"):
                return found
        raise OperationTimeoutError(f"{self.where}: the task {task} did not end within {seconds:g} s; it goes on")

    def check_open(self) -> None:
        """Raise `ClosedError` after `close`."""
        self._running.check_open()

    def close(self) -> None:
        """Wait for the running requests, each of which is bounded in time, then close every socket. Again: does nothing."""
        self._running.close(self._longest_request)
        self._api.close()

    def _attempts(
        self,
        request: Callable[[OpenSearch], T],
        effect: Effect,
        doubts: list[BackendError],
        first: OpenSearchException,
        seconds: float,
    ) -> tuple[T, bool]:
        """What follows the failure of the first attempt, for so many seconds.

        ``doubts`` gets the errors of attempts that may have been applied: they may be so after the next one fails, whatever
        that says.
        """
        again = False
        made = [first]

        def once() -> T:
            try:
                if made:
                    raise made.pop()
                return request(self._api)
            except OpenSearchException as error:
                told = self._translated(error, effect)
                if isinstance(told, IndeterminateError):
                    doubts.append(told)
                raise

        def attempt() -> T:
            nonlocal again
            if not made:  # the attempt that was made counts, also where `close` came since
                self.check_open()
            try:
                return once()
            except OpenSearchException as error:
                if effect is Effect.ONCE or again or not broke(error):
                    raise
            again = True
            return once()

        # Made only where something failed: to make it costs as much as the checks of a whole search.
        retrying = Retrying(
            retry=retry_if_exception(lambda error: _is_for_now(error, effect)),
            wait=_WAIT,
            stop=stop_after_delay(max(0.0, seconds)),
            reraise=True,
            before_sleep=self._stop_where_closed,
        )
        return retrying(attempt), again

    def _stop_where_closed(self, _: RetryCallState) -> None:
        self.check_open()

    def _translated(self, error: OpenSearchException, effect: Effect) -> BackendError:
        return translated(error, self.where, self.operation_timeout, writes=effect is not Effect.NONE)

    def _begin_again(self) -> None:
        """In a forked child: close the copies of the parent's connections, which the parent does not notice.

        Their queue is read without its lock, which a thread that the child does not have may hold for ever.
        """
        self._running.forget()
        driver = self._api.transport.connection_pool.connection
        inherited, driver.pool = driver.pool, None  # it makes a new one when it is asked
        for connection in getattr(getattr(inherited, "pool", None), "queue", ()):
            if connection is not None:
                connection.close()


def _is_for_now(error: BaseException, effect: Effect) -> bool:
    """Whether the server refused for the moment, so that the request is sent again."""
    if not isinstance(error, OpenSearchException):
        return False
    status = status_of(error)
    if status in BUSY:
        return not is_blocked(error.args[2] if len(error.args) > 2 else None)
    return status in GATEWAY and effect is not Effect.ONCE
