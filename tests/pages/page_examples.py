"""Every page that stackproof writes, as examples for the tests in a browser: each an honest one, and one of hostile names.

A new page adds itself here: a function that returns its HTML, and texts that must be seen on it. All tests of this folder then
hold for it. (The module is not called ``examples``: that is the name of a folder of the repository.)
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import audit_samples
import plan_samples
from bench_samples import judged, recorded
from certificate_samples import clause, holds, with_all_verdicts
from comparison_corpus import PAIRED, two_runs
from simulated_load import SimulatedServer, searched

from stackproof.contracts.verdicts import Verdict
from stackproof.measurement import comparison
from stackproof.measurement.ceiling_record import record_of
from stackproof.measurement.compared import Comparison, Difference, Outcome
from stackproof.measurement.comparison import no_answer
from stackproof.measurement.promises import Promise
from stackproof.measurement.record import BackendRecord, Measurement
from stackproof.measurement.record import to_json as measurement_json
from stackproof.measurement.search_journal import Search, SearchSettings
from stackproof.measurement.sweep import Level, SweepRecord
from stackproof.planning.audit_record import Audit
from stackproof.planning.plan_record import Plan
from stackproof.reports import audit_page, certificate_page, comparison_page, index_page, measurement, plan_page
from stackproof.reports.runs_index import rows_of
from stackproof.verification.certificate import Certificate
from stackproof.verification.certificate import to_json as certificate_json

HOSTILE = (
    '<img src="http://example.invalid/x.png" onerror="document.title=1"><script>document.title="owned"</script>'
    "\"' onmouseover='document.title=2' style=\"position:fixed;inset:0\" </td></table></style></svg>&lt;&#x41; {{ 7*7 }} {% x %} "
    "$x_1^2$ \x00\x1b[31m\x07 \ud800 \u202egnp.exe\u2066 " + "W" * 300
)
"""What a third party's name may hold: markup, attributes, templates, formulae, controls, a reversed line, a word without end."""

SEEN = "<img src="
"""Of `HOSTILE`, what must be read on a page as text."""


@dataclass(frozen=True, slots=True)
class Example:
    """One page."""

    name: str
    make: Callable[[], str]
    """Its HTML."""
    shows: tuple[str, ...]
    """Texts that must be seen on it, as a reader sees them."""

    @property
    def hostile(self) -> bool:
        return self.name.endswith("hostile")


# Certificates


def certificate(verdict: Verdict) -> Certificate:
    """One that holds, with one more clause that ended so."""
    more = clause(
        "CACHE-09", "A key with any character is a key.", verdict=verdict, evidence={}, reason="it was not run"
    )
    return replace(holds(), clauses=(*holds().clauses, more))


def hostile_certificate() -> Certificate:
    """Every text that a third party can name."""
    spoilt = with_all_verdicts()
    last = spoilt.clauses[-1]
    servers = (replace(spoilt.servers[0], version=HOSTILE, facts={HOSTILE: HOSTILE}), *spoilt.servers[1:])
    targets = (
        *spoilt.targets[:-1],
        replace(
            spoilt.targets[-1],
            target="logs=" + HOSTILE,
            backend=HOSTILE,
            trouble_sentence=HOSTILE,
            capabilities={HOSTILE: HOSTILE},
        ),
    )
    failure = last.result.failure
    assert failure is not None
    failure = replace(failure, headline=HOSTILE, done=(HOSTILE,), expected=HOSTILE, seen=HOSTILE, again=HOSTILE)
    result = replace(
        last.result, target="logs=" + HOSTILE, reason=HOSTILE, notes=(HOSTILE,), evidence={HOSTILE: 1}, failure=failure
    )
    return replace(
        spoilt,
        id=HOSTILE,
        stack=HOSTILE,
        command=HOSTILE,
        servers=servers,
        targets=targets,
        environment={HOSTILE: HOSTILE},
        clauses=(*spoilt.clauses[:-1], replace(last, result=result)),
        selected=(HOSTILE,),
    )


# Measurements


BACKEND = BackendRecord(
    "cache=redis", "cache", "stackproof.adapters.cache.redis.RedisCache", "d" * 64, "redis", "native", "c-1"
)
SERVER = {
    "name": "redis",
    "origin": "embedded",
    "fidelity": "native",
    "version": "6.2.14",
    "facts": {"appendonly": "no", "maxmemory-policy": "noeviction"},
}


