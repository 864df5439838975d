"""The operations whose cost `layers` takes apart: each as its driver alone does it, and as the adapter does it.

Green ones return when they are done; the others begin, and tell their end (None, or the error) on a thread of the driver. Items
are those of the scenario, made beforehand; an interaction is made within the operation, because each needs an id of its own.
"""

from __future__ import annotations

import itertools
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from stackproof.adapters.settings import Settings
from stackproof.interfaces import Interaction, InteractionType
from stackproof.scenarios.work import Work

ITEMS = 4096
Ended = Callable[[object], None]


class Subject(ABC):
    """One operation on one backend."""

    scenario: ClassVar[str]
    settings: ClassVar[dict[str, int | float | str]] = {}
    in_flight: ClassVar[int]
    driver: Callable[..., object]
    adapter: Callable[..., object]

    @abstractmethod
    def __init__(self, work: Work, settings: Settings) -> None:
        """``work`` is connected, and what its scenario needs is filled in."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Give back what the driver's side holds."""


class CacheRead(Subject):
    """A read of a value that is there; redis-py and MessagePack."""

    scenario = "cache-hot"
    in_flight = 32

    def __init__(self, work: Work, settings: Settings) -> None:
        import msgpack

        from .twins.redis_cache import raw_client

        cache: Any = work.bench.cache
        self._client = client = raw_client(settings)
        keys = [f"{work.bench.apart}key:{work.item(number).key}" for number in range(ITEMS)]
        names = [cache._prefix + key for key in keys]
        get, unpack, raw_get = cache.get, msgpack.unpackb, client.get
        self.adapter = lambda number: get(keys[number % ITEMS])
        self.driver = lambda number: unpack(raw_get(names[number % ITEMS]), raw=False, strict_map_key=False)

    def close(self) -> None:
        self._client.close()


class _Records(Subject):
    """One interaction after the other, with ids that nothing else of the run has."""

    scenario = "ingest"

    def _events(self, work: Work) -> Callable[[], Interaction]:
        numbers, tenant, value = itertools.count(1 << 61), work.bench.tenant, Decimal("0.25")

        def made() -> Interaction:
            item = work.item(next(numbers))
            return Interaction(
                event_id=item.event_id,
                tenant=tenant,
                customer=f"c{item.key}",
                offer="o1",
                interaction_type=InteractionType.IMPRESSION,
                timestamp=datetime.now(UTC),
                channel="web",
                value=value,
            )

        return made


class PostgresRecord(_Records):
    """One statement; psycopg on connections without a lock, as many as operations are under way."""

    in_flight = 16

    def __init__(self, work: Work, settings: Settings) -> None:
        from stackproof.adapters.interactions.postgres import _RECORD_ONE

        from .twins.postgres import RawPool, _columns

        store: Any = work.bench.interactions
        self._pool = pool = RawPool(settings, store._pool)
        made = self._events(work)

        def raw(_number: int) -> None:
            with pool.connection() as connection:
                connection.execute(_RECORD_ONE, _columns(made()), prepare=True, binary=True)

        self.driver = raw
        self.adapter = lambda _number: store.record_event(made())

    def close(self) -> None:
        self._pool.close()


class CqlRecord(_Records):
    """A claim (a lightweight transaction) and a contact, one after the other by the driver's callbacks."""

    in_flight = 64

    def __init__(self, work: Work, _settings: Settings) -> None:
        from stackproof.adapters.interactions.cql import _contact_of

        store: Any = work.bench.interactions
        link, statements, columns = store._client._link, store._statements, store._claim_of
        claim, contact, execute = (
            link.prepared[statements.claim],
            link.prepared[statements.contact],
            link.session.execute_async,
        )
        made = self._events(work)

        def raw(_number: int, ended: Ended) -> None:
            row = columns(made())

            def claimed(_rows: object) -> None:
                execute(contact, _contact_of(row)).add_callbacks(lambda _rows: ended(None), ended)

            execute(claim, row).add_callbacks(claimed, ended)

        self.driver = raw
        self.adapter = lambda _number, ended: store.record_event_deferred(made(), ended)


class KafkaPublish(Subject):
    """One small event, acknowledged by all replicas in sync; confluent-kafka, with envelopes that were encoded before."""

    scenario = "publish"
    settings: ClassVar[dict[str, int | float | str]] = {"p50": 100, "p99": 400}
    in_flight = 1000

    def __init__(self, work: Work, _settings: Settings) -> None:
        from confluent_kafka import Producer

        from stackproof.scenarios.steps.events import event_of

        bus: Any = work.bench.events
        options = {name: value for name, value in bus._client.producer_options().items() if name != "error_cb"}
        self._producer = producer = Producer(options)
        self._ends = threading.Event()
        self._poller = threading.Thread(target=self._poll, daemon=True)
        self._poller.start()
        items = [work.item(number) for number in range(ITEMS)]
        events = [event_of(item, item.event_id) for item in items]
        records, publish = [bus._record("decisions", event) for event in events], bus.publish_deferred

        def raw(number: int, ended: Ended) -> None:
            topic, key, envelope = records[number % ITEMS]
            producer.produce(topic, envelope, key, on_delivery=lambda error, _message: ended(error))

        self.driver = raw
        self.adapter = lambda number, ended: publish("decisions", events[number % ITEMS], ended)

    def _poll(self) -> None:
        while not self._ends.is_set():
            self._producer.poll(0.1)

    def close(self) -> None:
        self._ends.set()
        self._poller.join(5.0)
        self._producer.flush(5.0)


SUBJECTS: dict[str, type[Subject]] = {
    "cache=redis": CacheRead,
    "interactions=postgres": PostgresRecord,
    "interactions=scylla": CqlRecord,
    "events=kafka": KafkaPublish,
}
