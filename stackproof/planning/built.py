"""Records from JSON: the data classes of planning, built from the values that a file holds. Pure."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints


def made(kind: Any, value: Any) -> Any:
    """The value of a type, from what JSON holds of it: data classes, tuples, enumerations, and what may be null.

    The shape was checked before (`stackproof.shape`): this only builds.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        others = [one for one in get_args(kind) if one is not type(None)]
        return None if value is None else made(others[0], value)
    if origin is tuple:
        return tuple(made(get_args(kind)[0], one) for one in value)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{field.name: made(hints[field.name], value[field.name]) for field in fields(kind)})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    return value
