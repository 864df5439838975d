"""What a yardstick is: one of the field's load tools, found on this machine, run under a load, and read.

Adapters of tools build a command line and read an output; how a process is held to a core, limited and accounted for is
said once, in `processes`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from stackproof.interfaces import StackproofError


class YardstickError(StackproofError):
    """A tool that is there did not give figures: it failed, took too long, or said something that is not understood."""


@dataclass(frozen=True, slots=True)
class Load:
    """What both sides are told to do, as far as the tool can be told."""

    namespace: str
    """Everything is stored under this name, and removed afterwards."""
    concurrency: int
    """Operations in flight at any time; closed loop: the next one begins when one ends."""
    seconds: float
    """How long. A tool that counts operations instead is given `operations`."""
    payload_bytes: int = 400
    core: int | None = None
    """The processor that the client is held to; None for any of them."""
    operations: int = 0
    """For a tool that knows no duration: how many. Set from the rate of a trial run, see `YardstickFigures.lasting`."""
    keys: int = 1000
    """How many different keys, customers or documents are asked for, all equally often."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tool runs: on this machine (no prefix), or in a container that reaches the same server."""

    prefix: tuple[str, ...] = ()
    """What stands before its command line, such as ``docker exec -i ID``."""
    title: str = "this machine"

    @property
    def on_host(self) -> bool:
        return not self.prefix


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that was found."""

    name: str
    version: str
    command: tuple[str, ...]
    """The first words of its command line, in its place."""
    place: Place = field(default_factory=Place)


@dataclass(frozen=True, slots=True)
class Missing:
    """A tool that is not here."""

    name: str
    reason: str
    """A sentence."""
    todo: str
    """The line to type, empty where there is none."""

    def __str__(self) -> str:
        return f"{self.reason}; type: {self.todo}" if self.todo else self.reason


@dataclass(frozen=True, slots=True)
class Done:
    """A process of a tool that ended well; secrets are masked in all of its texts."""

    output: str
    errors: str
    command: str
    cpu_seconds: float | None
    """None where its processes make themselves independent, so that nobody is told."""
    others: float | None = None
    """The share of the core that other processes took meanwhile, the server among them; None where that is not known."""


@dataclass(frozen=True, slots=True)
class YardstickFigures:
    """What one run of a tool gave."""

    operations: int
    """Operations that ended well, as the tool counts them."""
    seconds: float
    """The time that the tool itself took for them: without its start."""
    rate: float
    """Operations per second, as the tool states it."""
    latency: Mapping[str, float] = field(default_factory=dict)
    """Percentile ("p50", "p99") -> seconds, as far as the tool gives them."""
    failed: int = 0
    cpu_seconds: float | None = None
    """Processor time of the tool's processes, its start included; None where it cannot be known."""
    others: float | None = None
    """The share of the core that other processes took meanwhile, the server among them; None where that is not known."""
    command: str = ""
    """The exact command line, secrets masked."""
    output: str = ""
    """What the tool wrote, secrets masked."""

    def with_process(self, done: Done, more: str = "") -> YardstickFigures:
        """The same with what is known of the process that gave them, and what else it wrote."""
        said = "\n".join(filter(None, (done.output, done.errors, more)))
        return replace(self, cpu_seconds=done.cpu_seconds, others=done.others, command=done.command, output=said)

    def lasting(self, seconds: float) -> int:
        """How many operations take about this long, at the rate of this run."""
        return max(100, round(self.rate * seconds))


class Yardstick(ABC):
    """One tool of the field for one operation of a concern."""

    name: ClassVar[str]
    """As users of the field know it: "pgbench"."""
    concern: ClassVar[str]
    technologies: ClassVar[frozenset[str]]
    """The technologies (`BackendEntry.technology`) whose servers it can load."""
    scenario: ClassVar[str]
    """The same for our side: the name of a scenario in `workloads`."""
    operation: ClassVar[str]
    """What both sides do, in one line."""
    differences: ClassVar[tuple[str, ...]]
    """Why its figure is another one than ours, in sentences: what the tool does not do, or does otherwise."""
    optional: ClassVar[bool] = False
    """True where another tool does the same: where this one is not here, nobody need be told."""
    usual_concurrency: ClassVar[int] = 16
    """Operations in flight, unless somebody says otherwise: enough to keep one core of a client busy."""
    native: ClassVar[bool] = False
    """True where our driver has threads of its own, so that our process must not be patched by gevent."""
    costly_start: ClassVar[bool] = False
    """True where the start of the tool (a JVM) is a good part of its processor time, so that this says little of an operation."""
    counts_operations: ClassVar[bool] = False
    """True where the tool is told how many operations, and not how long."""
    trial_operations: ClassVar[int] = 10_000
    """Of the trial run, for such a tool."""

    @abstractmethod
    def find(self, variables: Mapping[str, str]) -> Tool | Missing:
        """The tool for the server that these variables point at (it may be in that server's container), or why it is not here."""

    def surroundings(self, _variables: Mapping[str, str], _load: Load) -> Mapping[str, str]:
        """Variables that both sides get beside those of the server, such as a keyspace of their own."""
        return {}

    @abstractmethod
    def prepare(self, variables: Mapping[str, str], load: Load) -> None:
        """Store what the operation needs, through our own adapter: so both sides meet the same data."""

    @abstractmethod
    def run(self, tool: Tool, variables: Mapping[str, str], load: Load) -> YardstickFigures:
        """Run it once. `YardstickError` where it gives no figures."""

    def clean_up(self, variables: Mapping[str, str], load: Load) -> None:  # noqa: B027 - most have nothing to do
        """Remove what the tool itself stored outside the adapter's namespace."""
