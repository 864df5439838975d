"""What the operations are given: of the sizes that the decision scenario has, and the same for both ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from stackproof.interfaces import CacheValue, Document, Event, Interaction, InteractionType

BEGAN = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
TENANT = "acme"
_KINDS = tuple(InteractionType)
_WORDS = tuple(
    "spring offer travel credit card family insurance summer bonus loyalty green energy mobile plan premium".split()  # noqa: SIM905
)

CACHED: CacheValue = {
    "customer": "c000123",
    "segments": ["loyal", "families", "mobile"],
    "scores": {"travel": 0.71, "insurance": 0.13, "energy": 0.4},
    "consent": True,
    "updated": 1_764_147_322,
    "name": "A customer with a name of a usual length",
}


def interaction(number: int, customer: str = "") -> Interaction:
    """One contact of one of a thousand customers."""
    return Interaction(
        event_id=f"e{number:012d}",
        tenant=TENANT,
        customer=customer or f"c{number % 1_000:06d}",
        offer=f"offer-{number % 7}",
        interaction_type=_KINDS[number % len(_KINDS)],
        timestamp=BEGAN + timedelta(seconds=number % 86_400),
        creative="banner",
        channel="web",
        outcome="shown",
        campaign="spring",
        placement="home",
        value=Decimal("12.50"),
    )


def event(number: int) -> Event:
    """A decision as it is published, of about 300 bytes."""
    return Event(
        type="decision.made.v1",
        key=f"c{number % 1_000:06d}",
        timestamp=BEGAN,
        event_id=f"{number:032x}",
        payload={
            "customer": f"c{number % 1_000:06d}",
            "offers": ["offer-1", "offer-2", "offer-3"],
            "scores": [0.71, 0.32, 0.11],
            "channel": "web",
            "placement": "home",
            "experiment": {"name": "ranking", "arm": "b"},
        },
    )


def document(number: int) -> Document:
    """An offer with a title of three words and a text of twenty."""
    words = [_WORDS[(number * 7 + place * (1 + number % 3)) % len(_WORDS)] for place in range(23)]
    return Document(
        tenant=TENANT, id=f"d{number:08d}", title=" ".join(words[:3]), text=" ".join([*words[3:], f"n{number % 50}"])
    )
