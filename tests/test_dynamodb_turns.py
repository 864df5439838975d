"""Turns are taken one after the other, also where each takes long; one that nobody gives back is not waited for for ever."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from stackproof.adapters.interactions import dynamodb_turns
from stackproof.adapters.interactions.dynamodb_turns import Turns

LONG = 60.0


def test_however_long_all_together_take_one_is_at_work_at_a_time(monkeypatch) -> None:
    """The last one waits longer than nobody's turn may end; each alone is far below that."""
    monkeypatch.setattr(dynamodb_turns, "STILL_SECONDS", 2.0)
    turns, at_work, most = Turns(LONG), set[int](), [0]

    def works(number: int) -> None:
        with turns.of("summaries"):
            at_work.add(number)
            most[0] = max(most[0], len(at_work))
            time.sleep(0.1)
            at_work.remove(number)

    with ThreadPoolExecutor(30) as pool:
        list(pool.map(works, range(30)))
    assert most == [1]


def test_others_do_not_wait() -> None:
    turns = Turns(LONG)
    with turns.of("one"), turns.of("other"):
        pass


def lost_turn(turns: Turns) -> object:
    """As a thread does that ends in the middle: its turn is not given back, as long as what is returned is there."""
    turn = turns.of("summaries")
    thread = threading.Thread(target=turn.__enter__)
    thread.start()
    thread.join()
    return turn


def test_a_turn_that_nobody_gives_back_is_forgotten(monkeypatch) -> None:
    monkeypatch.setattr(dynamodb_turns, "STILL_SECONDS", 0.05)
    turns = Turns(LONG)
    lost = lost_turn(turns)
    began = time.monotonic()
    with turns.of("summaries"):
        pass
    monkeypatch.setattr(dynamodb_turns, "STILL_SECONDS", LONG)
    with turns.of("summaries"):  # a new lock: nobody waits any more
        assert time.monotonic() - began < LONG / 2
    del lost


def test_nobody_waits_for_longer_than_an_operation_may(monkeypatch) -> None:
    monkeypatch.setattr(dynamodb_turns, "STILL_SECONDS", LONG)
    turns = Turns(0.05)
    lost = lost_turn(turns)
    began = time.monotonic()
    with turns.of("summaries"):
        assert time.monotonic() - began < LONG / 2
    del lost
