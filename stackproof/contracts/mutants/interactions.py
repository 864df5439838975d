"""Mutants of the interaction store, part one: batches, pages, values and times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Context, Decimal

from stackproof.adapters.interactions import memory
from stackproof.adapters.interactions.memory import MemoryInteractionStore, SumKey
from stackproof.adapters.interactions.rules import check_batch, cursor_after, position_of_cursor
from stackproof.interfaces import (
    MAX_SUMMARIES,
    Interaction,
    PeriodType,
    RejectedError,
    SummariesPage,
    SummariesQuery,
    Summary,
    UnavailableError,
    summarise,
)

# Parts two and three register their mutants when they are imported.
from . import interactions_faults as interactions_faults
from . import interactions_histories as interactions_histories
from . import interactions_keys as interactions_keys
from . import interactions_lifecycle as interactions_lifecycle
from . import interactions_processes as interactions_processes
from . import interactions_reads as interactions_reads
from . import interactions_sequences as interactions_sequences
from .interactions_bases import Reshown, Rewritten
from .registry import mutant

Store = MemoryInteractionStore


# STORE-01: batches


@mutant(of=Store, killed_by="STORE-01", imitates="I1")
class DropsWhatTheServerLeftOver(MemoryInteractionStore):
    """A batch is cut at the server's own limit of 25, and the rest is forgotten."""

    def record_events(self, events: Sequence[Interaction]) -> None:
        super().record_events(events[:25])


@mutant(of=Store, killed_by="STORE-01", imitates="I3")
class StoresBatchesUpToTheBadOne(MemoryInteractionStore):
    """The interactions before the bad one of a batch are stored."""

    def record_events(self, events: Sequence[Interaction]) -> None:
        try:
            super().record_events(events)
        except RejectedError as error:
            for event in events:
                if event.event_id in error.failed:
                    break
                self.record_event(event)
            raise


@mutant(of=Store, killed_by="STORE-01", imitates="I27")
class BatchErrorsNameNobody(MemoryInteractionStore):
    """A rejected batch does not say which interaction was at fault."""

    def record_events(self, events: Sequence[Interaction]) -> None:
        try:
            super().record_events(events)
        except RejectedError as error:
            raise RejectedError(str(error)) from None


@mutant(of=Store, killed_by="STORE-01", imitates="I17")
class LeavesTheBadOneOut(MemoryInteractionStore):
    """The bad interaction of a batch is skipped without a word."""

    def record_events(self, events: Sequence[Interaction]) -> None:
        try:
            super().record_events(events)
        except RejectedError as error:
            super().record_events([event for event in events if event.event_id not in error.failed])


@mutant(of=Store, killed_by="STORE-01", imitates="I2")
class OneParameterForEachField(MemoryInteractionStore):
    """A batch is one statement with a parameter for each field, and the protocol counts them in 16 bits."""

    def record_events(self, events: Sequence[Interaction]) -> None:
        if len(events) * len(fields(Interaction)) > 0xFFFF:
            raise UnavailableError("the statement has too many parameters")
        super().record_events(events)


@mutant(of=Store, killed_by="STORE-01", imitates="I3")
class LongSumsCutTheBatch(MemoryInteractionStore):
    """Sums are checked contact by contact, so what came before the one that is too long stays."""

    def record_events(self, events: Sequence[Interaction]) -> None:
        super().record_events([])
        check_batch(events, self.capabilities, nul_allowed=True)
        for event in events:
            super().record_event(event)


@mutant(of=Store, killed_by="STORE-01", imitates="I11")
class CountsTheFirstHundred(MemoryInteractionStore):
    """A customer's summaries are computed from the first hundred contacts."""

    def _summaries(self, query: SummariesQuery) -> list[Summary]:
        with self._space.lock:
            events = self._space.events.get((query.tenant, query.customer), [])[:100]
        return [row for row in summarise(events) if memory._matches(row, query)]


# STORE-02, 03, 11, 15: pages


@mutant(of=Store, killed_by="STORE-02", imitates="I14")
class FirstPageOnly(MemoryInteractionStore):
    """The first page claims to be the last."""

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        return SummariesPage(super().get_summaries(query).rows)


@mutant(of=Store, killed_by="STORE-02", imitates="I12")
class ReadsOneServerPage(Reshown):
    """No more than 240 summaries of a customer are ever read."""

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        return rows[: MAX_SUMMARIES + 20]


