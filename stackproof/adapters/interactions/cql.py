"""The interaction store on a CQL database: the contacts are the truth, an event id is claimed by a lightweight transaction.

What all technologies share that speak CQL; `scylla` and `keyspaces` say how each of them is reached, and how its tables are made.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from decimal import Context, Decimal
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any, ClassVar

from stackproof.adapters.cql_client import PAGE_ROWS, Access, CqlClient, Statement
from stackproof.adapters.cql_deferred import DeferredWrite, Pending
from stackproof.adapters.waiting_line import Waiting, WaitingLine
from stackproof.interfaces import (
    BackendError,
    ConfigurationError,
    DeferredInteractions,
    Done,
    IndeterminateError,
    Interaction,
    InteractionCapabilities,
    InteractionStore,
    StackproofError,
    SummariesPage,
    SummariesQuery,
)

from .rules import check_event, check_query_texts, cursor_after, page_size, position_of_cursor
from .tallies import Contact, microseconds, summaries_page

DEFAULT_KEYSPACE = "stackproof"

# A claim's partition is one event id of a tenant: claims of different ids never wait for each other.
_INTERACTIONS = """
CREATE TABLE IF NOT EXISTS {table} (
    namespace text, tenant text, event_id text, customer text, happened_at bigint, offer text, creative text, channel text,
    interaction_type text, direction text, value decimal, outcome text, campaign text, recommendation_id text, placement text,
    PRIMARY KEY ((namespace, tenant, event_id)))
"""
# A customer's contacts lie together, newest first: `tallies` reads them in this order, and stops where a page is full.
_CONTACTS = """
CREATE TABLE IF NOT EXISTS {table} (
    namespace text, tenant text, customer text, happened_at bigint, event_id text, offer text, creative text, channel text,
    interaction_type text, direction text, value decimal, outcome text,
    PRIMARY KEY ((namespace, tenant, customer), happened_at, event_id))
    WITH CLUSTERING ORDER BY (happened_at DESC, event_id DESC)
