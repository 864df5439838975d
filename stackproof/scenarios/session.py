"""A session of the load generator, from the side of the command: starts its processes, orders windows, ends it in every case."""

from __future__ import annotations

import json
import os
import secrets
import selectors
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import stackproof
from stackproof.interfaces import StackproofError
from stackproof.interruption import interruptible, raise_interruption

from .alone import Alone, Introduced
from .arrivals import schedule_of
from .orders import CLOSED, Offered, Order, Setup, merged
from .processes import JOIN_SECONDS, Processes
from .work import PREPARE_SECONDS, SETTLE_SECONDS

START_SECONDS = 60.0
"""How long starting, connecting, or removing what was stored may take."""
STOP_SECONDS = SETTLE_SECONDS + 10.0
"""How long an answer may take once everything was asked to stop. It comes within a second or two, unless a check after the window
waits for its backend, or is one of somebody else's, which waits out its time."""

Observer = Callable[[Mapping[str, Any]], None]
Waiting = Callable[[], AbstractContextManager[None]]


class GeneratorError(StackproofError):
    """The load-generating process ended, or does not answer, or cannot use the backends."""


class UnusableError(GeneratorError):
    """The generator cannot use the backends, and says why; it waits for other orders."""


class Session:
    """The generator of one namespace: one process, or Locust's master with workers. Windows are offered one at a time.

    A context manager: at its end what the session stored is removed (``left_behind`` says what was not) and no process is
    left. Ctrl-C during a window cuts it short; what was recorded is returned, as interrupted.

    With ``bind`` (address and port) the workers are not started here: Locust's master waits there for those that
    `stackproof worker` starts on other machines.
    """

    def __init__(
        self,
        setup: Setup,
        variables: Mapping[str, str],
        directory: Path,
        observer: Observer,
        *,
        workers: int = 1,
        bind: tuple[str, int] | None = None,
    ) -> None:
        self._setup = setup
        self._observer = observer
        self._workers = workers
        self._bind = bind
        self._processes = Processes(setup, variables, directory, workers, bind)
        self._numbers = Counter[str]()
        self._ids = 0
        self._pending = b""
        self._lines: deque[bytes] = deque()
        """What was read to the end of a line, and not looked at."""
        self._ended = False
        self.introduced: tuple[Introduced, ...] = ()
        """What the workers of other machines say of themselves; none where all are processes of ours, on this machine."""
        self.left_behind: tuple[str, ...] = ("the generator ended before it could remove anything",)

    def __enter__(self) -> Self:
        self._processes.start()
        try:
            self._receive(lambda message: "ready" in message, START_SECONDS + (JOIN_SECONDS if self._bind else 0.0))
            self.introduced = self._introduction() if self._bind else ()
        except BaseException:
            self._processes.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._processes.running:
                self.finish()
        finally:
            self._processes.end(kept=error is not None)

    @property
    def namespace(self) -> str:
        """What everything that it stores is under."""
        return self._setup.namespace

    def _introduction(self) -> tuple[Introduced, ...]:
        answer = self._ask({"do": "introduce"}, START_SECONDS)
        if answer["trouble"]:
            raise GeneratorError(answer["trouble"])
        return tuple(map(Introduced.from_answer, answer["answers"]))

    def each(self) -> tuple[Alone, ...]:
        """The workers of other machines, one by one."""
        return tuple(Alone(self, number) for number in range(self._workers)) if self._bind else ()

    def ask_one(self, number: int, message: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of one worker; `GeneratorError` where it has trouble, or none comes."""
        answer = self._ask({**message, "only": number}, START_SECONDS)
        if (trouble := self._trouble(answer)) or not answer["answers"]:
            raise GeneratorError(f"worker {number + 1}: {trouble or 'it did not answer'}")
        said: dict[str, Any] = answer["answers"][0]
        return said

    @property
    def running(self) -> bool:
        """Whether the process that takes orders lives."""
        return self._processes.running

    def connect(self, workload: int = 0, within: float = PREPARE_SECONDS) -> None:
        """Make the adapters that a workload needs, in every worker, fill in what it needs (at most ``within`` seconds), and use
        them once. What an earlier workload left running ends; what it has connected and filled in is used again.

        `GeneratorError` says why that cannot be.
        """
        self._observer({"phase": "connecting"})
        message = {"do": "connect", "workload": workload, "within": within}
        answer = self._ask(message, START_SECONDS + within)
        if trouble := self._trouble(answer):
            raise UnusableError(f"the load cannot be offered: {trouble}")
        versions = {part["version"] for part in answer["answers"]}
        if versions != {stackproof.__version__}:
            raise GeneratorError(f"workers run stackproof {', '.join(sorted(versions))}, not {stackproof.__version__}")

    def offer(self, order: Order, only: int | None = None) -> Offered:
        """Offer one window, by one worker ``only`` where that is asked for. Where Ctrl-C cuts it short, what there is of it.

        Its number is the next one that no window of its target has had, or the order's own, if that is larger.
        """
        if order.arrivals != CLOSED:
            schedule_of(
                order.arrivals, order.rate, order.seed
            )  # a rate or process that is none: said before anything starts
        # Of its target only: how often a self-check was repeated must not change which operations the backends get.
        order = replace(order, number=max(order.number, self._numbers[order.target]))
        self._numbers[order.target] = order.number + 1
        limit = order.warmup + order.seconds + order.drain + START_SECONDS
        message = {"do": "window", "order": order.to_data(), "only": only}
        raise_interruption()
        interrupted, started = False, time.time()
        number = self._send(message)
        try:
            answer = self._answer(number, limit)
        except KeyboardInterrupt:
            interrupted = True
            self._send({"do": "stop"})
            answer = self._answer(number, STOP_SECONDS)
        failed = [part for part in answer["answers"] if "recorder" not in part]
        if failed or not answer["answers"]:
            raise GeneratorError(f"the generator gave no figures: {self._trouble(answer) or 'no worker answered'}")
        workers = self._workers if only is None else 1
        offered = merged(order, answer["answers"], workers=workers, trouble=answer["trouble"], started=started)
        assert offered.interrupted or not interrupted or offered.complete
        return offered

    def finish(self) -> None:
        """Remove what the session stored, and disconnect."""
        if self._ended:
            return
        self._ended = True
        # Not cut short where Ctrl-C is held: who measured for an hour wants the record, and nothing left on the servers.
        answer = self._answer(self._send({"do": "finish"}), START_SECONDS, waiting=nullcontext)
        left = [sentence for part in answer["answers"] for sentence in part.get("left_behind", [])]
        self.left_behind = tuple(left) + ((self._trouble(answer),) if self._trouble(answer) else ())

    @staticmethod
    def _trouble(answer: Mapping[str, Any]) -> str:
        troubles = [part["trouble"] for part in answer["answers"] if part.get("trouble")]
        return "; ".join(dict.fromkeys([*troubles, *([answer["trouble"]] if answer["trouble"] else [])]))

    def _ask(self, message: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        return self._answer(self._send(message), seconds)

    def _send(self, message: Mapping[str, Any]) -> int:
        self._ids += 1
        self._processes.tell(json.dumps({"id": self._ids, **message}))
        return self._ids

    def _answer(self, number: int, seconds: float, waiting: Waiting = interruptible) -> dict[str, Any]:
        return self._receive(lambda message: message.get("id") == number, seconds, waiting)

    def _receive(
        self, wanted: Callable[[Mapping[str, Any]], bool], seconds: float, waiting: Waiting = interruptible
    ) -> dict[str, Any]:
        """The next message of this kind; progress on the way to it goes to the observer. ``waiting``: what one waits in."""
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._processes.answers, selectors.EVENT_READ)
            while (found := self._found(wanted)) is None:
                if (left := deadline - time.monotonic()) <= 0:
                    raise GeneratorError(self._processes.why_silent(seconds))
                with waiting():
                    came = selector.select(min(left, 1.0))
                if not came:
                    continue
                received = os.read(self._processes.answers, 1 << 20)
                if not received:
                    raise GeneratorError(self._processes.why_ended())
                *lines, self._pending = (self._pending + received).split(b"\n")
                self._lines.extend(lines)
        return found

    def _found(self, wanted: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any] | None:
        """The first message of this kind among what was read. Where Ctrl-C meets the observer, what follows is still there."""
        while self._lines:
            message: dict[str, Any] = json.loads(self._lines.popleft())
            if "progress" in message:
                self._observer(message["progress"])
            elif wanted(message):
                return message
        return None


def new_namespace() -> str:
    """A namespace for one session: nothing of it is used again."""
    return f"bench{secrets.token_hex(5)}"
