"""How much of what was measured the peak takes: of one backend, and of a stack as a whole. Pure.

A backend's share of its ceiling adds up over what it does: interactions are written and summaries are read at the same time,
so the parts of both ceilings that they take are added. Where a scenario was not measured on a backend alone, a run of whole
decisions in which it took part is a lower bound for it: it did at least that, beside the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from stackproof.measurement.search_words import a_rate
from stackproof.scenarios.catalogue import find_scenario

from .ceilings import NATIVE, MeasuredCeiling, promise_of
from .demand import Demand
from .families.redis import ANY_MACHINE
from .headroom import taken
from .measured import Known

DECISION = "decision"
DECISION_CONCERNS = ("interactions", "events", "cache", "logs")
"""Whose backends a decision uses."""
SEARCHES = ("search-term", "search-phrase", "search-or", "search-prefix", "search-filtered")
_PUBLISHED_ONLY = "what was measured is publishing; receiving was not"


@dataclass(frozen=True, slots=True)
class Use:
    """How much of measured ceilings the peak of one concern takes: 1 is all of it, without head-room."""

    most: Fraction | None
    """Surely not more; None where something that is needed was not measured."""
    least: Fraction
    """Surely not less: a part of the rates that did not hold any more."""
    quick: Fraction | None
    """Of the rates at which the promised latency was seen; None where it was not seen at any, or nothing was promised."""
    ceilings: tuple[MeasuredCeiling, ...]
    said: tuple[str, ...]
    """What follows, a sentence each."""
    receiving: bool = True
    """Whether receiving is a part of what was measured, of events."""
    missing: tuple[str, ...] = ()
    """What was not measured, or shows nothing: commands to type."""
    tried: bool = False
    """Whether a part of that was measured as it is asked for, and shows nothing: once more, in the same way, does not help."""

    @property
    def stands_in(self) -> bool:
        """Whether any of it was measured on an engine that stands in for the technology."""
        return any(one.fidelity != NATIVE for one in self.ceilings)


def larger_than_measured(concern: str, demand: Demand, ceilings: Sequence[MeasuredCeiling] = ()) -> str:
    """What is asked and is larger than what scenarios measure with, in a few words; empty where nothing is.

    Of events that is told where their runs are chosen (`_with_payload`), for their scenarios take other sizes.
    """
    w = demand.workload
    depth = int(str(find_scenario("summaries").settings["depth"]))
    memory = _memory(ceilings)
    every: dict[str, tuple[tuple[str, int, int], ...]] = {
        "interactions": (
            ("record-bytes", w.record_bytes, _largest("ingest")),
            ("summaries-per-customer", w.summaries_per_customer, depth),
        ),
        "search": (("document-bytes", w.document_bytes, LARGEST_DOCUMENT),),
        "cache": (
            ("cached-bytes", w.cached_bytes, _largest("cache-hot")),
            ("cached-values x --cached-bytes", demand.cache_bytes, ANY_MACHINE if memory is None else memory),
        ),
        "logs": (("log-bytes-per-decision", w.log_bytes_per_decision, _largest("log-burst")),),
    }
    beyond = [
        f"--{name} is {asked:,}, and it was measured up to {most:,}"
        for name, asked, most in every.get(concern, ())
        if asked > most
    ]
    return "; ".join(beyond)


LARGEST_DOCUMENT = 1_000
"""Bytes up to which documents are like those that are searched in here, which have about 300: of one order of size."""


def _largest(scenario: str) -> int:
    """Bytes of the 99th percentile of what a scenario sends."""
    return find_scenario(scenario).sizes.p99


def _memory(ceilings: Sequence[MeasuredCeiling]) -> int | None:
    """Bytes of memory of the largest machine that something was measured on; None where no run says it."""
    told = [value for one in ceilings for name, value in one.machine if name == "memory_bytes" and value.isdecimal()]
    return max(map(int, told), default=None)


def promised(ceiling: MeasuredCeiling, p99_ms: float) -> float | None:
    """The highest rate at which the run shows a p99 within this limit; None for none."""
    kept = [limit for percentile, limit in map(promise_of, ceiling.promises) if percentile >= 99 and limit <= p99_ms]
    if kept and ceiling.searched:
        return ceiling.low
    found = None
    for rate, p99 in ceiling.p99_at:
        if p99 > p99_ms:
            break
        found = rate
    return None if found is None else min(found, ceiling.low)


def upper(ceiling: MeasuredCeiling, p99_ms: float | None) -> float | None:
    """The rate that surely does not hold; None where the run does not say one.

    What an engine that stands in fails at, the technology itself may carry.
    """
    return ceiling.fails_under(p99_ms) if ceiling.fidelity == NATIVE else None


# -- what is needed ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """One kind of load, and the ceiling that answers to it."""

    what: str
    peak: Fraction
    ceiling: MeasuredCeiling
    low: Fraction
    high: Fraction | None
    quick: Fraction | None

    @property
    def said(self) -> str:
        share = self.peak / self.low if self.low else None
        held = ", ".join((a_rate(float(self.low)), *self.ceiling.promises))
        of_it = "" if share is None else f", {taken(float(share))} what holds ({held})"
        return f"{self.what}: {a_rate(float(self.peak))} at the peak{of_it}"


def asks_nothing(concern: str, demand: Demand) -> bool:
    """Whether no operation is asked of a concern: it needs no backend then, whatever could be kept there."""
    return not _needs(concern, demand)


def use_of(concern: str, backend: str, demand: Demand, known: Known, p99_ms: float | None) -> Use:
    """What the peak takes of this backend, as far as it was measured."""
    needs = _needs(concern, demand)
    if not needs:
        return Use(Fraction(0), Fraction(0), Fraction(0), (), ("nothing is asked of it",))
    if concern == "events":
        return _of_events(backend, demand, known, p99_ms)
    if concern == "search":
        return _of_search(backend, demand, known, p99_ms)
    target = f"{concern}={backend}"
    parts, missing = [], []
    for scenario, what, peak, times in needs:
        ceiling = known.about((target,), scenario, _as_usual(scenario))
        if ceiling is None:
            missing.append(_command(target, scenario, p99_ms))
        else:
            parts.append(_part(what, peak, ceiling, times, p99_ms))
    if missing:
        found = _beside_others(concern, target, demand, known, p99_ms)
        if found is not None:
            return found
    return _sum(parts, missing)


def _needs(concern: str, demand: Demand) -> list[tuple[str, str, Fraction, int]]:
    """Scenario, what is counted, at the peak, and how many of them an item of the scenario is."""
    misses = demand.cache_reads.peak - demand.cache_hits.peak
    lines = int(str(find_scenario("log-burst").settings["lines"]))
    every: dict[str, list[tuple[str, str, Fraction, int]]] = {
        "interactions": [
            ("ingest", "interactions recorded", demand.interactions.peak, 1),
            ("summaries", "reads of summaries", demand.summary_reads.peak, 1),
        ],
        "events": [("end-to-end", "events", demand.events.peak, 1)],
        "search": [("search-term", "searches", demand.searches.peak, 1)],
        "cache": [("cache-hot", "commands to the cache", demand.cache_hits.peak + 3 * misses, 1)],
        "logs": [("log-burst", "log lines", demand.log_lines.peak, lines)],
    }
    return [need for need in every[concern] if need[2] > 0]


def _part(what: str, peak: Fraction, ceiling: MeasuredCeiling, times: int, p99_ms: float | None) -> _Part:
    high = upper(ceiling, p99_ms)
    quick = None if p99_ms is None else promised(ceiling, p99_ms)
    return _Part(
        what,
        peak,
        ceiling,
        Fraction(ceiling.low) * times,
        None if high is None else Fraction(high) * times,
        None if quick is None else Fraction(quick) * times,
    )


def _sum(parts: Sequence[_Part], missing: Sequence[str] = ()) -> Use:
    shown = not missing and all(part.low > 0 for part in parts)
    quick = not missing and all(part.quick for part in parts)
    return Use(
        most=sum((part.peak / part.low for part in parts), Fraction(0)) if shown else None,
        least=sum((part.peak / part.high for part in parts if part.high), Fraction(0)),
        quick=sum((part.peak / part.quick for part in parts if part.quick), Fraction(0)) if quick else None,
        ceilings=tuple(part.ceiling for part in parts),
        said=tuple(part.said for part in parts),
        missing=tuple(missing),
    )


def _as_usual(scenario: str, *free: str) -> Any:
    """Whether a run has the settings that the scenario usually has; of those that are ``free`` any will do."""
    usual = {name: value for name, value in find_scenario(scenario).settings.items() if name not in free}

    def fits(ceiling: MeasuredCeiling) -> bool:
        return {name: value for name, value in ceiling.settings.items() if name not in free} == usual

    return fits


def _command(target: str, scenario: str, p99_ms: float | None, setting: str = "") -> str:
    slo = "" if p99_ms is None else f" --slo p99={p99_ms:g}ms"
    return f"stackproof bench --backend {target} --scenario {scenario}{setting} --find-max{slo}"


# -- a run of whole decisions -----------------------------------------------------------------------------------------


def _mix(concern: str, demand: Demand) -> Fraction | None:
    """Decisions of the scenario that do, each, what the peak asks of one concern: the most of its parts."""
    misses = demand.cache_reads.peak - demand.cache_hits.peak
    return {
        "interactions": max(demand.interactions.peak, demand.summary_reads.peak),
        "events": demand.events.peak,
        "cache": (demand.cache_hits.peak + 3 * misses) / 2,
        "logs": demand.log_lines.peak,
    }.get(concern)


def _beside_others(concern: str, target: str, demand: Demand, known: Known, p99_ms: float | None) -> Use | None:
    """From a run of decisions on several backends: a lower bound for each of them."""
    peak = _mix(concern, demand)
    fits = _as_usual(DECISION)
    found = known.best(lambda one: one.scenario == DECISION and target in one.backends and bool(fits(one)))
    if peak is None or found is None or not found.low:
        return None
    part = _part(f"decisions that do what is asked of {target}", peak, found, 1, p99_ms)
    only = _sum([part])
    said = f"{part.said}; measured within whole decisions on {found.backend}, so that this is a lower bound"
    return Use(only.most, Fraction(0), only.quick, (found,), (said,), receiving=concern != "events")


@dataclass(frozen=True, slots=True)
class Together:
    """What a run of whole decisions on the very backends of a stack says."""

    ceiling: MeasuredCeiling
    carried: bool | None
    """None where the peak, with its head-room, lies between what holds and what does not, or where sizes or mix differ."""
    quick: bool | None
    """Whether the promised latency was seen there; None where nothing is promised."""


def together(
    backends: Sequence[str],
    demand: Demand,
    known: Known,
    headroom: Fraction,
    p99_ms: float | None,
    *,
    grows: bool = False,
) -> Together | None:
    """Hold a stack against a run of decisions on its four backends; None where there is none.

    ``grows``: whether one of them has more machines where more are needed. Then what a run failed at says nothing against it.
    """
    found = known.about(tuple(sorted(backends)), DECISION, _as_usual(DECISION))
    if found is None:
        return None
    need, pairs = demand.decisions.peak * headroom, _beside_the_scenario(demand)
    high = None if grows else upper(found, p99_ms)
    carried = None
    # A decision that does no more than the scenario's holds where that one did; one that does no less fails where it failed.
    if need <= Fraction(found.low) and all(mine <= most for mine, _, most in pairs):
        carried = True
    elif high is not None and need >= Fraction(high) and all(mine >= least for mine, least, _ in pairs):
        carried = False
    quick = None if p99_ms is None else promised(found, p99_ms)
    shown = quick is not None and carried is True and need <= Fraction(quick)
    return Together(found, carried, None if p99_ms is None else shown)


def _beside_the_scenario(demand: Demand) -> list[tuple[Decimal | int, int, int]]:
    """What a decision does, and how large that is; beside each the scenario's at least and at most (of sizes: median and p99)."""
    w, sizes = demand.workload, find_scenario(DECISION).sizes
    counts = (
        (w.interactions_per_decision, 1),
        (w.summary_reads_per_decision, 1),
        (w.events_per_decision, 1),
        (w.cache_reads_per_decision, 2),
    )
    bytes_of = (
        w.record_bytes if w.interactions_per_decision else 0,
        w.event_bytes if w.events_per_decision else 0,
        w.cached_bytes if w.cache_reads_per_decision else 0,
        w.log_bytes_per_decision,
    )
    return [
        *((mine, theirs, theirs) for mine, theirs in counts),
        *((size, sizes.p50, sizes.p99) for size in bytes_of),
    ]