"""
_CLAIM_COLUMNS = (
    "namespace, tenant, event_id, customer, happened_at, offer, creative, channel, interaction_type, direction, value,"
    " outcome, campaign, recommendation_id, placement"
)
_CONTACT_KEY = ("namespace", "tenant", "customer", "happened_at", "event_id")
_CONTACT_COLUMNS = (*_CONTACT_KEY, "offer", "creative", "channel", "interaction_type", "direction", "value", "outcome")

_contact_of = itemgetter(*map(_CLAIM_COLUMNS.split(", ").index, _CONTACT_COLUMNS))
"""The columns of a contact, from those of a claim."""

_DIGITS = Context(prec=38)
_DROPPERS = 8
"""Threads that remove a namespace."""


class Statements:
    """The statements on the tables of one keyspace. They are put together from names of tables and columns, never from data.

    Named namespaces have tables of their own, so that removing one of them reads nothing of what the empty namespace keeps.
    """

    def __init__(self, keyspace: str, *, named: bool) -> None:
        prefix = "named_" if named else ""
        self.keyspace = keyspace
        self.tables = {f"{prefix}interactions": _INTERACTIONS, f"{prefix}contacts": _CONTACTS}
        claims, contacts = (f"{keyspace}.{name}" for name in self.tables)
        self.definitions = {name: cql.format(table=f"{keyspace}.{name}") for name, cql in self.tables.items()}
        marks = ", ".join("?" * len(_CLAIM_COLUMNS.split(",")))
        self.claim = Statement(
            f"INSERT INTO {claims} ({_CLAIM_COLUMNS}) VALUES ({marks}) IF NOT EXISTS",  # noqa: S608
            writes=True,
            conditional=True,
        )
        self.contact = Statement(
            f"INSERT INTO {contacts} ({', '.join(_CONTACT_COLUMNS)}) VALUES ({', '.join('?' * len(_CONTACT_COLUMNS))})",  # noqa: S608
            writes=True,
        )
        of_customer = (
            f"SELECT {', '.join(Contact._fields)} FROM {contacts} WHERE namespace = ? AND tenant = ? AND customer = ?"  # noqa: S608
        )
        self.scan = Statement(of_customer)
        self.scan_before = Statement(f"{of_customer} AND happened_at < ?")
        self.all_claims = Statement(f"SELECT {', '.join(_CONTACT_KEY)} FROM {claims}")  # noqa: S608
        self.drop_contact = Statement(
            f"DELETE FROM {contacts} WHERE {' AND '.join(f'{name} = ?' for name in _CONTACT_KEY)}",  # noqa: S608
            writes=True,
        )
        self.drop_claim = Statement(
            f"DELETE FROM {claims} WHERE namespace = ? AND tenant = ? AND event_id = ? IF EXISTS",  # noqa: S608
            writes=True,
            conditional=True,
        )


class CqlInteractionStore(InteractionStore, DeferredInteractions):
    """Interactions in two tables: claims by event id, contacts by customer.

    **Guarantees.** `record_event` first claims the event id with ``INSERT ... IF NOT EXISTS`` (one lightweight transaction on a
    partition of its own), then writes the contact that the claim holds into its customer's partition. Both writes do the same
    when they are repeated, and whoever meets an id that is claimed already writes the contact of the *first* claim again: so
    an id counts once whatever the other fields say, and a record that broke off in the middle is completed by its repetition.
    Reads and writes are LOCAL_QUORUM, claims LOCAL_SERIAL: what was recorded is seen by everybody of the datacenter. Nothing is
    counted with counters or by reading and writing back: summaries are computed from the contacts, so concurrent contacts are
    all there, values (``decimal``) and their sums are exact, and times have microseconds. It is as durable as the server's commit
    log: Cassandra's default, ``commitlog_sync: periodic``, can lose what was acknowledged in the last seconds before a power cut.

    **Cost.** `record_event`: two round trips, the first with four rounds between replicas (Cassandra; fewer elsewhere), whatever
    the depth of the history; no hot row. `get_summaries` of a customer with N contacts: N rows for a page with all-time
    summaries; for days, weeks and months those of the periods on the page. Up to 5,000 contacts are read once for all
    kinds of periods. So it is made for customers with up to some ten thousands of contacts. Summaries that are kept would be
    read in one row, but cost each record a transaction on rows that all contacts of an offer share, and Amazon Keyspaces
    promises no conditional batch to keep the four of them together.

    **Limits.** One datacenter sees its writes at once; another one later, and the same event id in two datacenters at the same
    time can count twice. An error after the claim is `IndeterminateError`, also where the server says that it applied nothing.
    The time limit holds for each statement. Text of 512 bytes without lone surrogates.
    """

    capabilities: ClassVar[InteractionCapabilities] = InteractionCapabilities(remote=True, paged_reads=True)

    def __init__(self, access: Access, *, keyspace: str = DEFAULT_KEYSPACE, namespace: str = "") -> None:
        if not keyspace.isidentifier() or len(keyspace) > 48 or not keyspace.isascii():
            raise ConfigurationError(
                f"the keyspace {keyspace!r} must be a name of letters, digits and _, of at most 48"
            )
        self._client = CqlClient(access)
        self._namespace = namespace
        self._statements = Statements(keyspace.lower(), named=bool(namespace))
        self._ready = False
        self._line = WaitingLine("stackproof-cql-line")

    @property
    def access(self) -> Access:
        """How the cluster is reached."""
        return self._client.access

    @property
    def keyspace(self) -> str:
        """Where the tables are."""
        return self._statements.keyspace

    def record_event(self, event: Interaction) -> None:
        """Claim the id, and write the contact of whoever claimed it first."""
        check_event(event, self.capabilities, nul_allowed=True)
        with self._client.operation():
            self._be_ready()
            claim = self._claim_of(event)
            first = self._client.claim(self._statements.claim, claim)
            contact = _contact_of(claim) if first is None else [first[name] for name in _CONTACT_COLUMNS]
            try:
                self._client.write(self._statements.contact, contact)
            except BackendError as error:
                raise _half_done(error) from error

    def record_event_deferred(self, event: Interaction, done: Done) -> None:
        """The same two writes, one after the other by the threads of the driver."""
        check_event(event, self.capabilities, nul_allowed=True)
        record = _DeferredRecord(self, self._client, self._claim_of(event), self._client.begin(done))
        try:
            if self._line.empty and self._ready and record.can_begin():
                record.begin()
            else:
                self._line.join(record)
        except BackendError:  # the line is too long
            record.pending.forget()
            raise

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        """One page, computed from the customer's contacts."""
        size = page_size(query)
        after = position_of_cursor(query)
        check_query_texts(query, nul_allowed=True)
        with self._client.operation():
            self._be_ready()
            if not self._can_exist(query):
                return SummariesPage(())
            history = _History(partial(self._scan, query))
            rows = summaries_page(query, after, size + 1, history.before)
        page = tuple(rows[:size])
        return SummariesPage(page, cursor_after(query, page[-1]) if len(rows) > size else None)

    def ping(self) -> bool:
        """Whether a node answers."""
        return self._client.ping()

    def disconnect(self) -> None:
        """End the driver's threads and close its connections."""
        limit = self._client.access.connect_timeout + self._client.access.operation_timeout
        self._line.wait(limit)  # what it begins is waited for below
        self._client.close()

    def drop_namespace(self) -> None:
        """Remove every interaction of this (non-empty) namespace. It reads the claims of all named namespaces."""
        if not self._namespace:
            raise ConfigurationError("the empty namespace holds real data; it is not dropped as a whole")
        with self._client.operation():
            self._be_ready()
            mine = (key for key in self._client.read(self._statements.all_claims) if key[0] == self._namespace)
            with ThreadPoolExecutor(_DROPPERS, thread_name_prefix="stackproof-drop") as pool:
                for _ in pool.map(self._drop, mine):
                    pass  # an error comes out here

    def _drop(self, key: tuple[Any, ...]) -> None:
        namespace, tenant, _, _, event_id = key
        self._client.write(self._statements.drop_contact, key)
        self._client.write(self._statements.drop_claim, (namespace, tenant, event_id))

    def _claim_of(self, event: Interaction) -> tuple[Any, ...]:
        """The columns of a claim, in the order of its statement."""
        return (
            self._namespace,
            event.tenant,
            event.event_id,
            event.customer,
            microseconds(event.timestamp.astimezone(UTC)),
            event.offer,
            event.creative,
            event.channel,
            event.interaction_type.value,
            event.direction.value,
            event.value.normalize(_DIGITS) if event.value else Decimal(0),
            event.outcome,
            event.campaign,
            event.recommendation_id,
            event.placement,
        )

    def _can_exist(self, query: SummariesQuery) -> bool:
        """Whether any contact can have these names; a server refuses keys that are empty or too long."""
        most = self.capabilities.max_text_bytes
        return all(0 < len(name.encode()) <= most for name in (query.tenant, query.customer))

    def _scan(self, query: SummariesQuery, before: int | None) -> Iterator[Contact]:
        of_customer = (self._namespace, query.tenant, query.customer)
        if before is None:
            rows = self._client.read(self._statements.scan, of_customer)
        else:
            rows = self._client.read(self._statements.scan_before, (*of_customer, before))
        return map(Contact._make, rows)

    def _be_ready(self) -> None:
        """Make sure, once, that the tables are there."""
        if not self._ready:
            self.make_tables(self._client, self._statements)
            self._ready = True

    def _be_ready_for_records(self) -> None:
        self._be_ready()
        self._client.prepare(self._statements.claim, self._statements.contact)

    @abstractmethod
    def make_tables(self, client: CqlClient, statements: Statements) -> None:
        """Make what is missing of keyspace and tables, and return when it can be used."""