@mutant(of=Store, killed_by="STORE-02", imitates="I12")
class CountsTheFirstThousand(MemoryInteractionStore):
    """Contacts are read in server pages of 1,000, and only the first page is summed up."""

    def _summaries(self, query: SummariesQuery) -> list[Summary]:
        events = self._space.events.get((query.tenant, query.customer), [])
        return super()._summaries(query) if len(events) <= 1_000 else summarise(events[:1_000])


@mutant(of=Store, killed_by="STORE-03")
class CursorsStayAtHome(MemoryInteractionStore):
    """A cursor is an entry in the memory of the instance that made it."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._made: set[str] = set()

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        if query.cursor is not None and query.cursor not in self._made:
            raise RejectedError("no such cursor")
        page = super().get_summaries(query)
        self._made.update({page.next_cursor} - {None})  # type: ignore[arg-type]
        return page


@mutant(of=Store, killed_by="STORE-03")
class CursorsAreForOneLimit(MemoryInteractionStore):
    """A next page that is asked for with another limit is the first one."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._limits: dict[str, int] = {}

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        if query.cursor is not None and self._limits.get(query.cursor, query.limit) != query.limit:
            query = replace(query, cursor=None)
        page = super().get_summaries(query)
        if page.next_cursor is not None:
            self._limits[page.next_cursor] = query.limit
        return page


@mutant(of=Store, killed_by="STORE-03", imitates="I10")
class CursorSkipsARow(MemoryInteractionStore):
    """The cursor points behind the row that was read ahead."""

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        page = super().get_summaries(query)
        if page.next_cursor is None:
            return page
        ahead = super().get_summaries(replace(query, limit=1, cursor=page.next_cursor)).rows[0]
        return SummariesPage(page.rows, cursor_after(query, ahead))


@mutant(of=Store, killed_by="STORE-03", imitates="I28")
class CursorRepeatsARow(MemoryInteractionStore):
    """Pages of three rows or more begin with the last row of the page before."""

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        page = super().get_summaries(query)
        if page.next_cursor is None or len(page.rows) < 3:
            return page
        return SummariesPage(page.rows, cursor_after(query, page.rows[-2]))


@mutant(of=Store, killed_by="STORE-03", imitates="I9")
class CursorForgetsTheChannel(MemoryInteractionStore):
    """The cursor knows period and offer only, so a page that ends within an offer loses the rest of it."""

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        page = super().get_summaries(query)
        if page.next_cursor is None:
            return page
        last = replace(page.rows[-1], creative="\U0010ffff", channel="\U0010ffff")
        return SummariesPage(page.rows, cursor_after(query, last))


@mutant(of=Store, killed_by="STORE-11", imitates="I28")
class CountsPagesByOffset(MemoryInteractionStore):
    """The cursor is the number of rows that were read."""

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        start = 0 if query.cursor is None else len(query.cursor)
        rows = self._summaries(query)
        size = min(query.limit, MAX_SUMMARIES)
        if query.limit < 1 or (query.cursor is not None and set(query.cursor) != {"+"}):
            raise RejectedError("no such page")
        more = start + size < len(rows)
        return SummariesPage(tuple(rows[start : start + size]), "+" * (start + size) if more else None)


@mutant(of=Store, killed_by="STORE-15")
class PagesWithoutALimit(MemoryInteractionStore):
    """A limit above the cap is obeyed."""

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        if query.limit <= MAX_SUMMARIES:
            return super().get_summaries(query)
        return SummariesPage(tuple(self._summaries(query))[: query.limit])


@mutant(of=Store, killed_by="STORE-15", imitates="C23")
class ZeroMeansTheDefault(MemoryInteractionStore):
    """A limit of 0 is taken for no limit given."""

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        return super().get_summaries(replace(query, limit=query.limit or MAX_SUMMARIES))


@mutant(of=Store, killed_by="STORE-15")
class BadCursorStartsAgain(MemoryInteractionStore):
    """A cursor that cannot be read starts from the top."""

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        try:
            position_of_cursor(query)
        except RejectedError:
            query = replace(query, cursor=None)
        return super().get_summaries(query)


@mutant(of=Store, killed_by="STORE-15", imitates="C23")
class EmptyCursorStartsAgain(MemoryInteractionStore):
    """An empty cursor is taken for none."""

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        return super().get_summaries(replace(query, cursor=query.cursor or None))


