"""What an external server says about itself: what it is, its version, and the settings that a certificate depends on.

The embedded servers answer through `stackproof.servers`; an external one can only be asked with its driver, over the address that
the adapters use too: `stackproof.measurement.server_settings` does. What the server does not tell is left out.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from stackproof.adapters.settings import Settings
from stackproof.interfaces import StackproofError
from stackproof.measurement.server_settings.asking import MODULES
from stackproof.measurement.server_settings.records import Told
from stackproof.servers import Server
from stackproof.targets import Target, parse_target

UNTOLD = "an unknown engine"
"""The technology of a server that could be asked, and does not tell what it is: no backend is for that."""

_SECONDS = 5

_ASKED_AS = {
    "postgres": "interactions=postgres",
    "redis": "cache=redis",
    "redis-cluster": "cache=elasticache",
    "kafka": "events=kafka",
    "kafka-iam": "events=msk",
    "cql": "interactions=cassandra",
    "opensearch": "search=opensearch",
}
"""Server, or the module that asks it -> a backend that knows the way there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an external server told."""

    technology: str
    """What it says that it is, `UNTOLD` where it does not; empty for a service of AWS, which its address tells."""
    version: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


def ask_external(server: Server) -> Answer:
    """Asks with the driver of its adapters. Nothing is raised: who does not answer, or has no driver here, has told nothing."""
    if server.name not in MODULES:
        return Answer("")
    variables = server.variables()
    limits = {"STACKPROOF_CONNECT_TIMEOUT": str(_SECONDS), "STACKPROOF_OPERATION_TIMEOUT": str(_SECONDS)}
    try:
        module = importlib.import_module(f"stackproof.measurement.server_settings.{MODULES[server.name]}")
        told: Told = module.ask(
            Settings({**os.environ, **variables, **limits}), (_asked_as(server.name, variables),), None
        )
    except ImportError:
        return Answer(UNTOLD)
    except StackproofError as error:  # the backend will say what is wrong
        return Answer(UNTOLD, facts={"not told": type(error).__name__})
    facts = dict(told.values)
    version = facts.pop("version", "")
    if urlsplit(variables.get("REDIS_URL", "")).scheme == "rediss":
        facts["tls"] = "yes"
    return Answer(told.technology or UNTOLD, version, facts)


def _asked_as(server: str, variables: Mapping[str, str]) -> Target:
    """Where both ways to a CQL cluster are given it is asked over that of a cluster of one's own, so that nothing which is there
    passes for Keyspaces."""
    if "KEYSPACES_ENDPOINT" in variables and "SCYLLA_CONTACT_POINTS" not in variables:
        return parse_target("interactions=keyspaces")
    return parse_target(_ASKED_AS.get(server) or _ASKED_AS[MODULES[server]])
