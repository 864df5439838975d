"""The built-in scenarios with everything that says what load they are."""

from __future__ import annotations

from stackproof.reports.markdown_text import table, wrapped
from stackproof.scenarios.catalogue import BUILT_IN
from stackproof.scenarios.scenario import Scenario

_HEAD = (
    "Each is a value of `--scenario`, its settings are those of `--set NAME=VALUE`. What is checked while one "
    "runs, and how to write one of your own, is on [Scenarios](../scenarios.md)."
)


def body() -> str:
    """The whole page."""
    return "\n\n".join([wrapped(_HEAD), *map(_section, BUILT_IN)])


def _section(scenario: Scenario) -> str:
    described = {**scenario.keys.describe()}
    keys = ", ".join(f"{name} {value}" for name, value in described.items())
    sizes = ", ".join(f"{name} {value}" for name, value in scenario.sizes.describe().items())
    facts = [
        ("one item", scenario.unit),
        ("concerns", ", ".join(scenario.concerns)),
        (
            "steps",
            ", ".join(f"{step.name} ({step.times} times)" if step.times > 1 else step.name for step in scenario.steps),
        ),
        ("keys", keys),
        ("sizes, bytes", sizes),
        ("seed", str(scenario.seed)),
        ("arrivals", scenario.arrivals),
        ("in flight", str(scenario.in_flight or "as `--in-flight` says")),
    ]
    settings = [
        (f"`{each.name}`", f"`{each.default}`", f"{_number(each.least)} to {_number(each.most)}", each.about)
        for each in scenario.parameters
    ]
    parts = [f"## {scenario.name}", f"{scenario.about[:1].upper()}{scenario.about[1:]}.", table(("", ""), facts)]
    if settings:
        parts.append(table(("setting", "default", "range", "what it is"), settings))
    return "\n\n".join(parts)


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"
