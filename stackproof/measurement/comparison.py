"""The gate: two runs as values, and whether the second is worse than the first. Pure.

For each metric the ratio of the two runs is taken with an interval (see ``statistics``). What a verdict needs:

- *regression*, *improvement*, paired windows: the interval excludes "no change", and the ratio is beyond the threshold.
- the same, unpaired windows: the whole interval is beyond the threshold. What changed on the machine between two runs is
  in their ratio and in no interval, so the threshold is the allowance for it.
- *no difference*: the whole interval is within the threshold.
- *cannot tell*: everything else, and what was not measured well enough. It never counts as no difference.

Several metrics do not add up to more false alarms: with m metrics, each bound of each interval may be wrong in 5 %/m of
comparisons (Bonferroni), so that all metrics together raise a false alarm in at most 5 % of them, however they depend on
each other.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from . import statistics
from .brackets import effect_of_brackets, half_width, is_bracket
from .compared import (
    ACCEPTABLE,
    DEFAULT,
    METRICS,
    SETTINGS,
    Comparison,
    Difference,
    Metric,
    MetricResult,
    Outcome,
    Run,
    Side,
    Window,
)
from .ratio_verdicts import Verdict as Verdict
from .ratio_verdicts import change as change
from .ratio_verdicts import judged, judged_by_brackets, judged_by_never, never, unlike_in_never
from .ratio_verdicts import percent as percent
from .statistics import Effect, NoEffect

THRESHOLD = 0.05
"""A change of up to this share is none that the gate is for."""
FALSE_ALARMS = 0.05
"""At most this share of comparisons of equal runs ends as a regression."""
RECOMMENDED_PAIRS = 40
"""Pairs of windows in which a change of 10 % is found in at least 95 % of comparisons, where windows vary by up to 10 %."""
HELD = 0.98
"""From this share of the offered rate on, a window held it."""
MOST_MISSING = 0.2
"""Up to this share of windows may be invalid, or lack a figure: beyond it, those that are left are a choice and no sample."""
DRIFT = 0.02
"""A run that is not paired may move by this share from its first window to its last."""


def compare(
    first: Run,
    second: Run,
    metrics: Sequence[str] = (),
    *,
    threshold: float = THRESHOLD,
    accepted: Collection[str] = (),
) -> Comparison:
    """Whether ``second`` is worse than ``first`` in any of the metrics (names of `METRICS`; `DEFAULT` where empty).

    ``threshold`` is a share (0.05 for 5 %); ``accepted`` names kinds of `ACCEPTABLE` that may differ.
    """
    found = differences(first, second)
    kept = tuple(sorted(set(accepted) & {difference.kind for difference in found}))

    def without_answer(outcome: Outcome, reasons: Sequence[str]) -> Comparison:
        return replace(no_answer(outcome, reasons, (first.id, second.id), threshold), accepted=kept, differences=found)

    if nothing := [f"The run {run.id} has no window of load." for run in (first, second) if not run.windows]:
        return without_answer(Outcome.NO_DATA, nothing)
    if unusable := [*_same(first, second), *_unusable(first), *_unusable(second)]:
        return without_answer(Outcome.INVALID, unusable)
    if other := [_sentence(one) for one in found if one.kind not in accepted or one.kind not in ACCEPTABLE]:
        return without_answer(Outcome.OTHER, other)

    windows, paired, notes = _matched(first, second)
    chosen = [METRICS[name] for name in metrics or DEFAULT if metrics or _either_has(name, windows)]
    tested = [metric for metric in chosen if not _held(metric, windows)]
    confidence = 1 - 2 * FALSE_ALARMS / max(1, len(tested))
    results = tuple(_result(metric, windows, paired, threshold, confidence) for metric in chosen)
    if not results:
        return without_answer(Outcome.NO_DATA, ["Neither run has a figure of any metric that could be compared."])
    notes = [
        *_unchecked(first, second),
        *notes,
        *map(_accepted_sentence, found),
        *_subjects(first, second),
        *_about_noise(results),
    ]
    verdicts = {result.verdict for result in results}
    return Comparison(
        _outcome(verdicts), (), tuple(notes), (first.id, second.id), threshold, confidence, paired, kept, found, results
    )


def _unchecked(*runs: Run) -> list[str]:
    """A comparison is no better than the generators that it rests on."""
    return [
        f"The generator of the run {run.id} was not checked against a server whose service time is known: its figures, and what "
        "follows from them, are not to be published."
        for run in runs
        if not run.checked
    ]


def no_answer(outcome: Outcome, reasons: Sequence[str], runs: tuple[str, str], threshold: float) -> Comparison:
    """The answer where no metric was compared."""
    return Comparison(outcome, tuple(reasons), (), runs, threshold, None, False, (), (), ())


def differences(first: Run, second: Run) -> tuple[Difference, ...]:
    """What is not equal in two runs and should be, the gravest first. What is not known of one of them is not equal."""
    pairs: tuple[tuple[str, Mapping[str, str], Mapping[str, str]], ...] = (
        ("workload", first.workload, second.workload),
        ("backend", first.backends, second.backends),
        # A server that one of them did not use is in the difference of the backends already.
        *(
            ("backend", *_named(server, first.settings[server], second.settings[server]))
            for server in sorted(first.settings.keys() & second.settings.keys())
        ),
        ("environment", first.environment, second.environment),
        ("seed", {"seed": first.seed}, {"seed": second.seed}),
    )
    unknown = first.unknown | second.unknown
    return tuple(
        Difference(kind, name, one.get(name, "absent"), two.get(name, "absent"))
        for kind, one, two in pairs
        for name in sorted({*one, *two})
        if one.get(name) != two.get(name) or (name in unknown and kind in ("environment", "backend"))
    )


def _named(server: str, one: Mapping[str, str], two: Mapping[str, str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The settings of one server with its name to them; where one side kept none at all, that is the only difference."""
    if SETTINGS in one or SETTINGS in two:
        one, two = ({SETTINGS: side.get(SETTINGS, "known")} for side in (one, two))
    first, second = ({f"{name} of {server}": value for name, value in side.items()} for side in (one, two))
    return first, second


