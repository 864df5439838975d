"""What is in a folder of runs: a row for each record, and for each run that left none. Reading only; `index_page` shows it.

A row says what is known: a record that cannot be read, that was changed after it was written, or that must not be used is
listed as unknown, with the reason, and never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackproof.kept_json import read, seal_of
from stackproof.measurement.standing import Standing, standing_of
from stackproof.shape import misshapen
from stackproof.verification.certificate import Level

from .text import what_happened

if TYPE_CHECKING:
    from stackproof.measurement.record import Measurement

DEEPEST = 4
"""Folders below the one that is given, down to here: a set of runs holds one folder for each window."""
UNFINISHED = "no record: it is still going on, or was cut short"


@dataclass(frozen=True, slots=True)
class RunRow:
    """One record of one run."""

    directory: str
    """Relative to the folder, with ``/``; ``.`` for the folder itself."""
    kind: str
    """certificate, measurement, comparison, audit, plan; ``run`` where there is no record."""
    standing: Standing
    verdict: str
    """In the words of its own page: HOLDS, VALID, MISSED, REGRESSION; DAMAGED where it cannot be read."""
    what: str = ""
    """What was verified or measured; empty where it is not known."""
    created: str = ""
    """ISO 8601; empty where it is not known."""
    fidelity: str = ""
    """native, compatible-engine, emulator, more than one with commas; empty where it is not known."""
    figure: str = ""
    """The figure that a measurement is read for; empty where there is none, or none to be shown."""
    page: str = ""
    """Its page, relative to the folder; empty where none was kept."""
    reason: str = ""
    """Why it is not known, or not wholly."""


def rows_of(folder: Path) -> tuple[RunRow, ...]:
    """A row for each record below the folder, the newest first, those without a date last."""
    found = [row for directory in _directories(folder, DEEPEST) for row in _rows(folder, directory)]
    return tuple(sorted(sorted(found, key=lambda row: row.directory), key=_age, reverse=True))


def overall(rows: Iterable[RunRow]) -> Standing:
    """All together: what is broken is certain, and what is not known dominates what holds. Nothing at all is not known."""
    standings = {row.standing for row in rows}
    for standing in (Standing.BROKEN, Standing.UNKNOWN, Standing.PARTIAL, Standing.HOLDS):
        if standing in standings:
            return standing
    return Standing.UNKNOWN


def _age(row: RunRow) -> float:
    try:
        return datetime.fromisoformat(row.created).timestamp()
    except (ValueError, OverflowError, OSError):
        return float("-inf")


def _directories(folder: Path, deepest: int) -> Iterator[Path]:
    yield folder
    if deepest:
        try:
            below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
        except OSError:  # another user's: it holds nothing that can be shown
            return
        for path in below:
            yield from _directories(path, deepest - 1)


def _rows(folder: Path, directory: Path) -> Iterator[RunRow]:
    name = directory.relative_to(folder).as_posix()
    kept = [reader for reader in _READERS if (directory / reader.record).is_file()]
    for reader in kept:
        page = f"{name}/{reader.page}".removeprefix("./") if (directory / reader.page).is_file() else ""
        yield _row(name, page, reader, directory / reader.record)
    if not kept and (directory / "run.lock").exists():
        yield RunRow(name, "run", Standing.UNKNOWN, "UNFINISHED", reason=UNFINISHED)


def _row(name: str, page: str, reader: _Reader, record: Path) -> RunRow:
    try:
        text = record.read_text(encoding="utf-8")
        data = read(text, numbers_only=False)
        if wrong := misshapen(data, _schema(reader)):
            raise ValueError(f"it has not the shape of a {reader.kind}: {wrong[0]}")
        told = reader.told(text, data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return RunRow(
            name, reader.kind, Standing.UNKNOWN, "DAMAGED", page=page, reason=f"{record.name}: {what_happened(error)}"
        )
    return RunRow(name, reader.kind, page=page, **told)


@dataclass(frozen=True, slots=True)
class _Reader:
    """How one kind of record is read."""

    kind: str
    record: str
    page: str
    form: str
    """Name of its form in `json_page.FORMS`."""
    told: Callable[[str, Any], dict[str, Any]]
    """The fields of its row, from its text and the JSON value of that."""


def _schema(reader: _Reader) -> dict[str, Any]:
    from .json_page import FORMS

    return next(form for form in FORMS if form.name == reader.form).schema()


def _certificate(text: str, data: Any) -> dict[str, Any]:
    from stackproof.verification.certificate import from_json

    from . import words
    from .certificate_page import title

    if data["seal"] != seal_of(data):
        raise ValueError("it was changed after it was written: its seal does not fit")
    certificate = from_json(text)
    level = certificate.level
    return {
        "standing": Standing(level.value),
        "verdict": level.value,
        "what": title(certificate),
        "created": certificate.created,
        "fidelity": _joined(target.fidelity for target in certificate.targets),
        "reason": "" if level is Level.HOLDS else words.meaning(certificate),
    }


def _measurement(text: str, _data: Any) -> dict[str, Any]:
    from stackproof.measurement.record import from_json

    from .measurement_terminal import load_in_words

    result = from_json(text)
    backends = ", ".join(backend.target for backend in result.backends)
    shown = standing_of(result)
    reason = "" if shown.standing is Standing.HOLDS else result.invalid[0] if result.invalid else shown.meaning
    if result.invalid or result.client_limited or not result.checked:
        figure = ""
    elif result.ceiling is not None:
        from .ceiling_words import bracket

        figure = bracket(result.ceiling)
    else:
        figure = f"{result.rates['achieved']:,.1f}/s, p99 {_counted_p99(result)}{_lost(result)}"
    search = "search for the ceiling" if result.ceiling is not None else load_in_words(result)
    return {
        "standing": shown.standing,
        "verdict": shown.word,
        "what": f"{result.scenario['name']}, {search}, on {backends or 'no backend'}",
        "created": result.created,
        "fidelity": _joined(backend.fidelity for backend in result.backends),
        "figure": figure,
        "reason": reason,
    }


def _counted_p99(result: Measurement) -> str:
    """Every offered operation counted, as on its page: what failed has no latency, and makes no run look faster."""
    from .measurement_terminal import cells

    _, _, p99, *_ = cells(result.latency["counted"], unanswered=True)
    return p99


def _lost(result: Measurement) -> str:
    """What did not end well, by its outcome; empty for nothing."""
    outcomes = [(name, result.counts[name]) for name in ("failed", "dropped", "skipped")]
    return "".join(f"; {number:,} {name}" for name, number in outcomes if number)


def _comparison(_text: str, data: Any) -> dict[str, Any]:
    standing = {"no regression": Standing.HOLDS, "regression": Standing.BROKEN}
    return {
        "standing": standing.get(data["outcome"], Standing.UNKNOWN),
        "verdict": str(data["outcome"]).upper(),
        "what": f"{data['first']} and {data['second']}",
        "reason": data["reasons"][0] if data["reasons"] else "",
    }


def _audit(text: str, _data: Any) -> dict[str, Any]:
    """A claim that does not hold is a finding: the audit itself is whole, or it is not."""
    from stackproof.planning.audit_record import from_json

    from .audit_text import counts, interval, room_text

    audit = from_json(text)
    first = audit.beside[0] if audit.beside else None
    beside = "" if first is None else f"{interval(first.low, first.high, first.unit)}: {room_text(first.headroom)}"
    return {
        "standing": Standing.PARTIAL if audit.partial else Standing.HOLDS,
        "verdict": "PARTIAL" if audit.partial else "DONE",
        "what": counts(audit),
        "created": audit.created,
        "fidelity": _joined(run.fidelity for run in audit.runs),
        "figure": beside,
        "reason": "something that could have been measured there was not" if audit.partial else "",
    }


def _plan(text: str, _data: Any) -> dict[str, Any]:
    """A stack of which all is shown; one of which something is not; or none that is known to carry the load."""
    from stackproof.planning.plan_record import DOCUMENTED, SHOWN, from_json

    plan = from_json(text)
    stack = plan.recommended
    shown = stack is not None and stack.rank == SHOWN
    open_ = "DOCUMENTED" if stack is not None and stack.rank == DOCUMENTED else "OPEN"
    return {
        "standing": Standing.HOLDS if shown else Standing.UNKNOWN if stack is None else Standing.PARTIAL,
        "verdict": "SHOWN" if shown else "NOT KNOWN" if stack is None else open_,
        "what": f"{int(plan.workload['--decisions-per-day']):,} decisions a day",
        "created": plan.created,
        "fidelity": _joined(basis.fidelity for basis in plan.basis if basis.fidelity),
        "figure": "" if stack is None else f"{stack.cost.text} a month",
        "reason": "" if shown else plan.answer,
    }


def _joined(fidelities: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(fidelities))


_READERS = (
    _Reader("certificate", "certificate.json", "certificate.html", "certificate", _certificate),
    _Reader("measurement", "run.json", "measurement.html", "measurement", _measurement),
    _Reader("comparison", "comparison.json", "comparison.html", "comparison", _comparison),
    _Reader("audit", "audit.json", "audit.html", "audit", _audit),
    _Reader("plan", "plan.json", "plan.html", "plan", _plan),
)


def to_data(rows: Iterable[RunRow]) -> list[dict[str, str]]:
    """The rows as JSON values, as ``report.schema.json`` describes them."""
    return [
        {
            "directory": row.directory,
            "kind": row.kind,
            "standing": row.standing.value,
            "verdict": row.verdict,
            "what": row.what,
            "created": row.created,
            "fidelity": row.fidelity,
            "figure": row.figure,
            "page": row.page,
            "reason": row.reason,
        }
        for row in rows
    ]
