"""The folder of published results: certificates, ceilings, audit and plans of one machine, each with its limits in plain words.

python -m stackproof.reports.results RUNS docs/results

RUNS is a folder of run directories. For each backend the newest certificate is published, whatever it says; of searches that
measured the same thing, the newest. Nothing is chosen because it suits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stackproof.measurement.evidence import kept_evidence
from stackproof.measurement.record import Measurement
from stackproof.measurement.record import from_json as measurement_from
from stackproof.planning.audit_record import Audit
from stackproof.planning.audit_record import from_json as audit_from
from stackproof.planning.audit_record import to_json as audit_json
from stackproof.planning.ceilings import MeasuredCeiling, ceiling_of
from stackproof.planning.choosing import latest
from stackproof.planning.crossing_table import Row
from stackproof.planning.measured import in_short
from stackproof.planning.measured import to_json as measured_json
from stackproof.planning.plan_record import Plan
from stackproof.planning.plan_record import from_json as plan_from
from stackproof.planning.plan_record import to_json as plan_json
from stackproof.verification.certificate import Certificate
from stackproof.verification.certificate import from_json as certificate_from
from stackproof.verification.latest import Shown, shown_in
from stackproof.verification.runs import keep

from . import audit_page, certificate_page, measurement, plan_page
from .audit_text import ahead_text, cell_text, counts, crossing_title, headline, headroom_of
from .limits import not_shown
from .text import one_line

FOLDERS = ("certificates", "measurements", "plans")
"""Of the folder of results; nothing else is kept in them."""
COMMAND = "python -m stackproof.reports.results RUNS docs/results"


@dataclass(frozen=True, slots=True)
class Verified:
    """A backend, and the newest certificate that is about it."""

    shown: Shown
    certificate: Certificate
    run: str
    """Name of the run's directory."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A ceiling, and the run that found it."""

    ceiling: MeasuredCeiling
    run: str


@dataclass(frozen=True, slots=True)
class Results:
    """What is published, in the order in which it is told."""

    verified: tuple[Verified, ...]
    measured: tuple[Measured, ...]
    refused: tuple[tuple[str, str], ...]
    """Runs whose figures are not published: name and reason."""
    environment: Mapping[str, str]
    """Where the newest of them was made."""
    audit: Audit | None = None
    """The newest."""
    plans: tuple[Plan, ...] = ()
    """The newest of each volume, the smallest first."""


# -- choosing -------------------------------------------------------------------------------------------------------


def results_of(
    certificates: Mapping[str, Certificate],
    measurements: Mapping[str, Measurement],
    audits: Iterable[Audit] = (),
    plans: Iterable[Plan] = (),
) -> Results:
    """What is published of these runs, given by the names of their directories. Pure."""
    records: list[Certificate | Measurement] = [*certificates.values(), *measurements.values()]
    newest = max(records, key=lambda record: record.created)
    ceilings = {name: ceiling_of(record) for name, record in measurements.items()}
    return Results(
        tuple(_verified(certificates)),
        tuple(_measured(ceilings)),
        tuple((name, "; ".join(ceiling.refused)) for name, ceiling in sorted(ceilings.items()) if not ceiling.valid),
        newest.environment,
        max(audits, key=lambda audit: audit.created, default=None),
        tuple(_plans(plans)),
    )


def _plans(plans: Iterable[Plan]) -> Iterator[Plan]:
    newest = {volume_of(plan): plan for plan in sorted(plans, key=lambda plan: plan.created)}
    return (newest[volume] for volume in sorted(newest))


def volume_of(plan: Plan) -> int:
    """Decisions a day."""
    return int(plan.workload["--decisions-per-day"])


def _verified(certificates: Mapping[str, Certificate]) -> Iterator[Verified]:
    found: dict[str, Verified] = {}
    whole = {name: certificate for name, certificate in certificates.items() if not certificate.selected}
    for name, certificate in sorted(whole.items(), key=lambda pair: pair[1].created):
        found.update((shown.target, Verified(shown, certificate, name)) for shown in shown_in(certificate))
    return (found[target] for target in sorted(found))


