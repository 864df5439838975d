"""memtier_benchmark, the load tool of Redis Ltd. No package registry carries it: it is used where somebody has installed it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from stackproof.adapters.cache.redis import RedisCache
from stackproof.adapters.settings import Settings

from .data import text_of
from .processes import answer_of, on_path, run_tool
from .redis_benchmark import RedisBenchmark, one_time_user, prefix_of
from .yardstick import Load, Missing, Tool, YardstickError, YardstickFigures

_START_SECONDS = 30.0


class MemtierBenchmark(RedisBenchmark):
    """The same GETs, for a time instead of a number."""

    name = "memtier_benchmark"
    optional = True
    counts_operations = False
    differences: ClassVar[tuple[str, ...]] = (
        "memtier_benchmark formats little for a request and looks only whether an answer holds something; ours makes a key, holds"
        " it to the limits of the interface, unpacks the value and compares it with what was stored",
        "memtier_benchmark sends and reads from one event loop in C++; ours works in Python, with a greenlet for each operation"
        " in flight",
    )

    def find(self, variables: Mapping[str, str]) -> Tool | Missing:
        """On PATH."""
        if (reason := self.not_compared(variables)) is not None:
            return reason
        program = on_path(self.name)
        said = answer_of([program, "--version"]) if program else None
        if program and said:
            return Tool(self.name, said.splitlines()[0].split()[-1], (program,))
        return Missing(self.name, "memtier_benchmark is not on PATH", "")

    def prepare(self, variables: Mapping[str, str], load: Load) -> None:
        """Fill all keys, by the adapter; memtier's numbers have no zeros before them."""
        cache = RedisCache.from_settings(Settings(variables), load.namespace)
        try:
            for number in range(1, load.keys + 1):
                cache.set(f"m:{number}", {"key": f"m:{number}", "text": text_of(number, load.payload_bytes)})
        finally:
            cache.disconnect()

    def run(self, tool: Tool, variables: Mapping[str, str], load: Load) -> YardstickFigures:
        seconds, prefix = max(1, round(load.seconds)), prefix_of(load.namespace)
        with (
            tempfile.TemporaryDirectory(prefix="stackproof-memtier-") as folder,
            one_time_user(self.name, variables["REDIS_URL"], f"{prefix}*", "get") as address,
        ):
            report = Path(folder) / "report.json"
            arguments = ["--server", address.host, "--port", str(address.port), "--select-db", str(address.database)]
            arguments += ["--authenticate", f"{address.user}:{address.password}"] if address.user else []
            arguments += ["--threads", "1", "--clients", str(load.concurrency), "--test-time", str(seconds)]
            arguments += ["--ratio", "0:1", "--key-prefix", f"{prefix}m:", "--key-pattern", "R:R"]
            arguments += ["--key-minimum", "1", "--key-maximum", str(load.keys)]
            arguments += ["--hide-histogram", "--json-out-file", str(report)]
            done = run_tool(tool, arguments, load, limit=seconds + _START_SECONDS, hidden=[address.password])
            if not report.is_file():
                raise YardstickError("memtier_benchmark wrote no report")
            text = report.read_text(encoding="utf-8", errors="replace")
        return parse(text, seconds).with_process(done)


def parse(report: str, seconds: float) -> YardstickFigures:
    """The JSON report of memtier_benchmark 1.3 to 2: gets, those that found something, and percentiles in milliseconds."""
    try:
        totals, gets = (json.loads(report)["ALL STATS"][name] for name in ("Totals", "Gets"))
        rate, misses = float(gets["Ops/sec"]), float(gets["Misses/sec"])
        percentiles = totals.get("Percentile Latencies", {})
        latency = {
            name: float(percentiles[f"{name}.00"]) / 1e3 for name in ("p50", "p99") if f"{name}.00" in percentiles
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise YardstickError(
            f"memtier_benchmark wrote a report of another form than that of 1.3 to 2: {error!r}"
        ) from error
    if rate <= 0:
        raise YardstickError("memtier_benchmark did nothing")
    return YardstickFigures(round(rate * seconds), seconds, rate, latency, failed=round(misses * seconds))
