"""The journal of a search for the ceiling, as values: each step with its reason, what was seen, and the verdict.

Pure, and free of any clock: all that the planner knows is in here, so that a search goes on from its journal as if nothing had
happened. Rates are per second, times in seconds, latencies in milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from .promises import Promise, PromiseResult


class Role(StrEnum):
    """What a window of the search is for."""

    CALIBRATION = "calibration"
    """A step that does nothing: how fast the generator itself is."""
    PROBE = "probe"
    """One operation in flight: the base service time."""
    RAMP = "ramp"
    BISECT = "bisect"
    CONFIRM = "confirm"
    OVERLOAD = "overload"
    """Beyond what fails, on purpose, to see how the server comes back."""
    RECOVERY = "recovery"
    """Half of what holds, right after an overload."""


EVIDENCE_ROLES = (Role.RAMP, Role.BISECT, Role.CONFIRM)
"""Windows that say whether a rate holds; the others prepare or explain them."""


class Verdict(StrEnum):
    """What one window says about its rate."""

    HOLDS = "holds"
    FAILS = "fails"
    CLIENT_LIMITED = "client-limited"
    NOT_STEADY = "not-steady"


class Limiter(StrEnum):
    """What stops a rate from holding."""

    SERVER = "server"
    CLIENT = "client"
    QUOTA = "quota"
    SLO = "slo"
    ERROR = "error"
    NOT_CONVERGED = "not-converged"


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """What a search may use, and what counts as holding."""

    promises: tuple[Promise, ...] = ()
    """All must be kept. Empty: one is derived from the base service time (`saturation.promises_of`)."""
    window: float = 5.0
    """Length of a window of the ramp; later ones grow."""
    warmup: float = 1.0
    longest: float = 30.0
    """No window is longer."""
    growth: float = 1.33
    """Each bisection makes the window this much longer: the closer the rates, the longer the look."""
    resolution: float = 1.05
    """The search ends where ``fails / holds`` is this small."""
    held: float = 0.98
    """Least share of achieved in offered."""
    errors: float = 0.001
    """Largest share of failed operations."""
    busy: float = 0.80
    """Largest share of a core that a worker of the generator may use."""
    reach: float = 0.80
    """Beyond this share of the generator's own ceiling, a figure is about the generator."""
    probe: float = 4.0
    """Length of the window in which the base service time is measured."""
    confirmations: int = 3
    refutations: int = 3
    confirming: float = 0.0
    """No window that confirms an end of the bracket is shorter."""
    recovery: bool = True
    """Whether the server is overloaded at the end, to see how it comes back."""
    in_flight: int = 64
    most_in_flight: int = 64
    """Up to here the search may raise `in_flight` by itself where the client's concurrency is what limits."""
    idle_rate: float = 200.0
    null_window: float = 1.5
    null_rate: float = 2000.0
    fastest: float = 200_000.0
    most_steps: int = 60
    most_seconds: float = 900.0
    arrivals: str = "constant"
    seed: int = 7
    drain: float = 10.0


