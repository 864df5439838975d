"""The interaction store on DynamoDB: its contract, and what only this service can get wrong."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from built_in_contract import run_clauses
from shared_servers import variables_of

from stackproof.adapters.aws_client import AwsClient, Effect
from stackproof.adapters.interactions.dynamodb import DynamoDbInteractionStore
from stackproof.adapters.interactions.dynamodb_items import Kept, empty_summaries, event_item, range_of, sort_key
from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.adapters.interactions.rules import Position
from stackproof.adapters.settings import Settings
from stackproof.contracts.faulty import Fault
from stackproof.contracts.interaction_samples import about, alltime, contact, expect_summaries, history, walk
from stackproof.interfaces import (
    ConfigurationError,
    IndeterminateError,
    Interaction,
    PeriodType,
    RejectedError,
    SummariesQuery,
    UnavailableError,
    summary_order,
)
from stackproof.servers.http_faults import AwsError, ShortPages, Throttled
from stackproof.servers.http_proxy import Answer, HttpProxy, Request, Service
from stackproof.targets import parse_target
from stackproof.verification.faults import behind as behind_faults
from stackproof.verification.faults import way_to

Make = Callable[..., DynamoDbInteractionStore]
SHORT = {"STACKPROOF_CONNECT_TIMEOUT": "1", "STACKPROOF_OPERATION_TIMEOUT": "1"}


def settings(**changed: str) -> Settings:
    return Settings({**variables_of("aws"), **changed})


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes stores on one namespace, which goes away after the test."""
    namespace = f"t_{abs(hash(request.node.name)):x}"[:24]
    made: list[DynamoDbInteractionStore] = []

    def make_one(**changed: str) -> DynamoDbInteractionStore:
        made.append(DynamoDbInteractionStore.from_settings(settings(**changed), namespace))
        return made[-1]

    yield make_one
    for store in made:
        store.disconnect()
    with DynamoDbInteractionStore.from_settings(settings(), namespace) as last:
        last.drop_namespace()


@pytest.fixture
def proxy() -> Iterator[HttpProxy]:
    """Before the emulator, to change what it says."""
    host, _, port = settings().get("AWS_ENDPOINT_URL").partition("://")[2].partition(":")
    with HttpProxy(host, int(port)) as made:
        yield made


def behind(proxy: HttpProxy) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}", **SHORT}


CLAUSES = ("STORE-03", "STORE-20", "STORE-25", "STORE-28", "STORE-30", "LIFE-03", "LIFE-08", "LIFE-16")
"""Those that a service can break most easily; all of them run with `stackproof verify`."""


