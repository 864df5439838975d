"""The adapters on PostgreSQL, against psycopg with the same statements in the same schema."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Any

import psycopg
from psycopg import sql

from stackproof.adapters.interactions import postgres as interactions
from stackproof.adapters.interactions.postgres import PostgresInteractionStore
from stackproof.adapters.postgres_pool import PostgresPool
from stackproof.adapters.postgres_tls import protected
from stackproof.adapters.search import postgres as search
from stackproof.adapters.search.postgres import PostgresSearchIndex
from stackproof.adapters.settings import Settings
from stackproof.benchmarks.pairs import Pair, Twins, operation
from stackproof.interfaces import (
    Direction,
    Document,
    Hit,
    Interaction,
    PeriodType,
    SearchQuery,
    SummariesPage,
    SummariesQuery,
    Summary,
    period_keys,
    words_of,
)

from .samples import TENANT, document, interaction

BATCH = 100
_CUSTOMER = "c-of-summaries"


class RawPool:
    """psycopg's connections for several threads: one that was closed is replaced, one inside of a transaction is not reused."""

    def __init__(self, settings: Settings, like: PostgresPool) -> None:
        self._conninfo = protected(settings)
        self._schema = like.schema
        self._session = {
            "statement_timeout": str(int(like.operation_timeout * 1000)),
            "timezone": "UTC",
            **like._session,
        }
        self._idle: list[psycopg.Connection[Any]] = []

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        connection = self._idle.pop() if self._idle else self._connect()
        if connection.closed or connection.broken:
            connection = self._connect()
        try:
            yield connection
        finally:
            if connection.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE:
                self._idle.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self._conninfo, autocommit=True)
        connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self._schema)))
        for name, value in self._session.items():
            connection.execute(sql.SQL("SET {} TO {}").format(sql.Identifier(name), value))
        return connection


class PostgresInteractionTwins(Twins):
    """record_event, record_events and get_summaries."""

    backend = "interactions=postgres"
    driver = "psycopg"

    def open(self) -> None:
        self.store = PostgresInteractionStore.from_settings(self.settings, self.namespace)
        self.store.record_events([interaction(-1_000_000 - n, _CUSTOMER) for n in range(300)])
        self.pool = RawPool(self.settings, self.store._pool)

    def close(self) -> None:
        if hasattr(self, "pool"):
            self.pool.close()
        if hasattr(self, "store"):
            self.store.drop_namespace()
            self.store.disconnect()

    @operation("record_event")
    def record(self) -> Pair:
        def raw(event: Interaction) -> None:
            with self.pool.connection() as connection:
                connection.execute(interactions._RECORD_ONE, _columns(event), prepare=True, binary=True)

        return Pair(self.store.record_event, raw, interaction, comparable=False)

    @operation(f"record_events, {BATCH}")
    def record_many(self) -> Pair:
        def raw(events: list[Interaction]) -> None:
            columns = [list(column) for column in zip(*map(_columns, events), strict=True)]
            with self.pool.connection() as connection:
                connection.execute(interactions._RECORD_MANY, columns, prepare=False)

        return Pair(self.store.record_events, raw, lambda n: [interaction(n * BATCH + each) for each in range(BATCH)])

    @operation("get_summaries, 4 rows")
    def few(self) -> Pair:
        return self._summaries(
            lambda _: SummariesQuery(tenant=TENANT, customer=_CUSTOMER, offer="offer-1", creative="banner")
        )

    @operation("get_summaries, 28 rows")
    def many(self) -> Pair:
        return self._summaries(lambda _: SummariesQuery(tenant=TENANT, customer=_CUSTOMER))

    @operation("ping")
    def ping(self) -> Pair:
        def raw(_: object) -> bool:
            with self.pool.connection() as connection:
                connection.execute("SELECT 1")
            return True

        return Pair(lambda _: self.store.ping(), raw, int)

    def _summaries(self, query_of: Any) -> Pair:
        query = query_of(0)
        statement, parameters = interactions._page_statement(query, None)
        parameters = (*parameters, query.limit + 1)

        def raw(query: SummariesQuery) -> SummariesPage:
            with self.pool.connection() as connection:
                rows = connection.execute(statement, parameters, prepare=True, binary=True).fetchall()
            return SummariesPage(tuple([_summary(query, row) for row in rows]))

        return Pair(self.store.get_summaries, raw, query_of)


def _columns(event: Interaction) -> tuple[Any, ...]:
    periods = period_keys(event.timestamp)
    return (
        event.tenant,
        event.event_id,
        event.customer,
        event.offer,
        event.creative,
        event.channel,
        event.timestamp.astimezone(UTC),
        event.interaction_type.value,
        event.direction.value,
        event.value,
        event.outcome,
        event.campaign,
        event.recommendation_id,
        event.placement,
        *periods.values(),
    )


def _summary(query: SummariesQuery, row: tuple[Any, ...]) -> Summary:
    return Summary(
        tenant=query.tenant,
        customer=query.customer,
        offer=row[2],
        creative=row[3],
        channel=row[4],
        period_type=PeriodType(row[0]),
        period_key=row[1],
        impressions=row[5],
        positive=row[6],
        negative=row[7],
        neutral=row[8],
        converts=row[9],
        total_value=row[10],
        last_contact_at=row[11],
        last_outcome=row[12],
        direction=Direction(row[13]),
    )


class PostgresSearchTwins(Twins):
    """index, search and delete."""

    backend = "search=postgres"
    driver = "psycopg"

    def open(self) -> None:
        self.index = PostgresSearchIndex.from_settings(self.settings, self.namespace)
        self.index.index(document(-1 - n) for n in range(1_000))
        self.pool = RawPool(self.settings, self.index._pool)

    def close(self) -> None:
        if hasattr(self, "pool"):
            self.pool.close()
        if hasattr(self, "index"):
            self.index.drop_namespace()
            self.index.disconnect()

    @operation("index, 1")
    def one(self) -> Pair:
        return self._indexed(1)

    @operation(f"index, {BATCH}")
    def batch(self) -> Pair:
        return self._indexed(BATCH)

    @operation("search")
    def search(self) -> Pair:
        def raw(query: SearchQuery) -> list[Hit]:
            words = "&".join(f"'{word}'" for word in words_of(query.text))
            values = (words, query.tenant, words, query.limit)
            with self.pool.connection() as connection:
                found = connection.execute(_SEARCH, values, prepare=True, binary=True)
                return [Hit(id=id_, kind=kind, title=title, score=score) for id_, kind, title, score in found]

        return Pair(self.index.search, raw, lambda n: SearchQuery(tenant=TENANT, text=f"n{n % 50}"))

    @operation("delete")
    def delete(self) -> Pair:
        def raw(ids: list[str]) -> int:
            with self.pool.connection() as connection:
                return connection.execute(search._DELETE, [TENANT, ids], prepare=True).rowcount

        return Pair(lambda ids: self.index.delete(TENANT, ids), raw, lambda n: [f"gone{n}"])

    def _indexed(self, count: int) -> Pair:
        def raw(documents: list[Document]) -> int:
            rows = [(each.tenant, each.id, each.kind, each.title, search._vector_of(each)) for each in documents]
            columns = [list(column) for column in zip(*rows, strict=True)]
            with self.pool.connection() as connection:
                return connection.execute(search._INDEX, columns, prepare=True).rowcount

        return Pair(self.index.index, raw, lambda n: [document((n * count + each) % 5_000) for each in range(count)])


_SEARCH = search._search_sql(False, False)
