"""The variables that every adapter on Redis reads in the same way."""

from __future__ import annotations

from typing import TypedDict

from stackproof.adapters.settings import Settings


class RedisOptions(TypedDict):
    """Arguments that the adapters on Redis share."""

    url: str
    ca_file: str
    address_map: str
    connect_timeout: float
    operation_timeout: float


def redis_options(settings: Settings, purpose: str, example: str = "redis://127.0.0.1:6379/0") -> RedisOptions:
    """What REDIS_URL, REDIS_CA_FILE, REDIS_ADDRESS_MAP and the time limits say; ``purpose`` is who needs it."""
    return RedisOptions(
        url=settings.require("REDIS_URL", purpose, example),
        ca_file=settings.get("REDIS_CA_FILE"),
        address_map=settings.get("REDIS_ADDRESS_MAP"),
        connect_timeout=settings.connect_timeout,
        operation_timeout=settings.operation_timeout,
    )
