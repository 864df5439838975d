"""What windows of load show: their figures, what limited them, and why they may not be used. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from stackproof.scenarios.histogram import Histogram
from stackproof.scenarios.orders import CLOSED, NULL, Checked, Offered
from stackproof.scenarios.recorder import Recorder
from stackproof.scenarios.scenario import Scenario

from .check_words import said_by
from .figures import counted, figures_of, milliseconds
from .kept_record import MISCOUNTED
from .promises import Promise, judged_over
from .record import Facts, Measurement, StepFigures, WindowRecord
from .record_names import LIMITERS, MEASURED, UNKNOWN
from .spread import restless, spread_of

HELD = 0.98
"""Below this share of achieved in offered, the rate was not held."""
LEEWAY_SECONDS = 0.05
"""What the self-check may take beyond its planned time."""
BUSY = 0.80
"""Above this share of one core, a worker of the generator is too busy for its figures to be about the backends."""
LAG_SHARE = 0.2
"""Send lag beyond this share of the latency at the same percentile is not far below it."""
STARVED_SECONDS = 0.05
"""A send lag p99 beyond this, and beyond half the latency p99, means that the generator is what is slow."""
UNFINISHED_PREFIX = "unfinished"


def measurement_of(
    scenario: Scenario,
    calibration: Mapping[str, Any],
    windows: Sequence[WindowRecord],
    facts: Facts,
    promises: Sequence[Promise],
    *,
    interrupted: bool = False,
    left_behind: Sequence[str] = (),
    planned: int = 1,
    earlier: Sequence[Mapping[str, Any]] = (),
) -> Measurement:
    """Put the windows of a run together: its figures are those of the measured ones, of which ``planned`` were wanted.

    ``calibration`` is the self-check of this session, ``earlier`` are those of the sessions before it whose windows are among
    these: no figure is better than the generator that was believed least.
    """
    known = (*earlier, calibration)
    measured = [window for window in windows if window.role == MEASURED]
    each, checks = [merged([window]) for window in measured], Checked()
    recorder = _together(each)
    for window in measured:
        checks.add(window.checks)
    limiter, reason = _worst(measured)
    seconds = [min(window.elapsed, window.order["seconds"]) for window in measured]
    return Measurement(
        **{name: getattr(facts, name) for name in Facts.__dataclass_fields__},
        interrupted=interrupted,
        complete=len(measured) == planned and all(window.complete for window in measured),
        invalid=tuple(
            dict.fromkeys([*_untrusted(known), *(sentence for window in measured for sentence in window.invalid)])
        ),
        warnings=(
            *_warnings(recorder, limiter, reason, left_behind, known),
            *(spread.sentence for spread in spread_of(measured) if spread.noisy),
            *restless(measured),
        ),
        limiter=limiter,
        limiter_reason=reason,
        counts=_counts(recorder),
        errors=dict(recorder.errors),
        rates=_rates(recorder, _achieved(measured), sum(seconds)),
        latency=_latency(recorder),
        steps=tuple(
            StepFigures(step.name, step.concern, step.times, figures_of(recorder.steps[step.name]))
            for step in scenario.steps
            if step.name in recorder.steps
        ),
        client=_client(
            recorder,
            sum(window.client["cpu_seconds"] for window in measured),
            sum(window.client["cpu_share"] * of for window, of in zip(measured, seconds, strict=True))
            / max(sum(seconds), 1e-9),
            max((window.client["busiest"] for window in measured), default=0.0),
        ),
        checks=checks.data,
        locust={name: sum(window.locust[name] for window in measured) for name in ("requests", "failures")},
        slo=tuple(judged_over(promise, each) for promise in promises),
        curve={
            name: [(percentile, milliseconds(seconds)) for percentile, seconds in histogram.curve()]
            for name, histogram in (("intended", recorder.intended), ("real", recorder.real))
        },
        calibration=min(reversed(known), key=_belief),
        windows=tuple(windows),
        removed=not left_behind,
        left_behind=tuple(left_behind),
    )


def _together(parts: Sequence[Recorder]) -> Recorder:
    whole = Recorder()
    for part in parts:
        whole.merge(part)
    return whole


def merged(windows: Sequence[WindowRecord]) -> Recorder:
    """Everything that these windows recorded, but for their seconds: histograms are added, percentiles are never averaged."""
    whole = Recorder()
    for window in windows:
        part = Recorder(
            intended=Histogram.decoded(window.histograms["intended"]),
            real=Histogram.decoded(window.histograms["real"]),
            lag=Histogram.decoded(window.histograms["lag"]),
            steps={name: Histogram.decoded(text) for name, text in window.histograms["steps"].items()},
            errors=Counter(window.errors),
        )
        for name, number in window.counts.items():
            setattr(part, name, number)
        whole.merge(part)
    return whole


def window_of(
    role: str, offered: Offered, calibration: Mapping[str, Any] | None = None, *, pair: str = ""
) -> WindowRecord:
    """Judge one window, given what the null step showed."""
    recorder, order = offered.recorder, offered.order
    client = _client(recorder, offered.cpu_seconds, offered.offering.cpu_share, offered.busiest)
    limiter, reason = limiter_of(offered, calibration)
    data = recorder.to_data()
    return WindowRecord(
        role=role,
        order=order.to_data(),
        workers=offered.workers,
        elapsed=offered.elapsed,
        complete=offered.complete,
        invalid=tuple(_invalid(offered, calibration)),
        limiter=limiter,
        limiter_reason=reason,
        counts=_counts(recorder),
        warmup=offered.warmup,
        errors=dict(recorder.errors),
        rates=_rates(recorder, offered.achieved, min(offered.elapsed, order.seconds)),
        latency=_latency(recorder),
        client=client,
        most_in_flight=offered.most_in_flight,
        gaps=tuple(asdict(gap) for gap in offered.gaps),
        checks=offered.checks,
        locust=offered.locust,
        series=tuple(_series(recorder)),
        histograms={name: data[name] for name in ("intended", "real", "lag", "steps")},
        started=offered.started,
        pair=pair,
    )


def calibration_of(null: Offered) -> dict[str, Any]:
    """What a step that does nothing showed about the generator itself."""
    recorder, order = null.recorder, null.order
    on_time = null.elapsed <= order.seconds / HELD + LEEWAY_SECONDS
    return {
        "seconds": order.seconds,
        "rate": order.rate,
        "offered": recorder.offered,
        "ok": recorder.answered,
        "dropped": recorder.dropped,
        "held": null.interrupted or (recorder.answered >= HELD * recorder.offered and on_time),
        "latency": figures_of(recorder.intended),
        "lag": figures_of(recorder.lag),
        "cpu_seconds": null.cpu_seconds,
        "cpu_us_per_operation": _client(recorder, null.cpu_seconds, 0.0, 0.0)["cpu_us_per_operation"],
        "stub": None,  # `calibration.CalibrationVerdict.to_data`, where a stub server was measured, too
    }


def _untrusted(known: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why the generator is not believed, by its self-checks: it did not see of the stub server what was there."""
    return [f"Self-check: {reason}." for one in known for reason in (one["stub"] or {"reasons": ()})["reasons"]]


