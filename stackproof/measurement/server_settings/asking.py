"""Asks each server of a run once, whatever its technology. Nothing that goes wrong here ends a run: it is noted as unknown."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from stackproof.adapters.settings import Settings
from stackproof.interfaces import StackproofError
from stackproof.servers import Server, ServerError
from stackproof.targets import Target

from .containers import container_settings
from .records import ServerSettings, Setting, Told, described

ASK_SECONDS = 5.0
"""How long a question may take: a run waits for it."""

MODULES: Mapping[str, str] = {
    "postgres": "postgres", "postgres-tls": "postgres",
    "redis": "redis", "redis-tls": "redis", "redis-cluster": "redis", "valkey": "redis",
    "kafka": "kafka", "kafka-sasl": "kafka", "kafka-tls": "kafka", "kafka-iam": "kafka",
    "cassandra": "cql", "cassandra-tls": "cql",
    "opensearch": "opensearch",
}  # fmt: skip
"""Server -> the module here that knows it. Of services of AWS there is nothing to ask: they tell no settings."""


def ask_servers(
    targets: Sequence[Target], servers: Sequence[Server], settings: Settings, namespace: str | None = None
) -> tuple[ServerSettings, ...]:
    """What each server says, in the order of the servers; those that no target uses are left out.

    ``settings`` are those of the adapters, with the variables of the servers. ``namespace`` is that of the run, where its
    topics and indexes are there already: then they are asked for, too.
    """
    found = []
    for server in servers:
        # Two backends can speak to one server in different ways (Scylla's variables and those of Keyspaces).
        used = [target for target in targets if target.server == server.name]
        for group in _groups(used):
            found.append(_asked(server, group, settings, namespace))
    return tuple(found)


def _groups(targets: Sequence[Target]) -> list[list[Target]]:
    groups: dict[str, list[Target]] = {}
    for target in targets:
        groups.setdefault("keyspaces" if target.technology == "keyspaces" else "", []).append(target)
    return list(groups.values())


def _asked(server: Server, targets: list[Target], settings: Settings, namespace: str | None) -> ServerSettings:
    told, module, trouble = Told("", "", {}), None, "a service of AWS tells no settings"
    client: tuple[Setting, ...] = ()
    if server.name in MODULES:
        try:
            module = importlib.import_module(f"{__package__}.{MODULES[server.name]}")
            client = module.client(settings, targets)
            told, trouble = module.ask(_patient(settings), targets, namespace), "the server has no such setting"
        except ImportError as error:
            trouble = f"the driver is not installed ({error.name})"
        except StackproofError as error:
            # Its sentence may name hosts and users: neither belongs into a record.
            trouble = f"the server did not tell ({type(error).__name__})"
    settings_told = described(module.MEANINGS, told, trouble) if module is not None else _nothing(trouble)
    return ServerSettings(
        server=server.name,
        origin=server.origin,
        technology=told.technology,
        asked=told.asked,
        backends=tuple(target.name for target in targets),
        settings=_with_version(settings_told, server),
        client=client,
        container=container_settings(server),
    )


def _nothing(trouble: str) -> tuple[Setting, ...]:
    return (Setting("version", "", "The release of the server.", trouble),)


def _patient(settings: Settings) -> Settings:
    """With time limits of our own: a question is no operation that is measured."""
    limits = {"STACKPROOF_CONNECT_TIMEOUT": str(ASK_SECONDS), "STACKPROOF_OPERATION_TIMEOUT": str(ASK_SECONDS)}
    return Settings({**settings.variables, **limits})


def _with_version(settings: tuple[Setting, ...], server: Server) -> tuple[Setting, ...]:
    """The release, where the driver cannot ask for it and the server is one that we started ourselves."""
    first, *rest = settings
    if first.name != "version" or not first.unknown or server.origin == "external":
        return settings
    try:
        version: Any = server.version()
    except ServerError:
        version = None
    return (Setting("version", str(version), first.meaning) if version else first, *rest)