def at_a_rate() -> Measurement:
    """A rate that was offered, with a few failures and drops in it, so that everything is drawn."""
    made = judged(recorded(2000, failed=12, dropped=7), promise="p99=20ms")
    return replace(made, backends=(BACKEND,), servers=(SERVER,), command="stackproof bench --rate 100 --duration 20")


def find_max() -> Measurement:
    """A search for the ceiling, of a simulated server."""
    ceiling, journal = searched(SimulatedServer(seed=3), SearchSettings(promises=(Promise.parse("p99=20ms"),)))
    return replace(at_a_rate(), ceiling=record_of(Search(ceiling, journal, interrupted=False)))


def sweep() -> Measurement:
    """A sweep over callers that peaks at 16."""
    throughput = {1: 950.0, 2: 1810.0, 4: 3300.0, 8: 5400.0, 16: 6900.0, 32: 6400.0}

    def limiter(callers: int) -> str:
        return "client" if callers == 32 else "none"

    levels = tuple(
        Level(callers, rate, 3, 1000 * callers / rate, limiter(callers)) for callers, rate in throughput.items()
    )
    record = SweepRecord(levels, 16, "Throughput peaks near 17 callers by the law (R² 0.99).", 0.03, 0.002, 0.99, 17.2)
    return replace(at_a_rate(), sweep=record)


def hostile_measurement() -> Measurement:
    """Every text that a third party can name."""
    found = find_max()
    assert found.ceiling is not None
    rows = (replace(found.ceiling.steps[-1], sentence=HOSTILE), *found.ceiling.steps[:-1])
    ceiling = replace(found.ceiling, steps=rows, reasons=(HOSTILE,), notes=(HOSTILE,), invalid=(HOSTILE,))
    backend = replace(BACKEND, target="cache=" + HOSTILE, backend=HOSTILE, certificate=HOSTILE)
    return replace(
        found,
        id=HOSTILE,
        command=HOSTILE,
        ceiling=ceiling,
        backends=(backend,),
        servers=({**SERVER, "name": HOSTILE, "version": HOSTILE, "facts": {HOSTILE: HOSTILE}},),
        environment={HOSTILE: HOSTILE},
        errors={HOSTILE: 3},
        warnings=(HOSTILE,),
        invalid=(HOSTILE,),
        limiter_reason=HOSTILE,
        checks={**found.checks, "examples": [HOSTILE]},
        steps=tuple(replace(step, step=HOSTILE) for step in found.steps),
        left_behind=(HOSTILE,),
    )


# Comparisons


def compared(slower: float = 1.2) -> Comparison:
    """Two runs in pairs; the second takes so many times as long."""
    return comparison.compare(*two_runs(3, PAIRED[1], slower=slower, pairs=20))


def hostile_comparison() -> Comparison:
    """Every text that a third party can name."""
    different = tuple(Difference(kind, HOSTILE, HOSTILE, HOSTILE) for kind in ("environment", "backend"))
    rows = tuple(replace(row, sentence=HOSTILE) for row in compared().metrics)
    return replace(
        compared(),
        runs=(HOSTILE, HOSTILE),
        notes=(HOSTILE,),
        reasons=(HOSTILE,),
        accepted=("environment",),
        differences=different,
        metrics=rows,
    )


# Indexes


def hostile_audit() -> Audit:
    return audit_samples.hostile(HOSTILE)


def hostile_plan() -> Plan:
    spoilt: Plan = plan_samples.hostile(plan_samples.plan(1_000_000), HOSTILE)
    return spoilt


def index(keep: Callable[[Path], None], name: str) -> str:
    """The page over a folder that ``keep`` fills."""
    with TemporaryDirectory() as folder:
        keep(Path(folder))
        return index_page.render(rows_of(Path(folder)), name, "0.1.0")


def keep_runs(folder: Path, prefix: str = "2026-") -> None:
    """Runs of each kind and standing, a damaged one, one that was changed, and one without a record."""
    records = {
        "holds": ("certificate", certificate_json(holds())),
        "broken": ("certificate", certificate_json(with_all_verdicts())),
        "changed": (
            "certificate",
            certificate_json(certificate(Verdict.FAIL)).replace('"verdict": "FAIL"', '"verdict": "PASS"'),
        ),
        "rate": ("run", measurement_json(at_a_rate())),
        "ceiling": ("run", measurement_json(find_max())),
        "damaged": ("run", "{"),
    }
    for name, (form, text) in records.items():
        (folder / (prefix + name)).mkdir()
        (folder / (prefix + name) / f"{form}.json").write_text(text, encoding="utf-8")
    for name, page in (("holds", "certificate"), ("rate", "measurement")):
        (folder / (prefix + name) / f"{page}.html").write_text("<!DOCTYPE html>", encoding="utf-8")
    (folder / "unfinished").mkdir()
    (folder / "unfinished" / "run.lock").touch()