def _belief(calibration: Mapping[str, Any]) -> int:
    """How far a generator is believed by its self-check: the less, the smaller."""
    if calibration["stub"] is None:
        return 1
    return 0 if calibration["stub"]["reasons"] else 2 + calibration["held"]


def limiter_of(offered: Offered, calibration: Mapping[str, Any] | None) -> tuple[str, str]:
    """What kept the window from more, and why that is thought."""
    recorder = offered.recorder
    if calibration is not None and not calibration["held"]:
        return "client", "the generator could not hold this rate even with a step that does nothing"
    if offered.busiest > BUSY:
        return "client", f"the generator used {offered.busiest:.0%} of a core: the figures are about it"
    percentile, lag = _send_lag(recorder)
    latency = recorder.intended.percentile(percentile)
    if lag is not None and latency is not None and lag > max(latency / 2, STARVED_SECONDS):
        return "client", "most of the slowest latencies is send lag: the generator sent too late"
    if offered.gaps:
        return "client", "the generator was blocked for a while"
    if not recorder.offered:
        return UNKNOWN, "nothing was offered"
    if not offered.complete:
        return UNKNOWN, "it was cut short" + (f" ({offered.trouble})" if offered.trouble else "")
    if recorder.answered >= HELD * recorder.offered:
        if offered.order.arrivals == CLOSED:
            return "none", "each caller began when its last answer had come: no rate was offered"
        if behind := backlog(offered):
            return "server", behind
        return "none", "the rate was held: this is no ceiling"
    if recorder.failed > recorder.dropped:
        return "error", "operations failed"
    return "server", "operations took so long that arrivals found every place in flight taken"


