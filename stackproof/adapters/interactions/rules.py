"""What every interaction store checks before it sends anything: limits of texts, values, times and pages; cursors."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from hashlib import blake2b
from operator import attrgetter

from stackproof.interfaces import (
    MAX_SUMMARIES,
    Direction,
    Interaction,
    InteractionCapabilities,
    InteractionType,
    PeriodType,
    RejectedError,
    SummariesQuery,
    Summary,
)

GREATEST_EXPONENT = 125
LEAST_EXPONENT = -130
"""Values lie between 1E-130 and 9.99E+125 (or are 0), so that any sum of them stays a number of sane length."""

TEXT_FIELDS = (
    "event_id",
    "tenant",
    "customer",
    "offer",
    "creative",
    "channel",
    "outcome",
    "campaign",
    "recommendation_id",
    "placement",
)
_TEXTS = attrgetter(*TEXT_FIELDS)
_KINDS = attrgetter("interaction_type", "direction")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the part of a summary's key that orders it within one customer."""

    period_type: PeriodType
    period_key: str
    offer: str
    creative: str
    channel: str

    @classmethod
    def of(cls, row: Summary) -> Position:
        """The position of a summary."""
        return cls(row.period_type, row.period_key, row.offer, row.creative, row.channel)


def check_event(event: Interaction, limits: InteractionCapabilities, *, nul_allowed: bool) -> None:
    """Raise `RejectedError` unless the store can keep every field exactly."""
    problem = find_problem(event, limits, nul_allowed=nul_allowed)
    if problem:
        raise RejectedError(f"the interaction cannot be stored: {problem}")


def check_batch(events: Sequence[Interaction], limits: InteractionCapabilities, *, nul_allowed: bool) -> None:
    """Raise `RejectedError` that names every interaction which cannot be stored."""
    failed: dict[str, str] = {}
    for event in events:
        problem = find_problem(event, limits, nul_allowed=nul_allowed)
        if problem:
            failed[event.event_id] = problem
    if failed:
        raise RejectedError(f"{len(failed)} of {len(events)} interactions cannot be stored; none was", failed)


def find_problem(event: Interaction, limits: InteractionCapabilities, *, nul_allowed: bool) -> str | None:
    """Why the store cannot keep this interaction; None when it can."""
    texts = _TEXTS(event)
    if not _plain(texts, limits.max_text_bytes):
        for name, text in zip(TEXT_FIELDS, texts, strict=True):
            problem = _problem_of_text(text, limits.max_text_bytes, nul_allowed)
            if problem:
                return f"{name} {problem}"
    kind, direction = _KINDS(event)
    if not (isinstance(kind, InteractionType) and isinstance(direction, Direction)):
        return "interaction_type or direction is of the wrong type"
    value = event.value
    if value:
        # Its text is at least as long as its digits are many; to count them takes a microsecond.
        if len(str(value)) > limits.value_digits and significant_digits(value) > limits.value_digits:
            return f"value has more than {limits.value_digits} significant digits"
        if not LEAST_EXPONENT <= value.adjusted() <= GREATEST_EXPONENT:
            return "value is too large or too small a number"
    try:
        event.timestamp.astimezone(UTC)
    except OverflowError:
        return "timestamp lies outside of the years 1 to 9999 in UTC"
    return None


_ANY_SIZE = 1 << 30


def check_query_texts(query: SummariesQuery, *, nul_allowed: bool) -> None:
    """Raise `RejectedError` for a filter that no stored text can equal, and that the server cannot be asked for."""
    for name in ("tenant", "customer", "offer", "creative", "channel"):
        text = getattr(query, name)
        problem = _problem_of_text(text, _ANY_SIZE, nul_allowed) if text else None
        if problem:
            raise RejectedError(f"the query cannot be asked: {name} {problem}")


def _plain(texts: tuple[str, ...], max_bytes: int) -> bool:
    """Whether no text needs a closer look: the usual case, in a third of the time."""
    try:
        joined = "".join(texts)
    except TypeError:
        return False
    return joined.isascii() and "\0" not in joined and max(map(len, texts)) <= max_bytes


def _problem_of_text(text: object, max_bytes: int, nul_allowed: bool) -> str | None:
    if not isinstance(text, str):
        return "is no text"
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        return "holds a lone surrogate"
    if length > max_bytes:
        return f"is longer than {max_bytes} bytes"
    if not nul_allowed and "\0" in text:
        return "holds a NUL character"
    return None


def significant_digits(value: Decimal) -> int:
    """Decimal digits without zeros at either end: 1 for 100, 3 for 0.0120 x 10."""
    digits = value.as_tuple().digits
    return len("".join(map(str, digits)).strip("0"))


def page_size(query: SummariesQuery) -> int:
    """The number of rows of a page: as asked, at most `MAX_SUMMARIES`."""
    if query.limit < 1:
        raise RejectedError(f"the limit of a page is at least 1, not {query.limit}")
    return min(query.limit, MAX_SUMMARIES)


def cursor_after(query: SummariesQuery, row: Summary) -> str:
    """An opaque text from which a walk with the same filters goes on after this row."""
    at = Position.of(row)
    body = json.dumps([at.period_type, at.period_key, at.offer, at.creative, at.channel]).encode()
    return base64.urlsafe_b64encode(_seal(query, body) + body).decode()


def position_of_cursor(query: SummariesQuery) -> Position | None:
    """Where to go on; None at the start. Raises `RejectedError` for a cursor that was not made for these filters."""
    if query.cursor is None:
        return None
    try:
        raw = base64.b64decode(query.cursor.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise RejectedError("this cursor was not made by this store") from error
    seal, body = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
    if seal != _seal(query, body):
        raise RejectedError("this cursor was not made by this store, or for other filters")
    period_type, *rest = json.loads(body)
    return Position(PeriodType(period_type), *rest)


_SEAL_BYTES = 12


def _seal(query: SummariesQuery, body: bytes) -> bytes:
    """Ties a cursor to its query, so that neither damage nor a mix-up of customers goes unnoticed. It is no secret."""
    filters = [query.tenant, query.customer, query.period_type, query.offer, query.creative, query.channel]
    return blake2b(json.dumps(filters).encode() + b"\0" + body, digest_size=_SEAL_BYTES).digest()
