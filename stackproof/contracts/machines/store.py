"""The state machine of the interaction store: any sequence of contacts, against summaries recomputed from the list of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from hypothesis import strategies as st

from stackproof.contracts.expectations import expect, expect_error, shown
from stackproof.contracts.hostile import HOSTILE_TEXTS, UNENCODABLE, WITH_NUL
from stackproof.contracts.interaction_samples import (
    NOON,
    expect_summaries,
    too_exact_for,
    too_long_for,
    walk_in_turns,
)
from stackproof.interfaces import (
    Direction,
    Interaction,
    InteractionCapabilities,
    InteractionType,
    PeriodType,
    RejectedError,
    SummariesQuery,
    summarise,
)

from .machine import Machine, bounded, step
from .strategies import STORABLE, amounts, instants, text_of, texts, within

BATCHES = (1, 2, 3, 1, 2, 3, 201)
"""Sizes of batches: 201 is one more than the largest page."""
_handles = st.integers(0, 1)
_numbers = st.integers(0, 5)
_types = st.sampled_from(list(InteractionType))
_texts = bounded(lambda declared: st.sampled_from(["", "web"]) | texts(declared.max_text_bytes))
_values = bounded(lambda declared: amounts(declared.value_digits))
_moments = bounded(lambda declared: instants(declared.timestamp_resolution))

_FIELDS = ("creative", "channel", "outcome", "campaign", "recommendation_id", "placement")


def _can_batch(declared: InteractionCapabilities) -> bool:
    return declared.bulk


class StoreMachine(Machine):
    """Tenants and customers are numbers of the sequence's own: names that a careless mapping makes one of."""

    def prepare(self) -> None:
        declared: InteractionCapabilities = self.stage.declared
        self.events: list[Interaction] = []
        self.recorded = 0
        mark = f"{self.stage.sequences}t"
        names = [
            mark,
            f"{mark}1",
            f"{mark}:",
            f"{mark} ",
            mark.upper(),
            mark + STORABLE[self.stage.examples % len(STORABLE)],
        ]
        self.tenants = within(names, declared.max_text_bytes)
        self.customers = within(["c", "C", "c1", "c:1", "ć", "c\u0301"], declared.max_text_bytes)

    def contact(self, tenant: int, customer: int, **fields: Any) -> Interaction:
        """An interaction with a new id."""
        self.recorded += 1
        return Interaction(
            event_id=f"{self.recorded}",
            tenant=self.tenants[tenant % len(self.tenants)],
            customer=self.customers[customer % len(self.customers)],
            **{"offer": "gold", "interaction_type": InteractionType.CLICK, "timestamp": NOON, **fields},
        )

    # Recording

    @step(
        on=_handles,
        tenant=_numbers,
        customer=_numbers,
        kind=_types,
        value=_values,
        moment=_moments,
        offer=bounded(lambda declared: texts(declared.max_text_bytes)),
        other=_texts,
        direction=st.sampled_from(list(Direction)),
    )
    def record(
        self,
        on: int,
        tenant: int,
        customer: int,
        kind: InteractionType,
        value: Decimal,
        moment: datetime,
        offer: str,
        other: str,
        direction: Direction,
    ) -> None:
        fields = {name: other if number == customer else "" for number, name in enumerate(_FIELDS)}
        event = self.contact(
            tenant,
            customer,
            interaction_type=kind,
            value=value,
            timestamp=moment,
            offer=offer,
            direction=direction,
            **fields,
        )
        self._record(on, event)
        self._compare(on + 1, event)

    @step(on=_handles, tenant=_numbers, customer=_numbers, name=st.sampled_from(_FIELDS), less=st.integers(0, 1))
    def record_at_the_limit(self, on: int, tenant: int, customer: int, name: str, less: int) -> None:
        """A text of the largest size, and one of a byte less."""
        text = text_of(self.stage.declared.max_text_bytes - less, "é", salt=customer)
        event = self.contact(tenant, customer, **{name: text})
        self._record(on, event)
        self._compare(on + 1, event)

    @step(on=_handles, tenant=_numbers, customer=_numbers, kind=_types)
    def record_plainly(self, on: int, tenant: int, customer: int, kind: InteractionType) -> None:
        event = self.contact(tenant, customer, interaction_type=kind, value=Decimal("0.1"))
        self._record(on, event)
        self._compare(on, event)

    @step(on=_handles, which=_numbers, kind=_types, moment=_moments, when=lambda machine: machine.recorded)
    def record_again(self, on: int, which: int, kind: InteractionType, moment: datetime) -> None:
        """The id of an earlier contact, with other fields: it changes nothing."""
        if not self.events:
            return
        earlier = self.events[which % len(self.events)]
        again = replace(earlier, interaction_type=kind, timestamp=moment, value=Decimal(7), customer=self.customers[0])
        self.handle(on).record_event(again)
        self._compare(on + 1, earlier)
        self._compare(on, again)

    @step(
        needs=_can_batch,
        on=_handles,
        tenant=_numbers,
        customer=_numbers,
        size=st.sampled_from(BATCHES),
        many=st.booleans(),
    )
    def record_a_batch(self, on: int, tenant: int, customer: int, size: int, many: bool) -> None:
        """New contacts, with one that is repeated and one that is known; of one offer or of many."""
        batch = [self.contact(tenant, customer, offer=f"o{n}" if many else "gold") for n in range(size)]
        known = self.events[-1:]
        self.handle(on).record_events([*batch, *known, batch[0]])
        self.events += batch
        self._compare(on + 1, batch[0])

    @step(
        on=_handles,
        tenant=_numbers,
        customer=_numbers,
        spoilt=st.sampled_from(["customer", "offer", "creative", "channel", "outcome", "placement", "value"]),
        batch=st.booleans(),
        again=st.booleans(),
    )
    def record_what_is_beyond_a_limit(
        self, on: int, tenant: int, customer: int, spoilt: str, batch: bool, again: bool
    ) -> None:
        """It is refused, with all of its batch, and uses up no id."""
        declared = self.stage.declared
        beyond: Any = too_exact_for(declared) if spoilt == "value" else too_long_for(declared)
        good = self.contact(tenant, customer)
        bad = replace(self.contact(tenant, customer), **{spoilt: beyond})
        with expect_error(RejectedError, f"an interaction whose {spoilt} is one step beyond what is declared"):
            if batch and declared.bulk:
                self.handle(on).record_events([good, bad])
            else:
                self.handle(on).record_event(bad)
        if again:
            self._record(on, good)
        self._compare(on, good)

    @step(on=_handles, tenant=_numbers, customer=_numbers, name=st.sampled_from(sorted(UNENCODABLE | WITH_NUL)))
    def record_what_may_be_refused(self, on: int, tenant: int, customer: int, name: str) -> None:
        text = HOSTILE_TEXTS[name]
        if len(text.encode("utf-8", "surrogatepass")) > self.stage.declared.max_text_bytes:
            return
        event = self.contact(tenant, customer, offer=text)
        self._record(on, event)
        self._compare(on + 1, event)

    # Reading

    @step(
        tenant=_numbers,
        customer=_numbers,
        period=st.sampled_from([None, *PeriodType]),
        by=st.sampled_from(["", "offer", "creative", "channel"]),
        limits=st.lists(st.sampled_from([1, 2, 3, 199, 200, 1000]), min_size=1, max_size=3),
    )
    def read(self, tenant: int, customer: int, period: PeriodType | None, by: str, limits: list[int]) -> None:
        query = SummariesQuery(
            tenant=self.tenants[tenant % len(self.tenants)],
            customer=self.customers[customer % len(self.customers)],
            period_type=period,
        )
        if by:
            mine = [each for each in self.events if each.customer == query.customer]
            filters: dict[str, Any] = {by: getattr(mine[-1], by) if mine else "gold"}
            query = replace(query, **filters)
        if not period and len(self.events) > 100:  # a walk in steps of one over thousands of rows shows nothing more
            limits = [199, *limits]
        rows = walk_in_turns(self.stage.handles, query, [max(limits), *limits] if len(self.events) > 100 else limits)
        expect_summaries(rows, self.events, query, f"the summaries of {shown(query.customer)} of {shown(query.tenant)}")

    # Instances, and two at once

    @step(on=_handles)
    def reopen(self, on: int) -> None:
        declared: InteractionCapabilities = self.stage.declared
        if not declared.durable:
            return
        self.stage.reopen(on % len(self.stage.handles))
        for event in self.events[-2:]:
            self._compare(on, event)

    @step(tenant=_numbers, customer=_numbers, same=st.booleans(), kinds=st.tuples(_types, _types))
    def two_at_once(
        self, tenant: int, customer: int, same: bool, kinds: tuple[InteractionType, InteractionType]
    ) -> None:
        """Two contacts at the same time: with one id only one of them counts, and which one is then seen."""
        first = self.contact(tenant, customer, interaction_type=kinds[0])
        second = first if same else self.contact(tenant, customer, interaction_type=kinds[1])
        self.stage.together([partial(self.handle(on).record_event, event) for on, event in enumerate((first, second))])
        self.events += [first] if same else [first, second]
        self._compare(0, first)

    # How it is done

    def _record(self, on: int, event: Interaction) -> None:
        """It is stored, or refused: where a text or a sum of its summaries is one that a store may refuse."""
        try:
            self.handle(on).record_event(event)
        except RejectedError:
            expect(self._may_be_refused(event), f"{shown(event)} was rejected: whether it may be").is_true()
        else:
            self.events.append(event)

    def _may_be_refused(self, event: Interaction) -> bool:
        digits = self.stage.declared.value_digits
        odd = any(
            "\0" in text or any("\ud800" <= c <= "\udfff" for c in text) for text in (event.offer, event.creative)
        )
        return odd or any(_digits_of(total) > digits for total in self._sums_with(event))

    def _sums_with(self, event: Interaction) -> list[Decimal]:
        mine = [each for each in self.events if each.tenant == event.tenant]
        return [row.total_value for row in summarise([*mine, event])]

    def _compare(self, on: int, event: Interaction) -> None:
        contacts = sum(each.tenant == event.tenant for each in self.events)
        self.stage.must_keep(event.tenant, contacts, f"the contacts of {shown(event.tenant)}")
        query = SummariesQuery(tenant=event.tenant, customer=event.customer)
        rows = walk_in_turns([self.handle(on)], query, [200])
        expect_summaries(rows, self.events, query, f"the summaries of {shown(event.customer)} of {shown(event.tenant)}")


def _digits_of(value: Decimal) -> int:
    return len("".join(map(str, value.as_tuple().digits)).strip("0"))
