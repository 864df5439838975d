"""The options of `stackproof bench --find-max`, and what they ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from stackproof.interfaces import ConfigurationError

if TYPE_CHECKING:
    from stackproof.measurement.promises import Promise
    from stackproof.measurement.search_journal import SearchSettings
    from stackproof.scenarios.orders import Order

Command = TypeVar("Command", bound=Callable[..., Any])

STEPS, MINUTES = 60, 15.0
SHORT_STEPS, SHORT_MINUTES = 40, 3.0
"""A short search on a machine whose windows disagree ends there without an answer, and not after a quarter of an hour."""
MOST_STEPS, MOST_MINUTES = 1000, 1440
RAISED = 4
"""Where nobody said how many operations may be in flight, the search may take this many times the usual number."""
_MEANINGLESS = ("rate", "repeat")
_LENGTHS = ("duration", "warmup", "in_flight")


def search_options(command: Command) -> Command:
    """Add ``--find-max`` and what belongs to it."""
    for option in reversed(
        (
            click.option(
                "--find-max", is_flag=True, help="Search for the highest rate that holds, instead of offering one rate."
            ),
            click.option(
                "--short",
                is_flag=True,
                help="Search for about a minute, three at most: shorter windows, and a bracket of 15 % instead of 5 %; "
                "wider where windows disagree, which is said (WIDE).",
            ),
            click.option(
                "--max-steps",
                type=click.IntRange(1, MOST_STEPS),
                metavar="N",
                help=f"Windows of the search, at most.  [default: {STEPS}; with --short {SHORT_STEPS}]",
            ),
            click.option(
                "--max-minutes",
                type=click.FloatRange(0, MOST_MINUTES, min_open=True),
                metavar="M",
                help=f"Minutes of the search, at most.  [default: {MINUTES:g}; with --short {SHORT_MINUTES:g}]",
            ),
        )
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Find:
    """What was asked of a search; None where an option was not given."""

    steps: int
    minutes: float
    duration: float | None
    warmup: float | None
    in_flight: int | None
    short: bool = False

    def settings(self, order: Order, promises: tuple[Promise, ...]) -> SearchSettings:
        """The settings of the search for this load."""
        from stackproof.measurement.search_journal import SHORT, SearchSettings
        from stackproof.scenarios.arrivals import is_steady
        from stackproof.scenarios.orders import CLOSED

        if order.arrivals == CLOSED:
            raise ConfigurationError(
                "--find-max searches for a rate; in a closed loop (--arrivals closed) there is none"
            )
        if not is_steady(order.arrivals):
            raise ConfigurationError(
                f"--find-max offers a rate for the whole of a window, which --arrivals {order.arrivals} does not have; "
                "search with constant or poisson"
            )
        usual = SHORT if self.short else SearchSettings()
        window = usual.window if self.duration is None else self.duration
        return replace(
            usual,
            promises=promises,
            window=window,
            longest=max(usual.longest, window),
            warmup=usual.warmup if self.warmup is None else self.warmup,
            in_flight=order.in_flight,
            most_in_flight=RAISED * order.in_flight if self.in_flight is None else self.in_flight,
            most_steps=self.steps,
            most_seconds=60 * self.minutes,
            arrivals=order.arrivals,
            seed=order.seed,
        )

    def words(self) -> tuple[str, ...]:
        """The options that repeat it."""
        words = [
            "--find-max",
            *(["--short"] if self.short else []),
            "--max-steps",
            str(self.steps),
            "--max-minutes",
            f"{self.minutes:g}",
        ]
        for option, value in (
            ("--duration", self.duration),
            ("--warmup", self.warmup),
            ("--in-flight", self.in_flight),
        ):
            if value is not None:
                words += [option, f"{value:g}"]
        return tuple(words)


def asked_for(context: click.Context) -> Find | None:
    """What was asked of a search, None where none was; `ConfigurationError` for options that do not go together."""
    options = context.params
    if not options["find_max"]:
        for name in ("short", "max_steps", "max_minutes"):
            if options[name]:
                raise ConfigurationError(f"--{name.replace('_', '-')} is about a search; give --find-max with it")
        return None
    for name in _MEANINGLESS:
        if is_given(context, name):
            raise ConfigurationError(f"--{name} has no meaning with --find-max, which chooses rates and windows itself")
    lengths = {name: options[name] if is_given(context, name) else None for name in _LENGTHS}
    short = bool(options["short"])
    steps, minutes = (SHORT_STEPS, SHORT_MINUTES) if short else (STEPS, MINUTES)
    return Find(options["max_steps"] or steps, options["max_minutes"] or minutes, **lengths, short=short)


def is_given(context: click.Context, name: str) -> bool:
    """Whether somebody typed this option."""
    return context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
