"""The interaction store on CQL, against the driver with the same statements in the same tables."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from stackproof.adapters.cql_client import _Link
from stackproof.adapters.interactions import cql as adapter
from stackproof.adapters.interactions.scylla import ScyllaInteractionStore
from stackproof.adapters.interactions.tallies import Contact, microseconds, summaries_page
from stackproof.benchmarks.pairs import Pair, Twins, operation
from stackproof.interfaces import Interaction, SummariesPage, SummariesQuery

from .samples import TENANT, interaction

_CUSTOMER = "c-of-summaries"
CONTACTS = 50


class CqlTwins(Twins):
    """record_event (a claim and a contact) and get_summaries (computed from the contacts).

    The twin has a session of its own with the same profile, and prepares the same statements.
    """

    backend = "interactions=scylla"
    driver = "scylla-driver"

    def open(self) -> None:
        self.store = ScyllaInteractionStore.from_settings(self.settings, self.namespace)
        for number in range(CONTACTS):
            self.store.record_event(interaction(-1_000_000 - number, _CUSTOMER))
        self.link: _Link = self.store._client._connect()
        client, statements = self.store._client, self.store._statements
        self.claim, self.contact, self.scan = (
            client._prepared(self.link, each) for each in (statements.claim, statements.contact, statements.scan)
        )

    def close(self) -> None:
        if hasattr(self, "link"):
            self.link.cluster.shutdown()
        if hasattr(self, "store"):
            self.store.drop_namespace()
            self.store.disconnect()

    @operation("record_event")
    def record(self) -> Pair:
        session, names = self.link.session, adapter._CLAIM_COLUMNS.split(", ")
        chosen = [names.index(name) for name in adapter._CONTACT_COLUMNS]

        def raw(event: Interaction) -> None:
            claim = self._columns(event)
            answer = session.execute(self.claim, claim)
            first = answer.one()
            if first[0]:  # applied
                contact = [claim[place] for place in chosen]
            else:
                found = dict(zip(answer.column_names, first, strict=True))
                contact = [found[name] for name in adapter._CONTACT_COLUMNS]
            session.execute(self.contact, contact)

        return Pair(self.store.record_event, raw, interaction, comparable=False, most=500)

    @operation(f"get_summaries, {CONTACTS} contacts")
    def summaries(self) -> Pair:
        session = self.link.session

        def raw(query: SummariesQuery) -> SummariesPage:
            rows = session.execute(self.scan, (self.namespace, query.tenant, query.customer))
            contacts = [Contact._make(row) for row in rows]
            return SummariesPage(tuple(summaries_page(query, None, query.limit + 1, lambda _: contacts)))

        return Pair(self.store.get_summaries, raw, lambda _: SummariesQuery(tenant=TENANT, customer=_CUSTOMER))

    @operation("ping")
    def ping(self) -> Pair:
        prepared = self.link.session.prepare("SELECT key FROM system.local")
        return Pair(lambda _: self.store.ping(), lambda _: bool(list(self.link.session.execute(prepared))), int)

    def _columns(self, event: Interaction) -> tuple[Any, ...]:
        return (
            self.namespace,
            event.tenant,
            event.event_id,
            event.customer,
            microseconds(event.timestamp.astimezone(UTC)),
            event.offer,
            event.creative,
            event.channel,
            event.interaction_type.value,
            event.direction.value,
            event.value,
            event.outcome,
            event.campaign,
            event.recommendation_id,
            event.placement,
        )
