"""The measurement: the record of one bench run, as values and as JSON. Pure.

The JSON form is described field by field in ``measurement.schema.json`` beside this file. All times are in milliseconds
unless a field says seconds; None stands for a percentile that the sample is too small for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from stackproof.interfaces import ConfigurationError
from stackproof.kept_json import read

from .plan import Plan
from .recorder import Histogram, Recorder, supported
from .scenario import Scenario, find_scenario

SCHEMA = "stackproof-measurement/1"
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99_9": 99.9}

HELD = 0.98
"""Below this share of achieved in offered, the rate was not held."""
LEEWAY_SECONDS = 0.05
"""What the self-check may take beyond its planned time."""
BUSY = 0.80
"""Above this share of one core, the generator is too busy for its figures to be about the backends."""
LAG_SHARE = 0.2
"""Send lag (p99, or what there is) beyond this share of the latency p50 is not far below it."""
COARSE_SECONDS = 0.003
"""A send lag up to this comes from the clock of the generator's event loop; more comes from something else."""
STARVED_SECONDS = 0.05
"""A send lag p99 beyond this, and beyond half the latency p99, means that the generator is what is slow."""
UNFINISHED_PREFIX = "unfinished"


@dataclass(frozen=True, slots=True)
class BackendRecord:
    """A backend that was measured."""

    target: str
    concern: str
    backend: str
    digest: str
    server: str
    fidelity: str
    certificate: str
    """Id of the verification that showed that its core contract holds."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A latency promise such as p99=20ms."""

    percentile: float
    limit_ms: float

    @classmethod
    def parse(cls, text: str) -> Promise:
        """From ``p99=20ms`` or ``p99.9=0.5s``; a `ConfigurationError` for anything else."""
        name, equals, value = text.strip().lower().partition("=")
        factor = 1.0 if value.endswith("ms") else 1000.0 if value.endswith("s") else math.nan
        try:
            percentile, limit = float(name.removeprefix("p")), float(value.rstrip("ms")) * factor
        except ValueError:
            percentile, limit = 50.0, math.nan
        if not (equals and name.startswith("p") and 0 < percentile < 100 and 0 < limit < math.inf):
            below = "; a percentile lies above 0 and below 100" if not 0 < percentile < 100 else ""
            raise ConfigurationError(f"--slo {text!r} must look like p99=20ms{below}")
        return cls(percentile, limit)

    @property
    def name(self) -> str:
        return f"p{self.percentile:g} within {self.limit_ms:g} ms"


@dataclass(frozen=True, slots=True)
class PromiseResult:
    """Whether a promise was kept, from the intended start, every decision counted."""

    percentile: float
    limit_ms: float
    seen_ms: float | None
    """None where that share of decisions was never answered, or the sample is too small."""
    verdict: str
    """held, missed, or unknown where the sample is too small."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Percentiles of one kind of duration."""

    count: int
    p50: float | None
    p90: float | None
    p99: float | None
    p99_9: float | None
    largest: float | None


@dataclass(frozen=True, slots=True)
class StepFigures:
    """One step: how long a single execution took."""

    step: str
    concern: str
    times: int
    """Executions in one decision."""
    figures: Figures


