"""The page docs/json.md: every field of everything that is written as JSON, from the JSON Schemas in the package.

python -m stackproof.reports.json_page docs/json.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

COMMAND = "python -m stackproof.reports.json_page docs/json.md"
"""What writes the page anew."""


@dataclass(frozen=True, slots=True)
class Form:
    """One JSON form: what writes it, and where its schema is."""

    written_by: str
    package: str
    name: str

    @property
    def path(self) -> str:
        """The file of its schema, from the directory that holds the package."""
        return f"{self.package.replace('.', '/')}/{self.name}.schema.json"

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        found: dict[str, Any] = json.loads(
            (files(self.package) / f"{self.name}.schema.json").read_text(encoding="utf-8")
        )
        return found


_OURS = "stackproof.verification"
FORMS = (
    Form("stackproof verify", _OURS, "certificate"),
    Form("stackproof verify --check", _OURS, "check"),
    Form("stackproof bench", "stackproof.measurement", "measurement"),
    Form("stackproof worker", "stackproof.scenarios", "worker"),
    Form("stackproof tax", "stackproof.benchmarks", "tax"),
    Form("stackproof compare", "stackproof.measurement", "comparison"),
    Form("stackproof calibrate", "stackproof.measurement", "calibration"),
    Form("stackproof bench, evidence.json", "stackproof.measurement", "evidence"),
    Form("stackproof yardsticks", "stackproof.benchmarks.yardsticks", "yardsticks"),
    Form("stackproof audit", "stackproof.planning", "audit"),
    Form("stackproof replay", _OURS, "replay"),
    Form("stackproof report", _OURS, "report"),
    Form("stackproof selftest", _OURS, "selftest"),
    Form("stackproof backends", _OURS, "backends"),
    Form("stackproof clauses", _OURS, "clauses"),
    Form("stackproof stacks", _OURS, "stacks"),
    Form("stackproof servers", _OURS, "servers"),
    Form("stackproof doctor", _OURS, "doctor"),
    Form("stackproof matrix", _OURS, "matrix"),
    Form("pytest --stackproof-json", _OURS, "verdicts"),
    Form("stackproof plan", "stackproof.planning", "plan"),
    Form("ceilings that come with the package", "stackproof.planning", "measured"),
    Form("a file of prices", "stackproof.planning", "prices"),
    Form("a file of a stack", "stackproof.planning", "stack"),
    Form("a file of claims", "stackproof.planning", "claims"),
)

_HEAD = f"""# JSON

<!-- Generated. Do not edit: change the JSON Schemas, then run {COMMAND} -->

Every command takes `--json FILE` (`-` for standard output). What it writes names its form and version in the field `schema`, and
the package holds a JSON Schema for each. A field is never removed, and never changes its meaning, within a version.
"""


def page() -> str:
    """The text of the page."""
    return "\n".join([_HEAD, *map(_section, FORMS)])


def _section(form: Form) -> str:
    schema = form.schema()
    rows = [f"| `{path}` | {kind} | {meaning} |" for path, kind, meaning in _fields(schema, schema, "")]
    name = schema["properties"]["schema"]["const"]
    return "\n".join(
        [
            f"## {form.written_by}",
            "",
            f"`{name}`, in `{form.path}`. {schema['description']}",
            "",
            "| field | type | meaning |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _fields(schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> Iterator[tuple[str, str, str]]:
    """(path, type, meaning) of every field below a schema."""
    schema = _resolved(schema, root)
    for name, described in schema.get("properties", {}).items():
        path = f"{where}.{name}" if where else name
        part = _resolved(described, root)
        optional = "" if name in schema.get("required", ()) else "Not always there. "
        yield path, _kind(part, root), optional + _text(part.get("description", ""))
        yield from _fields(part, root, path)
    for one in schema.get("oneOf", ()):
        yield from _fields(one, root, where)
    for keyword, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(keyword), dict):
            yield from _fields(schema[keyword], root, where + mark)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    return {**root["$defs"][schema["$ref"].removeprefix("#/$defs/")], **schema}


def _kind(schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "oneOf" in schema:
        return " or ".join(dict.fromkeys(_kind(_resolved(one, root), root) for one in schema["oneOf"]))
    types = schema.get("type", "any")
    return types if isinstance(types, str) else " or ".join(types)


def _text(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def main(file: Path) -> None:
    """Write the page to FILE."""
    file.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
