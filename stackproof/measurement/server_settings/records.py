"""The values of server settings, and their JSON form. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

NEVER = str(2**63 - 1)
"""How Kafka writes "never" where it wants a number."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a server or of its client."""

    name: str
    value: str
    meaning: str
    """A sentence for who does not know the technology."""
    unknown: str = ""
    """Why it could not be asked; the value is empty then, and stands for nothing."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a server answered."""

    technology: str
    """What it says that it is: postgres, redis, valkey, elasticache-serverless, dragonfly, upstash, kafka, redpanda, msk,
    cassandra, scylla, keyspaces, opensearch; empty where its answer does not say."""
    asked: str
    """Whom the question reached, where there are several: ``each of 3 masters``."""
    values: Mapping[str, str]
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Name -> why it has no value."""


def described(meanings: Mapping[str, str], told: Told, otherwise: str) -> tuple[Setting, ...]:
    """Every setting that has a meaning, in that order; ``otherwise`` is why one is unknown of which nothing was said."""
    found = []
    for name, meaning in meanings.items():
        if name in told.values:
            found.append(Setting(name, told.values[name], meaning))
        else:
            found.append(Setting(name, "", meaning, told.unknown.get(name, otherwise)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """One server of a run, as the client meets it."""

    server: str
    """The name that targets use: postgres, redis-cluster, kafka-iam."""
    origin: str
    """embedded, container or external."""
    technology: str
    """What answered; empty where nobody did."""
    asked: str
    backends: tuple[str, ...]
    """The targets that use it."""
    settings: tuple[Setting, ...]
    client: tuple[Setting, ...]
    """What our own client is set to."""
    container: tuple[Setting, ...] = ()
    """Image and limits, where the server is a container of this run."""

    def value(self, name: str) -> str | None:
        """The value of a setting of the server or of its client; None where it is unknown, or not among them."""
        for setting in (*self.settings, *self.client):
            if setting.name == name and not setting.unknown:
                return setting.value
        return None

    def why_unknown(self, name: str) -> str:
        """The reason that is noted for a setting without a value."""
        noted = (setting.unknown for setting in (*self.settings, *self.client) if setting.name == name)
        return next(noted, "") or "it was not asked"

    def to_data(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The settings whose `to_data` this is; TypeError or KeyError where it is none."""
        lists = {name: _settings(data[name]) for name in ("settings", "client", "container")}
        return cls(**{**data, **lists, "backends": tuple(data["backends"])})


def _settings(rows: Sequence[Mapping[str, str]]) -> tuple[Setting, ...]:
    return tuple(Setting(**row) for row in rows)


def each_of(number: int, what: str) -> str:
    """Whom a question reached that went to all of them."""
    return f"its only {what}" if number == 1 else f"each of {number} {what}s"


def together(values: Sequence[str]) -> str:
    """One value for several nodes: the one that all have, or each with how many have it."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) == 1:
        return distinct[0]
    return ", ".join(f"{value or 'empty'} on {values.count(value)}" for value in distinct)
