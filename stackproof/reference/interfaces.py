"""The interfaces with every method, the optional protocols, the records and the errors: the docstrings are the promises."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any

from stackproof import interfaces
from stackproof.interfaces import StackproofError
from stackproof.reports.markdown_text import code, docstring, table, wrapped

GROUPS = (
    ("What all share", ("Backend",)),
    ("Interactions", ("InteractionStore", "BulkInteractionStore", "DeferredInteractions")),
    ("Events", ("EventPublisher", "Subscription", "ReplayableEvents", "DeferredPublisher")),
    ("Search", ("SearchIndex", "DeletableIndex", "MatchingIndex")),
    ("Cache", ("CacheStore",)),
)
"""Title -> the classes that somebody implements."""
FUNCTIONS = ("period_keys", "summarise", "summary_order", "words_of")
"""Definitions that every backend shares."""

_HEAD = (
    "The full text of what an adapter promises, from the docstrings of `stackproof.interfaces`. The clauses of"
    " the contracts hold nothing else. [Interfaces](../interfaces.md) is the overview; "
    "[capabilities](capabilities.md) are what a backend declares. A log transport has no interface of its own:"
    " it is any `logging.Handler` ([contract](../contracts/logs.md))."
)


def body() -> str:
    """The whole page."""
    exported = {name: getattr(interfaces, name) for name in interfaces.__all__}
    parts = [wrapped(_HEAD)]
    for title, names in GROUPS:
        parts += [f"## {title}", *(part for name in names for part in _interface(name, exported[name]))]
    parts += [
        "## Records",
        *(part for name, kind in exported.items() if _is_record(kind) for part in _record(name, kind)),
    ]
    parts += ["## Values", *(part for name, kind in exported.items() if _is_value(kind) for part in _value(name, kind))]
    parts += ["## Definitions", *(part for name in FUNCTIONS for part in _function(name, exported[name], "###"))]
    parts += ["## Errors", *(part for name, kind in exported.items() if _is_error(kind) for part in _error(name, kind))]
    return "\n\n".join(parts)


def documented() -> set[str]:
    """The names that the page has a heading for."""
    return set(re.findall(r"^### `?(\w+)", body(), re.MULTILINE))


def _is_record(kind: Any) -> bool:
    return is_dataclass(kind) and getattr(kind, "__module__", "").endswith(".records")


def _is_value(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum) and not kind.__module__.endswith(".capabilities")


def _is_error(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, StackproofError)


def _interface(name: str, kind: Any) -> Iterator[str]:
    yield f"### {name}"
    yield _doc(kind)
    for method, function in vars(kind).items():
        if isinstance(function, property):
            yield f"#### {name}.{method}"
            yield _doc(function.fget)
        elif not method.startswith("_") and inspect.isfunction(function):
            yield from _function(f"{name}.{method}", function, "####")


def _function(name: str, function: Any, level: str) -> Iterator[str]:
    yield f"{level} {name}"
    yield f"```text\n{name.rpartition('.')[2]}{_signature(function)}\n```"
    yield _doc(function)


def _signature(function: Any) -> str:
    text = str(inspect.signature(function)).replace("'", "")
    return re.sub(r"^\(self(?:, )?", "(", text)


def _record(name: str, kind: Any) -> Iterator[str]:
    yield f"### {name}"
    yield _doc(kind)
    rows = [(f"`{field.name}`", code(str(field.type)), _default(field)) for field in fields(kind)]
    yield table(("field", "type", "default"), rows)


def _default(field: Any) -> str:
    if field.default is not MISSING:
        shown = field.default.name if isinstance(field.default, Enum) else repr(field.default)
        return f"`{shown}`"
    return "made for each" if field.default_factory is not MISSING else "none: it must be given"


def _value(name: str, kind: Any) -> Iterator[str]:
    yield f"### {name}"
    yield _doc(kind)
    yield table(("name", "value"), [(f"`{member.name}`", f"`{member.value!r}`") for member in kind])


def _error(name: str, kind: type[Exception]) -> Iterator[str]:
    yield f"### {name}"
    bases = [base.__name__ for base in kind.__bases__ if base is not Exception]
    yield _doc(kind) + (f"\n\nAlso a {' and a '.join(f'`{base}`' for base in bases)}." if bases else "")


def _doc(thing: Any) -> str:
    return docstring(inspect.cleandoc(thing.__doc__ or ""))