def _outcome(verdicts: Collection[Verdict]) -> Outcome:
    if Verdict.REGRESSION in verdicts:
        return Outcome.REGRESSION
    return Outcome.CANNOT_TELL if Verdict.CANNOT_TELL in verdicts else Outcome.NO_REGRESSION


def _same(first: Run, second: Run) -> list[str]:
    shared = {*first.members, first.id} & {*second.members, second.id}
    if first.began and second.began:
        shared = {one for one, _ in first.began & second.began}
    return [f"The run {one} is on both sides: a run compared with itself shows nothing." for one in sorted(shared)]


def _unusable(run: Run) -> list[str]:
    """Why a run as a whole proves nothing."""
    reasons = [f"The run {run.id} is invalid: {reason}" for reason in run.invalid]
    for number, window in enumerate(run.windows, 1):
        reasons += [f"Window {number} of the run {run.id}: {wrong}." for wrong in _wrong(window) if not window.invalid]
    keys = [window.pair for window in run.windows if window.pair]
    if len(set(keys)) < len(keys):
        reasons.append(f"The run {run.id} has two windows for one pair.")
    bad = [window for window in run.windows if window.invalid]
    if len(bad) > MOST_MISSING * len(run.windows):
        reasons.append(
            f"{len(bad)} of {len(run.windows)} windows of the run {run.id} are invalid, for example: {bad[0].invalid[0]}"
        )
    return reasons


def _wrong(window: Window) -> list[str]:
    """Figures that cannot be: they come from a defect or a forged file, so that nothing of the file is to be believed."""
    wrong = [
        f"{name} is {value!r}, which is no figure"
        for name, value in window.figures.items()
        if value is not None and not 0 < value < math.inf
    ]
    if window.bracket is not None and not is_bracket(window.bracket):
        wrong.append(f"its bracket {list(window.bracket)} is none")
    return wrong


_Windows = tuple[list[Window], list[Window]]