def _measured(ceilings: Mapping[str, MeasuredCeiling]) -> Iterator[Measured]:
    alike: dict[tuple[str, ...], list[MeasuredCeiling]] = {}
    names = {id(ceiling): name for name, ceiling in ceilings.items()}
    for ceiling in ceilings.values():
        alike.setdefault(_what(ceiling), []).append(ceiling)
    for key in sorted(alike):
        if (chosen := latest(alike[key])) is not None:
            yield Measured(chosen, names[id(chosen)])


def _what(ceiling: MeasuredCeiling) -> tuple[str, ...]:
    settings = sorted(f"{name}={value}" for name, value in ceiling.settings.items())
    return (ceiling.scenario, ceiling.backend, " ".join(settings), ceiling.origin, *ceiling.promises)


# -- telling --------------------------------------------------------------------------------------------------------


def index(results: Results) -> str:
    """The page that leads to all of them, as Markdown."""
    lines = [
        "# Results",
        "",
        "What was shown on one machine, with its limits. This folder is written by",
        f"`{COMMAND}`, from the records of runs. Certificates, the audit and plans have their records beside their pages.",
        "",
        *_machine(results.environment),
        *_audit(results.audit),
        *_plan_rows(results.plans),
        *_contracts(results.verified),
        *_ceilings(results.measured, results.refused),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _audit(audit: Audit | None) -> Iterator[str]:
    if audit is None:
        return
    yield from ("## Published thresholds", "", f"[The audit](audit.html): {_text(counts(audit))}.", "")
    for row in audit.beside:
        yield from (_text(headline(row)), "")
    rows = [
        (_code(one.claim), _text(one.sentence), str(one.verdict), _text(headroom_of(one)), _text(one.binds))
        for one in audit.findings
    ]
    yield from _table(("claim", "published", "verdict", "head-room", "what binds"), rows)
    yield ""
    yield from _crossings(audit)


def _crossings(audit: Audit) -> Iterator[str]:
    if not audit.tables:
        return
    yield from ("## Where one search backend overtakes the other", "")
    for table in audit.tables:
        yield from (f"### {_text(crossing_title(table))}", "", _text(table.sentence), "")
        yield from (_text(table.caveat), "") if table.caveat else ()
        head = (_text(table.setting), _code(table.first), _code(table.second), "ahead")
        yield from _table(
            head,
            [
                (f"{row.size:,}", _text(cell_text(row.first, True)), _text(cell_text(row.second, True)), _ahead(row))
                for row in table.rows
            ],
        )
        yield ""


def _ahead(row: Row) -> str:
    return _code(row.ahead) if row.ahead else _text(ahead_text(row.ahead))


def _plan_rows(plans: Sequence[Plan]) -> Iterator[str]:
    if not plans:
        return
    rows = [(f"[{volume_of(plan):,}](plans/{volume_of(plan)}.html)", _text(plan.answer)) for plan in plans]
    yield from ("## Plans", "", *_table(("decisions a day", "answer"), rows), "")


def _machine(environment: Mapping[str, str]) -> Iterator[str]:
    rows = [(_text(name), _text(value)) for name, value in sorted(environment.items())]
    yield from ("## The machine", "", *_table(("what", "value"), rows), "")
    yield (
        "One machine, shared by the generator, the servers and everything else on it: its rates are lower than those of servers "
        "with cores of their own, and nothing of them can be carried over to other hardware. What can be carried over are ratios "
        "of figures of one run, verdicts, and the method."
    )
    yield ""


def _contracts(verified: Sequence[Verified]) -> Iterator[str]:
    yield from ("## Contracts", "")
    if not verified:
        yield from ("Nothing was verified.", "")
        return
    rows = [
        (
            _code(each.shown.target),
            f"[{each.shown.level}](certificates/{each.run}.html)",
            each.shown.profile,
            _text(each.shown.server or "no server"),
            _text(each.shown.fidelity),
            _text(each.certificate.origin),
            each.shown.created[:10],
        )
        for each in verified
    ]
    yield from _table(("backend", "verdict", "profile", "server", "fidelity", "origin", "date"), rows)
    yield from ("", "What these certificates do not show:", "")
    limits = dict.fromkeys(text for each in verified for text in not_shown(each.certificate) if _general(text))
    yield from (f"- {_text(text)}" for text in limits)
    yield ""


def _general(text: str) -> bool:
    """Whether a limit is about more than the one run that it was found in: the others stand on its page."""
    return not text.startswith(("Concerns that", "Time:", "Nothing is known about", "Other versions"))


def _ceilings(measured: Sequence[Measured], refused: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield from ("## Load", "")
    if measured:
        yield (
            "The rate that held, and the one that did not, each confirmed in fresh windows; where none was shown to hold and the "
            "limiter is slo, the one that failed may be what an idle server did for one caller at a time, too slowly already. "
            "Where the limiter is the client, the server carries at least what held. Where it is not-converged, the search found "
            "no end in its time, or saw windows that contradict each other: its ends are those on which three windows agree and "
            "none contradicts ([what is used](../audit.md#what-is-measured))."
        )
        yield ""
        head = ("scenario", "backends", "holds", "fails", "limiter", "promise", "fidelity", "origin", "date")
        yield from _table(head, [_ceiling_row(each) for each in measured])
    else:
        yield "No ceiling was measured."
    yield ""
    if refused:
        yield from ("Measured, and not published:", "")
        yield from (f"- run {name}: {_text(reason)}" for name, reason in refused)
        yield ""


def _ceiling_row(each: Measured) -> tuple[str, ...]:
    found = each.ceiling
    settings = "".join(f" {name}={value}" for name, value in found.settings.items())
    return (
        f"[{_text(found.scenario + settings)}](measurements/{each.run}.html)",
        ", ".join(_code(backend) for backend in found.backends),
        _text(f"{found.low:,.0f} {found.unit}") if found.low else "no rate was shown to",
        "not known" if found.high is None else _text(f"{found.high:,.0f} {found.unit}"),
        _text(found.limiter),
        _text(", ".join(found.promises) or "none"),
        _text(found.fidelity),
        _text(found.origin),
        found.date[:10],
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of a table whose cells are Markdown already."""
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _code(text: str) -> str:
    """A name as it is typed; no backtick can end it early."""
    return f"`{one_line(text).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


_ESCAPED = {"<": "&lt;", ">": "&gt;", "|": "&#124;", **{character: f"\\{character}" for character in "\\`*_[]#"}}


def _text(text: str) -> str:
    """Free text in a line of Markdown."""
    return "".join(_ESCAPED.get(character, character) for character in one_line(text))


# -- reading and writing --------------------------------------------------------------------------------------------


def write(runs: Path, out: Path) -> list[Path]:
    """Publish a folder of runs; the files that were written. ValueError for a record that cannot be read."""
    certificates = {path.parent.name: certificate_from(_read(path)) for path in runs.glob("*/certificate.json")}
    measurements = {path.parent.name: measurement_from(_read(path)) for path in runs.glob("*/run.json")}
    if not certificates and not measurements:
        raise ValueError(f"{runs} holds no run")
    audits = [audit_from(_read(path)) for path in runs.glob("*/audit.json")]
    plans = [plan_from(_read(path)) for path in runs.glob("*/plan.json")]
    results = results_of(certificates, measurements, audits, plans)
    files: dict[str, str] = {}
    for name in dict.fromkeys(each.run for each in results.verified):
        files[f"certificates/{name}.html"] = certificate_page.render(certificates[name])
        files[f"certificates/{name}.json"] = _read(runs / name / "certificate.json")
    for name in dict.fromkeys(each.run for each in results.measured):
        files[f"measurements/{name}.html"] = measurement.render(measurements[name], kept_evidence(runs / name))
    if results.audit is not None:
        files |= {"audit.html": audit_page.render(results.audit), "audit.json": audit_json(results.audit)}
    for plan in results.plans:
        files[f"plans/{volume_of(plan)}.html"] = plan_page.render(plan)
        files[f"plans/{volume_of(plan)}.json"] = plan_json(plan)
    files["measured.json"] = measured_json([in_short(each.ceiling) for each in results.measured])
    files["index.md"] = index(results)
    for name, text in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        keep(out / name, text)
    for folder in FOLDERS:
        for old in (out / folder).glob("*"):
            if f"{folder}/{old.name}" not in files:
                old.unlink()  # a page that nothing leads to any more would still be found, and believed
    return [out / name for name in files]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    for written in write(Path(sys.argv[1]), Path(sys.argv[2])):
        print(written)