# STORE-04, 25: values


@mutant(of=Store, killed_by="STORE-04", imitates="I5")
class ValuesAreFloats(Rewritten):
    """Values pass through binary fractions."""

    def spoil(self, event: Interaction) -> Interaction:
        return replace(event, value=Decimal(repr(float(event.value))))


@mutant(of=Store, killed_by="STORE-04", imitates="I7")
class SixDecimals(Rewritten):
    """Values are rounded to six decimals."""

    def spoil(self, event: Interaction) -> Interaction:
        return replace(event, value=event.value.quantize(Decimal("0.000001"), context=Context(prec=200)))


@mutant(of=Store, killed_by="STORE-04", imitates="I5")
class SumsOf28Digits(Reshown):
    """Sums are rounded by the usual decimal context."""

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        return [replace(row, total_value=+row.total_value) for row in rows]


@mutant(of=Store, killed_by="STORE-04", imitates="I6")
class SumsAreFloats(Reshown):
    """Sums are handed out as floats."""

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        return [replace(row, total_value=float(row.total_value)) for row in rows]  # type: ignore[arg-type]


@mutant(of=Store, killed_by="STORE-25", imitates="I7")
class LongSumsAreRounded(Reshown):
    """A sum of more digits than are kept is rounded to them."""

    def _sums_with(self, events: Sequence[Interaction]) -> dict[SumKey, Decimal]:
        return {}

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        digits = Context(prec=self.capabilities.value_digits)
        return [replace(row, total_value=digits.plus(row.total_value)) for row in rows]


# STORE-05, 12, 16: times


@mutant(of=Store, killed_by="STORE-05", imitates="I23")
class DropsMicroseconds(Reshown):
    """Times are cut to milliseconds."""

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        return [replace(row, last_contact_at=_milliseconds(row.last_contact_at)) for row in rows]


def _milliseconds(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


@mutant(of=Store, killed_by="STORE-05", imitates="I19")
class DropsSmallMilliseconds(Reshown):
    """Fractions below a tenth of a second are read back as none."""

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        return [
            replace(row, last_contact_at=row.last_contact_at.replace(microsecond=0))
            if row.last_contact_at.microsecond < 100_000
            else row
            for row in rows
        ]


@mutant(of=Store, killed_by="STORE-05", imitates="I20")
class KeepsLocalDigits(Rewritten):
    """The digits of the local time are stored as if they were UTC."""

    def spoil(self, event: Interaction) -> Interaction:
        return replace(event, timestamp=event.timestamp.replace(tzinfo=UTC))


@mutant(of=Store, killed_by="STORE-05", imitates="I21")
class NaiveOnRead(Reshown):
    """The time of the last contact comes back without a time zone."""

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        return [replace(row, last_contact_at=row.last_contact_at.replace(tzinfo=None)) for row in rows]


class _Periods(Reshown):
    """Names the periods of a customer's only contact in its own way."""

    def key(self, row: Summary, event: Interaction) -> str:
        raise NotImplementedError

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        events = self._space.events.get((query.tenant, query.customer), [])
        return [replace(row, period_key=self.key(row, events[0])) for row in rows] if len(events) == 1 else rows


@mutant(of=Store, killed_by="STORE-12", imitates="I22")
class DaysAreLocal(_Periods):
    """Days are those of the event's own time zone."""

    def key(self, row: Summary, event: Interaction) -> str:
        return f"{event.timestamp:%Y-%m-%d}" if row.period_type is PeriodType.DAILY else row.period_key


@mutant(of=Store, killed_by="STORE-12")
class WeeksOfTheCalendarYear(_Periods):
    """The year of a week is that of its day, not the ISO year."""

    def key(self, row: Summary, event: Interaction) -> str:
        at = event.timestamp.astimezone(UTC)
        return f"{at.year:04d}-W{at.isocalendar().week:02d}" if row.period_type is PeriodType.WEEKLY else row.period_key


@mutant(of=Store, killed_by="STORE-12")
class WeeksByStrftime(_Periods):
    """Weeks are counted from the first Monday of the year."""

    def key(self, row: Summary, event: Interaction) -> str:
        return f"{event.timestamp.astimezone(UTC):%Y-W%W}" if row.period_type is PeriodType.WEEKLY else row.period_key
