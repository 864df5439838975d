"""The adapter tax: that the method finds what was put there, and that each group of twins runs."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from command_line import stackproof
from shared_servers import postgres_server, redis_server

from stackproof.benchmarks.measuring import Blocks, Clock, Interleaving, allocated, measure_blocks, percentile, ratio_of
from stackproof.benchmarks.pairs import Pair, UnequalError, check_equal
from stackproof.benchmarks.plugin import percentiles_of
from stackproof.benchmarks.record import Record, to_json, to_markdown
from stackproof.benchmarks.rows import Cost, Memory, Row, row_of
from stackproof.benchmarks.run import SUITE, Found, SuiteError, found_in, run_suite, suite_environ
from stackproof.benchmarks.twins import LEFT_OUT, TWINS, twins_of
from stackproof.interfaces import ConfigurationError


def busy(rounds: int) -> Callable[[object], object]:
    def work(_: object) -> int:
        total = 0
        for number in range(rounds):
            total += number * number % 7
        return total

    return work


class Simulated:
    """A machine whose speed changes while it works, and on which each call takes a known time at full speed."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 0.0
        self.slowness = 1.0
        self._draw = random.Random(seed)
        self.order: list[str] = []

    def call(self, name: str, seconds: float) -> Callable[[object], None]:
        def work(_: object) -> None:
            if not self.order or self.order[-1] != name:
                self.order.append(name)
            # A slow drift and bursts of somebody else's work: both ways meet them.
            self.slowness = min(4.0, max(1.0, self.slowness + self._draw.uniform(-0.01, 0.011)))
            burst = 20.0 if self._draw.random() < 0.0005 else 0.0
            self.now += seconds * (self.slowness + burst)

        return work

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now)


def cpu_ratio(blocks: Blocks) -> float:
    return ratio_of([spent.cpu for spent in blocks.adapter], [spent.cpu for spent in blocks.raw]).value


class TestMethod:
    def test_twenty_percent_more_work_are_found_as_that(self) -> None:
        pair = Pair(busy(1_200), busy(1_000), int)
        assert cpu_ratio(measure_blocks(pair, Interleaving(blocks=40, calls=40))) == pytest.approx(1.20, abs=0.05)

    def test_the_same_work_is_found_to_be_the_same(self) -> None:
        pair = Pair(busy(1_000), busy(1_000), int)
        assert cpu_ratio(measure_blocks(pair, Interleaving(blocks=40, calls=40))) == pytest.approx(1.00, abs=0.03)

    @pytest.mark.parametrize(("slower", "within"), [(1.2, 0.05), (1.0, 0.03), (1.05, 0.03)])
    @pytest.mark.parametrize("seed", range(5))
    def test_a_machine_that_changes_its_speed_changes_no_ratio(self, slower: float, within: float, seed: int) -> None:
        machine = Simulated(seed)
        pair = Pair(machine.call("adapter", slower * 1e-4), machine.call("raw", 1e-4), int)
        blocks = measure_blocks(pair, Interleaving(blocks=30, calls=50, seed=seed, clock=machine.clock()))
        found = ratio_of([spent.wall for spent in blocks.adapter], [spent.wall for spent in blocks.raw])
        assert found.value == pytest.approx(slower, abs=within)
        assert found.low <= found.value <= found.high

    def test_one_after_the_other_would_be_wrong_on_that_machine(self) -> None:
        """What the interleaving is for: without it, the machine that slows down makes a tax of nothing."""
        machine = Simulated(3)
        first, second = machine.call("raw", 1e-4), machine.call("adapter", 1e-4)
        spans = []
        for call in (first, second):
            began = machine.now
            for number in range(3_000):
                call(number)
            spans.append(machine.now - began)
        assert spans[1] / spans[0] > 1.1

    def test_both_ways_really_take_turns(self) -> None:
        machine = Simulated()
        pair = Pair(machine.call("adapter", 1e-4), machine.call("raw", 1e-4), int)
        blocks = measure_blocks(pair, Interleaving(blocks=20, calls=5, clock=machine.clock()))
        assert len(blocks.order) == 40
        neighbours = list(zip(blocks.order[::2], blocks.order[1::2], strict=True))
        assert all(set(both) == {"adapter", "raw"} for both in neighbours)
        assert neighbours.count(("adapter", "raw")) == neighbours.count(("raw", "adapter")) == 10
        merged = [name for name, before in zip(blocks.order, [None, *blocks.order], strict=False) if name != before]
        assert machine.order == merged, "the calls came in the order that is told"

    def test_a_seed_draws_the_order(self) -> None:
        plans = [Interleaving(blocks=30, seed=seed).plan() for seed in (1, 1, 2)]
        assert plans[0] == plans[1] != plans[2]
        assert any(before == after for before, after in pairwise(plans[0])), "random, not alternating"

    def test_no_two_calls_are_given_the_same_number(self) -> None:
        seen: list[int] = []
        measure_blocks(Pair(seen.append, seen.append, int), Interleaving(blocks=4, calls=7))
        assert sorted(seen) == list(range(2 * 4 * 7))

    def test_blocks_that_are_not_given_a_size_take_about_their_time(self) -> None:
        machine = Simulated()
        pair = Pair(machine.call("adapter", 1e-4), machine.call("raw", 1e-4), int)
        blocks = measure_blocks(pair, Interleaving(blocks=2, clock=machine.clock()))
        assert 100 <= blocks.calls <= 400

    def test_nothing_measured_is_no_ratio(self) -> None:
        with pytest.raises(ValueError, match="no pair"):
            ratio_of([1.0], [0.0])
        with pytest.raises(ValueError, match="zip"):
            ratio_of([1.0, 2.0], [1.0])

    def test_memory_is_what_a_call_needs_at_most(self) -> None:
        kept: list[bytes] = []
        assert allocated(lambda size: bytes(size), [50_000] * 5) == pytest.approx(50_000, rel=0.05)
        assert allocated(lambda size: kept.append(bytes(size)), [50_000] * 5) == pytest.approx(50_000, rel=0.05)
        assert allocated(lambda _: None, [1] * 5) < 1_000

    def test_percentiles_are_of_the_values_and_only_where_there_are_enough(self) -> None:
        assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.0
        assert percentile([1.0, 2.0, 3.0, 4.0], 99) == 4.0
        assert percentiles_of([float(n) for n in range(1, 101)]) == {"p50": 50.0, "p90": 90.0}
        assert set(percentiles_of([1.0] * 1_000)) == {"p50", "p90", "p99"}