def test_the_contract_holds(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run_clauses(pytester, monkeypatch, "interactions", "dynamodb", CLAUSES)
    result.assert_outcomes(passed=len(CLAUSES))


# Keys and items


def positions(rng: random.Random) -> list[Position]:
    texts = ["", "a", "ab", "a\x01", "a\x02", "a\x03", "a ", "é", "z", "\x01", "\x02\x01", "\U0001f600", "￿"]
    keys = {
        PeriodType.ALLTIME: ["all"],
        PeriodType.DAILY: ["0001-01-01", "2026-11-23", "2026-12-01", "9999-12-31"],
        PeriodType.WEEKLY: ["2026-W48", "2020-W53", "0001-W01"],
        PeriodType.MONTHLY: ["2026-11", "1999-02"],
    }
    everything = [
        Position(kind, key, *names)
        for kind in keys
        for key in keys[kind]
        for names in itertools.product(texts, repeat=3)
    ]
    return rng.sample(everything, 2000)


def test_keys_sort_as_summaries_do_and_are_never_the_same() -> None:
    found = positions(random.Random(1))

    def order(at: Position) -> Any:
        return (at.period_type.value, tuple(-ord(c) for c in at.period_key), at.offer, at.creative, at.channel)

    assert sorted(found, key=order) == sorted(found, key=lambda at: sort_key(at).encode())
    assert len({sort_key(at) for at in found}) == len(found)


def test_a_range_holds_what_its_filters_mean_and_nothing_else() -> None:
    found = positions(random.Random(2))
    for kind, offer, creative in itertools.product([None, *PeriodType], [None, "a", "\x01"], [None, "", "a\x02"]):
        query = about(period_type=kind, offer=offer, creative=creative)
        where = range_of(query, None)
        inside = [at for at in found if where.first <= sort_key(at) <= where.last]
        left = [at for at in inside if all(getattr(at, name) == text for name, text in where.filters.items())]
        wanted = [
            at
            for at in found
            if kind in (None, at.period_type) and offer in (None, at.offer) and creative in (None, at.creative)
        ]
        assert left == wanted
        if kind is not None and wanted:
            after = range_of(query, wanted[0])
            assert not after.first <= sort_key(wanted[0]) <= after.last


def test_an_item_gives_back_what_was_kept() -> None:
    event = contact(value=Decimal("-0.0012300"), outcome="bought", timestamp=datetime(1, 1, 1, tzinfo=UTC))
    for empty in empty_summaries(event):
        kept = empty.with_contact(event)
        assert Kept.read(event.tenant, event.customer, kept.item()) == kept
        assert kept.version == 1
    assert event_item(event)["value"] == {"N": "-0.00123"}


def test_a_sum_that_the_service_could_not_keep_is_rejected() -> None:
    (kept, *_) = empty_summaries(contact())
    kept = kept.with_contact(contact(value=Decimal("9" * 38)))
    with pytest.raises(RejectedError, match="38 digits"):
        kept.with_contact(contact(value=Decimal("0.01")))
    largest = contact(value=Decimal("9E125"))
    with pytest.raises(RejectedError, match="too large"):
        empty_summaries(largest)[0].with_contact(largest).with_contact(largest)


# On the service


def test_it_gives_what_the_reference_gives(make: Make) -> None:
    events = history(random.Random(20261123), 80)
    days = [datetime(year, 12, 26, 12, tzinfo=UTC) + timedelta(days=n) for year in (1, 2026) for n in (0, 3, 6)]
    events += [contact(tenant="days", timestamp=day) for day in days]
    reference, store = MemoryInteractionStore(), make()
    for event in events:
        reference.record_event(event)
        store.record_event(event)
    for tenant, customer in itertools.product(("bank", "shop", "days"), ("c-1", "c-2")):
        for filters in ({}, {"period_type": PeriodType.ALLTIME, "offer": "gold"}, {"channel": "email"}):
            query = about(tenant=tenant, customer=customer, limit=7, **filters)
            assert walk(store, query) == walk(reference, query)


def test_two_stores_count_on_one_summary_and_lose_nothing(make: Make) -> None:
    """The turns that threads of one store take do not help here: who was slower reads again."""
    stores = [make(), make(), make()]

    def record(number: int) -> None:
        for n in range(12):
            stores[number].record_event(contact(event_id=f"{number}-{n}", value=Decimal("0.01")))

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(record, range(3)))
    row = alltime(stores[0])
    assert row is not None
    assert (row.positive, row.total_value) == (36, Decimal("0.36"))


def test_many_make_the_table_at_once(make: Make) -> None:
    stores = [make() for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda store: store.record_event(contact()), stores))
    row = alltime(stores[0])
    assert row is not None
    assert row.positive == 4


def test_a_table_that_was_deleted_is_made_again(make: Make) -> None:
    store = make()
    store.record_event(contact())
    store.drop_namespace()
    store.drop_namespace()
    assert walk(store, about()) == []
    assert store.ping()


