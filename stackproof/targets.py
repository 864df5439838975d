"""Targets: which backend of which concern is meant by ``cache=redis`` or ``cache=package.module:factory``."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stackproof.adapters.registry import CONCERNS, BackendEntry, find
from stackproof.adapters.settings import Settings
from stackproof.container import call_factory, make_adapter
from stackproof.interfaces import ConfigurationError
from stackproof.whereabouts import with_place


@dataclass(frozen=True, slots=True)
class Stack:
    """One backend for each concern."""

    name: str
    title: str
    backends: Mapping[str, str]
    """Concern -> name of a backend."""

    def targets(self) -> list[Target]:
        return [parse_target(f"{concern}={self.backends[concern]}") for concern in CONCERNS]


STACKS = (
    Stack(
        "development",
        "PostgreSQL for interactions and search, Redis for events and cache, console logs",
        {"interactions": "postgres", "events": "redis", "search": "postgres", "cache": "redis", "logs": "console"},
    ),
    Stack(
        "startup-aws",
        "PostgreSQL for interactions and search, EventBridge, Upstash Redis, CloudWatch logs",
        {
            "interactions": "postgres",
            "events": "eventbridge",
            "search": "postgres",
            "cache": "upstash",
            "logs": "cloudwatch",
        },
    ),
    Stack(
        "growth-aws",
        "DynamoDB, MSK, OpenSearch, ElastiCache in cluster mode, CloudWatch logs",
        {
            "interactions": "dynamodb",
            "events": "msk",
            "search": "opensearch",
            "cache": "elasticache",
            "logs": "cloudwatch",
        },
    ),
    Stack(
        "enterprise",
        "ScyllaDB, MSK, OpenSearch, ElastiCache in cluster mode, CloudWatch logs",
        {
            "interactions": "scylla",
            "events": "msk",
            "search": "opensearch",
            "cache": "elasticache",
            "logs": "cloudwatch",
        },
    ),
    Stack(
        "memory",
        "the references, in one process: what the contracts mean, without any server",
        {"interactions": "memory", "events": "memory", "search": "memory", "cache": "memory", "logs": "memory"},
    ),
)


def find_stack(name: str) -> Stack:
    """The stack of this name; a `ConfigurationError` that lists the known ones."""
    for stack in STACKS:
        if stack.name == name.strip().lower():
            return stack
    raise ConfigurationError(f"--stack={name!r} is not a known stack; known are: {', '.join(s.name for s in STACKS)}")


@dataclass(frozen=True, slots=True)
class Target:
    """A backend that is to be verified or measured."""

    concern: str
    spec: str
    entry: BackendEntry | None
    """None for a factory that was given as ``package.module:factory``."""

    @property
    def name(self) -> str:
        return f"{self.concern}={self.spec}"

    @property
    def server(self) -> str:
        """The server that stackproof can provide for it; empty for none."""
        return self.entry.server if self.entry is not None else ""

    @property
    def servers(self) -> tuple[str, ...]:
        """That one, and the others that it needs."""
        return (self.entry.server, *self.entry.also) if self.entry is not None and self.entry.server else ()

    @property
    def technology(self) -> str:
        """What the backend is for; empty where that is not known."""
        return self.entry.technology if self.entry is not None else ""

    def make(self, settings: Settings, namespace: str) -> Any:
        """An instance of the backend."""
        if self.entry is not None:
            return make_adapter(self.entry, settings, namespace)
        return call_factory(load_object(self.name, self.spec), namespace)


def parse_target(text: str) -> Target:
    """A target from ``CONCERN=SPEC``. An unknown concern or name is a `ConfigurationError`; a factory is not imported yet."""
    concern, equals, spec = text.partition("=")
    concern, spec = concern.strip().lower(), spec.strip()
    if "://" in text:  # not repeated: there may be a password in it
        raise ConfigurationError(
            "--backend takes the name of a backend, as in cache=redis, and no address: that belongs into a variable, "
            "such as REDIS_URL (docs/reference/variables.md)"
        )
    if not equals or not spec:
        raise ConfigurationError(
            f"--backend {text!r} must look like CONCERN=SPEC, for example cache=redis or cache=mypkg.cache:make"
        )
    if concern not in CONCERNS:
        raise ConfigurationError(f"{concern!r} is not a concern; known are: {', '.join(CONCERNS)}")
    if ":" in spec:
        return Target(concern, spec, None)
    entry = find(concern, spec, f"--backend {concern}")
    return Target(concern, entry.name, entry)


def parse_targets(stack: str | None, backends: Iterable[str]) -> list[Target]:
    """The targets of a command line: a stack, or backends, one for each concern at most. Nothing given: the Development stack."""
    named = [parse_target(text) for text in backends]
    if stack is not None and named:
        raise ConfigurationError(
            "--stack and --backend exclude each other: a stack already names a backend for each concern"
        )
    doubled = {t.name for t in named if sum(t.name == other.name for other in named) > 1}
    if doubled:
        raise ConfigurationError(f"--backend {sorted(doubled)[0]} is given twice")
    return named or find_stack(stack or "development").targets()


def load_object(name: str, spec: str) -> Callable[..., Any]:
    """The factory ``package.module:attribute``. Whatever goes wrong is a `ConfigurationError`."""
    found = import_object(name, spec)
    if not callable(found):
        attribute = spec.partition(":")[2]
        raise ConfigurationError(f"{name} cannot be used: {attribute!r} is a {type(found).__name__}, not a factory")
    callable_: Callable[..., Any] = found
    return callable_


def import_object(name: str, spec: str) -> Any:
    """Import ``package.module:attribute``, also from the current directory. Whatever goes wrong is a `ConfigurationError`."""
    module_name, _, attribute = spec.partition(":")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        sentence = (
            f"{name} cannot be imported: there is no module {error.name!r} here (looked in the current directory too)"
        )
        raise ConfigurationError(with_place(sentence, error)) from error
    except AttributeError as error:
        raise ConfigurationError(f"{name} cannot be used: the module {module_name} has no {attribute!r}") from error
    except (Exception, SystemExit) as error:
        sentence = f"{name} cannot be imported: {module_name} raised {type(error).__name__}: {error}"
        raise ConfigurationError(with_place(sentence, error)) from error
    return found
