"""The reference interaction store keeps its contract."""

from __future__ import annotations

import gc
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from random import Random

import pytest

from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.adapters.interactions.rules import significant_digits
from stackproof.contracts.interaction_samples import about, alltime, contact, fitting, history
from stackproof.contracts.interactions import InteractionContract
from stackproof.interfaces import (
    ConfigurationError,
    Interaction,
    InteractionCapabilities,
    InteractionStore,
    RejectedError,
    SummariesPage,
    SummariesQuery,
)


class TestMemoryInteractionStore(InteractionContract):
    def make_backend(self, namespace: str) -> MemoryInteractionStore:
        return MemoryInteractionStore(namespace=namespace)


def test_the_empty_namespace_is_private() -> None:
    one, two = MemoryInteractionStore(), MemoryInteractionStore()
    one.record_event(contact())
    assert alltime(two) is None
    with pytest.raises(ConfigurationError):
        one.drop_namespace()


def test_data_go_with_the_last_instance() -> None:
    store = MemoryInteractionStore(namespace="memory-only")
    store.record_event(contact())
    del store
    gc.collect()
    assert alltime(MemoryInteractionStore(namespace="memory-only")) is None


def test_a_dropped_namespace_is_empty_and_usable() -> None:
    store = MemoryInteractionStore(namespace="dropped")
    event = contact(value=Decimal(1))
    store.record_event(event)
    store.drop_namespace()
    assert alltime(store) is None
    store.record_event(event)
    row = alltime(store)
    assert row is not None
    assert row.total_value == 1


@pytest.mark.parametrize(
    ("value", "digits"), [("0", 0), ("100", 1), ("0.0120", 2), ("-1.5E+10", 2), ("1E-130", 1), ("10203", 5)]
)
def test_significant_digits(value: str, digits: int) -> None:
    assert significant_digits(Decimal(value)) == digits


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))},
        {"timestamp": datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-2)))},
        {"value": Decimal("1E+126")},
        {"value": Decimal("1E-131")},
        {"offer": 7},
        {"outcome": None},
        {"interaction_type": "click"},
        {"direction": "inbound"},
    ],
)
def test_what_has_no_exact_form_is_rejected(changes: dict[str, object]) -> None:
    store = MemoryInteractionStore()
    with pytest.raises(RejectedError):
        store.record_event(contact(**changes))
    assert alltime(store) is None


def test_a_cursor_is_bound_to_its_query() -> None:
    store = MemoryInteractionStore()
    for customer in ("c-1", "c-2"):
        store.record_event(contact(customer=customer, timestamp=datetime(2026, 1, 1, tzinfo=UTC)))
    cursor = store.get_summaries(about(limit=1)).next_cursor
    with pytest.raises(RejectedError, match="cursor"):
        store.get_summaries(about(customer="c-2", limit=1, cursor=cursor))


def test_all_summaries_walks_over_all_pages() -> None:
    store = MemoryInteractionStore()
    for n in range(60):
        store.record_event(contact(offer=f"o-{n:02}"))
    in_small_pages = list(store.all_summaries(about(limit=7)))
    assert in_small_pages == list(store.all_summaries(about()))
    assert len(in_small_pages) == 240


class TinyStore(MemoryInteractionStore):
    """The reference with limits that are hardly of use, and that it enforces."""

    capabilities = InteractionCapabilities(bulk=True, max_text_bytes=12, value_digits=6)


class TestTinyStore(InteractionContract):
    """Small limits that are declared are no fault: what the suite records stays within them."""

    def make_backend(self, namespace: str) -> TinyStore:
        return TinyStore(namespace=namespace)


class SingleStore(InteractionStore):
    """A store without batches, as most are at first: the reference behind the one door."""

    capabilities = InteractionCapabilities(max_text_bytes=20, value_digits=15)

    def __init__(self, namespace: str) -> None:
        self._kept = TinyStore(namespace=namespace)
        self._kept.capabilities = replace(self.capabilities, bulk=True)  # type: ignore[misc]

    def record_event(self, event: Interaction) -> None:
        self._kept.record_event(event)

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        return self._kept.get_summaries(query)

    def ping(self) -> bool:
        return self._kept.ping()

    def disconnect(self) -> None:
        self._kept.disconnect()

    def drop_namespace(self) -> None:
        self._kept.drop_namespace()


class TestSingleStore(InteractionContract):
    """A store that declares no batches is given its contacts one by one."""

    def make_backend(self, namespace: str) -> SingleStore:
        return SingleStore(namespace)


@pytest.mark.parametrize("digits", [4, 5, 6, 9, 12, 38])
def test_the_values_of_a_history_and_their_sum_are_within_the_limits(digits: int) -> None:
    limits = InteractionCapabilities(value_digits=digits)
    for seed in range(5):
        values = [event.value for event in history(Random(seed), 160, limits)]
        assert significant_digits(sum(values, Decimal(0))) <= digits
        assert all(significant_digits(value) <= digits for value in values)
        assert len(set(values)) == 4


@pytest.mark.parametrize(
    ("size", "expected"), [(10, "aé\U0001f600\ud800"), (9, "aé\U0001f600"), (7, "aé\U0001f600"), (6, "aé"), (1, "a")]
)
def test_a_text_is_cut_to_fit(size: int, expected: str) -> None:
    assert fitting("aé\U0001f600\ud800", InteractionCapabilities(max_text_bytes=size)) == expected