SHORT = SearchSettings(
    window=2.0,
    warmup=0.5,
    longest=12.0,
    growth=1.1,
    resolution=1.15,
    probe=3.0,
    confirming=4.0,
    recovery=False,
    most_seconds=120.0,
    drain=5.0,
)
"""A search that takes about a minute: its bracket is wider (15 % and not 5 %, where windows agree), without an overload.

What holds is judged in the same way, and both ends are confirmed as often. The confirming windows are as long as a judgement of
their steadiness needs (`search_judgement.LEAST_SECONDS`).
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One window that the planner asks for, and why."""

    number: int
    role: Role
    rate: float
    seconds: float
    warmup: float
    in_flight: int
    target: str
    why: str
    expects: str = ""
    """Of a confirming window: the verdict that it is to show again, holds or fails."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one window showed; None stands for a percentile that the sample is too small for."""

    offered: int
    ok: int
    failed: int = 0
    dropped: int = 0
    skipped: int = 0
    elapsed: float = 0.0
    achieved: float = 0.0
    """Operations that ended well, per second."""
    promised: tuple[PromiseResult, ...] = ()
    """Latency from the intended start, every offered operation counted."""
    p50_ms: float | None = None
    """From the intended start, every offered operation counted, as promises are judged; None also where it was never reached."""
    p99_ms: float | None = None
    answered_p50_ms: float | None = None
    """The same of the answered operations alone, which flatters where others were dropped or failed."""
    answered_p99_ms: float | None = None
    service_p50_ms: float | None = None
    """From the real start."""
    service_p99_ms: float | None = None
    lag_p99_ms: float | None = None
    cpu_share: float = 0.0
    """Of one core, of the busiest worker of the generator."""
    most_in_flight: int = 0
    blocked: float = 0.0
    """Seconds of the longest while in which the generator itself did not run."""
    drained: bool = True
    """Whether everything in flight ended within the drain time."""
    rise: float = 1.0
    """Median latency of the last third of the window over that of its first third."""
    scatter: float = 1.0
    """Ninth over first decile of the median latencies of the seconds."""
    unhandled: int = 0
    """What was accepted, and not handled when the window had settled: a backlog that stays."""
    lost: int = 0
    """What was acknowledged, and is gone."""
    recovered: float | None = None
    """Seconds until the promises were kept again, and stayed so; None: not within the window."""
    wrong: int = 0
    """Wrong answers, and what came twice."""
    example: str = ""
    """Of what was wrong, lost or unhandled."""
    unchecked: str = ""
    """Why it could not be looked at after the window whether anything is lost; empty where it was."""
    errors: Mapping[str, int] = field(default_factory=dict)
    complete: bool = True
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal."""

    step: Step
    seen: Seen
    verdict: Verdict
    cause: str
    """Of a verdict other than holds: a limiter, or ``concurrency``; else empty."""
    reasons: tuple[str, ...]
    took: float
    """Seconds of wall time, so that the budget survives an interruption."""

    @property
    def sentence(self) -> str:
        """The entry as an argument: what was done and why, what was seen, and what follows."""
        return f"{self.step.why} {str(self.verdict).capitalize()}: {'; '.join(self.reasons)}."

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The entry whose JSON this was; KeyError, TypeError or ValueError where it is none."""
        step = {**data["step"], "role": Role(data["step"]["role"])}
        promised = tuple(PromiseResult(**row) for row in data["seen"]["promised"])
        return cls(
            Step(**step),
            Seen(**{**data["seen"], "promised": promised}),
            Verdict(data["verdict"]),
            data["cause"],
            tuple(data["reasons"]),
            float(data["took"]),
        )


Journal = Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Interval:
    """The range over the windows that confirmed the holding rate."""

    windows: int
    achieved: tuple[float, float]
    p99_ms: tuple[float, float] | None
    """Every offered operation counted; None also where a window never reached it."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The answer of a search: the bracket, and what stops the load there."""

    holds: float
    """The highest rate that held; 0 where none did."""
    fails: float | None
    """The lowest rate that did not hold. With limiter client it is the generator that failed there, and the server's own limit
    lies above; None where nothing failed, or nothing more could be offered."""
    limiter: Limiter
    reasons: tuple[str, ...]
    confirmed: bool
    """Whether both ends were shown in fresh windows."""
    promises: tuple[Promise, ...] = ()
    recovery: float | None = None
    """Seconds from the end of an overload until the promises were kept again at half the holding rate. The pause before a search
    was resumed is not in it."""
    generator: float | None = None
    """The highest rate that the generator held with a step that does nothing."""
    service_ms: float | None = None
    """Median of the base service time: one operation in flight, nothing else going on."""
    interval: Interval | None = None
    invalid: tuple[str, ...] = ()
    """Why the figures must not be used, such as wrong answers."""
    resolution: float | None = None
    """How near to each other its ends were to be, as a ratio."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search that has ended, or was cut short."""

    ceiling: Ceiling
    journal: tuple[Entry, ...]
    interrupted: bool
    trouble: str = ""
    """Why it could not go on, such as a generator that was killed; it can be resumed."""
    notes: tuple[str, ...] = ()
    """What a reader of the journal should know, such as that its last line was torn."""
