"""The reference interaction store keeps its contract."""

from __future__ import annotations

import gc
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.adapters.interactions.rules import significant_digits
from stackproof.contracts.interaction_samples import about, alltime, contact
from stackproof.contracts.interactions import InteractionContract
from stackproof.interfaces import ConfigurationError, RejectedError


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