# -- events and search ------------------------------------------------------------------------------------------------


def _of_events(backend: str, demand: Demand, known: Known, p99_ms: float | None) -> Use:
    """What was measured with events as large, and what failed with smaller ones: larger events are taken not to be easier."""
    use, failed = _of_such_events(backend, demand, known, p99_ms), _failed_with_less(backend, demand, known, p99_ms)
    if failed is None or not failed.high or failed.peak / failed.high <= use.least:
        return use
    said = f"{failed.what} of at most that size: {a_rate(float(failed.high))} did not hold"
    more = () if failed.ceiling in use.ceilings else (failed.ceiling,)
    return replace(use, least=failed.peak / failed.high, ceilings=(*use.ceilings, *more), said=(*use.said, said))


def _failed_with_less(backend: str, demand: Demand, known: Known, p99_ms: float | None) -> _Part | None:
    """A run with events of which half were no larger than those asked about."""
    groups, size = demand.workload.subscriptions, demand.workload.event_bytes
    scenario = "end-to-end" if groups else "publish"
    usual = find_scenario(scenario).settings
    found = known.about(
        (f"events={backend}",), scenario, lambda one: int(str(one.settings.get("p50", usual["p50"]))) <= size
    )
    peak = demand.events.peak * max(1, groups)
    return None if found is None else _part("events", peak, found, 1, p99_ms)


