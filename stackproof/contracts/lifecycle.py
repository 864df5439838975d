"""Clauses that hold for every concern whose backend has `ping` and `disconnect`."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import psutil
import pytest

from stackproof.interfaces import Backend, BackendError, ClosedError, OperationTimeoutError, UnavailableError

from .callers import Callers
from .clauses import absence, clause
from .evidence import Evidence
from .expectations import ContractViolation, eventually, expect, expect_error
from .journal import unwrapped
from .lifecycle_processes import ProcessClauses

L = TypeVar("L", bound=Backend)

AT_ONCE = 2.0
"""Seconds in which a closed backend must refuse: generous for a loaded machine, short for somebody who waits."""
BOUNDED = 15.0
"""Seconds in which every operation must end, whatever the state of its server."""


class LifecycleContract(ProcessClauses[L]):
    """What holds from the making of a backend to its end."""

    def make_unreachable(self, namespace: str) -> L:
        """An instance whose server is not there (a closed port, say). Needed where ``remote`` is declared."""
        pytest.skip("the test class has no make_unreachable(self, namespace), so a missing server could not be tried")

    @clause(
        "LIFE-01",
        "Disconnecting again is a no-op, also when several threads disconnect at once.",
        because="shutdown paths overlap: a signal handler, an atexit hook and a finally block all close",
        sees=(("repeated disconnects", 2), ("disconnects at once", 4)),
    )
    def test_disconnecting_again_is_a_no_op(
        self, backend: Any, another: Callable[[], Any], callers: Callers, evidence: Evidence
    ) -> None:
        self.exercise(backend)
        backend.disconnect()
        for _ in range(2):
            backend.disconnect()
            evidence.saw("repeated disconnects")
        instance = another()
        self.exercise(instance)
        evidence.saw("disconnects at once", len(callers.all_at_once(4, instance.disconnect, within=BOUNDED)))

    @clause(
        "LIFE-02",
        "After disconnect every operation raises ClosedError at once.",
        because="a backend that silently connects again outlives its owner, and one that hangs blocks the shutdown",
        learnt_from=("X1",),
        sees=("operations refused", 1),
    )
    def test_use_after_disconnect_is_refused(self, backend: Any, callers: Callers, evidence: Evidence) -> None:
        self.exercise(backend)
        operations = self.operations(backend)
        backend.disconnect()
        for name, operation in operations.items():
            with expect_error(ClosedError, f"{name} after disconnect", within=AT_ONCE):
                callers.each(
                    [operation], within=BOUNDED / 3
                )  # in a thread: one that hangs is a finding, not a time-out
            evidence.saw("operations refused")

    @clause(
        "LIFE-03",
        "Disconnect gives back every thread, socket and open file, without a warning.",
        because="a worker that makes and closes backends for weeks must not run out of them",
        learnt_from=("X2", "X4"),
        sees=("instances opened and closed", 3),
    )
    def test_disconnect_leaks_nothing(self, backend: Any, elsewhere: Callable[[], Any], evidence: Evidence) -> None:
        self.exercise(backend)  # what a driver makes once and keeps (caches, resolver threads) is made now
        before = _held()
        with _complaints() as complaints:
            for _ in range(3):
                instance = elsewhere()
                self.exercise(instance)
                instance.disconnect()
                evidence.saw("instances opened and closed")
            del instance
            try:
                eventually(lambda: not _more(before, _held()), "everything is given back", within=3.0)
            except ContractViolation as error:
                raise ContractViolation(
                    "what three closed instances still hold", "nothing", ", ".join(_more(before, _held()))
                ) from error
            gc.collect()
        expect(complaints, "warnings and errors while the instances were closed").equals([])

    @clause(
        "LIFE-04",
        "Operations that are running while the backend is disconnected finish or fail, and none hangs.",
        because="a deployment ends while requests are in flight; one that hangs is killed, with all that it still held",
        learnt_from=("E20", "C31"),
        sees=(("operations in flight", 1), ("callers that ended", 4)),
        seconds=90.0,
    )
    def test_operations_in_flight_at_disconnect_end(self, backend: Any, callers: Callers, evidence: Evidence) -> None:
        worked, may_stop, over = threading.Event(), threading.Event(), threading.Event()
        failed: list[BackendError | ContractViolation] = []
        ended: list[None] = []
        took: list[float] = []

        def work() -> str:
            try:
                while not over.is_set():
                    began = time.monotonic()
                    self.exercise(backend)
                    took.append(time.monotonic() - began)
                    worked.set()
                    may_stop.set()
            except (BackendError, ContractViolation) as error:
                # A write and its read can fall on both sides of the disconnect: a wrong answer is no finding here.
                failed.append(error)
                return type(error).__name__
            finally:
                ended.append(None)
                if len(ended) == 4:
                    may_stop.set()  # nobody is left who could work
            return "worked to the end"  # a backend that is open after disconnect is the matter of LIFE-02

        def stop() -> str:
            may_stop.wait(BOUNDED / 2)  # what is in flight then has the other half to end in
            if took:  # the callers began together and go on together: not between two operations of all of them
                time.sleep(min(took[0] / 3, 1.0))
            evidence.saw("operations in flight", int(worked.is_set()))
            wrong = None if worked.is_set() else next((e for e in failed if isinstance(e, ContractViolation)), None)
            try:
                backend.disconnect()
            finally:
                over.set()
            if wrong is not None:  # while it was open, and nobody had begun to close it
                raise wrong
            return "disconnected"

        try:
            ends = callers.each([work, work, work, work, stop], within=BOUNDED)
        finally:
            over.set()
        evidence.saw("callers that ended", len(ends) - 1)
        expect(ends[-1], "disconnect under load").equals("disconnected")

    @clause(
        "LIFE-05",
        "ping is true while the server answers, and false after disconnect; it never raises.",
        because="health checks decide on it: one that stays green keeps traffic on a dead backend",
        learnt_from=("E3", "E22"),
        sees=(("true answers", 1), ("false answers", 1)),
    )
    def test_ping_tells_the_truth(self, backend: Any, evidence: Evidence) -> None:
        self.exercise(backend)
        expect(backend.ping(), "ping of a backend that works").is_true()
        evidence.saw("true answers")
        backend.disconnect()
        expect(backend.ping(), "ping after disconnect").is_false()
        evidence.saw("false answers")

    @clause(
        "LIFE-06",
        "A call that is interrupted at any point leaves the backend usable.",
        because="Ctrl-C, a timeout or a cancelled request must not poison a connection or keep a lock for those who come after",
        learnt_from=("C27",),
        sees=(("interrupted calls", 5), ("calls that worked afterwards", 5)),
        seconds=90.0,
    )
    def test_an_interrupted_call_leaves_the_backend_usable(self, backend: Any, rng: Any, evidence: Evidence) -> None:
        self.exercise(backend)
        began = time.monotonic()
        self.exercise(backend)
        usual = time.monotonic() - began
        for _ in range(8):
            if _interrupt(lambda: self.exercise(backend), after=rng.uniform(0.1, 3.0) * usual):
                evidence.saw("interrupted calls")
            outcome = _retried(lambda: self.exercise(backend))
            expect(outcome, "the next call after an interrupted one").equals("worked")
            evidence.saw("calls that worked afterwards")

    @clause(
        "LIFE-07",
        "Disconnecting one instance does not disturb another.",
        because="two parts of a process each own a backend; one of them is reconfigured while the other works",
        sees=("operations after the other was closed", 2),
    )
    def test_instances_close_independently(
        self, backend: Any, another: Callable[[], Any], elsewhere: Callable[[], Any], evidence: Evidence
    ) -> None:
        sibling, stranger = another(), elsewhere()
        for instance in (backend, sibling, stranger):
            self.exercise(instance)
        backend.disconnect()
        for instance in (sibling, stranger):
            self.exercise(instance)
            expect(instance.ping(), "ping of the instance that was left alone").is_true()
            evidence.saw("operations after the other was closed")

    @clause(
        "LIFE-08",
        "Without its server, a backend raises a typed error in bounded time, and ping is false.",
        because="an outage must be an error that the caller can handle, neither a hang nor a wrong answer",
        learnt_from=("E14", "S17"),
        needs="remote",
        sees=(("typed errors", 1), ("false answers", 1)),
        seconds=90.0,
    )
    def test_without_a_server_errors_are_typed_and_bounded(self, backend: Any, evidence: Evidence) -> None:
        self.exercise(backend)
        trouble = (UnavailableError, OperationTimeoutError)
        try:
            lost = self.make_unreachable("nowhere")
        except trouble:
            evidence.saw("typed errors")
            evidence.saw("false answers")  # it cannot even be made: there is nothing that could answer
            return
        try:
            for name, operation in self.operations(lost).items():
                with expect_error(trouble, f"{name} without a server", within=BOUNDED):
                    operation()
                evidence.saw("typed errors")
            expect(lost.ping(), "ping without a server").is_false()
            evidence.saw("false answers")
        finally:
            lost.disconnect()

    @absence("LIFE-08")
    def prove_that_there_is_no_server(self, backend: Any, evidence: Evidence) -> None:
        before = _sockets()
        self.exercise(backend)
        expect(sorted(_sockets() - before), "sockets that the backend opened").equals(
            [], why="a backend with a server declares `remote`, so that its absence can be tried"
        )
        expect(_uses_a_socket(unwrapped(backend)), "a socket inside the backend").is_false()
        evidence.saw("absence probes")


def _held() -> dict[str, int]:
    """What this process holds: threads, and file descriptors by kind."""
    gc.collect()
    held = {"threads": threading.active_count()}
    try:
        for number in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{number}")
            except OSError:
                continue  # the descriptor of the listing itself
            kind = target.partition(":")[0] if ":" in target else "files"
            held[kind] = held.get(kind, 0) + 1
    except FileNotFoundError:
        held["descriptors"] = psutil.Process().num_fds()
    return held


def _more(before: dict[str, int], after: dict[str, int]) -> list[str]:
    return [f"{n - before.get(kind, 0)} {kind}" for kind, n in after.items() if n > before.get(kind, 0)]


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect resource warnings, and errors that nobody could catch (in finalisers and threads)."""
    found: list[str] = []
    hooks = sys.unraisablehook, threading.excepthook
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        warnings.filterwarnings("always", ".* was never awaited", RuntimeWarning)
        sys.unraisablehook = lambda u: found.append(f"{type(u.exc_value).__name__}: {u.exc_value} in {u.object!r}")
        threading.excepthook = lambda a: found.append(f"{a.exc_type.__name__}: {a.exc_value} in a thread")
        try:
            yield found
        finally:
            sys.unraisablehook, threading.excepthook = hooks
            found += [str(w.message) for w in caught if issubclass(w.category, ResourceWarning | RuntimeWarning)]


