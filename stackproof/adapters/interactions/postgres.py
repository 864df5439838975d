"""The interaction store on PostgreSQL: one row per interaction, one row per summary, both written by one statement."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal
from functools import cache, lru_cache
from typing import Any, ClassVar, Self

from psycopg import errors

from stackproof.adapters.postgres_pool import Connection, PostgresPool
from stackproof.adapters.postgres_schema import Migration
from stackproof.adapters.postgres_tls import VERIFIED, PostgresTls, postgres_options
from stackproof.adapters.settings import Settings
from stackproof.interfaces import (
    BulkInteractionStore,
    Direction,
    Interaction,
    InteractionCapabilities,
    InteractionStore,
    InteractionType,
    PeriodType,
    RejectedError,
    SummariesPage,
    SummariesQuery,
    Summary,
    period_keys,
)
from stackproof.interfaces.records import NEGATIVE, NEUTRAL, POSITIVE

from .rules import (
    Position,
    check_batch,
    check_event,
    check_query_texts,
    cursor_after,
    page_size,
    position_of_cursor,
)

VALUE_DIGITS = 38
"""Significant digits of values and sums. PostgreSQL itself could keep more; the limit is the one of the interface."""

EVENTS_PER_TIMEOUT = 5_000
"""A batch gets the operation timeout once for each so many interactions."""

# Everything compares by code point, so that the order of pages is that of `summary_order` under any database locale.
# The unique index is in page order, so a page is one range scan of it that stops at the limit.
MIGRATIONS = (
    Migration(
        1,
        """
        CREATE TABLE interactions (
            tenant text COLLATE "C" NOT NULL,
            event_id text COLLATE "C" NOT NULL,
            customer text COLLATE "C" NOT NULL,
            offer text COLLATE "C" NOT NULL,
            creative text COLLATE "C" NOT NULL,
            channel text COLLATE "C" NOT NULL,
            happened_at timestamptz NOT NULL,
            interaction_type text COLLATE "C" NOT NULL,
            direction text COLLATE "C" NOT NULL,
            value numeric NOT NULL,
            outcome text COLLATE "C" NOT NULL,
            campaign text COLLATE "C" NOT NULL,
            recommendation_id text COLLATE "C" NOT NULL,
            placement text COLLATE "C" NOT NULL,
            PRIMARY KEY (tenant, event_id)
        );
        CREATE TABLE summaries (
            tenant text COLLATE "C" NOT NULL,
            customer text COLLATE "C" NOT NULL,
            period_type text COLLATE "C" NOT NULL,
            period_key text COLLATE "C" NOT NULL,
            offer text COLLATE "C" NOT NULL,
            creative text COLLATE "C" NOT NULL,
            channel text COLLATE "C" NOT NULL,
            impressions bigint NOT NULL,
            positive bigint NOT NULL,
            negative bigint NOT NULL,
            neutral bigint NOT NULL,
            converts bigint NOT NULL,
            total_value numeric NOT NULL
                CHECK (length(btrim(translate(total_value::text, '-.', ''), '0')) <= 38),
            last_contact_at timestamptz NOT NULL,
            last_event_id text COLLATE "C" NOT NULL,
            last_outcome text COLLATE "C" NOT NULL,
            direction text COLLATE "C" NOT NULL
        ) WITH (fillfactor = 80);
        CREATE UNIQUE INDEX summaries_page
            ON summaries (tenant, customer, period_type, period_key DESC, offer, creative, channel);
        """,
    ),
)

_INTERACTION = (
    "tenant, event_id, customer, offer, creative, channel, happened_at, interaction_type, direction, value, outcome,"
    " campaign, recommendation_id, placement"
)
_SUMMARY_KEY = "tenant, customer, period_type, period_key, offer, creative, channel"
_SUMMARY = (
    f"{_SUMMARY_KEY}, impressions, positive, negative, neutral, converts, total_value,"
    " last_contact_at, last_event_id, last_outcome, direction"
)
_PAGE_ROW = (
    "period_type, period_key, offer, creative, channel, impressions, positive, negative, neutral, converts,"
    " total_value, last_contact_at, last_outcome, direction"
)


def _is_one_of(kinds: Iterable[InteractionType]) -> str:
    listed = ", ".join(f"'{kind.value}'" for kind in sorted(kinds))
    return f"(interaction_type IN ({listed}))::int"


_COUNTERS = (
    _is_one_of([InteractionType.IMPRESSION]),
    _is_one_of(POSITIVE),
    _is_one_of(NEGATIVE),
    _is_one_of(NEUTRAL),
    _is_one_of([InteractionType.CONVERT]),
)

# How a summary takes in new interactions. Two of the same instant are told apart by event id.
_NEWER = "(excluded.last_contact_at, excluded.last_event_id) > (s.last_contact_at, s.last_event_id)"
_MERGE = f"ON CONFLICT ({_SUMMARY_KEY}) DO UPDATE SET " + ", ".join(
    [
        f"{name} = s.{name} + excluded.{name}"
        for name in ("impressions", "positive", "negative", "neutral", "converts", "total_value")
    ]
    + [
        f"{name} = CASE WHEN {_NEWER} THEN excluded.{name} ELSE s.{name} END"
        for name in ("last_contact_at", "last_event_id", "last_outcome", "direction")
    ]
)

# The statements are put together from the constants above only, never from data (hence the S608 marks).
# One statement, one round trip. The summaries follow only from interactions that were really inserted. Rows are
# locked in one order everywhere (interactions, then summaries by key), so concurrent writers cannot deadlock.
_RECORD_ONE = f"""
WITH stored AS (
    INSERT INTO interactions ({_INTERACTION}) VALUES ({", ".join(["%s"] * 14)})
    ON CONFLICT (tenant, event_id) DO NOTHING
    RETURNING {_INTERACTION})
