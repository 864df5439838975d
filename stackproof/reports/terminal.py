"""The certificate in a terminal: a line per clause, then what did not hold in full, then the result."""

from __future__ import annotations

from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stackproof.contracts.explain import explain
from stackproof.contracts.verdicts import ClauseResult, Verdict
from stackproof.verification.certificate import Certificate, ClauseRecord

from .live import LiveView
from .text import escape_what_it_cannot_encode, one_line, visible
from .words import STYLE, SYMBOL, TONE, Sighting, by_reason, counted, groups, meaning, sightings

__all__ = ["LiveView", "print_certificate"]

_WIDE = 110
_FEW = 3
"""So many clauses of one reason are told with the command that repeats each."""
"""From this width on, all evidence is named; below, it is the numbers of the scarcest."""
_SEEN = "seen/needed"


def print_certificate(certificate: Certificate, console: Console, directory: Path | None = None) -> None:
    """Print it. ``directory`` is where ``certificate.html`` and ``certificate.json`` were written."""
    escape_what_it_cannot_encode(console.file)
    _print_clauses(certificate, console)
    _print_legend(certificate, console)
    _print_trouble(certificate, console)
    for record in certificate.clauses:
        if record.result.verdict is Verdict.FAIL or record.result.failure is not None:
            _print_explained(record, console)
    _print_undecided(certificate, console)
    _print_result(certificate, console, directory)