class _DeferredRecord(Waiting):
    """A claim and its contact, one after the other."""

    def __init__(self, store: CqlInteractionStore, client: CqlClient, claim: tuple[Any, ...], pending: Pending) -> None:
        self._store = store
        self._client = client
        self._statements = store._statements
        self._claim = claim
        self.pending = pending

    def can_begin(self) -> bool:
        return self._client.has_prepared(self._statements.contact)  # which is prepared after the claim

    def connect(self) -> None:
        self._store._be_ready_for_records()

    def begin(self) -> None:
        DeferredWrite(self._client, self._statements.claim, self._claim, self._claimed, self.pending.end).send()

    def fail(self, error: StackproofError) -> None:
        self.pending.end(error)

    def _claimed(self, first: dict[str, Any] | None) -> None:
        contact = _contact_of(self._claim) if first is None else [first[name] for name in _CONTACT_COLUMNS]
        DeferredWrite(self._client, self._statements.contact, contact, self._stored, self._stored_in_part).send()

    def _stored(self, _answer: object) -> None:
        self.pending.end(None)

    def _stored_in_part(self, error: BackendError) -> None:
        ours = _half_done(error)
        ours.__cause__ = error
        self.pending.end(ours)


def _half_done(error: BackendError) -> IndeterminateError:
    return IndeterminateError(f"the event id is claimed, its contact may not be counted yet; repeat it: {error}")


class _History:
    """A customer's contacts: read once where they fit into one page of the server's, else from where they are needed."""

    def __init__(self, scan: Any) -> None:
        self._scan = scan
        self._all: list[Contact] | None = None

    def before(self, instant: int | None) -> Iterable[Contact]:
        if self._all is not None:
            return self._all
        if instant is not None:
            return self._scan(instant)  # type: ignore[no-any-return]
        return self._whole()

    def _whole(self) -> Iterator[Contact]:
        contacts = self._scan(None)
        first = list(islice(contacts, PAGE_ROWS))
        if len(first) < PAGE_ROWS:
            self._all = first
        yield from first
        yield from contacts
