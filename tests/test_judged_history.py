"""How often a clause makes callers overlap: until it has seen enough, and never for ever."""

from __future__ import annotations

import pytest

from stackproof.contracts import judged_history
from stackproof.contracts.evidence import Evidence
from stackproof.contracts.judged_history import DECIDED, ENOUGH, OVERLAPPING, rounds


def test_a_history_that_decided_nothing_is_followed_by_another_one() -> None:
    evidence = Evidence()
    decided = iter([1, 0, 1, 0, 1])
    numbers = []
    for number in rounds(3, evidence):
        numbers.append(number)
        evidence.saw(OVERLAPPING, ENOUGH)
        evidence.saw(DECIDED, next(decided))
    assert numbers == [0, 1, 2, 3, 4]


def test_it_ends_although_nothing_is_ever_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judged_history, "LONGEST", 0.0)
    assert list(rounds(3, Evidence())) == [0, 1, 2]