def _of_such_events(backend: str, demand: Demand, known: Known, p99_ms: float | None) -> Use:
    """Publishing and receiving. Each further subscription is taken to cost what publishing and the first one cost together."""
    target, groups = f"events={backend}", demand.workload.subscriptions
    size = demand.workload.event_bytes

    if groups:
        whole = _with_payload(target, "end-to-end", size, known)
        if whole is not None:
            return _sum([_part("events, to each subscription", demand.events.peak * groups, whole, 1, p99_ms)])
    published = _with_payload(target, "publish", size, known)
    if published is not None:
        alone = _sum([_part("events published", demand.events.peak, published, 1, p99_ms)])
        if not groups:
            return alone
        command = _command(target, "end-to-end", p99_ms)
        return replace(alone, said=(*alone.said, _PUBLISHED_ONLY), receiving=False, missing=(command,))
    found = _beside_others("events", target, demand, known, p99_ms) if size <= 2_000 else None
    if found is not None:
        return replace(found, receiving=not groups)
    return Use(None, Fraction(0), None, (), (), missing=(_command(target, "end-to-end", p99_ms),))


def _with_payload(target: str, scenario: str, size: int, known: Known) -> MeasuredCeiling | None:
    """A run whose events were as large as those asked about: the usual sizes up to their p99, or a median that is not smaller.

    Of the two, the one that shows more: both are lower bounds.
    """
    usual = find_scenario(scenario).settings
    found = [
        known.about(
            (target,), scenario, lambda one: size <= int(str(usual["p99"])) and dict(one.settings) == dict(usual)
        ),
        known.about(
            (target,), scenario, lambda one: isinstance(one.settings.get("p50"), int) and one.settings["p50"] >= size
        ),
    ]
    return max((one for one in found if one is not None), key=lambda one: one.low, default=None)


