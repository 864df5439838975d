"""What the command and the load-generating processes tell each other: plain values, as JSON. None holds a secret.

One session holds the adapters of one namespace and offers any number of windows of load, one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from .recorder import Recorder
from .steps.base import Value

SETUP_VARIABLE = "STACKPROOF_BENCH_SETUP"
"""The environment variable that holds the setup."""
ANSWERS_VARIABLE = "STACKPROOF_BENCH_ANSWERS"
"""The environment variable that holds the number of the descriptor which answers and progress are written to."""

WORKER_VARIABLE = "STACKPROOF_WORKER"
"""The environment variable in which a worker of another machine has what it says of itself."""

IN_FLIGHT = 64
"""Operations that may run at the same time, unless told otherwise."""

BACKENDS, NULL, STUB = "backends", "null", "stub"
"""What a window is offered to: the backends; a step that does nothing; the stub server, whose service time is known."""

CLOSED = "closed"
"""The arrival process that is none: each of ``in_flight`` callers starts its next operation when the last one ended."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A scenario with its settings."""

    scenario: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    """Those that differ from its own."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a session of the generator is about."""

    scenario: str
    backends: Mapping[str, str]
    """Concern -> name of a backend, or ``package.module:factory``."""
    namespace: str
    seed: int = 7
    engine: str = "green"
    """``green`` (one gevent loop) or ``native`` (threads, for drivers that bring their own)."""
    settings: Mapping[str, Value] = field(default_factory=dict)
    """Settings of the scenario that differ from its own."""
    stub: str = ""
    """URL of the stub server, where one runs."""
    more: tuple[Workload, ...] = ()
    """Workloads that follow the first one, on the same adapters and under the same namespace."""

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """All of them; an order says by number which one it is of."""
        return (Workload(self.scenario, self.settings), *self.more)

    def to_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "more": tuple(Workload(**workload) for workload in data["more"])})


@dataclass(frozen=True, slots=True)
class Order:
    """One window of load."""

    rate: float
    """Operations that are due each second, over all workers. Without meaning where arrivals are closed."""
    seconds: float
    """Length of the measured part."""
    warmup: float = 0.0
    """Seconds before it, at the same rate, recorded apart."""
    arrivals: str = "constant"
    seed: int = 7
    in_flight: int = IN_FLIGHT
    """Operations at the same time, over all workers; arrivals beyond that are dropped and counted."""
    target: str = BACKENDS
    limit: float | None = None
    """Seconds from the intended start beyond which an operation counts as late."""
    drain: float = 15.0
    """How long operations that are in flight at the end are waited for, in seconds."""
    number: int = 0
    """Which window of the session it is, among those of its target: no two of them use the same operations, and two sessions
    that are asked for the same number do. An order that was not offered yet says the least that it may be."""
    workload: int = 0
    """Which of the session's workloads it is of."""

    def to_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Gap:
    """A while in which the generator itself was blocked."""

    at: float
    """Seconds into the measured part."""
    seconds: float
    cpu_seconds: float
    """Processor time that the generator used meanwhile."""
    step: str
    """The step that took most of it, or ``none``."""
    worker: int = 0


