"""Children that a clause forks: they are heard while they run, and killed whatever they do."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from pathlib import Path

from stackproof.contracts.children import Child, say


def forever() -> str:
    say("begun\n")
    threading.Event().wait(60.0)
    return "over"


def test_a_child_is_heard_while_it_runs_and_killed_in_the_middle() -> None:
    child = Child(forever)
    assert child.says("begun\n", 10.0)
    began = time.monotonic()
    assert not child.says("over", 0.1), "it has not said that"
    assert time.monotonic() - began < 5.0
    ended = child.kill()
    assert (ended.status, ended.said, ended.in_time) == (-signal.SIGKILL, "begun\n", True)
    assert child.kill() == child.end(0.0) == ended, "it ends once"


def test_what_a_child_does_not_say_is_not_waited_for_after_its_end() -> None:
    child = Child(lambda: "all")
    began = time.monotonic()
    assert not child.says("more", 30.0)
    assert time.monotonic() - began < 10.0
    ended = child.end(5.0)
    assert (ended.status, ended.said) == (0, "all")


def test_a_child_that_is_not_ended_in_time_is_killed_and_leaves_no_pipe() -> None:
    before = len(os.listdir("/proc/self/fd"))
    child = Child(forever)
    assert child.says("begun\n", 10.0)
    assert not child.end(0.05).in_time
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_child_ends_as_a_program_does_also_where_its_parent_has_a_timer_that_shows_stacks(tmp_path: Path) -> None:
    """As under pytest with faulthandler_timeout: the timer is a thread, and a child without it waited for it for ever."""
    with (tmp_path / "stacks").open("w") as stacks:
        faulthandler.dump_traceback_later(600.0, file=stacks)
        try:
            ended = Child(lambda: "all", whole_end=True).end(30.0)
        finally:
            faulthandler.cancel_dump_traceback_later()
    assert (ended.in_time, ended.status, ended.said) == (True, 0, "all"), ended.complaints