INSERT INTO summaries AS s ({_SUMMARY})
SELECT tenant, customer, period_type, period_key, offer, creative, channel, {", ".join(_COUNTERS)}, value,
    happened_at, event_id, outcome, direction
FROM stored, (VALUES ('alltime', %s), ('daily', %s), ('monthly', %s), ('weekly', %s)) AS p (period_type, period_key)
ORDER BY period_type
{_MERGE}
""".encode()  # noqa: S608

# The same for a batch. Only here are several interactions of one summary added up first: one statement
# may touch a row once.
_RECORD_MANY = f"""
WITH given AS (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[],
        %s::text[], %s::text[], %s::numeric[], %s::text[], %s::text[], %s::text[], %s::text[],
        %s::text[], %s::text[], %s::text[], %s::text[])
    AS g ({_INTERACTION}, alltime, daily, monthly, weekly)),
stored AS (
    INSERT INTO interactions ({_INTERACTION})
    SELECT {_INTERACTION} FROM given ORDER BY tenant COLLATE "C", event_id COLLATE "C"
    ON CONFLICT (tenant, event_id) DO NOTHING
    RETURNING {_INTERACTION}),
counted AS (
    SELECT stored.*, p.period_type, p.period_key COLLATE "C" AS period_key
    FROM stored JOIN given USING (tenant, event_id), LATERAL (VALUES
        ('alltime' COLLATE "C", alltime), ('daily', daily), ('monthly', monthly), ('weekly', weekly)
    ) AS p (period_type, period_key))
INSERT INTO summaries AS s ({_SUMMARY})
SELECT {_SUMMARY_KEY}, {", ".join(f"sum({counter})" for counter in _COUNTERS)}, sum(value),
    max(happened_at), {
    ", ".join(
        f"(array_agg({name} ORDER BY happened_at DESC, event_id DESC))[1]"
        for name in ("event_id", "outcome", "direction")
    )
}
FROM counted GROUP BY {_SUMMARY_KEY} ORDER BY {_SUMMARY_KEY}
{_MERGE}
""".encode()  # noqa: S608

_AFTER_CURSOR = """
AND period_type >= %s AND (period_type > %s OR period_key < %s
    OR (period_key = %s AND (offer, creative, channel) > (%s, %s, %s)))
