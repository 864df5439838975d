"""What a window of load shows: its figures, what limited it, and why it may not be used. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stackproof.scenarios.plan import Plan
from stackproof.scenarios.recorder import Recorder
from stackproof.scenarios.scenario import Scenario, find_scenario

from .figures import counted, figures_of, milliseconds
from .promises import Promise, judged
from .record import Facts, Measurement, StepFigures

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
            "intended": figures_of(recorder.intended),
            "counted": counted(recorder),
            "real": figures_of(recorder.real),
            "lag": figures_of(recorder.lag),
        },
        steps=tuple(
            StepFigures(step.name, step.concern, step.times, figures_of(recorder.steps[step.name]))
            for step in scenario.steps
            if step.name in recorder.steps
        ),
        client=client,
        calibration=calibration,
        gaps=tuple(data["gaps"]),
        checks=data["checks"],
        locust=data["locust"],
        slo=tuple(judged(promise, recorder) for promise in promises),
        curve={
            name: [(percentile, milliseconds(seconds)) for percentile, seconds in histogram.curve()]
            for name, histogram in (("intended", recorder.intended), ("real", recorder.real))
        },
        series=tuple(_series(recorder)),
        histograms={name: data["recorder"][name] for name in ("intended", "real", "lag", "steps")},
        removed=bool(data["removed"]),
        left_behind=tuple(data["left_behind"]),
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
        "latency": figures_of(recorder.intended),
        "lag": figures_of(recorder.lag),
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
                "p50": milliseconds(found[50.0]) if found else None,
                "p99": milliseconds(found[99.0]) if found else None,
                "largest": milliseconds(second.latency.largest) if second.ok else None,
            }
        )
    return rows
