"""Two texts that differ look different in what a failure shows."""

from __future__ import annotations

import itertools
import random

import pytest

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.contracts import CacheContract
from stackproof.contracts.evidence import Evidence
from stackproof.contracts.expectations import ContractViolation, shown
from stackproof.contracts.journal import Journal, Journalled
from stackproof.contracts.mutants.cache_keys import KeysAreNormalised

ALIKE = ("caf\u00e9", "cafe\u0301", "caf\u00e9\u200b", "caf\u00e9\ufe0f", "caf\u00e9\u2800", "ca\u034ff\u00e9")
SIGNS = ("\u212b", "\u00c5", "A\u030a", "\u212a", "K", "\ufb01", "fi", "\ud55c", "\u1112\u1161\u11ab", "\u3164", "")


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations((*ALIKE, *SIGNS), 2)])
def test_texts_that_look_alike_are_told_apart(one: str, other: str) -> None:
    assert shown(one) != shown(other)
    assert sum(map(len, (shown(one), shown(other)))) < 60


def test_what_is_plain_stays_as_it_is() -> None:
    for text in ("caf\u00e9", "ключ", "漢字", "עברית", "한", "\U0001f600", "a – b … c"):
        assert shown(text) == repr(text)
    assert shown({"cafe\u0301": 1}) == "{'cafe\\u0301': 1}"
    assert shown("cafe\u0301") == "'cafe\\u0301'"


def test_a_violation_and_the_journal_show_it_wherever_it_stands() -> None:
    told = ContractViolation("the entry of 'cafe\u0301'", "1", "2")
    assert "cafe\\u0301" in str(told)
    assert "\u0301" not in str(told)
    journal = Journal()
    Journalled(MemoryCache(), journal, "cache").get("cafe\u0301")
    assert journal.lines() == ("cache.get('cafe\\u0301') -> MISSING",)


def test_two_keys_that_share_an_entry_are_both_named() -> None:
    contract, cache = CacheContract(), KeysAreNormalised()
    contract.capabilities = cache.capabilities
    with pytest.raises(ContractViolation) as caught:
        contract.test_keys_are_never_mixed_up(cache, random.Random(1), Evidence())
    assert "which was set for another key: '" in caught.value.seen
    assert caught.value.what.removeprefix("the entry of ") not in caught.value.seen
    assert "\\u030" in caught.value.what + caught.value.seen