"""


class PostgresInteractionStore(InteractionStore, BulkInteractionStore):
    """Interactions and their summaries in two tables, written together.

    **Guarantees.** One interaction is one statement and one round trip: the row, and its four summaries only if the
    row is new. It is as durable as the server's ``synchronous_commit``. Concurrent writers to one summary wait for
    each other and lose nothing. Values are ``numeric``, exact; times have microseconds.

    **Limits.** Text holds no NUL and no lone surrogates, in 512 bytes. Values lie between 1E-130 and 9.99E+125. A sum
    that would need more than 38 digits rejects the interaction. A batch has the operation timeout once for each 5,000
    interactions. All contacts of one customer with one offer update the same rows, one after the other, so their
    rate is bounded by the server's commit latency.

    **Cost.** Measured against psycopg doing the same statements and making the same records, it takes no more of the
    client's time (docs/adapter-tax.md).
    """

    capabilities: ClassVar[InteractionCapabilities] = InteractionCapabilities(bulk=True, remote=True)

    def __init__(
        self,
        *,
        url: str,
        namespace: str = "",
        connect_timeout: float = 5.0,
        operation_timeout: float = 5.0,
        max_connections: int = 16,
        tls: PostgresTls = VERIFIED,
    ) -> None:
        self._pool = PostgresPool(
            url,
            component="interactions",
            migrations=MIGRATIONS,
            namespace=namespace,
            connect_timeout=connect_timeout,
            operation_timeout=operation_timeout,
            max_connections=max_connections,
            tls=tls,
            session=_SESSION,
        )

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        """A store on ``DATABASE_URL``."""
        return cls(namespace=namespace, **postgres_options(settings, "the interaction store on PostgreSQL"))

    def record_event(self, event: Interaction) -> None:
        """Store one interaction, unless its id is known, and count it."""
        check_event(event, self.capabilities, nul_allowed=False)
        try:
            self._pool.execute(_RECORD_ONE, _columns(event))
        except RejectedError as error:
            if _is_about_a_sum(error):
                raise RejectedError(f"{_SUM_TOO_LONG}; nothing was stored") from error
            raise

    def record_events(self, events: Sequence[Interaction]) -> None:
        """Store those of the batch whose ids are new, in one transaction, and count them."""
        check_batch(events, self.capabilities, nul_allowed=False)
        first: dict[tuple[str, str], Interaction] = {}
        for event in events:
            first.setdefault((event.tenant, event.event_id), event)
        if not first:
            self._pool.require_open()
            return
        parameters = [list(column) for column in zip(*map(_columns, first.values()), strict=True)]
        timeout = self._pool.operation_timeout * math.ceil(len(first) / EVENTS_PER_TIMEOUT)
        try:
            self._pool.run(
                lambda connection: _record_many(connection, parameters, timeout), writes=True, timeout=timeout
            )
        except RejectedError as error:
            if _is_about_a_sum(error):
                # The server does not say which ones: those that can be the reason are named.
                failed = {event.event_id: _SUM_TOO_LONG for event in events if event.value}
                raise RejectedError(f"{_SUM_TOO_LONG}; nothing was stored", failed) from error
            raise

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        """One page, by one range scan of the index that is in page order."""
        size = page_size(query)
        after = position_of_cursor(query)
        check_query_texts(query, nul_allowed=False)
        statement, parameters = _page_statement(query, after)
        rows = self._pool.fetch(statement, (*parameters, size + 1))
        page = tuple([_summary(query, row) for row in rows[:size]])
        return SummariesPage(page, cursor_after(query, page[-1]) if len(rows) > size else None)

    def ping(self) -> bool:
        """Whether the server answers."""
        return self._pool.ping()

    def disconnect(self) -> None:
        """Close every connection."""
        self._pool.close()

    def drop_namespace(self) -> None:
        """Drop the schema of the (non-empty) namespace."""
        self._pool.drop_namespace()


# A prepared plan lives as long as its connection: one made while the tables were tiny must not scan them for ever.
# Compiling (jit) never pays for statements of this size.
_SESSION = {"enable_seqscan": "off", "jit": "off"}

_DIGITS = Context(prec=VALUE_DIGITS)


def _columns(event: Interaction) -> tuple[Any, ...]:
    """The columns of an interaction, in the order of ``_INTERACTION``, and the keys of its four periods."""
    # In UTC, because Python knows offsets of up to a day and of microseconds, and PostgreSQL does not.
    happened_at = event.timestamp.astimezone(UTC)
    return (
        event.tenant,
        event.event_id,
        event.customer,
        event.offer,
        event.creative,
        event.channel,
        happened_at,
        event.interaction_type.value,
        event.direction.value,
        event.value.normalize(_DIGITS) if event.value else Decimal(0),
        event.outcome,
        event.campaign,
        event.recommendation_id,
        event.placement,
        *_periods(happened_at.toordinal()),
    )


@lru_cache(maxsize=4096)
def _periods(day: int) -> tuple[str, str, str, str]:
    """The keys of a day's periods. Contacts are mostly of the same few days, and to write four texts takes longer than to look
    them up."""
    keys = period_keys(datetime.fromordinal(day).replace(tzinfo=UTC))
    return keys[PeriodType.ALLTIME], keys[PeriodType.DAILY], keys[PeriodType.MONTHLY], keys[PeriodType.WEEKLY]


def _record_many(connection: Connection, parameters: list[list[Any]], timeout: float) -> None:
    if len(parameters[0]) <= EVENTS_PER_TIMEOUT:
        connection.execute(_RECORD_MANY, parameters, prepare=False)
        return
    with connection.transaction():
        connection.execute("SELECT set_config('statement_timeout', %s, true)", [str(int(timeout * 900))])
        connection.execute(_RECORD_MANY, parameters, prepare=False)


_SUM_TOO_LONG = f"a sum of values would need more than {VALUE_DIGITS} digits"


def _is_about_a_sum(error: RejectedError) -> bool:
    """Whether the table's check on the digits of a sum is the reason."""
    return isinstance(error.__cause__, errors.CheckViolation)