def backlog(offered: Offered) -> str:
    """What shows that operations ended more slowly than they came, although all of them ended in the end; empty for nothing.

    Operations are in flight at any time: at a steady state as many as come within a mean latency (Little 1961), and twice the
    root of that more by chance. The latency that counts is that of the window's first third: a backlog that grows is not
    excused by the latency that it makes.
    """
    recorder, order, offering = offered.recorder, offered.order, offered.offering
    if order.arrivals == CLOSED or not offering.seconds:
        return ""
    waiting = recorder.answered - offering.answered
    usual = recorder.offered / offering.seconds * _early_latency(recorder, offering.seconds)
    if waiting <= (1 - HELD) * recorder.offered + usual + 2 * math.sqrt(usual) + 1:
        return ""
    return (
        f"a backlog grew: of {recorder.offered:,} operations {waiting:,} had not ended when the last one came, where "
        f"{usual:,.0f} are in flight at the latency that the window began with"
    )


def _early_latency(recorder: Recorder, seconds: float) -> float:
    """The mean latency, in seconds, of what was due in the first third of a window and ended well."""
    early = Histogram(digits=2)
    for number, second in recorder.series.items():
        if number <= seconds / 3:
            early.add(second.latency)
    return sum(value * count for value, count in early.buckets()) / early.count if early.count else 0.0


def _worst(windows: Sequence[WindowRecord]) -> tuple[str, str]:
    """The limiter of a run, and why."""
    worst = min(windows, key=lambda window: LIMITERS.index(window.limiter), default=None)
    if worst is None or worst.limiter == UNKNOWN:
        return UNKNOWN, "nothing was measured"
    return worst.limiter, worst.limiter_reason


def _counts(recorder: Recorder) -> dict[str, int]:
    return {**recorder.counts(), "sent_late": recorder.sent_late}


def _rates(recorder: Recorder, achieved: float, seconds: float) -> dict[str, float]:
    return {"offered": recorder.offered / seconds if seconds else 0.0, "achieved": achieved}


def _achieved(windows: Sequence[WindowRecord]) -> float:
    """Over all of them: what ended well, over the time that it took at the rate of each."""
    answered = [window.counts["ok"] + window.counts["late"] for window in windows]
    seconds = [
        number / window.rates["achieved"] if number else window.elapsed
        for number, window in zip(answered, windows, strict=True)
    ]
    return sum(answered) / max(sum(seconds), 1e-9)


def _latency(recorder: Recorder) -> dict[str, Any]:
    return {
        "intended": figures_of(recorder.intended),
        "counted": counted(recorder),
        "real": figures_of(recorder.real),
        "lag": figures_of(recorder.lag),
    }


def _client(recorder: Recorder, cpu_seconds: float, cpu_share: float, busiest: float) -> dict[str, float]:
    started = recorder.answered + recorder.failed
    return {
        "cpu_seconds": cpu_seconds,
        "cpu_share": cpu_share,
        "busiest": busiest,
        "cpu_us_per_operation": 1e6 * cpu_seconds / started if started else 0.0,
    }


def _send_lag(recorder: Recorder) -> tuple[float, float | None]:
    """The send lag at 99 %, or at the highest percentile below that the sample supports; a short run has no p99."""
    for percentile in (99.0, 95.0, 90.0, 75.0):
        lag = recorder.lag.percentile(percentile)
        if lag is not None:
            return percentile, lag
    return 50.0, recorder.lag.percentile(50.0)