class _Interruption(BaseException):
    """What the signal handler raises."""


def _interrupt(call: Callable[[], object], after: float) -> bool:
    """Run a call in the main thread and interrupt it by an exception after so many seconds; whether it was hit.

    Garbage is not collected meanwhile: in a callback or finaliser of the collector the exception would be lost.
    """
    if not hasattr(signal, "pthread_kill") or threading.current_thread() is not threading.main_thread():
        pytest.skip("calls can be interrupted only in the main thread of a POSIX process")
    running = True

    def raise_it(_number: int, _frame: FrameType | None) -> None:
        if running:
            raise _Interruption

    main = threading.get_ident()
    before = signal.signal(signal.SIGUSR1, raise_it)
    timer = threading.Timer(after, lambda: signal.pthread_kill(main, signal.SIGUSR1))
    collects = gc.isenabled()
    gc.disable()
    try:
        timer.start()
        deadline = time.monotonic() + BOUNDED
        while time.monotonic() < deadline:
            call()
    except _Interruption:
        return True
    finally:
        running = False
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGUSR1, before)
        if collects:
            gc.enable()
    return False


def _retried(call: Callable[[], object]) -> str:
    """A call in another thread, in bounded time; the interrupted one may have broken one connection, so it may fail once."""
    outcome = "hung"
    for _ in range(2):
        ended: list[str] = []

        def run(ended: list[str] = ended) -> None:
            try:
                call()
                ended.append("worked")
            except Exception as error:  # noqa: BLE001 - reported to the clause
                ended.append(f"{type(error).__name__}: {error}")

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(BOUNDED / 2)
        outcome = ended[0] if ended else f"still running after {BOUNDED / 2:g} s"
        if outcome == "worked":
            break
    return outcome


def _sockets() -> set[str]:
    """The internet and unix sockets of this process, in a comparable form."""
    return {f"{c.fd}:{c.laddr}:{c.raddr}" for c in psutil.Process().net_connections(kind="all")}


def _uses_a_socket(backend: object, depth: int = 4) -> bool:
    """Whether a socket hangs on the object's attributes, some levels deep (a connection that was opened before)."""
    import asyncio
    import socket

    seen: set[int] = set()
    level: list[object] = [backend]
    for _ in range(depth):
        below: list[object] = []
        for thing in level:
            if id(thing) in seen or isinstance(thing, asyncio.AbstractEventLoop):
                continue  # a loop wakes itself up through a pair of sockets, which lead nowhere
            seen.add(id(thing))
            if isinstance(thing, socket.socket):
                return True
            below += vars(thing).values() if hasattr(thing, "__dict__") else []
            below += thing if isinstance(thing, list | tuple | set | frozenset) else []
        level = below
    return False
