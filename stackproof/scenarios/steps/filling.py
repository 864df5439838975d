"""Filling in what a scenario needs before the first window: many calls at once, in bounded time, and heard of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import islice
from threading import Lock
from typing import TypeVar

from .base import PreparationError, Tell

CALLS_AT_ONCE = 16
TELL_SECONDS = 0.5

Thing = TypeVar("Thing")


def fill(
    what: str,
    things: Iterable[Thing],
    total: int,
    put: Callable[[Thing], object],
    tell: Tell,
    deadline: float,
    at_once: int = CALLS_AT_ONCE,
) -> None:
    """``put`` each of ``total`` things, some at once. The first error ends it and is raised.

    `PreparationError` where the deadline (of ``time.monotonic``) comes first: it says how far it went.
    """
    source, guard = iter(things), Lock()
    done, told, failed = 0, 0.0, False

    def next_ones() -> Iterator[Thing]:
        while True:
            with guard:
                found = [] if failed else list(islice(source, 1))
            if not found:
                return
            yield found[0]

    def work() -> None:
        nonlocal done, told
        for thing in next_ones():
            now = time.monotonic()
            if now > deadline:
                raise PreparationError(
                    f"{what}: only {done:,} of {total:,} were done in the time that there was; ask for fewer"
                )
            put(thing)
            with guard:
                done += 1
            if now - told > TELL_SECONDS:
                told = now
                tell(what, done / max(1, total))

    with ThreadPoolExecutor(at_once) as pool:
        running = [pool.submit(work) for _ in range(min(at_once, max(1, total)))]
        wait(running, return_when=FIRST_EXCEPTION)
        failed = any(future.done() and future.exception() for future in running)
        for future in running:
            future.result()
    tell(what, 1.0)