def _invalid(offered: Offered, calibration: Mapping[str, Any] | None) -> list[str]:
    recorder, found = offered.recorder, []
    if not offered.complete:
        found.append(cut_short(offered.trouble))
    elif not recorder.answered:
        found.append("No operation ended well.")
    found += _about_checks(offered.checks, whole=offered.complete)
    if offered.gaps:
        found.append(_about_gaps([asdict(gap) for gap in offered.gaps]))
    if calibration is not None and not calibration["held"]:
        found.append(
            "The generator cannot hold this rate on this machine: a step that does nothing was not held either."
        )
    if offered.lost_log_lines:
        found.append(f"The log transport dropped {offered.lost_log_lines} lines.")
    if not recorder.adds_up:
        found.append(MISCOUNTED)
    # A step that does nothing is no request of Locust's.
    counts = offered.complete and offered.order.target != NULL
    if counts and offered.locust["requests"] != (ended := _ended(offered)):
        found.append(f"Locust counted {offered.locust['requests']} requests, and we {ended}.")
    return found


def cut_short(trouble: str) -> str:
    """Why figures of a window that did not end, or of a run without it, must not be used."""
    why = f" ({trouble})" if trouble else ""
    return f"The run was cut short{why}: the figures cover only a part of what was planned."


def _ended(offered: Offered) -> int:
    """Operations of which Locust must know: those of the warm-up and of the measured part that ended, well or not."""
    warm = sum(offered.warmup.get(name, 0) for name in ("ok", "late", "failed"))
    return warm + offered.recorder.answered + offered.recorder.failed


def _about_checks(checks: Mapping[str, Any], *, whole: bool) -> list[str]:
    """What the sampled checks say against the backends; and where the window is ``whole``, what nobody could look at."""
    found = [said] if (said := said_by(checks)) else []
    if whole and (unchecked := checks.get("unchecked")):
        found.append(f"Not everything could be checked: {'; '.join(dict.fromkeys(unchecked))}.")
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


def _warnings(
    recorder: Recorder, limiter: str, reason: str, left_behind: Sequence[str], known: Sequence[Mapping[str, Any]]
) -> list[str]:
    found = []
    if any(calibration["stub"] is None for calibration in known):
        found.append(
            "The generator was not checked against a server whose service time is known: these figures are not to be published."
        )
    found += _about_send_lag(recorder)
    lost = {"dropped": recorder.dropped, "skipped": recorder.skipped, "failed": recorder.failed}
    if any(lost.values()):
        parts = " and ".join(f"{number} {name}" for name, number in lost.items() if number)
        found.append(
            f"{parts}, of {recorder.offered} operations: they have no latency, so the row that counts every offered "
            "operation is the honest one."
        )
    if limiter == "client":
        found.append(f"The client is the limiter: {reason}. These figures say little about the backends.")
    if limiter == "server" and not any(lost.values()):
        found.append(f"The rate was not held: {reason}. Latencies of a backlog depend on how long the window was.")
    if left_behind:
        found.append("Not everything that the run stored could be removed: " + "; ".join(left_behind))
    return found


def _about_send_lag(recorder: Recorder) -> list[str]:
    """Which figures hold much send lag: each percentile beside its own, for a lag at 99 % says nothing about a median."""
    much, little = list[tuple[str, str]](), list[tuple[str, str]]()
    for percentile in dict.fromkeys((50.0, _send_lag(recorder)[0])):
        lag, latency = recorder.lag.percentile(percentile), recorder.intended.percentile(percentile)
        if lag is None or latency is None:
            continue
        # Rounded as the figures of the record are, so that both read alike.
        of_lag, of_latency = f"{milliseconds(lag):.2f} ms", f"{milliseconds(latency):.2f} ms"
        told = f"p{percentile:g} ({of_lag}) is not far below the latency p{percentile:g} ({of_latency})"
        (much if lag > LAG_SHARE * latency else little).append((f"p{percentile:g}", told))
    if not much:
        return []
    names = " and ".join(name for name, _ in much)
    others = f"; {little[0][0]} is not affected" if little else ""
    return [
        f"Send lag {' and '.join(told for _, told in much)}: a good part of {names} from the intended start is the generator's "
        f"own, which was not given the processor in time{others}."
    ]


def _series(recorder: Recorder) -> list[dict[str, Any]]:
    rows = []
    for number, second in sorted(recorder.series.items()):
        found = second.latency.percentiles([50.0, 99.0])
        rows.append(
            {
                "second": number,
                **second.counts(),
                "p50": milliseconds(found[50.0]) if found else None,
                "p99": milliseconds(found[99.0]) if found else None,
                "largest": milliseconds(second.latency.largest) if second.answered else None,
            }
        )
    return rows
