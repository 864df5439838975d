"""Claims: published thresholds and costs as values that can be judged, and the strict reader of the file that holds them. Pure.

A claim is a sentence that somebody published, and one reading of it that can be held against a measurement or a cost. The file
is TOML; what the reader does not know, or what cannot be judged as it says, is refused in one sentence.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from typing import Any, TypeVar

from stackproof.adapters.registry import CONCERNS
from stackproof.interfaces import ConfigurationError
from stackproof.scenarios.catalogue import find_scenario
from stackproof.scenarios.steps.base import Value
from stackproof.targets import find_stack, parse_target

SCHEMA = "stackproof-claims/1"
SECONDS = {"s": 1.0, "min": 60.0, "hour": 3_600.0, "day": 86_400.0}
"""Units of time in a rate."""
COST_UNIT = "USD/month"
_RATE = re.compile(r"[a-z]+/(s|min|hour|day)")
_ID = re.compile(r"[a-z][a-z0-9-]*")
Kind = TypeVar("Kind", bound=StrEnum)


class Dimension(StrEnum):
    """What the number of a claim counts."""

    THROUGHPUT = "throughput"
    CUSTOMERS = "customers"
    RECORDS = "records"
    COST = "cost"


class Comparison(StrEnum):
    """Which side of its number a claim is about."""

    LESS_THAN = "less-than"
    AT_MOST = "at-most"
    AT_LEAST = "at-least"
    BETWEEN = "between"
    EQUALS = "equals"
    UNQUANTIFIED = "unquantified"
    """No number was published."""


class Method(StrEnum):
    """What a claim is held against."""

    RATE = "rate"
    """The ceiling of a scenario, in items a second."""
    SIZE = "size"
    """The largest size (customers, records) at which a rate is still carried."""
    CROSSING = "crossing"
    """The size at which another backend overtakes this one."""
    COST = "cost"
    """The cost model."""
    NOTHING = "nothing"
    """What is measured can only be told beside it."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A scenario whose ceiling a claim is held against."""

    scenario: str
    per_unit: float = 1.0
    """Items of the scenario for one unit of the claim, such as reads for a decision."""
    settings: Mapping[str, Value] = field(default_factory=dict)
    """Beside the scenario's own defaults."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One published threshold or cost."""

    id: str
    sentence: str
    """As it was published; only in its sense where ``verbatim`` is false."""
    verbatim: bool
    where: str
    """Publication and section."""
    dimension: Dimension
    unit: str
    comparison: Comparison
    reading: str
    """What the sentence is taken to mean, so that it can be wrong."""
    judged_by: Method
    testable: bool
    """Whether what it is about can run here."""
    why: str
    """Why it can be tested here, or cannot."""
    concern: str = ""
    """Empty where it is about a whole stack."""
    backend: str = ""
    """Such as ``interactions=postgres``; empty where it is about a whole stack."""
    stack: str = ""
    """The stack that it is measured in; empty where the backend alone is meant."""
    quantity: float | None = None
    """In `unit`; the lower end where it is a range; None where no number was published."""
    upto: float | None = None
    """The upper end of a range."""
    scenarios: tuple[Measure, ...] = ()
    """All are needed to judge it."""
    setting: str = ""
    """The setting of the scenarios that is the size; of claims about a size only."""
    at_rate: float | None = None
    """Items a second that must still be carried at a size."""
    against: str = ""
    """The backend that overtakes at a crossing."""
    not_shown: tuple[str, ...] = ()
    """What a measurement of it here does not show."""
    binds: tuple[str, ...] = ()
    """What may bind instead, where the number does not."""
    settles: tuple[str, ...] = ()
    """What would settle it, beside runs of ours."""

    @property
    def size(self) -> int:
        """The size that it names, of a claim about a size."""
        assert self.quantity is not None
        return round(self.quantity)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes at which two backends are compared: a hundredth and a tenth of what it names, and that."""
        return tuple(dict.fromkeys(max(1, round(self.size / part)) for part in (100, 10, 1)))

    @property
    def rate(self) -> float | None:
        """Per second, of a claim about throughput with a number: 10,000 decisions/day are 0.1157/s."""
        if self.quantity is None or self.dimension is not Dimension.THROUGHPUT:
            return None
        return self.quantity / SECONDS[self.unit.rpartition("/")[2]]

    @property
    def subject(self) -> str:
        """What it is about."""
        return self.backend or f"the stack {self.stack}"


def built_in_claims() -> tuple[Claim, ...]:
    """The claims of the platform's documentation."""
    return read_claims((files("stackproof.planning") / "claims.toml").read_text(encoding="utf-8"), "claims.toml")