class TestPairs:
    def test_a_twin_that_answers_something_else_is_not_measured(self) -> None:
        with pytest.raises(UnequalError, match="the adapter answers 1, its driver alone 2"):
            check_equal(Pair(lambda _: 1, lambda _: 2, int))
        check_equal(Pair(lambda _: 1, lambda _: 2, int, comparable=False))

    def test_every_backend_has_twins_or_a_reason(self) -> None:
        from stackproof.adapters.registry import BUILT_IN

        named = {f"{entry.concern}={entry.name}" for entry in BUILT_IN if not entry.reference}
        without = named - set(TWINS) - set(LEFT_OUT)
        assert without <= {"events=memory-log", "events=outbox"}, "a backend without twins needs its reason"

    @pytest.mark.parametrize("backend", TWINS)
    def test_twins_name_what_they_are_for(self, backend: str) -> None:
        pytest.importorskip("psycopg")
        twins = twins_of(backend)
        assert twins.backend == backend
        assert twins.driver
        assert len(twins.operations()) >= 2

    def test_an_unknown_backend_is_refused_with_a_reason(self) -> None:
        with pytest.raises(ConfigurationError, match="emulator"):
            twins_of("events=kinesis")


SMALL = ["--tax-blocks=5", "--tax-calls=20", "--tax-seconds=0.2", "--tax-traced=5"]