def keep_hostile_runs(folder: Path) -> None:
    """Folders and records with such names, as far as a file system takes them."""
    keep_runs(folder, prefix=HOSTILE[:90].replace("/", "∕").replace("\x00", "").encode("utf-8", "ignore").decode())
    for name, record in (("javascript:alert(1)", hostile_measurement()), ('"><b>', at_a_rate())):
        (folder / name).mkdir()
        (folder / name / "run.json").write_text(measurement_json(record), encoding="utf-8", errors="backslashreplace")
        (folder / name / "measurement.html").touch()


@cache
def html_of(example: Example) -> str:
    """Its page, made once. The same each time: what is drawn by chance is drawn from a seed."""
    random.seed(1)
    return example.make()


EXAMPLES: tuple[Example, ...] = (
    Example(
        "certificate-holds", lambda: certificate_page.render(holds()), ("HOLDS", "CACHE-03", "What this certificate")
    ),
    Example("certificate-broken", lambda: certificate_page.render(with_all_verdicts()), ("BROKEN", "What is broken")),
    Example(
        "certificate-partial",
        lambda: certificate_page.render(certificate(Verdict.SKIPPED)),
        ("PARTIAL", "What is not known", "it was not run"),
    ),
    Example("certificate-hostile", lambda: certificate_page.render(hostile_certificate()), (SEEN,)),
    Example("measurement-rate", lambda: measurement.render(at_a_rate()), ("Second by second", "p99", "Failed")),
    Example(
        "measurement-find-max",
        lambda: measurement.render(find_max()),
        ("The ceiling", "as an argument", "must hold in 3 fresh windows"),
    ),
    Example("measurement-sweep", lambda: measurement.render(sweep()), ("Over concurrencies", "6,900/s")),
    Example("measurement-hostile", lambda: measurement.render(hostile_measurement()), ("INVALID", SEEN)),
    Example(
        "comparison-regression",
        lambda: comparison_page.render(compared(), "0.1.0", "stackproof compare base candidate"),
        ("REGRESSION", "Metric by metric", "p50 [ms]"),
    ),
    Example("comparison-equal", lambda: comparison_page.render(compared(1.0), "0.1.0"), ("Metric by metric",)),
    Example(
        "comparison-no-answer",
        lambda: comparison_page.render(no_answer(Outcome.INVALID, ("It was cut short.",), ("a", "b"), 0.05), "0.1.0"),
        ("INVALID", "It was cut short."),
    ),
    Example("comparison-hostile", lambda: comparison_page.render(hostile_comparison(), "0.1.0", HOSTILE), (SEEN,)),
    Example(
        "audit",
        lambda: audit_page.render(audit_samples.HONEST),
        ("400 to 420 decisions/s", "0.12/s", "3,456 to 3,629 times", "The claims", "search-term", "unsupported"),
    ),
    Example(
        "audit-of-nothing", lambda: audit_page.render(audit_samples.NOTHING), ("No rate that is claimed was measured",)
    ),
    Example("audit-hostile", lambda: audit_page.render(hostile_audit()), (SEEN,)),
    Example(
        "plan",
        lambda: plan_page.render(plan_samples.plan(1_000_000)),
        ("decisions", "Every backend, and why", "What all of this rests on"),
    ),
    Example(
        "plan-that-grows",
        lambda: plan_page.render(plan_samples.plan(100_000, growth_per_month=Decimal("0.5"), months=24)),
        ("Until when",),
    ),
    Example("plan-hostile", lambda: plan_page.render(hostile_plan()), (SEEN,)),
    Example(
        "index-runs",
        lambda: index(keep_runs, "runs"),
        ("BROKEN", "DAMAGED", "UNFINISHED", "Certificates", "Measurements", "its seal does not fit"),
    ),
    Example("index-empty", lambda: index(lambda _: None, "runs"), ("NOTHING", "There is no run in this folder")),
    Example("index-hostile", lambda: index(keep_hostile_runs, HOSTILE), (SEEN, "javascript:alert(1)")),
)