@dataclass(frozen=True, slots=True)
class Offering:
    """The measured part as long as load was offered: to its planned end, or to its last arrival where that came late.

    What follows is the wait for what is in flight. One operation that takes long makes it long, and says nothing about the rate.
    """

    seconds: float
    answered: int
    """Operations that ended well in this time."""
    cpu_seconds: float
    """Processor time of the generator in this time."""

    @property
    def cpu_share(self) -> float:
        """Of a core."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Offered:
    """What came of one order, over all workers."""

    order: Order
    recorder: Recorder
    """Of the measured part."""
    warmup: Mapping[str, int]
    """Outcomes of the warm-up."""
    elapsed: float
    """Seconds from the beginning of the measured part to the end of its last operation, or to its planned end if later."""
    cpu_seconds: float
    """Processor time of the generator in the measured part, all workers."""
    busiest: float
    """The largest share of a core that a worker used while load was offered."""
    offering: Offering
    """Of all workers, as long as load was offered."""
    workers: int
    most_in_flight: int
    gaps: tuple[Gap, ...]
    checks: Mapping[str, Any]
    """What was checked in this window, and what was wrong."""
    lost_log_lines: int
    locust: Mapping[str, int]
    """Requests and failures that Locust's own statistics counted in the measured part and the warm-up."""
    complete: bool
    """Whether everything that was planned was offered, by every worker."""
    interrupted: bool = False
    trouble: str = ""
    started: float = 0.0
    """When it was ordered, in seconds since 1970."""
    pressure: float = 0.0
    """The largest share of the time in which somebody on the machine of a worker waited for a processor."""

    @property
    def broken_off(self) -> str:
        """Why it is not whole; empty where it is, or where somebody interrupted it."""
        return "" if self.complete or self.interrupted else self.trouble or "a window was not complete"

    @property
    def achieved(self) -> float:
        """Operations that ended well, per second: up to the end of the last one, or up to the planned end where that is more.

        Operations in flight at the end count where they end at the pace of all others; a few that take much longer do not make
        those before them slower.
        """
        whole = self.recorder.answered / max(self.elapsed, 1e-9)
        return max(whole, self.offering.answered / self.offering.seconds) if self.offering.seconds else whole


def merged(
    order: Order, answers: list[Mapping[str, Any]], *, workers: int, trouble: str = "", started: float = 0.0
) -> Offered:
    """One window out of the answers of its workers. A worker that is missing makes it incomplete."""
    recorder = Recorder()
    warm, checks, locust = dict.fromkeys(Recorder().counts(), 0), Checked(), {"requests": 0, "failures": 0}
    gaps: list[Gap] = []
    for answer in answers:
        recorder.merge(Recorder.from_data(answer["recorder"]))
        _sum_into(warm, answer["warmup"])
        _sum_into(locust, answer["locust"])
        checks.add(answer["checks"])
        gaps += [Gap(**gap, worker=answer["worker"]) for gap in answer["gaps"]]
    troubles = [answer["trouble"] for answer in answers if answer["trouble"]] + ([trouble] if trouble else [])
    elapsed = max((answer["elapsed"] for answer in answers), default=0.0)
    offerings = [Offering(**answer["offering"]) for answer in answers]
    return Offered(
        order=order,
        recorder=recorder,
        warmup=warm,
        elapsed=elapsed,
        cpu_seconds=sum(answer["cpu_seconds"] for answer in answers),
        busiest=max((offering.cpu_share for offering in offerings), default=0.0),
        offering=Offering(
            seconds=max((offering.seconds for offering in offerings), default=0.0),
            answered=sum(offering.answered for offering in offerings),
            cpu_seconds=sum(offering.cpu_seconds for offering in offerings),
        ),
        workers=len(answers),
        most_in_flight=sum(answer["most_in_flight"] for answer in answers),
        gaps=tuple(gaps),
        checks=checks.data,
        lost_log_lines=sum(answer["lost_log_lines"] for answer in answers),
        locust=locust,
        complete=len(answers) == workers and all(answer["complete"] for answer in answers),
        interrupted=any(answer["interrupted"] for answer in answers),
        trouble="; ".join(troubles),
        started=started,
        pressure=max((answer.get("pressure", 0.0) for answer in answers), default=0.0),
    )


class Checked:
    """What several workers or windows checked, put together: numbers are added, lists follow each other."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    def add(self, data: Mapping[str, Any]) -> None:
        _add(self.data, data)


def _add(total: dict[str, Any], data: Mapping[str, Any]) -> None:
    for name, value in data.items():
        if isinstance(value, Mapping):
            _add(total.setdefault(name, {}), value)
        else:
            total[name] = total[name] + value if name in total else value


def _sum_into(total: dict[str, int], data: Mapping[str, int]) -> None:
    for name, number in data.items():
        total[name] = total.get(name, 0) + number
