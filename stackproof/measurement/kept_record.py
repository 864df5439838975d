"""Whether a kept record of load can be believed: its shape, and that nothing in it contradicts its own windows. Pure.

What this cannot see: figures that were changed together, in a record without a seal, so that they fit each other again.
Histograms are only counted here, without the package that reads them: a plan rests on records where nothing is measured.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING, Any

from stackproof.scenarios.recorder import OUTCOMES
from stackproof.shape import misshapen

from .check_words import UNTRUTHS
from .record_names import MEASURED, SWEEP
from .search_journal import Limiter

if TYPE_CHECKING:
    from .ceiling_record import CeilingRecord
    from .record import Measurement, WindowRecord

MOST = 10**15
"""More operations than anybody offers, and more of them a second."""
UNSEALED = (
    "The record has no seal, as those of older versions: whether it was changed after it was written cannot be told."
)
MISCOUNTED = "The counters do not add up: offered is not ok + late + skipped + dropped + failed."
"""What a window says of itself whose counters do not."""


@cache
def form() -> dict[str, Any]:
    """The JSON Schema of a record."""
    text = (files(__package__) / "measurement.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def misshapen_window(row: Any) -> list[str]:
    """What is wrong with the shape of a window, as JSON holds it; nothing where it has one."""
    return misshapen(row, {**form()["properties"]["windows"]["items"], "$defs": form()["$defs"]})


def misshapen_check(row: Any) -> list[str]:
    """The same of a self-check."""
    return misshapen(row, {**form()["properties"]["calibration"], "$defs": form()["$defs"]})


def contradictions(record: Measurement) -> Iterator[str]:
    """What a record says that cannot be true beside the rest of it."""
    for number, window in enumerate(record.windows):
        yield from (f"of window {number}, {sentence}" for sentence in wrong_in_window(window))
    yield from _not_numbers(record.rates)
    yield from _untold(record)
    if record.complete and not all(window.complete for window in record.measured):
        yield "it says that everything was offered, and a window of it was cut short"
    sums = {name: sum(window.counts[name] for window in record.measured) for name in record.counts}
    for name, number in record.counts.items():
        if number != sums[name]:
            yield f"it counts {number:,} {name}, and its measured windows {sums[name]:,}"
    if record.ceiling is not None:
        yield from _no_bracket(record.ceiling)


def _untold(record: Measurement) -> Iterator[str]:
    """What windows say against the run, and it does not."""
    for window in record.windows:
        told = window.invalid if window.role == MEASURED else ()
        if window.role == SWEEP:
            told = tuple(elsewhere(window, sentence) for sentence in window.invalid)
        for sentence in told:
            if sentence not in record.invalid:
                yield f"a window of it is invalid, and it does not say so: {sentence}"
        if any(window.checks.get(kind) for kind in UNTRUTHS) and not record.invalid:
            yield "answers of backends were not right, and it does not say so"
    checked = record.windows if record.sweep is not None else record.measured
    for kind in UNTRUTHS:
        number = sum(window.checks.get(kind, 0) for window in checked)
        if record.checks.get(kind, 0) != number:
            yield f"it has {record.checks.get(kind, 0):,} answers that were {kind}, and its windows have {number:,}"


def elsewhere(window: WindowRecord, sentence: str) -> str:
    """What is wrong with a window of another concurrency than the one that the figures of a sweep are of."""
    return f"With {window.order['in_flight']} in flight: {sentence}"


def _no_bracket(found: CeilingRecord) -> Iterator[str]:
    """Two ends of a search that are none, where it has an answer."""
    ends = [found.holds] if found.fails is None else [found.holds, found.fails]
    if not all(0 <= rate <= MOST for rate in ends):
        yield "its ceiling is no rate"
    if found.limiter == Limiter.NOT_CONVERGED:
        return
    if ends != sorted(ends):
        yield f"{found.holds:,.6g}/s holds, and {found.fails:,.6g}/s, which is less, fails"
    if found.confirmed and found.holds and found.steps and found.holds not in {step.rate for step in found.steps}:
        yield f"{found.holds:,.6g}/s holds, which no step of the search offered"


def wrong_in_window(window: WindowRecord) -> Iterator[str]:
    """What a window says that cannot be true beside the rest of it."""
    order, counts = window.order, window.counts
    if not 0 < order["seconds"] <= MOST:
        yield f"it was offered for {order['seconds']} s"
    yield from _not_numbers({"rate": order["rate"], "elapsed": window.elapsed, **window.rates})
    if any(number > MOST for number in counts.values()):
        yield "it counts more operations than anybody offers"
    if MISCOUNTED not in window.invalid:
        yield from _miscounted(window)
    if any(window.checks.get(kind) for kind in UNTRUTHS) and not window.invalid:
        yield "answers of backends were not right in it, and it does not say so"


def _not_numbers(figures: Mapping[str, float]) -> Iterator[str]:
    yield from (f"its {name} is {value}" for name, value in figures.items() if not 0 <= value <= MOST)


def _miscounted(window: WindowRecord) -> Iterator[str]:
    """Counters that do not add up, in sum, by the second, or beside the latencies that were recorded."""
    counts = window.counts
    if not _adds_up(counts) or not all(map(_adds_up, window.series)):
        yield "its counters do not add up: offered is not ok + late + skipped + dropped + failed"
    by_second = {name: sum(row[name] for row in window.series) for name in ("offered", *OUTCOMES)}
    if any(by_second[name] != counts[name] for name in by_second):
        yield "its seconds do not add up to its counters"
    answered = counts["ok"] + counts["late"]
    for name in ("intended", "real"):
        if window.latency[name].count != answered:
            yield f"it has {window.latency[name].count:,} latencies ({name}) of {answered:,} operations that ended well"
        if (held := counted(window.histograms[name])) != answered:
            yield f"its histogram ({name}) has {held:,} of {answered:,} operations that ended well"
    for text in chain([window.histograms["lag"]], window.histograms["steps"].values()):
        counted(text)


def _adds_up(counts: Mapping[str, Any]) -> bool:
    return bool(counts["offered"] == sum(counts[name] for name in OUTCOMES))


_HEAD = 40
"""Bytes before the counts of a histogram: cookie, length, offset, digits, lowest, highest, ratio."""


def counted(histogram: str) -> int:
    """How many durations a histogram holds; ValueError where it is none. Its format is HdrHistogram's: a head of eight bytes, and
    compressed another head and the counts, each a signed number of variable length, where a negative one is a run of zeros."""
    try:
        packed = base64.b64decode(histogram, validate=True)
        plain = zlib.decompressobj().decompress(packed[8:], 1 << 24)
    except (ValueError, zlib.error) as error:
        raise ValueError("a histogram of it is damaged") from error
    if len(plain) < _HEAD:
        raise ValueError("a histogram of it is damaged")
    return sum(number for number in _numbers(plain[_HEAD:]) if number > 0)


def _numbers(packed: Iterable[int]) -> Iterator[int]:
    """Numbers of seven bits a byte, the lowest first, of at most nine bytes, the last of which has eight; the lowest bit is the
    sign."""
    value = at = 0
    for byte in packed:
        last = at == 8 * 7
        value |= (byte if last else byte & 0x7F) << at
        if byte & 0x80 and not last:
            at += 7
            continue
        yield (value >> 1) ^ -(value & 1)
        value = at = 0
