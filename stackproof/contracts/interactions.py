"""The contract of interaction stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

from stackproof.interfaces import (
    Interaction,
    InteractionStore,
    PeriodType,
    RejectedError,
    UnsupportedError,
)

from .callers import Callers
from .clauses import absence, clause
from .evidence import Evidence
from .expectations import expect, expect_error
from .hostile import HOSTILE_TEXTS
from .instances import JOINS
from .interaction_samples import (
    MANY_SECONDS,
    NOON,
    about,
    alltime,
    contact,
    exact_values,
    expect_summaries,
    fitting,
    longest_for,
    new_id,
    record_each,
    records,
    too_exact_for,
    too_long_for,
    values_with_a_long_sum,
    walk,
)
from .interaction_sequences import InteractionSequences


class InteractionContract(InteractionSequences):
    """What every `InteractionStore` is held to."""

    concern: ClassVar[str] = "interactions"
    interface: ClassVar[type[Any]] = InteractionStore

    def exercise(self, backend: Any) -> None:
        """Record one contact of a customer nobody knows, and read its summaries."""
        limits = self.declared(backend)
        event = contact(customer=new_id(limits), event_id=new_id(limits))
        backend.record_event(event)
        query = about(customer=event.customer)
        expect_summaries(walk(backend, query), [event], query, "the summaries of one contact")

    def meets(self, backend: Any, other: Any) -> bool:
        limits = self.declared(backend)
        event = contact(customer=new_id(limits), event_id=new_id(limits))
        backend.record_event(event)
        return bool(walk(other, about(customer=event.customer)))

    def operations(self, backend: Any) -> dict[str, Callable[[], object]]:
        """Each operation of the interface, ready to be called."""
        operations: dict[str, Callable[[], object]] = {
            "record_event": lambda: backend.record_event(contact()),
            "get_summaries": lambda: backend.get_summaries(about()),
        }
        if self.declared(backend).bulk:
            operations["record_events"] = lambda: backend.record_events([contact()])
        return operations

    @clause(
        "STORE-01",
        "A batch of any size is stored as a whole, or not at all, and an error names what was at fault.",
        because="a back-end's own batch limit must not decide which contacts are forgotten",
        learnt_from=("I1", "I2", "I3", "I4", "I11", "I27"),
        needs="bulk",
        sees=(("interactions in one batch", 7003), ("batches rejected", 2), ("batches with a sum too long", 2)),
        seconds=60.0,
    )
    def test_a_batch_is_all_or_nothing(self, store: Any, evidence: Evidence) -> None:
        events = [contact(event_id=f"b-{n}", customer=f"c-{n % 5}", value=Decimal("0.01")) for n in range(7003)]
        store.record_events(events)
        for customer in range(5):
            query = about(customer=f"c-{customer}")
            expect_summaries(walk(store, query), events, query, f"a batch of {len(events)}")
        evidence.saw("interactions in one batch", len(events))
        for what, bad in self._unstorable():
            batch = [contact(customer="all-or-none") for _ in range(40)]
            batch[20] = replace(bad, customer="all-or-none", event_id="the-bad-one")
            with expect_error(RejectedError, f"a batch with {what}") as caught:
                store.record_events(batch)
            expect(sorted(caught.error.failed), "the ids that the error names").equals(["the-bad-one"])  # type: ignore[attr-defined]
            expect(alltime(store, customer="all-or-none"), "what a rejected batch left behind").equals(None)
            evidence.saw("batches rejected")
        self._expect_a_long_sum_all_or_nothing(store, evidence)
        store.record_events([])

    def _expect_a_long_sum_all_or_nothing(self, store: Any, evidence: Evidence) -> None:
        """Batches in which no value is at fault, but the sum of two of them needs more digits than are declared."""
        great, small = values_with_a_long_sum(self.capabilities)
        for values in ((great, small), (small, great)):
            query = about(customer=f"sum-{values.index(great)}")
            batch = [contact(customer=query.customer, value=value) for value in (Decimal(1), *values)]
            batch[0] = replace(batch[0], offer="harmless")
            try:
                store.record_events(batch)
            except RejectedError as error:
                named = set(error.failed) & {event.event_id for event in batch[1:]}
                expect(bool(named), "whether the error names a contact of the sum that is too long").is_true()
                batch = []
            expect_summaries(walk(store, query), batch, query, "a batch with a sum that is too long")
            evidence.saw("batches with a sum too long")

    @absence("STORE-01")
    def prove_no_batches(self, store: Any, evidence: Evidence) -> None:
        _prove_no_batches(store, evidence)

    def _unstorable(self) -> list[tuple[str, Interaction]]:
        """Interactions that the declared limits forbid, each with a name."""
        limits = self.capabilities
        return [
            ("an offer that is one byte too long", contact(offer=too_long_for(limits))),
            ("a value with one digit too many", contact(value=too_exact_for(limits))),
        ]

    @clause(
        "STORE-04",
        "Values and their sums are exact decimals.",
        because="total value is money; a cent that rounding takes from each contact is missed in the sum",
        learnt_from=("I5", "I6", "I7", "I8"),
        sees=(("values", 8), ("sums", 3)),
    )
    def test_values_are_exact(self, store: Any, evidence: Evidence) -> None:
        for n, value in enumerate(exact_values(self.capabilities)):
            store.record_event(contact(customer=f"v-{n}", value=value))
            row = alltime(store, customer=f"v-{n}")
            expect(row and row.total_value, f"the value {value}").equals(value)
            evidence.saw("values")
        # The digits of each sum, written out, are as many as the store declares to keep.
        wide = Decimal((0, (1,) * self.capabilities.value_digits, -(self.capabilities.value_digits // 2)))
        for n, values in enumerate(([Decimal("0.1")] * 10, [wide, wide, wide], [wide, -wide, Decimal("-0.01")])):
            events = [contact(customer=f"s-{n}", value=value) for value in values]
            for event in events:
                store.record_event(event)
            query = about(customer=f"s-{n}")
            expect_summaries(walk(store, query), events, query, f"the sum of {len(values)} values from {values[0]}")
            evidence.saw("sums")

    @clause(
        "STORE-05",
        "The time of the last contact is an aware datetime of the same instant, within the declared resolution.",
        because="a cool-down of one hour that is computed from a shifted or naive time lets the offer through too early",
        learnt_from=("I19", "I20", "I21", "I22", "I23"),
        sees=(("instants", 12), ("offsets", 4)),
    )
    def test_instants_survive(self, store: Any, evidence: Evidence) -> None:
        zones = [UTC, *(timezone(timedelta(minutes=minutes)) for minutes in (-720, 345, 840, -1439, 1439))]
        instants = [
            datetime(2026, 11, 23, 9, 8, 7, micros, tzinfo=UTC) for micros in (0, 1, 50, 1000, 50_000, 999_000, 999_999)
        ]
        instants += [
            datetime(year, 3, 1, 0, 30, 0, tzinfo=zone) for year, zone in zip(range(1971, 2071, 18), zones, strict=True)
        ]
        resolution = timedelta(seconds=self.capabilities.timestamp_resolution)
        for n, instant in enumerate(instants):
            store.record_event(contact(customer=f"t-{n}", timestamp=instant))
            row = alltime(store, customer=f"t-{n}")
            expect(row is None, f"the summary of a contact at {instant.isoformat()} is missing").is_false()
            seen = row.last_contact_at if row else NOON
            expect(seen.utcoffset() is None, "the time is naive").is_false()
            expect(abs(seen - instant), f"the distance from {instant.isoformat()} to {seen.isoformat()}").at_most(
                max(resolution - timedelta(microseconds=1), timedelta(0))  # type: ignore[arg-type]
            )
            evidence.saw("instants")
            evidence.saw("offsets", int(instant.utcoffset() != timedelta(0)))

    @clause(
        "STORE-06",
        "Any text is kept exactly, or rejected by a typed error where it has NUL or lone surrogates, and harms no neighbour.",
        because="names come from people and from other systems; one of them must neither be changed nor stop the pipeline",
        learnt_from=("I16", "I17", "I18"),
        sees=(("texts", 60), ("texts kept", 54), ("texts kept as names", 54)),
        seconds=60.0,
    )
    def test_any_text_is_kept_or_rejected(self, store: Any, evidence: Evidence) -> None:
        kept: list[Interaction] = []
        texts = {fitting(text, self.capabilities): name for name, text in reversed(HOSTILE_TEXTS.items()) if text}
        for text, name in texts.items():
            same = dict.fromkeys(("event_id", "offer", "creative", "channel", "outcome", "placement"), text)
            event = contact(customer="x", campaign=text, recommendation_id=text, **same)
            evidence.saw("texts")
            if not records(store, event, name):
                continue
            kept.append(event)
            row = alltime(store, customer="x", offer=text, creative=text, channel=text)
            expect(row and (row.offer, row.creative, row.channel, row.last_outcome), f"a text with {name}").equals(
                (text,) * 4
            )
            evidence.saw("texts kept")
            named = contact(tenant=text, customer=text)
            if records(store, named, name):
                query = about(tenant=text, customer=text, period_type=PeriodType.ALLTIME)
                expect_summaries(walk(store, query), [named], query, f"a customer and a tenant with {name}")
                evidence.saw("texts kept as names")
        query = about(customer="x")
        expect_summaries(walk(store, query), kept, query, "all texts together")

    @clause(
        "STORE-07",
        "The same event id counts once, whatever the other fields say and however much later; another id is another contact.",
        because="callers repeat after a timeout; a repeated contact that counts twice silences the offer",
        learnt_from=("I26",),
        sees=(("repetitions", 6), ("similar ids", 8), ("contacts in between", 300)),
    )
    def test_an_event_id_counts_once(
        self, store: Any, another: Callable[[], Any], callers: Callers, evidence: Evidence
    ) -> None:
        first = contact(event_id="once", value=Decimal(5), outcome="first")
        store.record_event(first)
        changed = replace(first, value=Decimal(7), outcome="second", timestamp=NOON + timedelta(days=40))
        for event in (first, changed, replace(changed, offer="silver"), replace(changed, customer="c-2")):
            store.record_event(event)
            evidence.saw("repetitions")
        # Where the capabilities promise it, the last repetition comes through another instance.
        repeater = another() if self.capabilities.durable else store
        repeater.record_event(changed)
        evidence.saw("repetitions")
        for customer in ("c-1", "c-2"):
            query = about(customer=customer)
            expect_summaries(walk(store, query), [first], query, f"the summaries of {customer}")
        # What folds, trims or normalises ids takes some of these for repetitions, and forgets the contact.
        similar = ["Ab1", "aB1", "ab1", "ab1 ", " ab1", "ab1\t", "ab01", "\u00e91", "e\u03011"]
        twins = [contact(event_id=text, customer="twins", value=Decimal(1)) for text in similar]
        for event in twins:
            store.record_event(event)
            evidence.saw("similar ids")
        expect_summaries(walk(store, about(customer="twins")), twins, about(customer="twins"), "similar event ids")
        # What remembers the latest ids only counts this one again.
        between = [contact(customer=f"m-{n % 3}") for n in range(2_000 if self.capabilities.bulk else 300)]
        self.record_many(store, between, callers)
        evidence.saw("contacts in between", len(between))
        store.record_event(changed)
        evidence.saw("repetitions")
        expect_summaries(walk(store, about()), [first], about(), f"a repetition after {len(between)} other contacts")

    @clause(
        "STORE-08",
        "Tenants are disjoint, whatever characters their names and their customers' names hold.",
        because="a bank must not see the contacts of another, and keys that are joined with a separator collide",
        learnt_from=("C36", "C37", "C39"),
        sees=("tenants and customers", 10),
    )
    def test_tenants_are_disjoint(self, store: Any, evidence: Evidence) -> None:
        names = [
            ("a", "b"),
            ("a:b", "c"),
            ("a", "b:c"),
            ("A", "b"),
            ("a", "B"),
            ("a ", "b"),
            ("a%", "b"),
            ("a_", "b"),
            ("a/b", "c"),
            ("a", "b/c"),
            ("a#b", "c"),
            ("a", "b#c"),
            ("caf\u00e9", "b"),
            ("cafe\u0301", "b"),
        ]
        events = [
            contact(tenant=tenant, customer=customer, offer=f"o-{n}") for n, (tenant, customer) in enumerate(names)
        ]
        for event in events:
            store.record_event(event)
        for tenant, customer in names:
            query = about(tenant=tenant, customer=customer)
            expect_summaries(walk(store, query), events, query, f"the summaries of {customer!r} in {tenant!r}")
            evidence.saw("tenants and customers")
        expect(alltime(store, tenant="a:", customer="b"), "a tenant that does not exist").equals(None)

    @clause(
        "STORE-09",
        "Concurrent contacts are all counted.",
        because="counts that are read, increased and written back lose those of others",
        sees=(("overlapping callers", 2), ("contacts", 320)),
        seconds=240.0,
    )
    def test_concurrent_contacts_are_all_counted(self, store: Any, callers: Callers, evidence: Evidence) -> None:
        def one_round(n: int) -> None:
            query = about(customer=f"r-{n}")
            events = [
                contact(customer=query.customer, value=Decimal("0.1"), timestamp=NOON + timedelta(seconds=s))
                for s in range(320)
            ]
            callers.each([partial(record_each, store, events[start::8]) for start in range(8)], within=MANY_SECONDS)
            evidence.saw("contacts", len(events))
            expect_summaries(walk(store, query), events, query, "after 8 callers with 40 contacts each")

        _until_overlapping(callers, one_round, at_least=1)
        evidence.saw("overlapping callers", callers.overlapping)

    @clause(
        "STORE-10",
        "A rejected interaction leaves no trace, and does not use up its event id.",
        because="an error that was applied after all is repeated by the caller, or compensated for, wrongly",
        learnt_from=("I25",),
        sees=("rejections", 2),
    )
    def test_an_error_leaves_no_trace(self, store: Any, evidence: Evidence) -> None:
        before = contact(value=Decimal(1))
        store.record_event(before)
        for n, (what, bad) in enumerate(self._unstorable()):
            with expect_error(RejectedError, what):
                store.record_event(replace(bad, event_id=f"again-{n}"))
            evidence.saw("rejections")
            expect_summaries(walk(store, about()), [before], about(), f"after {what}")
            good = contact(event_id=f"again-{n}", customer=f"again-{n}")
            store.record_event(good)
            query = about(customer=f"again-{n}")
            expect_summaries(walk(store, query), [good], query, "the same id with a value that can be stored")

    @clause(
        "STORE-19",
        "What record_event or record_events returned for is counted by every other instance at once, and outlives the one "
        "that stored it.",
        because="the next decision about this customer is made by another process",
        needs="durable",
        sees=(("reads by another instance", 3), ("reads after disconnect", 1)),
    )
    def test_other_instances_see_what_was_stored(
        self, store: Any, another: Callable[[], Any], evidence: Evidence
    ) -> None:
        reader = another()
        events: list[Interaction] = []
        for _ in range(3):
            events.append(contact())
            store.record_event(events[-1])
            expect_summaries(walk(reader, about()), events, about(), "what another instance sees")
            evidence.saw("reads by another instance")
        if self.capabilities.bulk:
            events += (batch := [contact(offer=f"o-{n}") for n in range(3)])
            store.record_events(batch)
            expect_summaries(walk(reader, about()), events, about(), "what another instance sees of a batch")
            events += (batch := [contact(offer=f"o-{n}") for n in range(3)])
            store.record_events(batch)  # the last call before the end
        store.disconnect()
        expect_summaries(walk(another(), about()), events, about(), "what a new instance sees")
        evidence.saw("reads after disconnect")

    @absence("STORE-19")
    def prove_that_instances_share_nothing(self, store: Any, another: Callable[[], Any], evidence: Evidence) -> None:
        store.record_event(contact())
        expect(alltime(another()), "what another instance of the same namespace sees").equals(None)
        evidence.saw("absence probes")

    @clause(
        "STORE-20",
        "The same event recorded by many callers at once counts once.",
        because="two consumers that both believe to own an event must not count it twice; asking before storing is no protection",
        learnt_from=("I26",),
        sees=(("overlapping callers", 2), ("rounds", 5)),
    )
    def test_concurrent_duplicates_count_once(self, store: Any, callers: Callers, evidence: Evidence) -> None:
        def one_round(n: int) -> None:
            query = about(customer=f"d-{n}")
            event = contact(customer=query.customer, value=Decimal(1))
            callers.all_at_once(6, lambda: store.record_event(event))
            expect_summaries(walk(store, query), [event], query, "after 6 callers with the same event")
            evidence.saw("rounds")

        _until_overlapping(callers, one_round, at_least=5)
        evidence.saw("overlapping callers", callers.overlapping)

    @clause(
        "STORE-21",
        "The same event id in two tenants is two events.",
        because="ids are unique within a tenant only; two of them may number their events alike",
        learnt_from=("C39",),
        sees=("tenants", 2),
    )
    def test_event_ids_belong_to_a_tenant(self, store: Any, evidence: Evidence) -> None:
        events = [contact(tenant=tenant, event_id="1", offer=f"of {tenant}") for tenant in ("bank", "shop")]
        for event in events:
            store.record_event(event)
        for event in events:
            query = about(tenant=event.tenant)
            expect_summaries(walk(store, query), events, query, f"the summaries in {event.tenant}")
            evidence.saw("tenants")

    @clause(
        "STORE-22",
        "Namespaces are disjoint.",
        because="two environments on one server must not count each other's contacts",
        learnt_from=("C36",),
        sees=("namespaces", 2),
    )
    def test_namespaces_are_disjoint(
        self, store: Any, namespace: str, elsewhere: Callable[..., Any], evidence: Evidence
    ) -> None:
        here, there = contact(event_id="1", value=Decimal(1)), contact(event_id="1", value=Decimal(2))
        store.record_event(here)
        for name in (None, *(f"{namespace}{join}a" for join in JOINS)):  # also those whose names look alike
            other = elsewhere(name)
            expect(alltime(other), "a contact of another namespace").equals(None)
            other.record_event(there)
            for instance, event in ((store, here), (other, there)):
                expect_summaries(walk(instance, about()), [event], about(), "the summaries of one namespace")
                evidence.saw("namespaces")

    @clause(
        "STORE-23",
        "Texts up to the declared size are kept whole, in all fields at once.",
        because="a key that is cut at some length merges two offers, and one that is refused loses a contact",
        learnt_from=("C38",),
        sees=("long texts", 10),
    )
    def test_long_texts_are_kept_whole(self, store: Any, evidence: Evidence) -> None:
        names = [field.name for field in fields(Interaction) if field.type == "str"]
        long = {name: longest_for(self.capabilities, name) for name in names}
        events = [contact(**long), contact(**{**long, "event_id": "2", "offer": long["offer"][:-1] + "!"})]
        for event in events:
            store.record_event(event)
        query = about(tenant=long["tenant"], customer=long["customer"])
        expect_summaries(walk(store, query), events, query, "texts of the declared size")
        expect_summaries(
            walk(store, replace(query, limit=1)), events, replace(query, limit=1), "the same in pages of one"
        )
        evidence.saw("long texts", len(long))

    @clause(
        "STORE-24",
        "In batches, too, ids that are known or repeated count once, and concurrent batches all succeed.",
        because="back-fills overlap with live traffic, and with their own repetition",
        learnt_from=("I24", "I26"),
        needs="bulk",
        sees=(("overlapping callers", 2), ("batches", 8)),
    )
    def test_batches_are_idempotent_and_concurrent(self, store: Any, callers: Callers, evidence: Evidence) -> None:
        known = contact(event_id="known", offer="o-0", value=Decimal(3))
        store.record_event(known)
        events = [
            contact(event_id=f"e-{n}", offer=f"o-{n % 7}", value=Decimal("0.1"), timestamp=NOON + timedelta(hours=n))
            for n in range(60)
        ]
        repeated = [replace(known, value=Decimal(9)), *events, *(replace(e, value=Decimal(9)) for e in events[:30])]
        store.record_events(repeated)
        expect_summaries(walk(store, about()), [known, *events], about(), "after a batch with repetitions")
        evidence.saw("batches")

        # Batches over the same summaries in opposite order: what locks row by row, in order of arrival, deadlocks.
        def one_round(n: int) -> None:
            query = about(customer=f"b-{n}")
            more = [replace(event, customer=query.customer, event_id=f"{n}-{event.event_id}") for event in events]
            batches = [more, more[::-1], more[20:], more[:40][::-1], more, more[::-1], more[10:50]]
            callers.each([partial(store.record_events, batch) for batch in batches])
            evidence.saw("batches", len(batches))
            expect_summaries(walk(store, query), more, query, "after overlapping batches")

        _until_overlapping(callers, one_round, at_least=1)
        evidence.saw("overlapping callers", callers.overlapping)

    @absence("STORE-24")
    def prove_no_batches_again(self, store: Any, evidence: Evidence) -> None:
        _prove_no_batches(store, evidence)

    @clause(
        "STORE-25",
        "A sum that cannot be kept exactly rejects the contact that would make it.",
        because="a total that is rounded in silence is wrong for ever after",
        learnt_from=("I7",),
        sees=("sums refused or exact", 2),
    )
    def test_sums_are_exact_or_refused(self, store: Any, evidence: Evidence) -> None:
        great, small = values_with_a_long_sum(self.capabilities)
        for n, (first, second) in enumerate(((great, small), (small, great))):
            events = [contact(customer=f"w-{n}", value=first), contact(customer=f"w-{n}", value=second)]
            store.record_event(events[0])
            try:
                store.record_event(events[1])
            except RejectedError:
                del events[1]
            query = about(customer=f"w-{n}")
            expect_summaries(walk(store, query), events, query, f"the sum of {great} and {small}")
            evidence.saw("sums refused or exact")


def _until_overlapping(callers: Callers, one_round: Callable[[int], None], at_least: int, at_most: int = 40) -> None:
    """Repeat a round until callers really ran at the same time: on a fast backend a few rounds may not show it."""
    for n in range(at_most):
        one_round(n)
        if n + 1 >= at_least and callers.overlapping >= 2:
            return


def _prove_no_batches(store: Any, evidence: Evidence) -> None:
    """A store without ``bulk`` has no `record_events`, or refuses it before anything is stored."""
    if hasattr(store, "record_events"):
        with expect_error(UnsupportedError, "record_events of a store that does not declare `bulk`"):
            store.record_events([contact(customer="nobody")])
        expect(alltime(store, customer="nobody"), "what was stored all the same").equals(None)
    evidence.saw("absence probes")