def _matched(first: Run, second: Run) -> tuple[_Windows, bool, list[str]]:
    """The valid windows of both runs in order of time, pair by pair where they were taken so; whether they were; notes."""
    notes = []
    valid = [[window for window in run.windows if not window.invalid] for run in (first, second)]
    for run, left in zip((first, second), valid, strict=True):
        if len(left) < len(run.windows):
            notes.append(f"Invalid windows of the run {run.id} are left out: {len(run.windows) - len(left)}.")
    one, two = (sorted(windows, key=lambda window: window.started or 0.0) for windows in valid)
    partners = {window.pair: window for window in two if window.pair}
    pairs = [(window, partners[window.pair]) for window in one if window.pair in partners]
    if not pairs:
        return (one, two), False, [*notes, f"The windows are not paired; {_UNPAIRED}"]
    if not _interleaved(pairs):
        return (one, two), False, [*notes, f"The windows of a pair were not taken one after the other; {_UNPAIRED}"]
    alone = len(one) + len(two) - 2 * len(pairs)
    if alone:
        notes.append(f"Windows that have no partner are left out: {alone}.")
    if (
        len(pairs) >= 8
        and len({a.started < b.started for a, b in pairs if a.started is not None and b.started is not None}) == 1
    ):
        notes.append("In every pair the same run went first; a random order would not let a drift favour one of them.")
    return ([a for a, _ in pairs], [b for _, b in pairs]), True, notes


_UNPAIRED = (
    "what changed on the machine between the runs looks like a difference, so only what is beyond the threshold with its whole "
    "interval counts."
)


def _interleaved(pairs: Sequence[tuple[Window, Window]]) -> bool:
    """Whether the two windows of each pair are neighbours in time: else what moves the machine moves them differently."""
    times = []
    for number, pair in enumerate(pairs):
        for window in pair:
            if window.started is None:
                return False
            times.append((window.started, number))
    times.sort()
    return all(times[at][1] == times[at + 1][1] for at in range(0, len(times), 2))


def _either_has(name: str, windows: _Windows) -> bool:
    """Whether there is a figure, or a reason why there is none."""
    return any(
        window.figures.get(name) is not None or (window.missing and name in window.figures)
        for run in windows
        for window in run
    )


def _held(metric: Metric, windows: _Windows) -> bool:
    """Whether a rate says nothing, because every window of both runs achieved what was offered to it."""
    return metric.name == "achieved" and all(
        window.offered is not None and (window.figures.get(metric.name) or 0.0) >= HELD * window.offered
        for run in windows
        for window in run
    )


def _result(metric: Metric, windows: _Windows, paired: bool, threshold: float, confidence: float) -> MetricResult:
    sides = tuple(_side(_values(metric, run)) for run in windows)
    if _held(metric, windows):
        sentence = "Every window of both runs held the offered rate: it is a bound here, not a measure."
        return MetricResult(metric, Verdict.NO_DIFFERENCE, sentence, None, *sides)
    if said := _by_never(metric, windows, paired, confidence):
        return MetricResult(metric, *said, None, *sides)
    found = _effect(metric, windows, paired, confidence)
    if isinstance(found, NoEffect):
        return MetricResult(metric, Verdict.CANNOT_TELL, _about_none(found), None, *sides)
    verdict, sentence = (
        judged_by_brackets(found, threshold)
        if found.p is None
        else judged(found, paired, threshold, more_is_better=metric.more_is_better)
    )
    if verdict is Verdict.NO_DIFFERENCE and (why := unlike_in_never(*(_values(metric, run) for run in windows))):
        verdict, sentence = Verdict.CANNOT_TELL, f"{sentence.removesuffix('.')}; but {why}."
    return MetricResult(metric, verdict, sentence, found, *sides)


def _by_never(metric: Metric, windows: _Windows, paired: bool, confidence: float) -> tuple[Verdict, str] | None:
    """The answer where one run reached it in every window, and the other in none; None elsewhere."""
    known = [_values(metric, run) for run in windows]
    if any(len(values) < (1 - MOST_MISSING) * len(run) for values, run in zip(known, windows, strict=True)):
        return None
    least = statistics.least_pairs(confidence) if paired else statistics.least_windows(confidence)
    return judged_by_never(known[0], known[1], least)


