"""Dates as pages show them."""

from __future__ import annotations

from datetime import UTC, datetime


def for_people(created: str) -> str:
    """Such as ``23 November 2026, 21:45 UTC``; as it is where it is not ISO 8601."""
    return _written(created, "%B")


def short(created: str) -> str:
    """Such as ``23 Nov 2026, 21:45 UTC``, for tables."""
    return _written(created, "%b")


def _written(created: str, month: str) -> str:
    try:
        moment = datetime.fromisoformat(created)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return created
    return f"{moment.day} {moment.strftime(month)} {moment:%Y, %H:%M} UTC"