def suite(directory: Path, backend: str, variables: Mapping[str, str], *more: str) -> list[Found]:
    """The suite on one backend, so shallow that it shows only that it works."""
    file = directory / "found.json"
    command = [sys.executable, "-m", "pytest", "-c", str(SUITE / "pytest.ini"), "-p", "stackproof.benchmarks.plugin"]
    command += [f"--benchmark-json={file}", f"--tax-backend={backend}", *SMALL, *more, str(SUITE)]
    ended = subprocess.run(command, env=suite_environ(variables), capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout[-3_000:]
    return found_in(json.loads(file.read_text()))


class TestSuite:
    @pytest.mark.parametrize("backend", ["cache=local", "logs=console"])
    def test_without_a_server(self, backend: str, tmp_path: Path) -> None:
        found = suite(tmp_path, backend, {})
        assert [each.row.operation for each in found] == list(twins_of(backend).operations())

    @pytest.mark.parametrize("backend", ["interactions=postgres", "search=postgres"])
    def test_on_postgres(self, backend: str, tmp_path: Path) -> None:
        server = postgres_server()
        found = suite(tmp_path, backend, server.variables(), "--tax-namespace=taxsmoke")
        assert [each.row.operation for each in found] == list(twins_of(backend).operations())
        assert server.ask("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%taxsmoke%'").strip() == "0"

    @pytest.mark.parametrize("backend", ["cache=redis", "events=redis"])
    def test_on_redis(self, backend: str, tmp_path: Path) -> None:
        found = suite(tmp_path, backend, redis_server().variables(), "--tax-namespace=taxsmoke")
        assert [each.row.operation for each in found] == list(twins_of(backend).operations())
        for each in found:
            assert each.row.blocks == 5
            assert each.row.cpu.adapter > 0
            assert each.latency["p50"] > 0
            assert each.raw_latency["p50"] > 0

    def test_a_suite_that_fails_says_why(self, tmp_path: Path) -> None:
        nowhere = {"REDIS_URL": "redis://127.0.0.1:1/0", "STACKPROOF_CONNECT_TIMEOUT": "0.5"}
        with pytest.raises(SuiteError, match=r"cache=redis failed: .*127\.0\.0\.1:1"):
            run_suite(["cache=redis"], "taxsmoke", nowhere, tmp_path / "found.json", blocks=5, seed=1)


def row(ratio: float, low: float, high: float) -> Row:
    cost = Cost(ratio * 1e-5, 1e-5, ratio, low, high)
    return Row(
        "cache=redis", "get, found", "redis-py", 100, 30, cost, Cost(1e-5, 1e-5, 1.0, 0.99, 1.01), Memory(900, 800)
    )


def record(*rows: Row) -> Record:
    found = tuple(Found(each, {"p50": 1e-5}, {"p50": 1e-5}) for each in rows)
    servers = ({"name": "redis", "version": "6.2.14"},)
    return Record(
        "20261126-120000-abcd", "2026-11-26T12:00:00+00:00", "0.1.0", "stackproof tax", "embedded", 7, 1.05,
        {"python": "CPython 3.11.7"}, servers, found, {"events=kinesis": "its server here is an emulator"},
    )  # fmt: skip


class TestRecord:
    @pytest.mark.parametrize(
        ("low", "high", "judged"), [(1.0, 1.04, "within"), (1.06, 1.2, "above"), (1.0, 1.1, "cannot tell")]
    )
    def test_a_tax_is_judged_by_its_interval(self, low: float, high: float, judged: str) -> None:
        assert row(1.05, low, high).time.judged(1.05) == judged
        assert bool(record(row(1.05, low, high)).above()) is (judged == "above")

    def test_the_document_has_its_schema(self) -> None:
        jsonschema = pytest.importorskip("jsonschema")
        schema = json.loads((SUITE.parent / "tax.schema.json").read_text())
        jsonschema.validate(json.loads(to_json(record(row(1.2, 1.1, 1.3)))), schema)

    def test_the_page_marks_what_is_above(self) -> None:
        text = to_markdown(record(row(1.2, 1.1, 1.3)))
        assert "| cache=redis | get, found | 12.0 | 10.0 | **1.20** [1.10, 1.30] |" in text
        assert "events=kinesis: its server here is an emulator." in text

    def test_a_row_comes_back_from_what_a_run_keeps(self) -> None:
        from dataclasses import asdict

        machine = Simulated()
        pair = Pair(machine.call("adapter", 1e-4), machine.call("raw", 1e-4), int)
        blocks = measure_blocks(pair, Interleaving(blocks=6, calls=5, clock=machine.clock()))
        made = row_of("cache=redis", "get", "redis-py", blocks, (10.0, 20.0), seed=1)
        kept: Any = json.loads(json.dumps(asdict(made)))
        assert Row.of(kept) == made


class TestCommand:
    def test_a_table_a_document_and_an_exit_code(self, tmp_path: Path) -> None:
        words = [
            "tax",
            "--backend",
            "logs=console",
            "--blocks",
            "5",
            "--limit",
            "100",
            "--out",
            "run",
            "--json",
            "tax.json",
        ]
        ended = stackproof(*words, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        assert "record, extras" in ended.stdout
        document = json.loads((tmp_path / "tax.json").read_text())
        assert document["schema"] == "stackproof-tax/1"
        assert {each["operation"] for each in document["rows"]} == set(twins_of("logs=console").operations())
        assert document == json.loads((tmp_path / "run" / "tax.json").read_text())
        assert (tmp_path / "run" / "tax.md").exists()

    def test_what_cannot_be_measured_is_one_sentence(self, tmp_path: Path) -> None:
        ended = stackproof("tax", "--backend", "events=kinesis", cwd=tmp_path)
        assert ended.returncode == 2
        assert "emulator" in ended.stderr

    def test_an_external_address_does_not_say_what_it_is(self, tmp_path: Path) -> None:
        ended = stackproof("tax", "--origin", "external", cwd=tmp_path)
        assert ended.returncode == 2
        assert "--backend" in ended.stderr