def test_the_table_is_on_demand_and_carries_prefix_and_namespace() -> None:
    store = DynamoDbInteractionStore.from_settings(settings(DYNAMODB_TABLE_PREFIX="dev_"), "a_b:c")
    assert store.ping()
    client = AwsClient.from_settings("dynamodb", settings())
    table = client.call("describe_table", Effect.NONE, TableName="dev_interactions.a__b_3a_c")["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    client.close()
    store.drop_namespace()
    store.disconnect()
    with pytest.raises(ConfigurationError, match="empty namespace"):
        DynamoDbInteractionStore.from_settings(settings()).drop_namespace()


def test_a_cursor_survives_its_store_and_what_comes_in_between(make: Make, proxy: HttpProxy) -> None:
    store = make()
    events = [contact(offer=f"offer-{n:02}") for n in range(12)]
    for event in events:
        store.record_event(event)
    first = store.get_summaries(about(limit=5, period_type=PeriodType.ALLTIME))
    store.disconnect()
    other = make(**behind(proxy))
    other.record_event(contact(offer="offer-00a"))
    proxy.rewrite(ShortPages(limit=1, empty=True))
    rows = list(first.rows)
    query = about(limit=3, period_type=PeriodType.ALLTIME, cursor=first.next_cursor)
    rows += list(other.all_summaries(query))
    assert [row.offer for row in rows] == [event.offer for event in events]
    assert proxy.counts["pages cut"]
    assert proxy.counts["empty pages"]


def test_control_characters_that_make_a_key_too_long_are_rejected(make: Make) -> None:
    long = "\x01" * 256
    with pytest.raises(RejectedError, match="control characters"):
        make().record_event(contact(offer=long, creative=long, channel=long))
    make().record_event(contact(offer="\x01" * 200))


class Cancelled:
    """Every transaction is cancelled, and nothing of it applied."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons

    def applies(self, request: Request) -> bool:
        return request.header("x-amz-target").endswith("TransactWriteItems")

    def answer(self, request: Request, service: Service) -> Answer:
        service.count("cancelled")
        answer = AwsError("TransactionCanceledException", "cancelled", version="1.0").answer()
        reasons = ", ".join(f'{{"Code": "{reason}"}}' for reason in self.reasons)
        return answer.with_body(answer.body[:-1] + f', "CancellationReasons": [{reasons}]}}'.encode())


@pytest.mark.parametrize("reason", ["TransactionConflict", "ConditionalCheckFailed", "ThrottlingError"])
def test_a_conflict_is_tried_again_a_bounded_number_of_times(make: Make, proxy: HttpProxy, reason: str) -> None:
    store = make(**behind(proxy))
    store.record_event(contact())
    proxy.rewrite(Cancelled("None", "None", reason, "None", "None"), times=3)
    store.record_event(contact())
    assert proxy.counts["cancelled"] == 3
    proxy.rewrite(Cancelled("None", reason, "None", "None", "None"))
    with pytest.raises(UnavailableError, match="nothing was stored"):
        store.record_event(contact(event_id="never"))
    assert 4 < proxy.counts["cancelled"] < 100
    proxy.heal()
    store.record_event(contact(event_id="never"))
    row = alltime(store)
    assert row is not None
    assert row.positive == 3


def test_a_cancellation_for_another_reason_is_no_conflict(make: Make, proxy: HttpProxy) -> None:
    store = make(**behind(proxy))
    proxy.rewrite(Cancelled("None", "ValidationError", "None", "None", "None"))
    with pytest.raises(RejectedError):
        store.record_event(contact())
    assert proxy.counts["cancelled"] == 1


def test_an_event_that_is_stored_already_is_no_conflict(make: Make, proxy: HttpProxy) -> None:
    """So it ends for who repeats by himself what was applied: the SDK does, when an answer is lost."""
    store = make(**behind(proxy))
    proxy.rewrite(Cancelled("ConditionalCheckFailed", "None", "None", "None", "None"))
    store.record_event(contact())
    assert proxy.counts["cancelled"] == 1


def test_a_read_of_which_a_part_stays_unprocessed_is_unavailable(make: Make, proxy: HttpProxy) -> None:
    class NeverAll:
        def applies(self, request: Request) -> bool:
            return request.header("x-amz-target").endswith("BatchGetItem")

        def answer(self, request: Request, service: Service) -> Answer:
            body = b'{"Responses": {}, "UnprocessedKeys": ' + request.body.partition(b":")[2]
            return Answer((("Content-Type", "application/x-amz-json-1.0"),), body, 200)

    store = make(**behind(proxy))
    store.record_event(contact())
    proxy.rewrite(NeverAll())
    with pytest.raises(UnavailableError, match="unprocessed"):
        store.record_event(contact())


def test_an_interaction_whose_answer_is_late_is_indeterminate_and_counts_once(make: Make) -> None:
    way = way_to(parse_target("interactions=dynamodb"))
    assert way is not None
    faults, there = behind_faults(way, settings())
    try:
        store = make(**there.variables)
        store.record_event(contact())
        again = contact(customer="late")
        with faults_of(faults, Fault.ANSWERS_LOST, spared=1), pytest.raises(IndeterminateError):
            store.record_event(again)
        for _ in range(2):
            make().record_event(again)
        expect_summaries(walk(make(), about(customer="late")), [again], about(customer="late"), "recorded three times")
    finally:
        faults.close()


class faults_of:  # noqa: N801 - reads as a function
    def __init__(self, faults: Any, fault: Fault, spared: int) -> None:
        self.faults, self.fault, self.spared = faults, fault, spared

    def __enter__(self) -> None:
        self.faults.begin(self.fault, self.spared)

    def __exit__(self, *_: object) -> None:
        self.faults.end()


def test_throttling_is_surfaced_after_bounded_attempts(make: Make, proxy: HttpProxy) -> None:
    store = make(**behind(proxy))
    store.record_event(contact())
    error = AwsError("ThrottlingException", "Rate exceeded", version="1.0")
    proxy.rewrite(Throttled(error))
    with pytest.raises(UnavailableError, match="throttles"):
        store.record_event(contact())
    with pytest.raises(UnavailableError, match="throttles"):
        store.get_summaries(about())
    assert not store.ping()
    assert proxy.counts["throttled"] < 30


def test_queries_have_no_wrong_customers(make: Make) -> None:
    store = make()
    first = Interaction(**{**vars_of(contact()), "tenant": "a\x01", "customer": "b"})
    store.record_event(first)
    assert walk(store, SummariesQuery(tenant="a", customer="\x01b")) == []
    rows = walk(store, SummariesQuery(tenant="a\x01", customer="b"))
    assert [row.period_type for row in rows] == sorted(PeriodType)
    assert rows == sorted(rows, key=summary_order)


def vars_of(event: Interaction) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__dataclass_fields__}