def _page_statement(query: SummariesQuery, after: Position | None) -> tuple[bytes, tuple[Any, ...]]:
    given = tuple(name for name in ("period_type", "offer", "creative", "channel") if getattr(query, name) is not None)
    filters = tuple(getattr(query, name) for name in given)
    if after is None:
        return _page_sql(given, False), (query.tenant, query.customer, *filters)
    kind, key = after.period_type.value, after.period_key
    cursor = (kind, kind, key, key, after.offer, after.creative, after.channel)
    return _page_sql(given, True), (query.tenant, query.customer, *filters, *cursor)


@cache
def _page_sql(filters: tuple[str, ...], continued: bool) -> bytes:
    """One text for each combination of filters, so that each has a prepared plan of its own."""
    conditions = " ".join(f"AND {name} = %s" for name in filters)
    if continued:
        conditions += _AFTER_CURSOR
    text = f"""
        SELECT {_PAGE_ROW} FROM summaries WHERE tenant = %s AND customer = %s {conditions}
        ORDER BY period_type, period_key DESC, offer, creative, channel LIMIT %s
    """  # noqa: S608
    return text.encode()


# Calling an enum class costs more than all other fields of a row together.
_PERIOD_TYPES = {kind.value: kind for kind in PeriodType}
_DIRECTIONS = {direction.value: direction for direction in Direction}


def _summary(query: SummariesQuery, row: tuple[Any, ...]) -> Summary:
    return Summary(
        tenant=query.tenant,
        customer=query.customer,
        offer=row[2],
        creative=row[3],
        channel=row[4],
        period_type=_PERIOD_TYPES[row[0]],
        period_key=row[1],
        impressions=row[5],
        positive=row[6],
        negative=row[7],
        neutral=row[8],
        converts=row[9],
        total_value=row[10],
        last_contact_at=row[11],
        last_outcome=row[12],
        direction=_DIRECTIONS[row[13]],
    )