def read_claims(text: str, name: str) -> tuple[Claim, ...]:
    """The claims of a TOML text; ``name`` is what errors call it. `ConfigurationError` for anything that is not as it must be."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name} is no TOML: {error}") from error
    if data.get("schema") != SCHEMA:
        raise ConfigurationError(f"{name} must begin with: schema = {SCHEMA!r}")
    unknown = sorted(data.keys() - {"schema", "claim"})
    rows = data.get("claim")
    if unknown or not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        what = f"knows nothing called {unknown[0]!r}" if unknown else "needs at least one [[claim]]"
        raise ConfigurationError(f"{name} {what}")
    claims = tuple(_Row(row, f"{name}, claim {number}").claim() for number, row in enumerate(rows, start=1))
    ids = [claim.id for claim in claims]
    if doubled := sorted({one for one in ids if ids.count(one) > 1}):
        raise ConfigurationError(f"{name} has two claims with the id {doubled[0]!r}")
    return claims


class _Row:
    """One table of the file, read field by field; what nobody asked for is refused at the end."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._data = data
        self._where = f"{where} ({data['id']})" if isinstance(data.get("id"), str) else where
        self._asked: set[str] = set()

    def claim(self) -> Claim:
        claim = Claim(
            id=self._text("id"),
            sentence=self._text("sentence"),
            verbatim=self._flag("verbatim"),
            where=self._text("where"),
            dimension=self._one_of("dimension", Dimension),
            unit=self._text("unit"),
            comparison=self._one_of("comparison", Comparison),
            reading=self._text("reading"),
            judged_by=self._one_of("judged_by", Method),
            testable=self._flag("testable"),
            why=self._text("why"),
            concern=self._text("concern", ""),
            backend=self._text("backend", ""),
            stack=self._text("stack", ""),
            quantity=self._number("quantity"),
            upto=self._number("upto"),
            scenarios=self._measures(),
            setting=self._text("setting", ""),
            at_rate=self._number("at_rate"),
            against=self._text("against", ""),
            not_shown=self._texts("not_shown"),
            binds=self._texts("binds"),
            settles=self._texts("settles"),
        )
        if unknown := sorted(self._data.keys() - self._asked):
            raise self._error(f"knows no field {unknown[0]!r}")
        if trouble := _trouble(claim):
            raise self._error(trouble)
        self._check_names(claim)
        return claim

    def _error(self, trouble: str) -> ConfigurationError:
        return ConfigurationError(f"{self._where} {trouble}")

    def _value(self, name: str) -> Any:
        self._asked.add(name)
        return self._data.get(name)

    def _text(self, name: str, default: str | None = None) -> str:
        value = self._value(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.strip():
            raise self._error(f"needs a text as {name!r}")
        return value

    def _flag(self, name: str) -> bool:
        value = self._value(name)
        if not isinstance(value, bool):
            raise self._error(f"needs true or false as {name!r}")
        return value

    def _number(self, name: str) -> float | None:
        value = self._value(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise self._error(f"needs a number of at least 0 as {name!r}")
        return float(value)

    def _texts(self, name: str) -> tuple[str, ...]:
        value = self._value(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
            raise self._error(f"needs a list of texts as {name!r}")
        return tuple(value)

    def _one_of(self, name: str, kind: type[Kind]) -> Kind:
        value = self._value(name)
        try:
            return kind(value)
        except ValueError as error:
            raise self._error(f"needs as {name!r} one of {', '.join(kind)}, not {value!r}") from error

    def _measures(self) -> tuple[Measure, ...]:
        rows = self._value("scenarios")
        if rows is None:
            return ()
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._error("needs as 'scenarios' a list of tables such as { name = 'ingest' }")
        return tuple(map(self._measure, rows))

    def _measure(self, row: Mapping[str, Any]) -> Measure:
        name, per_unit, settings = row.get("name"), row.get("per_unit", 1.0), row.get("settings", {})
        if unknown := sorted(row.keys() - {"name", "per_unit", "settings"}):
            raise self._error(f"knows no field {unknown[0]!r} of a scenario")
        if not isinstance(name, str) or not isinstance(settings, dict):
            raise self._error("needs the name of each scenario as a text, and its settings as a table")
        number = isinstance(per_unit, int | float) and not isinstance(per_unit, bool) and math.isfinite(per_unit)
        if not number or per_unit <= 0:
            raise self._error(f"needs a number above 0 as 'per_unit' of {name}")
        return Measure(name, float(per_unit), settings)

    def _check_names(self, claim: Claim) -> None:
        """Backends, stacks, scenarios and their settings must exist: else nothing could ever be found for the claim."""
        try:
            for spec in filter(None, (claim.backend, claim.against)):
                parse_target(spec)
            if claim.stack:
                find_stack(claim.stack)
            for measure in claim.scenarios:
                scenario = find_scenario(measure.scenario, measure.settings)
                if claim.setting and claim.setting not in scenario.settings:
                    raise self._error(f"is about the setting {claim.setting!r}, which {scenario.name} does not have")
        except ConfigurationError as error:
            if str(error).startswith(self._where):
                raise
            raise self._error(f"cannot be judged: {error}") from error


_COMPARISONS = {
    Method.RATE: {Comparison.LESS_THAN, Comparison.AT_MOST},
    Method.SIZE: {Comparison.LESS_THAN, Comparison.AT_MOST},
    Method.CROSSING: {Comparison.LESS_THAN, Comparison.AT_MOST},
    Method.COST: {Comparison.EQUALS, Comparison.BETWEEN, Comparison.AT_LEAST, Comparison.AT_MOST},
    Method.NOTHING: {Comparison.UNQUANTIFIED},
}
"""A floor under a rate, such as "only above 1,000/s", says nothing about the backend that it is about."""
_DIMENSIONS = {
    Method.RATE: {Dimension.THROUGHPUT},
    Method.SIZE: {Dimension.CUSTOMERS, Dimension.RECORDS},
    Method.CROSSING: {Dimension.CUSTOMERS, Dimension.RECORDS},
    Method.COST: {Dimension.COST},
    Method.NOTHING: set(Dimension),
}


def _trouble(claim: Claim) -> str:
    """Why these fields are no claim together; empty where they are."""
    for check in (_about_its_words, _about_its_number, _about_its_method):
        if trouble := check(claim):
            return trouble
    return ""


def _about_its_words(claim: Claim) -> str:
    if not _ID.fullmatch(claim.id):
        return "needs an id of small letters, digits and hyphens"
    if not claim.backend and not claim.stack:
        return "needs a backend or a stack that it is about"
    if claim.concern and claim.concern not in CONCERNS:
        return f"needs as 'concern' one of {', '.join(CONCERNS)}"
    if claim.backend and claim.backend.partition("=")[0] != claim.concern:
        return f"is about {claim.backend}, and needs its concern"
    units: Mapping[Dimension, str] = {
        Dimension.CUSTOMERS: "customers",
        Dimension.RECORDS: "records",
        Dimension.COST: COST_UNIT,
    }
    if claim.dimension is Dimension.THROUGHPUT:
        return "" if _RATE.fullmatch(claim.unit) else "needs a rate as its unit, such as decisions/day or writes/s"
    wanted = units[claim.dimension]
    return "" if claim.unit == wanted else f"is about {claim.dimension}, and needs the unit {wanted}"


def _about_its_number(claim: Claim) -> str:
    if (claim.quantity is None) != (claim.comparison is Comparison.UNQUANTIFIED):
        return "needs a quantity, or the comparison 'unquantified'"
    if (claim.upto is None) == (claim.comparison is Comparison.BETWEEN):
        return "needs an upper end 'upto' where it is a range, and nowhere else"
    if claim.quantity is not None and claim.upto is not None and claim.upto <= claim.quantity:
        return "needs an upper end above its lower end"
    if claim.quantity == 0 and claim.comparison is not Comparison.EQUALS:
        return "needs a quantity above 0"
    return ""


def _about_its_method(claim: Claim) -> str:
    method = claim.judged_by
    if claim.comparison not in _COMPARISONS[method]:
        return f"cannot be judged by {method} as {claim.comparison}"
    if claim.dimension not in _DIMENSIONS[method]:
        return f"cannot be judged by {method}: it is about {claim.dimension}"
    measured = method in (Method.RATE, Method.SIZE, Method.CROSSING)
    if measured and not claim.scenarios:
        return f"needs scenarios to be judged by {method}"
    if measured and not claim.backend:
        return f"needs a backend to be judged by {method}"
    if (method in (Method.SIZE, Method.CROSSING)) != bool(claim.setting):
        return "needs the setting that is its size, where it is about a size, and nowhere else"
    if (method is Method.SIZE) != bool(claim.at_rate):
        return "needs a rate above 0 as 'at_rate' where it is judged by size, and nowhere else"
    if (method is Method.CROSSING) != bool(claim.against):
        return "needs a backend as 'against' where it is judged by crossing, and nowhere else"
    if method is Method.NOTHING and claim.testable:
        return "cannot be testable: it is judged by nothing"
    names = [measure.scenario for measure in claim.scenarios]
    return "names a scenario twice" if len(set(names)) < len(names) else ""