def _of_search(backend: str, demand: Demand, known: Known, p99_ms: float | None) -> Use:
    """The slowest kind of search that was measured. With fewer records none is slower: an assumption, and so what was measured
    with more records is a lower bound, and what failed with fewer an upper one."""
    target, records = f"search={backend}", demand.workload.records
    found = {scenario: _kind(target, scenario, demand, known, p99_ms) for scenario in SEARCHES}
    kinds = {scenario: kind for scenario, kind in found.items() if kind is not None}
    least = max((kind.least for kind in kinds.values()), default=Fraction(0))
    ceilings = tuple(dict.fromkeys(one.run for kind in kinds.values() for one in kind.ceilings))
    used = {one.run: one for kind in kinds.values() for one in kind.ceilings}
    lacking = [scenario for scenario, kind in kinds.items() if kind.most is None]
    if lacking or not kinds:
        # All of them in one command: they share the documents.
        command = _command(target, " --scenario ".join(lacking or SEARCHES[:1]), p99_ms, f" --set records={records}")
        said = tuple(_nothing_held({scenario: kinds[scenario].ceilings for scenario in lacking}, records))
        tried = any(kinds[scenario].tried for scenario in lacking)
        return Use(None, least, None, tuple(used[run] for run in ceilings), said, missing=(command,), tried=tried)
    worst = max(kinds.values(), key=lambda kind: kind.most or Fraction(0))
    quick = [kind.quick for kind in kinds.values() if kind.quick is not None]
    others = [scenario for scenario in SEARCHES if scenario not in kinds]
    return Use(
        worst.most,
        least,
        max(quick) if len(quick) == len(kinds) else None,
        tuple(used[run] for run in ceilings),
        (*worst.said, *((f"{', '.join(others)}: not measured",) if others else ())),
    )