def _effect(metric: Metric, windows: _Windows, paired: bool, confidence: float) -> Effect | NoEffect:
    for run, which in zip(windows, ("first", "second"), strict=True):
        missing = [window for window in run if window.figures.get(metric.name) is None]
        if len(missing) > MOST_MISSING * len(run):
            return NoEffect(_about_missing(missing, len(run), which))
    if metric.name == "ceiling" and (found := _few_brackets(windows, paired, confidence)) is not None:
        return found
    if paired:
        both = [
            pair for pair in zip(*windows, strict=True) if all(w.figures.get(metric.name) is not None for w in pair)
        ]
        windows = ([one for one, _ in both], [two for _, two in both])
    one, two = (_values(metric, run) for run in windows)
    resolution = sum(_half_bracket(run) for run in windows) if metric.name == "ceiling" else 0.0
    if never(one) and never(two):
        return NoEffect("neither run reached it in any window, so that it says nothing of a difference")
    if (
        metric.name != "achieved"
        and not resolution
        and any(len(run) > 1 and min(run) == max(run) and not never(run) for run in (one, two))
    ):
        return NoEffect("one of the runs shows the same figure in every window: that is no measurement")
    if paired:
        return statistics.paired_effect(one, two, confidence, resolution)
    return _drifted(one, two) or statistics.unpaired_effect(one, two, confidence, resolution)


def _about_missing(missing: Sequence[Window], of: int, which: str) -> str:
    if reasons := list(dict.fromkeys(window.missing for window in missing if window.missing)):
        searches = "the search" if of == 1 else f"{len(missing)} of {of} searches"
        return f"{searches} of the {which} run gave no bracket: {reasons[0]}"
    return f"{len(missing)} of {of} windows of the {which} run have too small a sample for it"


def _few_brackets(windows: _Windows, paired: bool, confidence: float) -> Effect | None:
    """What the brackets themselves say where there are too few searches for an interval over them."""
    least = statistics.least_pairs(confidence) if paired else statistics.least_windows(confidence)
    one, two = ([window.bracket for window in run if window.bracket] for run in windows)
    return effect_of_brackets(one, two) if one and two and min(len(one), len(two)) < least else None


def _drifted(first: Sequence[float], second: Sequence[float]) -> NoEffect | None:
    """Why runs that moved while they were measured cannot be told from runs that differ, unless their windows are pairs."""
    for run, which in ((first, "first"), (second, "second")):
        by = statistics.moved(run)
        if by is not None and abs(by) > DRIFT:
            return NoEffect(
                f"the {which} run moved by {change(1 + by)} from its first window to its last, and whatever moved it moved on "
                "between the runs; only interleaved pairs tell that from a difference"
            )
    return None


def _half_bracket(run: Sequence[Window]) -> float:
    """How far the true ceiling may be from the mid-point of its bracket, on the log scale, at most."""
    return max((half_width(window.bracket) for window in run if window.bracket), default=0.0)


def _about_none(found: NoEffect) -> str:
    sentence = found.sentence[0].upper() + found.sentence[1:]
    more = (
        ""
        if found.least is None
        else f"; it takes at least {found.least}, and {RECOMMENDED_PAIRS} pairs are recommended"
    )
    return f"{sentence}{more}."


def _values(metric: Metric, run: Sequence[Window]) -> list[float]:
    return [value for window in run if (value := window.figures.get(metric.name)) is not None]


def _side(values: Sequence[float]) -> Side:
    return Side(
        len(values),
        statistics.median(values),
        statistics.bootstrap(values, resamples=999),
        statistics.variation(values),
        statistics.is_noisy(values),
    )


def _sentence(difference: Difference) -> str:
    hint = f" (--accept {difference.kind})" if difference.kind in ACCEPTABLE else ""
    return f"{difference.kind} {difference.name}: {difference.first} in the first run, {difference.second} in the second{hint}."


def _accepted_sentence(difference: Difference) -> str:
    return (
        f"Accepted, but it may be the whole difference: {difference.kind} {difference.name}: "
        f"{difference.first} in the first run, {difference.second} in the second."
    )


def _subjects(first: Run, second: Run) -> list[str]:
    """Versions of what both runs have; that one of them has another backend altogether is a difference of the runs."""
    return [
        f"What was compared: {name} {first.subject[name]} with {second.subject[name]}."
        for name in sorted(first.subject.keys() & second.subject.keys())
        if first.subject[name] != second.subject[name]
    ]


def _about_noise(results: Sequence[MetricResult]) -> list[str]:
    return [
        f"{result.metric.name} varies by {percent(side.variation)} between the windows of the {which} run (more than "
        f"{percent(statistics.NOISY)})."
        for result in results
        for which, side in (("first", result.first), ("second", result.second))
        if side.noisy and side.variation is not None
    ]