@dataclass(frozen=True, slots=True)
class Measurement:
    """The record of one run of load."""

    id: str
    created: str
    version: str
    command: str
    stack: str
    origin: str
    scenario: Mapping[str, Any]
    load: Mapping[str, Any]
    backends: tuple[BackendRecord, ...]
    servers: tuple[Mapping[str, Any], ...]
    environment: Mapping[str, str]
    suite_digest: str
    interrupted: bool
    """Whether somebody cut it short."""
    complete: bool
    """Whether everything that was planned was offered."""
    invalid: tuple[str, ...]
    """Why the figures must not be used; empty for a valid run."""
    warnings: tuple[str, ...]
    limiter: str
    """none (the rate was held), server, client or error."""
    limiter_reason: str
    counts: Mapping[str, int]
    errors: Mapping[str, int]
    rates: Mapping[str, float]
    latency: Mapping[str, Figures]
    steps: tuple[StepFigures, ...]
    client: Mapping[str, float]
    calibration: Mapping[str, Any]
    gaps: tuple[Mapping[str, Any], ...]
    checks: Mapping[str, Any]
    locust: Mapping[str, int]
    slo: tuple[PromiseResult, ...]
    curve: Mapping[str, Sequence[tuple[float, float]]]
    series: tuple[Mapping[str, Any], ...]
    histograms: Mapping[str, Any]
    removed: bool
    left_behind: tuple[str, ...] = field(default=())

    @property
    def level(self) -> str:
        """VALID, INVALID or PARTIAL."""
        if not self.complete:
            return "PARTIAL"
        return "INVALID" if self.invalid else "VALID"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a run beside what the generator recorded."""

    id: str
    created: str
    version: str
    command: str
    stack: str
    origin: str
    backends: tuple[BackendRecord, ...]
    servers: tuple[Mapping[str, Any], ...]
    environment: Mapping[str, str]
    suite_digest: str


def measurement_of(plan: Plan, data: Mapping[str, Any], facts: Facts, promises: Sequence[Promise]) -> Measurement:
    """Judge what the generator wrote down."""
    scenario = find_scenario(plan.scenario)
    recorder = Recorder.from_data(data["recorder"])
    calibration = _calibration(plan, data["calibration"])
    elapsed = float(data["elapsed"])
    client = _client(recorder, data, elapsed)
    limiter, reason = _limiter(recorder, client, calibration, data["gaps"])
    return Measurement(
        **{name: getattr(facts, name) for name in Facts.__dataclass_fields__},
        scenario=_scenario(scenario),
        load={
            "rate": plan.rate,
            "arrivals": plan.arrivals,
            "duration": plan.duration,
            "warmup": plan.warmup,
            "in_flight": plan.in_flight,
            "most_in_flight": data["most_in_flight"],
            "seed": plan.seed,
            "elapsed": elapsed,
        },
        interrupted=bool(data["interrupted"]),
        complete=bool(data["complete"]),
        invalid=tuple(_invalid(recorder, calibration, data)),
        warnings=tuple(_warnings(recorder, limiter, reason, data)),
        limiter=limiter,
        limiter_reason=reason,
        counts={name: getattr(recorder, name) for name in ("offered", "ok", "failed", "dropped", "late")},
        errors=dict(recorder.errors),
        rates={
            "offered": recorder.offered / min(elapsed, plan.duration) if elapsed else 0.0,
            "achieved": recorder.ok / max(elapsed, 1e-9),
        },
        latency={
            "intended": _figures(recorder.intended),
            "counted": _counted(recorder),
            "real": _figures(recorder.real),
            "lag": _figures(recorder.lag),
        },
        steps=tuple(
            StepFigures(step.name, step.concern, step.times, _figures(recorder.steps[step.name]))
            for step in scenario.steps
            if step.name in recorder.steps
        ),
        client=client,
        calibration=calibration,
        gaps=tuple(data["gaps"]),
        checks=data["checks"],
        locust=data["locust"],
        slo=tuple(_judged(promise, recorder) for promise in promises),
        curve={
            name: [(percentile, _ms(seconds)) for percentile, seconds in histogram.curve()]
            for name, histogram in (("intended", recorder.intended), ("real", recorder.real))
        },
        series=tuple(_series(recorder)),
        histograms={name: data["recorder"][name] for name in ("intended", "real", "lag", "steps")},
        removed=bool(data["removed"]),
        left_behind=tuple(data["left_behind"]),
    )


def from_json(text: str) -> Measurement:
    """A measurement from its JSON text; ValueError where it is none of this schema."""
    data = read(text, numbers_only=False)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"this is no measurement of schema {SCHEMA}")
    for derived in ("schema", "level"):
        data.pop(derived, None)
    for name in ("servers", "invalid", "warnings", "gaps", "series", "left_behind"):
        data[name] = tuple(data[name])
    data["backends"] = tuple(BackendRecord(**row) for row in data["backends"])
    data["latency"] = {name: Figures(**figures) for name, figures in data["latency"].items()}
    data["steps"] = tuple(StepFigures(**{**row, "figures": Figures(**row["figures"])}) for row in data["steps"])
    data["calibration"] |= {name: Figures(**data["calibration"][name]) for name in ("latency", "lag")}
    data["slo"] = tuple(PromiseResult(**row) for row in data["slo"])
    data["curve"] = {name: [(p, ms) for p, ms in points] for name, points in data["curve"].items()}
    return Measurement(**data)


def to_json(measurement: Measurement) -> str:
    """The measurement as JSON text."""
    data = {"schema": SCHEMA, "level": measurement.level, **asdict(measurement)}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def unanswered_percentile(recorder: Recorder, percentile: float) -> float | None:
    """Milliseconds within which this share of *all offered* decisions ended well; infinity where fewer ever did.

    A decision that was dropped or failed has no latency. Left out, it would make the rest look good. None: sample too small.
    """
    if not supported(recorder.offered, percentile):
        return None
    share_of_ok = percentile * recorder.offered / recorder.ok if recorder.ok else math.inf
    if share_of_ok > 100.0:
        return math.inf
    return _ms(recorder.intended.percentiles([share_of_ok])[share_of_ok])


def _counted(recorder: Recorder) -> Figures:
    found = {name: unanswered_percentile(recorder, percentile) for name, percentile in PERCENTILES.items()}
    finite = {name: value if value is not None and value < math.inf else None for name, value in found.items()}
    complete = recorder.ok == recorder.offered and recorder.ok
    return Figures(recorder.offered, **finite, largest=_ms(recorder.intended.largest) if complete else None)


def _figures(histogram: Histogram) -> Figures:
    found = {
        name: None if (seconds := histogram.percentile(percentile)) is None else _ms(seconds)
        for name, percentile in PERCENTILES.items()
    }
    return Figures(histogram.count, **found, largest=_ms(histogram.largest) if histogram.count else None)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _judged(promise: Promise, recorder: Recorder) -> PromiseResult:
    seen = unanswered_percentile(recorder, promise.percentile)
    verdict = "unknown" if seen is None else "held" if seen <= promise.limit_ms else "missed"
    return PromiseResult(
        promise.percentile, promise.limit_ms, seen if seen is not None and seen < math.inf else None, verdict
    )


def _scenario(scenario: Scenario) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "steps": [{"step": step.name, "concern": step.concern, "times": step.times} for step in scenario.steps],
        "customers": scenario.customers.size,
        "exponent": scenario.customers.exponent,
        "payload_p50_bytes": scenario.payload.p50,
        "payload_p99_bytes": scenario.payload.p99,
    }


def _client(recorder: Recorder, data: Mapping[str, Any], elapsed: float) -> dict[str, float]:
    started = recorder.ok + recorder.failed
    null = data["calibration"]
    null_started = null["recorder"]["ok"]
    return {
        "cpu_seconds": data["cpu_seconds"],
        "cpu_share": data["cpu_seconds"] / elapsed if elapsed else 0.0,
        "cpu_ms_per_decision": 1000 * data["cpu_seconds"] / started if started else 0.0,
        "null_cpu_ms_per_decision": 1000 * null["cpu_seconds"] / null_started if null_started else 0.0,
    }


def _calibration(plan: Plan, data: Mapping[str, Any]) -> dict[str, Any]:
    recorder = Recorder.from_data(data["recorder"])
    on_time = data["elapsed"] <= data["seconds"] / HELD + LEEWAY_SECONDS
    held = recorder.ok >= HELD * recorder.offered and on_time
    return {
        "seconds": data["seconds"],
        "rate": plan.rate,
        "offered": recorder.offered,
        "ok": recorder.ok,
        "dropped": recorder.dropped,
        "held": held,
        "latency": _figures(recorder.intended),
        "lag": _figures(recorder.lag),
        "cpu_seconds": data["cpu_seconds"],
    }


def _limiter(
    recorder: Recorder, client: Mapping[str, float], calibration: Mapping[str, Any], gaps: Sequence[Any]
) -> tuple[str, str]:
    if not calibration["held"]:
        return "client", "the generator could not hold this rate even with a step that does nothing"
    if client["cpu_share"] > BUSY:
        return "client", f"the generator used {client['cpu_share']:.0%} of a core: the figures are about it"
    percentile, lag = _send_lag(recorder)
    latency = recorder.intended.percentile(percentile)
    if lag is not None and latency is not None and lag > max(latency / 2, STARVED_SECONDS):
        return "client", "most of the slowest latencies is send lag: the generator sent too late"
    if gaps:
        return "client", "the generator's event loop was blocked for a while"
    if recorder.ok >= HELD * recorder.offered:
        return "none", "the rate was held: this is no ceiling"
    if recorder.failed > recorder.dropped:
        return "error", "decisions failed"
    return "server", "decisions took so long that arrivals found every place in flight taken"


def _send_lag(recorder: Recorder) -> tuple[float, float | None]:
    """The send lag at 99 %, or at the highest percentile below that the sample supports; a short run has no p99."""
    for percentile in (99.0, 95.0, 90.0, 75.0):
        lag = recorder.lag.percentile(percentile)
        if lag is not None:
            return percentile, lag
    return 50.0, recorder.lag.percentile(50.0)


def _invalid(recorder: Recorder, calibration: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    found = []
    if not data["complete"]:
        why = f" ({data['trouble']})" if data["trouble"] else ""
        found.append(f"The run was cut short{why}: the figures cover only a part of what was planned.")
    if not recorder.ok:
        found.append("No decision ended well.")
    if data["checks"]["wrong"]:
        found.append(
            f"{data['checks']['wrong']} answers of backends were wrong, for example: {data['checks']['examples'][0]}."
        )
    if data["gaps"]:
        found.append(_about_gaps(data["gaps"]))
    if not calibration["held"]:
        found.append(
            "The generator cannot hold this rate on this machine: a step that does nothing was not held either."
        )
    if data["lost_log_lines"]:
        found.append(f"The log transport dropped {data['lost_log_lines']} lines.")
    if not recorder.adds_up:
        found.append("The counters do not add up: offered is not ok + failed + dropped.")
    if not data["complete"]:
        return found  # it stopped between the two counts of a decision
    unfinished = sum(count for kind, count in recorder.errors.items() if kind.startswith(UNFINISHED_PREFIX))
    if data["locust"]["requests"] != recorder.ok + recorder.failed - unfinished:
        found.append(
            f"Locust counted {data['locust']['requests']} requests, and we {recorder.ok + recorder.failed - unfinished}."
        )
    return found


def _about_gaps(gaps: Sequence[Mapping[str, Any]]) -> str:
    worst = max(gaps, key=lambda gap: float(gap["seconds"]))
    times = "once" if len(gaps) == 1 else f"{len(gaps)} times"
    if worst["step"] != "none":
        why = f"the client code of {worst['step']} held it without giving way"
    elif worst["cpu_seconds"] > worst["seconds"] / 2:
        why = "the generator was computing"
    else:
        why = "no step took that long, so the machine gave it no time"
    return (
        f"The generator's event loop was blocked {times}, at worst for {worst['seconds']:.2f} s at second "
        f"{worst['at']:.1f}: {why}. What was slow then is the client, not the server."
    )


def _warnings(recorder: Recorder, limiter: str, reason: str, data: Mapping[str, Any]) -> list[str]:
    found = []
    (percentile, lag), latency = _send_lag(recorder), recorder.intended.percentile(50.0)
    if lag is not None and latency is not None and lag > LAG_SHARE * latency:
        why = "its clock ticks in milliseconds" if lag < COARSE_SECONDS else "it was not given the processor in time"
        found.append(
            f"Send lag p{percentile:g} ({lag * 1000:.2f} ms) is not far below the latency p50 ({latency * 1000:.2f} ms): "
            f"a good part of the latency from the intended start is the generator's own, because {why}."
        )
    if recorder.dropped or recorder.failed:
        found.append(
            f"{recorder.dropped} arrivals were dropped and {recorder.failed} decisions failed. They have no latency: "
            "the row that counts every offered decision is the honest one."
        )
    if limiter == "client":
        found.append(f"The client is the limiter: {reason}. These figures say little about the backends.")
    if not data["removed"]:
        found.append(
            "Not everything that the run stored could be removed: " + ("; ".join(data["left_behind"]) or "unknown")
        )
    return found


def _series(recorder: Recorder) -> list[dict[str, Any]]:
    rows = []
    for number, second in sorted(recorder.series.items()):
        found = second.latency.percentiles([50.0, 99.0])
        rows.append(
            {
                "second": number,
                "offered": second.offered,
                "ok": second.ok,
                "failed": second.failed,
                "dropped": second.dropped,
                "p50": _ms(found[50.0]) if found else None,
                "p99": _ms(found[99.0]) if found else None,
                "largest": _ms(second.latency.largest) if second.ok else None,
            }
        )
    return rows
