"""The index over a folder of runs as one self-contained HTML page, with relative links to the pages of the runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stackproof.measurement.standing import Standing

from .components import Badge, Column, Link, percent_encoded
from .dates import short
from .pages import render_page
from .runs_index import RunRow, overall
from .standing import MARK, TONE
from .words import counted

GENERATOR = '<meta name="generator" content="stackproof">'
"""In every page of ours: what has it may be written again."""

_MEANING = {
    Standing.HOLDS: "Each of these runs holds: no rule was broken, every figure may be used, and what was promised was kept.",
    Standing.BROKEN: "At least one of these runs shows something that is broken, missed or worse than before.",
    Standing.UNKNOWN: "None is broken, but of at least one it is not known. That is not a pass.",
    Standing.PARTIAL: "None is broken, but at least one did not do all that was planned.",
}
_PARTS = {
    "certificate": ("certificates", "Certificates", "What was verified against its contract"),
    "measurement": ("measurements", "Measurements", "What was measured under load"),
    "comparison": ("comparisons", "Comparisons", "Whether one run is worse than another"),
    "audit": ("audits", "Audits", "Published thresholds, and what was measured"),
    "plan": ("plans", "Plans", "Which stack, until when, for how much"),
    "run": ("unfinished", "Without a record", "Runs that left no record: they are still going on, or were cut short"),
}
"""kind -> anchor, heading, caption; in the order of the page."""


def render(rows: Sequence[RunRow], folder: str, version: str) -> str:
    """The page over these rows; it belongs into the folder that they are relative to, whose name ``folder`` is."""
    standing = overall(rows)
    parts = [(*_PARTS[kind], [row for row in rows if row.kind == kind]) for kind in _PARTS]
    parts = [part for part in parts if part[3]]
    counts = Counter(row.standing for row in rows)
    return render_page(
        "index.html.j2",
        tone=TONE[standing],
        mark=MARK[standing],
        level=standing.value if rows else "NOTHING",
        title=f"{counted(len(rows), 'record')} in {folder}",
        meaning=_MEANING[standing] if rows else "There is no run in this folder, so nothing is known.",
        counts=[(TONE[each], MARK[each], each.value, counts[each]) for each in Standing if counts[each]],
        contents=[(anchor, heading) for anchor, heading, _, _ in parts],
        parts=[
            (anchor, heading, caption, _columns(found), [_cells(row, _columns(found)) for row in found])
            for anchor, heading, caption, found in parts
        ],
        version=version,
    )


def _columns(rows: Sequence[RunRow]) -> list[Column]:
    """A figure is a column only where one of them has one."""
    figure = [Column("Figure")] if any(row.figure for row in rows) else []
    return [
        Column("What"),
        Column("Verdict"),
        *figure,
        Column("Fidelity"),
        Column("Date", "date"),
        Column("Folder", "mono small"),
    ]


def _cells(row: RunRow, columns: Sequence[Column]) -> tuple[object, ...]:
    name = row.what or row.directory
    cells: dict[str, object] = {
        "What": Link(percent_encoded(row.page), name) if row.page else name,
        "Verdict": Badge(TONE[row.standing], row.verdict, why=row.reason),
        "Figure": row.figure or "–",
        "Fidelity": row.fidelity or None,
        "Date": short(row.created) if row.created else None,
        "Folder": row.directory,
    }
    return tuple(cells[column.title] for column in columns)
