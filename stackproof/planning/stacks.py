"""The reference stacks as data, and stacks of the user's own: backends, how they are had, variables, what was published of them.

The files beside this module are read with the standard library and held to `stack.schema.json`; `stackproof.targets` names the
same backends for those who verify and measure, and a test holds the two together.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stackproof.adapters.registry import CONCERNS
from stackproof.interfaces import ConfigurationError
from stackproof.shape import misshapen
from stackproof.targets import STACKS, Stack, parse_target

from .amount import Amount
from .bill import Sizing
from .cost import Choice, hostings

SCHEMA = "stackproof-stack/1"
NAMES = ("development", "startup-aws", "growth-aws", "enterprise")
"""The reference stacks, from the smallest on."""


@dataclass(frozen=True, slots=True)
class Part:
    """The backend of one concern of a stack."""

    concern: str
    backend: str
    label: str
    """As it was published."""
    hosting: str
    variables: Mapping[str, str]
    note: str


@dataclass(frozen=True, slots=True)
class PublishedCost:
    """The monthly cost that the publisher of a stack names."""

    text: str
    low: int
    high: int | None
    """None: no upper end."""
    currency: str

    @property
    def least(self) -> Amount:
        return Amount.of(self.low, currency=self.currency)


@dataclass(frozen=True, slots=True)
class Threshold:
    """Up to where a backend is recommended, as it was published."""

    id: str
    concern: str
    text: str
    dimension: str
    below: int | None
    """None: no number was published."""
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class PlannedStack:
    """A stack, with what planning needs to know of it."""

    name: str
    title: str
    source: str
    published_cost: PublishedCost | None
    parts: Mapping[str, Part]
    """By concern."""
    thresholds: tuple[Threshold, ...]

    @property
    def stack(self) -> Stack:
        """The same, for those who verify and measure."""
        return Stack(self.name, self.title, {concern: self.parts[concern].backend for concern in CONCERNS})

    @property
    def variables(self) -> dict[str, str]:
        """All variables; the same one is the same for all concerns."""
        return {name: value for part in self.parts.values() for name, value in part.variables.items()}

    def choices(self, sizing: Mapping[str, Sizing] | None = None) -> dict[str, Choice]:
        """What the cost model takes, with the sizing of concerns where it is given."""
        given = sizing or {}
        return {
            concern: Choice(concern, part.backend, part.hosting, given.get(concern, Sizing()))
            for concern, part in self.parts.items()
        }


@cache
def reference_stacks() -> tuple[PlannedStack, ...]:
    """The four published stacks."""
    folder = files(__package__) / "stacks"
    return tuple(parse_stack((folder / f"{name}.toml").read_text(encoding="utf-8"), f"{name}.toml") for name in NAMES)


def find_planned_stack(name: str) -> PlannedStack:
    """The stack of stackproof with this name; a `ConfigurationError` that lists the known ones."""
    known = (*reference_stacks(), *other_stacks())
    for stack in known:
        if stack.name == name.strip().lower():
            return stack
    names = ", ".join(stack.name for stack in known)
    raise ConfigurationError(f"{name!r} is not a known stack, and no file of one; known are: {names}")


@cache
def other_stacks() -> tuple[PlannedStack, ...]:
    """The stacks of `stackproof.targets` that nobody published: what they cost is not known."""
    return tuple(
        PlannedStack(
            stack.name,
            stack.title,
            "",
            None,
            MappingProxyType(
                {
                    concern: Part(
                        concern, stack.backends[concern], stack.backends[concern], "", MappingProxyType({}), ""
                    )
                    for concern in CONCERNS
                }
            ),
            (),
        )
        for stack in STACKS
        if stack.name not in NAMES
    )


def named_stack(text: str) -> PlannedStack:
    """The stack that an option names: a file, or a stack of stackproof. A `ConfigurationError` for what is neither."""
    path = Path(text)
    return load_stack(path) if path.suffix == ".toml" or path.is_file() else find_planned_stack(text)


def load_stack(path: Path) -> PlannedStack:
    """A stack of the user's own. What is wrong with its file is a `ConfigurationError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} cannot be read: it is not UTF-8") from error
    stack = parse_stack(text, str(path))
    if stack.name in {known.name for known in STACKS}:
        raise ConfigurationError(
            f"{path}: name is {stack.name!r}, which is a stack of stackproof; give yours another one"
        )
    return stack


def parse_stack(text: str, file: str) -> PlannedStack:
    """The stack that a file describes."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{file} is no TOML: {error}") from error
    wrong = misshapen(data, _schema())
    if wrong:
        raise ConfigurationError(f"{file}: {wrong[0]}")
    stack = PlannedStack(
        name=data["name"],
        title=data["title"],
        source=data.get("source", ""),
        published_cost=_published(data["published_cost"], file) if "published_cost" in data else None,
        parts=MappingProxyType({concern: _part(concern, data["concerns"][concern], file) for concern in CONCERNS}),
        thresholds=tuple(_threshold(row) for row in data.get("thresholds", ())),
    )
    _check_variables(stack, file)
    return stack


@cache
def _schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files(__package__) / "stack.schema.json").read_text(encoding="utf-8"))
    return found


def _published(data: Mapping[str, Any], file: str) -> PublishedCost:
    cost = PublishedCost(data["text"], data["low"], data.get("high"), data["currency"])
    if cost.high is not None and cost.high < cost.low:
        raise ConfigurationError(f"{file}: published_cost.high is {cost.high}, which is less than low, {cost.low}")
    return cost


def _part(concern: str, data: Mapping[str, Any], file: str) -> Part:
    try:
        target = parse_target(f"{concern}={data['backend']}")
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}, concerns.{concern}: {error}") from error
    backend, hosting = target.spec, data.get("hosting", "")
    known = hostings(concern, backend) if target.entry is not None else ()
    if hosting and hosting not in known:
        ways = f"known are: {', '.join(known)}" if known else "it has no cost model"
        raise ConfigurationError(f"{file}, concerns.{concern}: hosting {hosting!r} of {backend} is not known; {ways}")
    variables = MappingProxyType(dict(data.get("variables", {})))
    return Part(concern, backend, data.get("label", backend), hosting, variables, data.get("note", ""))


def _threshold(row: Mapping[str, Any]) -> Threshold:
    return Threshold(
        row["id"], row["concern"], row["text"], row["dimension"], row.get("below"), row["source"], row.get("note", "")
    )


def _check_variables(stack: PlannedStack, file: str) -> None:
    """One variable has one value, whichever concern it was given for."""
    seen: dict[str, str] = {}
    for part in stack.parts.values():
        for name, value in part.variables.items():
            if seen.setdefault(name, value) != value:
                raise ConfigurationError(
                    f"{file}, concerns.{part.concern}: {name} has another value for another concern"
                )
