"""The evidence of a run, for its page and for the terminal: durability side by side, settings of the servers, the machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from stackproof.measurement.environment import Environment, disturbance
from stackproof.measurement.evidence import Evidence
from stackproof.measurement.server_settings.durability import Outcome, Survival, Survives
from stackproof.measurement.server_settings.records import NEVER, ServerSettings, Setting

from .text import one_line

ACCIDENTS = (
    ("process_crash", "The server's process ends"),
    ("power_loss", "The power fails everywhere"),
    ("node_loss", "A machine is lost"),
)
"""Field of a row -> its title, in the order of the columns."""

_TONES = {Survives.YES: "PASS", Survives.LATEST_LOST: "SKIPPED", Survives.NO: "FAIL", Survives.UNKNOWN: "INCONCLUSIVE"}
_STYLES = {Survives.YES: "green", Survives.LATEST_LOST: "yellow", Survives.NO: "red", Survives.UNKNOWN: "magenta"}
_MARKS = {Survives.YES: "✓", Survives.LATEST_LOST: "◐", Survives.NO: "✗", Survives.UNKNOWN: "?"}


@dataclass(frozen=True, slots=True)
class ShownOutcome:
    """An answer as the page shows it."""

    title: str
    answer: str
    mark: str
    tone: str
    why: str


@dataclass(frozen=True, slots=True)
class ShownRow:
    """The row of one backend."""

    backend: str
    acknowledged: str
    outcomes: tuple[ShownOutcome, ...]


@dataclass(frozen=True, slots=True)
class ShownSettings:
    """Settings of one kind; empty ones are left out by the page."""

    title: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class ShownServer:
    """What one server said, and for whom."""

    title: str
    under: str
    groups: tuple[ShownSettings, ...]


@dataclass(frozen=True, slots=True)
class EvidenceSection:
    """What the template ``evidence.html.j2`` takes, as ``evidence``."""

    rows: tuple[ShownRow, ...]
    servers: tuple[ShownServer, ...]
    facts: tuple[tuple[str, str], ...]
    """Names and values of the machine."""
    workers: tuple[tuple[tuple[str, str], ...], ...]
    """The same of each worker of another machine."""
    disturbance: str
    unknown: int
    """How many settings of servers could not be asked."""


def evidence_section(evidence: Evidence) -> EvidenceSection:
    """The values of the section; pure."""
    return EvidenceSection(
        rows=tuple(_row(row) for row in evidence.durability),
        servers=tuple(_server(server) for server in evidence.servers),
        facts=tuple(machine_facts(evidence.environment)),
        workers=tuple(tuple(machine_facts(worker.environment)) for worker in evidence.workers),
        disturbance=" ".join(disturbances(evidence)),
        unknown=sum(1 for server in evidence.servers for setting in server.settings if setting.unknown),
    )


def print_evidence(evidence: Evidence, console: Console) -> None:
    """In the terminal: what an acknowledged write survives, what is not known, and whether the machine was busy."""
    if evidence.durability:
        console.print("What an acknowledged write survives:", highlight=False)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("", no_wrap=True)
        for title in ("process crash", "power loss", "loss of a machine"):
            table.add_column(title)
        for row in evidence.durability:
            cells = [_cell(getattr(row, name)) for name, _ in ACCIDENTS]
            table.add_row(one_line(row.backend), *cells)
        console.print(table)
    for server in evidence.servers:
        missing = [setting.name for setting in server.settings if setting.unknown]
        if missing:
            names = ", ".join(missing)
            console.print(f"not known of {server.server}: {names}", style="dim", markup=False, highlight=False)
    for busy in disturbances(evidence):
        console.print(f"note: {busy}", style="yellow", markup=False, highlight=False)


def disturbances(evidence: Evidence) -> list[str]:
    """A sentence for each machine that was busy before the run began."""
    here = disturbance(evidence.environment)
    there = [
        f"Worker {number}: {sentence}"
        for number, worker in enumerate(evidence.workers, 1)
        if (sentence := disturbance(worker.environment))
    ]
    return [*([here] if here else []), *there]


def machine_facts(environment: Environment) -> list[tuple[str, str]]:
    """Names and values, as people read them; unknown with the reason."""
    limit = "no limit" if environment.cpu_limit is None else f"{environment.cpu_limit:g} cores"
    memory_limit = "no limit" if environment.memory_limit_bytes is None else _gigabytes(environment.memory_limit_bytes)
    shown = {
        "processor": ("Processor", environment.processor + (" (virtual machine)" if environment.virtual else "")),
        "cores": ("Usable cores", str(environment.cores)),
        "cpu_limit": ("Limit of processor time", limit),
        "governor": ("Frequency governor", environment.governor),
        "memory_bytes": ("Memory", _gigabytes(environment.memory_bytes)),
        "memory_limit_bytes": ("Limit of memory", memory_limit),
        "kernel": ("System", f"{environment.system} {environment.kernel} {environment.architecture}"),
        "container": ("Client in a container", environment.container),
        "load": ("Load before the run", "" if environment.load is None else f"{environment.load:.2f}"),
        "python": ("Python", environment.python),
    }
    facts = [(title, _or_unknown(environment, name, value)) for name, (title, value) in shown.items()]
    return [*facts, *((name, version) for name, version in environment.packages.items())]


def _or_unknown(environment: Environment, name: str, value: str) -> str:
    reason = environment.unknown.get(name)
    return value if reason is None else f"not known: {reason}"


def _gigabytes(number: int) -> str:
    return f"{number / 2**30:.1f} GiB"


def _cell(outcome: Outcome) -> str:
    style = _STYLES[outcome.answer]
    return f"[{style}]{_MARKS[outcome.answer]} {outcome.answer}[/{style}]"


def _row(row: Survival) -> ShownRow:
    outcomes = []
    for name, title in ACCIDENTS:
        outcome: Outcome = getattr(row, name)
        answer = outcome.answer
        outcomes.append(ShownOutcome(title, str(answer), _MARKS[answer], _TONES[answer], outcome.why))
    return ShownRow(row.backend, row.acknowledged, tuple(outcomes))


def _server(server: ServerSettings) -> ShownServer:
    name = server.technology or "nobody answered"
    asked = f"; asked: {server.asked}" if server.asked else ""
    groups = (
        ShownSettings("Server", _readable(server.settings)),
        ShownSettings("Our client", server.client),
        ShownSettings("Container", server.container),
    )
    title = server.server if server.server == name else f"{server.server}: {name}"
    return ShownServer(title, f"{server.origin}{asked}; for {', '.join(server.backends)}", groups)


def _readable(settings: Sequence[Setting]) -> tuple[Setting, ...]:
    """Kafka's word for never, in words."""
    return tuple(
        Setting(s.name, "never", s.meaning.replace(f" ({NEVER} is never)", ""), s.unknown) if s.value == NEVER else s
        for s in settings
    )