def _kind(target: str, scenario: str, demand: Demand, known: Known, p99_ms: float | None) -> Use | None:
    """One kind of search; None where it was not measured."""
    records, peak = demand.workload.records, demand.searches.peak
    sizes = sorted({_records(one) for one in known.all if _is_search(one, target, scenario)})
    by_size = {}
    for size in sizes:
        found = known.about((target,), scenario, lambda one, size=size: _records(one) == size)  # type: ignore[misc]
        if found is not None:
            by_size[size] = _part(f"searches ({scenario}, measured with {size:,} records)", peak, found, 1, p99_ms)
    if not by_size:
        return None
    above = [part for size, part in by_size.items() if size >= records and part.low]
    below = [part.high for size, part in by_size.items() if size <= records and part.high]
    least = peak / min(below) if below else Fraction(0)
    if not above:
        # Under the very promise: one that is stricter says nothing, and one that is looser does not ask for it.
        limit = math.inf if p99_ms is None else p99_ms
        tried = any(size >= records and part.ceiling.p99_limit_ms == limit for size, part in by_size.items())
        return Use(None, least, None, tuple(part.ceiling for part in by_size.values()), (), tried=tried)
    most = max(above, key=lambda part: part.low)
    quick = [part.quick for part in above if part.quick]
    return Use(peak / most.low, least, peak / max(quick) if quick else None, (most.ceiling,), (most.said,))


def _nothing_held(ceilings: Mapping[str, Sequence[MeasuredCeiling]], records: int) -> Iterator[str]:
    """Why runs of these kinds of search show nothing for so many records; kinds of which the same is to be said together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for scenario, runs in ceilings.items():
        enough = [one for one in runs if _records(one) >= records]
        sizes = " or ".join(dict.fromkeys(f"{_records(one):,}" for one in enough))
        promises = ", ".join(dict.fromkeys(name for one in enough for name in one.promises))
        groups.setdefault((sizes, promises), []).append(scenario)
    for (sizes, promises), scenarios in groups.items():
        names = ", ".join(scenarios)
        if sizes:
            under = f" ({promises})" if promises else ""
            yield f"no rate of {names} was shown to hold with {sizes} records{under}"
        else:
            yield f"{names}: measured with fewer records only, which shows nothing for more"


def _records(ceiling: MeasuredCeiling) -> int:
    size = ceiling.settings.get("records")
    return size if isinstance(size, int) and not isinstance(size, bool) else 0


def _is_search(ceiling: MeasuredCeiling, target: str, scenario: str) -> bool:
    return ceiling.valid and ceiling.scenario == scenario and ceiling.backends == (target,) and _records(ceiling) > 0
