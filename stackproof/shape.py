"""Whether a JSON value has the shape that a JSON Schema of ours describes. Pure, and with nothing to install.

Only the keywords that our schemas use are known; any other one is an error, so that a schema cannot ask for more than is checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
_WORDS = {"description", "title", "format", "$schema", "$id", "$defs"}
"""Keywords for people."""
_SIMPLE: Mapping[str, Callable[[Any, Any], bool]] = {
    "const": lambda value, demanded: bool(value == demanded),
    "enum": lambda value, demanded: value in demanded,
    "minimum": lambda value, demanded: not _TYPES["number"](value) or value >= demanded,
    "minLength": lambda value, demanded: not isinstance(value, str) or len(value) >= demanded,
    "minItems": lambda value, demanded: not isinstance(value, list) or len(value) >= demanded,
    "maxItems": lambda value, demanded: not isinstance(value, list) or len(value) <= demanded,
    "pattern": lambda value, demanded: not isinstance(value, str) or re.search(demanded, value) is not None,
}
_CONTAINERS = {"required", "properties", "additionalProperties", "items", "prefixItems", "oneOf", "$ref", "type"}


def misshapen(value: Any, schema: Mapping[str, Any]) -> list[str]:
    """What is wrong with the value, a sentence each; nothing where it has the shape."""
    return list(_check(value, schema, schema, ""))


def _check(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> Iterator[str]:
    unknown = schema.keys() - _WORDS - _CONTAINERS - _SIMPLE.keys()
    if unknown:
        raise ValueError(f"the schema asks for {sorted(unknown)[0]!r}, which is not known here")
    place = where or "the document"
    if "$ref" in schema:
        yield from _check(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, where)
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(_TYPES[name](value) for name in types):
        yield f"{place} is not of type {' or '.join(types)}"
        return
    for keyword in _SIMPLE.keys() & schema.keys():
        if not _SIMPLE[keyword](value, schema[keyword]):
            yield f"{place} does not keep {keyword} {schema[keyword]!r}"
    if "oneOf" in schema and sum(not any(_check(value, one, root, where)) for one in schema["oneOf"]) != 1:
        yield f"{place} is none of what is allowed there"
    if isinstance(value, dict):
        yield from _check_object(value, schema, root, where)
    if isinstance(value, list):
        yield from _check_array(value, schema, root, where)


def _check_object(
    value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], where: str
) -> Iterator[str]:
    place = where or "the document"
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{place} has no {name!r}"
    described = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    for name, part in value.items():
        inner = f"{where}.{name}" if where else name
        if name in described:
            yield from _check(part, described[name], root, inner)
        elif others is False:
            yield f"{place} has a field {name!r} that is not known"
        elif isinstance(others, dict):
            yield from _check(part, others, root, inner)


def _check_array(value: list[Any], schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> Iterator[str]:
    first = schema.get("prefixItems", [])
    for number, (part, described) in enumerate(zip(value, first, strict=False)):
        yield from _check(part, described, root, f"{where}[{number}]")
    others = schema.get("items", True)
    if others is False and len(value) > len(first):
        yield f"{where or 'the document'} has more than {len(first)} parts"
    elif isinstance(others, dict):
        for number, part in enumerate(value[len(first) :], start=len(first)):
            yield from _check(part, others, root, f"{where}[{number}]")