def _print_clauses(certificate: Certificate, console: Console) -> None:
    """A heading per backend, and all clauses in columns that they share."""
    wide = console.width >= _WIDE
    rows = {key: [_row(record, wide) for record in records] for key, records in groups(certificate).items()}
    widths = [max((row[column].cell_len for these in rows.values() for row in these), default=0) for column in range(4)]
    evidence = min(max(widths[3], len(_SEEN)), console.width * 2 // 5)
    # Where there is more room than is needed, the evidence stands beside the rules, not at the other end of the line.
    across = min(
        console.width, max(sum(widths[:3]) + evidence + 2 * 3, max((cell_len(target) for _, target in rows), default=0))
    )
    for (concern, target), these in rows.items():
        heading = Table.grid(padding=(0, 2, 0, 0), expand=True)
        heading.width = across
        heading.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        heading.add_column(width=evidence, no_wrap=True)
        name = one_line(target if target.startswith(f"{concern}=") else f"{concern}: {target}")
        heading.add_row(Text(name, "bold"), Text(_SEEN if these else "no clause", "dim"))
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.width = across
        for width in (widths[0], widths[1], None, evidence):
            table.add_column(width=width, ratio=None if width else 1, no_wrap=True, overflow="ellipsis")
        for row in these:
            table.add_row(*row)
        console.print(Text(), heading, table, sep="\n")


def _row(record: ClauseRecord, wide: bool) -> tuple[Text, Text, Text, Text]:
    result = record.result
    rule = Text.assemble(("altered: ", "yellow") if result.altered else "", one_line(record.planned.rule))
    seen = sightings(record)
    verdict = Text(f"{SYMBOL[result.verdict]} {result.verdict}", STYLE[result.verdict])
    return (
        Text(one_line(result.clause)),
        verdict,
        rule,
        Text(one_line(_all(seen) if wide else _scarcest(seen)) or "-", "dim"),
    )


def _all(seen: list[Sighting]) -> str:
    return ", ".join(f"{sighting.name} {sighting.short}" for sighting in seen)


def _scarcest(seen: list[Sighting]) -> str:
    """The sighting that is nearest to its minimum stands for all; how many more there are is said."""
    if not seen:
        return ""
    least = min(seen, key=lambda sighting: sighting.count / sighting.minimum if sighting.minimum else float("inf"))
    return least.short + (f" +{len(seen) - 1}" if len(seen) > 1 else "")


def _print_legend(certificate: Certificate, console: Console) -> None:
    """What the numbers of the last column mean, where there are any."""
    seen = [sightings(record) for record in certificate.clauses]
    if not any(seen):
        return
    legend = f"{_SEEN}: how often the evidence of a clause was seen, and how often it must be"
    if console.width < _WIDE and any(len(each) > 1 for each in seen):
        legend += "; +2: two more kinds of evidence, of which the scarcest is shown"
    console.print(Text())
    _print_line(legend, console)


def _print_trouble(certificate: Certificate, console: Console) -> None:
    """What the smoke step found, unless it is told below as the reason of clauses that could not be decided."""
    reasons = [record.result.reason for record in certificate.clauses]
    for target in certificate.targets:
        if target.trouble != "none" and not any(target.trouble_sentence in reason for reason in reasons):
            head = Text(f"\nThe {target.trouble} of {one_line(target.target)} is in trouble.", "bold red")
            console.print(head, highlight=False)
            _print_line(f"  {target.trouble_sentence}", console)


def _print_explained(record: ClauseRecord, console: Console) -> None:
    head, *lines = visible(explain(record.result, record.planned)).splitlines()
    console.print(Text(f"\n{head}", "bold red" if record.result.verdict is Verdict.FAIL else "bold"), highlight=False)
    for line in lines:
        _print_line(line, console)


def _repeated(results: list[ClauseResult]) -> list[str]:
    """The clauses of one reason, and how those that were executed are repeated: few one by one, of many the first one."""
    if all(result.again for result in results) and len(results) <= _FEW:
        return [f"{result.clause}  again: {result.again}" for result in results]
    lines = [", ".join(result.clause for result in results)]
    first = next((result for result in results if result.again), None)
    return [*lines, f"again, {first.clause}: {first.again}"] if first is not None else lines


def _print_undecided(certificate: Certificate, console: Console) -> None:
    """What has one reason is told once, with the ids of all the clauses that it concerns."""
    known = (Verdict.INCONCLUSIVE, Verdict.SKIPPED)
    records = [r for r in certificate.clauses if r.result.verdict in known and r.result.failure is None]
    for (target, verdict, reason), these in by_reason(records).items():
        head = f"\n{SYMBOL[verdict]} {verdict}  {counted(len(these), 'clause')} of {one_line(target)}"
        console.print(Text(head, STYLE[verdict]), highlight=False)
        _print_line(f"  {reason or 'no reason was given'}", console)
        for line in _repeated([record.result for record in these]):
            _print_line(f"  {line}", console)
    altered = [record.result for record in certificate.clauses if record.result.altered]
    if altered:
        console.print(Text(f"\n{counted(len(altered), 'clause')} altered: not those of the suite", "yellow"))
    for result in altered:
        _print_line(f"  {result.clause} of {result.target}: {result.altered}", console)


def _print_result(certificate: Certificate, console: Console, directory: Path | None) -> None:
    numbers = ", ".join(f"{number} {verdict}" for verdict, number in certificate.counts.items()) or "no clause"
    tone = TONE[certificate.level]
    line = Text.assemble("\n", (f"{SYMBOL[tone]} {certificate.level}", f"bold {STYLE[tone]}"))
    line.append(f"  {numbers}  in {certificate.seconds:.1f} s" + ("  (interrupted)" if certificate.interrupted else ""))
    console.print(line, highlight=False)
    _print_line(f"  {meaning(certificate)}", console)
    if directory is not None:
        for name in ("certificate.html", "certificate.json"):
            console.print(Text(f"  {one_line(str(directory / name))}"), soft_wrap=True, highlight=False)


def _print_line(line: str, console: Console) -> None:
    """A line that goes on under its own beginning; a command stays in one piece, so that it can be pasted."""
    text = visible(line)
    bare = text.lstrip(" ")
    if bare.startswith(("again: ", "script: ")):
        console.print(Text(text), soft_wrap=True, highlight=False)
    else:
        console.print(Padding(Text(bare), (0, 0, 0, len(text) - len(bare)), expand=False), highlight=False)
