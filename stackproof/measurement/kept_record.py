"""Whether a kept record of load can be believed: its shape, and that nothing in it contradicts its own windows. Pure.

What this cannot see: figures that were changed together, in a record without a seal, so that they fit each other again.
Histograms are only counted here, without the package that reads them: a plan rests on records where nothing is measured.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING, Any

from stackproof.scenarios.recorder import OUTCOMES
from stackproof.shape import misshapen

from .check_words import UNTRUTHS

if TYPE_CHECKING:
    from .record import WindowRecord

MOST = 10**15
"""More operations than anybody offers."""
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


def wrong_in_window(window: WindowRecord) -> Iterator[str]:
    """What a window says that cannot be true beside the rest of it."""
    order, counts = window.order, window.counts
    if not (math.isfinite(order["seconds"]) and order["seconds"] > 0):
        yield f"it was offered for {order['seconds']} s"
    plain: Mapping[str, Any] = {"rate": order["rate"], "elapsed": window.elapsed, **window.rates}
    yield from (f"its {name} is {value}" for name, value in plain.items() if not (math.isfinite(value) and value >= 0))
    yield from wrong_in_counts(counts)
    if MISCOUNTED not in window.invalid:
        yield from _miscounted(window)
    if any(window.checks.get(kind) for kind in UNTRUTHS) and not window.invalid:
        yield "answers of backends were not right in it, and it does not say so"


def wrong_in_counts(counts: Mapping[str, int]) -> Iterator[str]:
    """What is no number of operations."""
    if any(number > MOST for number in counts.values()):
        yield "it counts more operations than anybody offers"


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
