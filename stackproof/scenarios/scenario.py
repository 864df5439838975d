"""Scenarios: what one item does, for whom, and with what sizes. Values; pure and deterministic by (seed, number)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import Any

from stackproof.interfaces import ConfigurationError

from .distributions import Keys, Sizes, uniform_of
from .item import Item, random_words
from .steps.base import Step, Value

_TO_UNIFORM = 2.0**-53
"""As `uniform_of` has it, which a call for each item would cost too much."""
_NAME = re.compile(r"[a-z][a-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A setting that a scenario can be given: a number within bounds."""

    name: str
    default: int | float
    least: float
    most: float
    about: str
    """What it is, and its unit, for the documentation and for errors."""

    def read(self, value: Value) -> int | float:
        """The value of a text or a number; `ConfigurationError` where it is none or outside of the bounds."""
        kind = type(self.default)
        try:
            number = kind(value)
        except (ValueError, OverflowError):
            number = None
        if number is None or not self.least <= number <= self.most or number != float(value):
            noun = "a whole number" if kind is int else "a number"
            raise ConfigurationError(
                f"--set {self.name}={value}: {self.about} is {noun} between {self.least:g} and {self.most:g}"
            )
        return number


Recipe = Callable[..., "Scenario"]


@dataclass(frozen=True)
class Scenario:
    """A workload: its steps, who or what they are about, how large payloads are, and the seed of all of it."""

    name: str
    steps: Sequence[Step]
    """Done in order for each item; or, with ``weights``, one of them for each item."""
    keys: Keys
    """Who or what an item is about: customers, cached keys, queries."""
    sizes: Sizes
    """Bytes of a payload or a value."""
    seed: int
    unit: str = "item"
    """What one item is called: decision, interaction, search, event. Rates are these a second."""
    weights: Sequence[float] = ()
    """A mix: how often each of the steps is the one that an item does, in any unit. Empty: every item does all of them."""
    offers: Keys | None = None
    """How often each offer is considered; None where no step looks at offers."""
    arrivals: str = "constant"
    """The arrival process, unless told otherwise, as `arrivals.schedule_of` reads it; or ``closed``: the next item begins when
    one before has ended, for what measures a rate of its own, such as a catch-up."""
    in_flight: int | None = None
    """How many items may run at once, where it is a part of the scenario; None: whoever offers it decides."""
    about: str = ""
    """One sentence for the documentation."""
    parameters: tuple[Parameter, ...] = ()
    settings: Mapping[str, Value] = field(default_factory=dict)
    recipe: Recipe | None = field(default=None, repr=False, compare=False)
    """Makes the same scenario with other settings."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        object.__setattr__(self, "weights", tuple(self.weights))
        trouble = self._trouble()
        if trouble:
            raise ConfigurationError(f"the scenario {self.name!r} {trouble}")

    def _trouble(self) -> str:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            return "needs a name of small letters, digits and hyphens"
        strange = [step for step in self.steps if not isinstance(step, Step)]
        if strange or not self.steps:
            return f"has {strange[0]!r} among its steps, which is no Step" if strange else "has no steps"
        names = [step.name for step in self.steps]
        if not all(names) or len(set(names)) < len(names):
            return f"needs steps with different names, and has {', '.join(map(repr, names))}"
        if any(step.times < 1 for step in self.steps):
            return "has a step that is done less than once"
        if self.weights and (len(self.weights) != len(self.steps) or min(self.weights) <= 0):
            return "is a mix, and needs one weight above 0 for each step"
        keys: object = self.keys
        sizes: object = self.sizes
        if not isinstance(keys, Keys) or not isinstance(sizes, Sizes):
            return "needs keys and sizes, such as Uniform(1000) and Sizes.p50_p99(400, 2000)"
        return ""

    @property
    def concerns(self) -> tuple[str, ...]:
        """The concerns that its steps use, in the order of first use."""
        return tuple(dict.fromkeys(step.concern for step in self.steps))

    def item(self, number: int, seed: int | None = None) -> Item:
        """Item ``number`` of this scenario, under its own seed or another one."""
        digest, (key, first, second, size) = random_words(self.seed if seed is None else seed, number)
        offers = self.offers
        return Item(
            number,
            self.keys.rank((key >> 11) * _TO_UNIFORM),
            () if offers is None else (offers.rank(uniform_of(first)), offers.rank(uniform_of(second))),
            self.sizes.size((size >> 11) * _TO_UNIFORM),
            digest,
        )

    def chosen(self, item: Item) -> int:
        """Which of the steps of a mix an item does."""
        bounds = self._cumulative
        return min(bisect_right(bounds, item.choice * bounds[-1]), len(bounds) - 1)

    @cached_property
    def _cumulative(self) -> tuple[float, ...]:
        return tuple(accumulate(self.weights))

    def with_settings(self, given: Mapping[str, Value]) -> Scenario:
        """The same scenario with other settings. An unknown one, or a value out of its bounds, is a `ConfigurationError`."""
        known = {parameter.name: parameter for parameter in self.parameters}
        unknown = sorted(given.keys() - known.keys())
        if unknown:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise ConfigurationError(f"the scenario {self.name} has no setting {unknown[0]!r}; {has}")
        if not given or self.recipe is None:
            return self
        settings = {**self.settings, **{name: known[name].read(value) for name, value in given.items()}}
        return _cooked(self.recipe, self.parameters, settings)

    def describe(self) -> dict[str, Any]:
        """For the record: everything that says what was offered."""
        return {
            "name": self.name,
            "unit": self.unit,
            "steps": [{"step": step.name, "concern": step.concern, "times": step.times} for step in self.steps],
            "weights": list(self.weights),
            "keys": self.keys.describe(),
            "offers": None if self.offers is None else self.offers.describe(),
            "sizes": self.sizes.describe(),
            "settings": dict(self.settings),
        }


def parametrised(*parameters: Parameter) -> Callable[[Recipe], Scenario]:
    """Turn a function that makes a scenario from settings into that scenario, with its defaults::

    @parametrised(Parameter("depth", 100, 1, 10_000, "the depth of a history"))
    def SUMMARIES(depth: int) -> Scenario: ...
    """

    def made(recipe: Recipe) -> Scenario:
        return _cooked(recipe, parameters, {parameter.name: parameter.default for parameter in parameters})

    return made


def _cooked(recipe: Recipe, parameters: tuple[Parameter, ...], settings: Mapping[str, Value]) -> Scenario:
    return replace(recipe(**settings), parameters=parameters, settings=dict(settings), recipe=recipe)
