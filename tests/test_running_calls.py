"""Closing a client waits for the calls of other threads, and for none that waits for it."""

from __future__ import annotations

import signal
import threading

import pytest

from stackproof.adapters.running_calls import RunningCalls
from stackproof.interfaces import ClosedError

LONG = 60.0


class Caller:
    """A thread in the middle of a call, until it is let go."""

    def __init__(self, calls: RunningCalls) -> None:
        self.closed_idle = False
        self._began, self._go_on = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=calls.run, args=[self._work, self._close_idle])
        self._thread.start()
        assert self._began.wait(LONG)

    def end(self) -> None:
        self._go_on.set()
        self._thread.join(LONG)
        assert not self._thread.is_alive()

    def _work(self) -> None:
        self._began.set()
        assert self._go_on.wait(LONG)

    def _close_idle(self) -> None:
        self.closed_idle = True


def nothing() -> None:
    pass


def test_closing_waits_for_the_calls_of_other_threads() -> None:
    calls = RunningCalls("a server")
    caller = Caller(calls)
    closing = threading.Thread(target=calls.close, args=[LONG])
    closing.start()
    while not calls.closed:
        closing.join(0.001)
    closing.join(0.05)
    assert closing.is_alive()
    caller.end()
    closing.join(LONG)
    assert not closing.is_alive()
    assert not calls


def test_a_call_that_outlasts_the_wait_closes_what_it_used_as_it_ends() -> None:
    calls = RunningCalls("a server")
    caller = Caller(calls)
    calls.close(0.02)
    assert len(calls) == 1
    assert not caller.closed_idle
    caller.end()
    assert caller.closed_idle


def test_a_call_of_an_open_client_closes_nothing() -> None:
    caller = Caller(RunningCalls("a server"))
    caller.end()
    assert not caller.closed_idle


def test_what_else_is_under_way_is_waited_for() -> None:
    calls, pending = RunningCalls("a server"), {1}
    closing = threading.Thread(target=calls.close, args=[LONG, pending])
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    pending.clear()
    closing.join(LONG)
    assert not closing.is_alive()


def test_after_closing_a_call_is_refused_by_name() -> None:
    calls = RunningCalls("a server")
    calls.close(LONG)
    with pytest.raises(ClosedError, match="the connection to a server was disconnected"):
        calls.run(nothing, nothing)
    assert not calls


def test_a_handler_of_a_signal_does_not_wait_for_the_call_that_it_interrupted() -> None:
    """It would wait for its whole limit: the call goes on when the handler has ended, not before."""
    calls = RunningCalls("a server")
    left_in_it: list[int] = []

    def closes(*_: object) -> None:
        closing = threading.Timer(LONG / 2, left_in_it.clear)  # what would be seen after a wait of the whole limit
        closing.start()
        left_in_it.append(len(calls))
        calls.close(LONG)
        closing.cancel()

    before = signal.signal(signal.SIGUSR1, closes)
    try:
        calls.run(lambda: signal.raise_signal(signal.SIGUSR1), nothing)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert left_in_it == [1]
    assert not calls


def test_a_forked_child_waits_for_nobody() -> None:
    calls = RunningCalls("a server")
    caller = Caller(calls)
    calls.forget()
    calls.close(LONG)
    caller.end()
