"""Whether what a certificate tells around its rows fits together: servers, capabilities, time, command. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from stackproof.contracts.contract import capabilities_of
from stackproof.interfaces import ConfigurationError
from stackproof.targets import parse_target

from .certificate import Certificate, TargetRecord
from .command import command
from .fidelity import NATIVE, fidelity

SKEW = timedelta(days=1)
"""How far two clocks may be apart."""


def inconsistencies(certificate: Certificate, now: datetime) -> Iterator[str]:
    """What contradicts itself, whatever suite it was made by."""
    yield from _time(certificate.created, now)
    servers = {server.name: server for server in certificate.servers}
    if len(servers) < len(certificate.servers):
        yield "A server is listed twice."
    used = {server for target in certificate.targets for server in (target.server, *_beside(target.target))}
    for server in certificate.servers:
        if server.name not in used:
            yield f"It tells of a server, {server.name}, that none of its backends talked to."
        # What exists only as an embedded server stands beside containers too (`servers_for`).
        if server.origin not in {certificate.origin, "embedded" if certificate.origin == "container" else ""}:
            yield f"Its servers are {certificate.origin}, but {server.name} is {server.origin}."
    for target in certificate.targets:
        known = servers.get(target.server)
        expected = NATIVE if known is None else fidelity(target.technology, known.technology, known.fidelity)
        if target.fidelity != expected and (known is not None or not target.server):
            yield f"{target.target} is told to be {target.fidelity}, where its server is {expected}."


def _beside(name: str) -> tuple[str, ...]:
    """The servers that a built-in backend needs beside its own."""
    try:
        return parse_target(name).servers[1:]
    except ConfigurationError:  # of a backend that is not known here nothing is known
        return ()


def _time(created: str, now: datetime) -> Iterator[str]:
    try:
        then = datetime.fromisoformat(created)
    except ValueError:
        yield f"It was made at no time: {created!r}."
        return
    if then.tzinfo is None:
        yield f"It does not say in which time zone {created} is."
    elif then > now + SKEW:
        yield f"It was made in the future: {created}."


def unlike_the_suite(certificate: Certificate, stacks: Mapping[str, object]) -> Iterator[str]:
    """What the suite that it names would not have written."""
    if certificate.stack and certificate.stack not in stacks:
        yield f"It is of a stack, {certificate.stack}, that there is not."
    expected = command(
        [target.target for target in certificate.targets],
        stack=certificate.stack,
        origin=certificate.origin,
        profile=certificate.profile,
        clauses=certificate.selected,
        seed=certificate.seed,
    )
    if certificate.command != expected:
        yield f"Its command is another than that of what it tells: {expected}."
    for target in certificate.targets:
        yield from _capabilities(target)


def _capabilities(target: TargetRecord) -> Iterator[str]:
    """A backend declares what can be declared, or (where no first use came so far) nothing."""
    kind = capabilities_of(target.concern)
    if kind is None or not target.capabilities:
        return
    known: dict[str, Any] = {}
    for capability in fields(kind):
        if capability.name not in target.capabilities:
            yield f"{target.target} does not tell of its capability {capability.name}."
            return
        value = target.capabilities[capability.name]
        default = capability.default
        if isinstance(default, Enum):
            members = {member.value: member for member in type(default)}
            value = members.get(value, value) if isinstance(value, str) else value
        known[capability.name] = value
    try:
        kind(**known)
    except ConfigurationError as error:
        yield f"{target.target} declares what cannot be: {error}."
