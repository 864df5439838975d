"""A call of the backend that was refused: what it was given, and which limit says that it may be."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

_LIMIT = "max_{}_bytes"


@dataclass(frozen=True, slots=True)
class RaisedCall:
    """A call that raised, without what it was given: that may be large."""

    name: str
    sizes: Mapping[str, int]
    """Parameter -> bytes, of those that are text or bytes."""


def raised_call(method: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> RaisedCall:
    """What is kept of a call."""
    try:
        given = inspect.signature(method).bind_partial(*args, **kwargs).arguments
    except (TypeError, ValueError):  # it takes something else, or says nothing about itself
        given = {}
    sizes = {parameter: _size(value) for parameter, value in given.items() if isinstance(value, str | bytes)}
    return RaisedCall(name, sizes)


def _size(value: str | bytes) -> int:
    return len(value if isinstance(value, bytes) else value.encode(errors="surrogatepass"))


def told_limits(call: RaisedCall | None, declared: object, own: object) -> str:
    """Why the call should have been taken: its sizes, the declared limits, and where another declaration has others."""
    limits = {name: value for name, value in _limits(declared).items() if _concerns(name, call)}
    if not limits:
        return ""
    sizes = [f"{name} of {size} bytes" for name, size in (call.sizes if call is not None else {}).items()]
    named = [f"{name}={value}{_by_default(declared, name)} is declared" for name, value in limits.items()]
    told = "; ".join([", ".join(sizes), *named] if sizes else named)
    other = [f"{name}={value}" for name, value in _limits(own).items() if limits.get(name, value) != value]
    if other:
        told += (
            f"; the declaration of the test class replaces the adapter's own as a whole, which has {', '.join(other)}"
        )
    return told


def _limits(declared: object) -> dict[str, object]:
    names = [each.name for each in fields(declared)] if hasattr(declared, "__dataclass_fields__") else []  # type: ignore[arg-type]
    return {name: getattr(declared, name) for name in names if name.startswith("max_")}


def _concerns(limit: str, call: RaisedCall | None) -> bool:
    """Whether a limit is about what was given; where none is known to be, each may be."""
    return call is None or not call.sizes or limit in {_LIMIT.format(name) for name in call.sizes}


def _by_default(declared: object, name: str) -> str:
    default = next((each.default for each in fields(declared) if each.name == name), MISSING)  # type: ignore[arg-type]
    return " (the default)" if default == getattr(declared, name) else ""
