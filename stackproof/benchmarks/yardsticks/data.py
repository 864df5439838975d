"""The data of the tools: keys, values and interactions of the same form and size as our scenarios have them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from stackproof.interfaces import CacheValue, Interaction, InteractionType

TENANT = "bench"
"""Of what our scenarios fill in and a tool only reads."""
TOOL_TENANT = "tool"
"""Of what a tool writes: our side counts again what it wrote itself."""
TOPIC = "decisions"
OFFERS = 50


def key_of(number: int) -> str:
    """A key with twelve digits, which is what redis-benchmark can draw."""
    return f"k:{number:012d}"


def text_of(number: int, size: int) -> str:
    """A text of this size."""
    return (f"{number:012d}" * (size // 12 + 1))[:size]


def value_of(number: int, size: int) -> CacheValue:
    """What the cache holds under the key of this number."""
    return {"key": key_of(number), "text": text_of(number, size)}


def interaction(event_id: str, customer: int, offer: int) -> Interaction:
    """An interaction as our side records it, of the tool's tenant."""
    return Interaction(
        event_id=event_id,
        tenant=TOOL_TENANT,
        customer=f"c{customer}",
        offer=f"o{offer}",
        interaction_type=InteractionType.IMPRESSION,
        timestamp=datetime.now(UTC),
        channel="web",
        value=Decimal("0.25"),
    )
