"""An event loop in a thread of its own, and calls of coroutines on it from ordinary threads."""

from __future__ import annotations

import _thread
import asyncio
import inspect
import os
import threading
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

from stackproof.interfaces import ClosedError, OperationTimeoutError, UnavailableError

Work: TypeAlias = "Callable[[Call], Any]"
"""What runs on the loop: a function that returns a result or something to await. It is given its own call."""

_TURNS = 5
"""Turns of the loop that a cancelled task has to end, before it counts as left behind."""


class HandlerInterruptedError(Exception):
    """A handler raised what is meant to end the program. For the backend it is a handler that failed."""


class Call:
    """One coroutine on the loop, and the thread that waits for it.

    The thread waits on a bare lock of this call only: an interruption of it, wherever it hits, leaves nothing locked
    that the loop or another caller needs.
    """

    def __init__(self, work: Work, thread: LoopThread) -> None:
        self.work = work
        self._thread = thread
        self.interruption: BaseException | None = None
        """What a function of the caller's raised that is no `Exception`: it is the caller that was interrupted."""
        self._task: asyncio.Task[None] | None = None
        self._stopped: str = ""
        self._ended = _thread.allocate_lock()
        self._ended.acquire()
        self._result: Any = None
        self._error: BaseException | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin; on the loop."""
        if not self._stopped:
            self._task = loop.create_task(self._run(), name="a call of the bridge")
            self._task.add_done_callback(lambda _task: self._ended.release())
        else:
            self._ended.release()

    def stop(self, why: str) -> None:
        """Cancel the coroutine; on the loop."""
        self._stopped = why
        if self._task is not None:
            self._task.cancel()

    def wait(self, seconds: float) -> bool:
        """Whether it ended in time; in the caller's thread."""
        return self._ended.acquire(timeout=seconds)

    def outcome(self) -> Any:
        """What the coroutine returned; what it raised is raised."""
        if self.interruption is not None:
            raise self.interruption
        if self._stopped:
            raise ClosedError(self._stopped) from self._error
        if self._task is not None and self._task.cancelled():
            raise asyncio.CancelledError("nobody cancelled this call: the backend did")
        if self._error is not None:
            raise self._error
        return self._result

    async def off_loop(self, function: Callable[[], Any]) -> Any:
        """`LoopThread.off_loop` for a function of this call's caller."""
        return await self._thread.off_loop(function, self)

    async def _run(self) -> None:
        try:
            result = self.work(self)
            self._result = await result if inspect.isawaitable(result) else result
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._error = error


class LoopThread:
    """Runs an event loop until it is closed, and remembers what went wrong there without anybody to catch it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._remember)
        self._troubles: list[str] = []
        self._calls: set[Call] = set()
        self._closing = False
        self._end: asyncio.Task[None] | None = None
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name="stackproof-asyncio", daemon=True)
        self._thread.start()

    def call(self, work: Work, seconds: float | None = None) -> Any:
        """Run something on the loop and wait for it, in bounded time.

        A caller that is interrupted, or whose time is up, cancels its coroutine.
        """
        self._check_thread()
        limit = self._seconds if seconds is None else seconds
        call = Call(work, self)
        self._calls.add(call)
        try:
            if not self._soon(call.start, self._loop):
                raise ClosedError("the backend was disconnected")
            if not call.wait(limit):
                raise OperationTimeoutError(f"the coroutine did not end within {limit:g} s and was cancelled")
        except BaseException:
            self._soon(call.stop, "its caller was interrupted")
            raise
        finally:
            self._calls.discard(call)
        return call.outcome()

    def begin(self, work: Work) -> None:
        """Run something on the loop without waiting for it; an error is remembered as a trouble."""

        def ended(call: Call) -> None:
            self._calls.discard(call)
            if call._error is not None:
                self._troubles.append(f"{type(call._error).__name__}: {call._error}")

        async def begin(call: Call) -> None:
            call.start(self._loop)
            if call._task is not None:
                call._task.add_done_callback(lambda _task: ended(call))

        call = Call(work, self)
        self._calls.add(call)
        self._soon(lambda: self._loop.create_task(begin(call)))

    async def off_loop(self, function: Callable[[], Any], call: Call | None = None) -> Any:
        """Run an ordinary function of the caller's in a thread of its own, so that it may block, and await its result.

        An error that is no `Exception` must not reach the loop, which it would end. From a function of ``call`` it
        cancels that call, as an interruption of the caller does.
        """
        ended: asyncio.Future[Any] = self._loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if ended.done():
                return
            if error is None:
                ended.set_result(result)
            elif isinstance(error, Exception) and not isinstance(error, StopIteration):
                ended.set_exception(error)
            elif call is None:
                ended.set_exception(HandlerInterruptedError(f"a handler raised {type(error).__name__}"))
            else:
                call.interruption = error
                call.stop("its caller was interrupted")
                self._loop.call_soon(ended.cancel)

        def run() -> None:
            result, failure = None, None
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - handed to whoever awaits
                failure = error
            self._soon(settle, result, failure)  # where the loop is gone, nobody waits any more

        threading.Thread(target=run, name="stackproof-off-loop", daemon=True).start()
        return await ended

    def close(self) -> None:
        """End the calls that still run, then the loop. What the backend left behind is a `ResourceWarning` each."""
        if os.getpid() != self._process:
            return  # the thread stayed in the parent; closing the selector that is shared with it would disturb it
        self._closing = True
        self._soon(self._shut)
        self._thread.join(self._seconds)
        if self._thread.is_alive():
            self._troubles.append(f"something blocks the event loop for more than {self._seconds:g} s")
        for trouble in self._troubles:
            warnings.warn(f"on the event loop: {trouble}", ResourceWarning, stacklevel=3)

    def _run(self) -> None:
        while True:
            try:
                self._loop.run_forever()
            except (KeyboardInterrupt, SystemExit) as error:  # asyncio lets these two through, from any task
                self._troubles.append(f"a task raised {type(error).__name__}")
            if self._closing and self._end is not None and self._end.done():
                break
        self._loop.close()

    def _shut(self) -> None:
        self._end = self._loop.create_task(self._drain(), name="the end of the bridge")

    async def _drain(self) -> None:
        """End all tasks; those that the backend forgot are named."""
        calls = list(self._calls)
        for call in calls:
            call.stop("the backend was disconnected while this call ran")
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        ours = {call._task for call in calls} | {asyncio.current_task()}
        left = asyncio.all_tasks(self._loop) - ours
        self._troubles += sorted(f"disconnect left the task {_name_of(task)} behind" for task in left)
        for _ in range(_TURNS):  # a task may begin another one when it is cancelled
            tasks = asyncio.all_tasks(self._loop) - {asyncio.current_task()}
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=self._seconds / (2 * _TURNS))
        await self._loop.shutdown_asyncgens()
        self._loop.call_soon(self._loop.stop)

    def _soon(self, function: Callable[..., Any], *arguments: Any) -> bool:
        """Run a function on the loop; False where the loop is closed."""
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            if not self._loop.is_closed():
                raise
            return False
        return True

    def _check_thread(self) -> None:
        if os.getpid() != self._process:
            raise UnavailableError("the event loop stayed in the parent of this forked process; make a new instance")
        if threading.current_thread() is self._thread:
            raise RuntimeError("called on the event loop itself, which would wait for ever for its own answer")

    def _remember(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._troubles.append(context["message"] + (f": {type(error).__name__}: {error}" if error else ""))


def _name_of(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return str(getattr(coroutine, "__qualname__", task.get_name()))
