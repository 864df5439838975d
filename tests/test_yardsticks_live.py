"""Yardsticks on embedded servers: real tools beside our real generator, for a second each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import redis

import stackproof
from stackproof.benchmarks.yardsticks import pgbench, redis_benchmark
from stackproof.benchmarks.yardsticks.run import Outcome, outcome_of
from stackproof.benchmarks.yardsticks.yardstick import Load, Missing, Yardstick, YardstickError
from stackproof.exits import Exit
from stackproof.servers.embedded import EmbeddedPostgres, EmbeddedRedis
from stackproof.servers.server import Server
from stackproof.targets import parse_target

SCHEMA = Path(stackproof.__file__).parent / "benchmarks/yardsticks/yardsticks.schema.json"
LOAD = Load("yardlive", 4, 1.0, payload_bytes=100, core=max(os.sched_getaffinity(0)), keys=50)


def outcome(yardstick: Yardstick, target: str, server: Server) -> Outcome:
    return outcome_of(
        yardstick, parse_target(target), server.variables(), LOAD, rounds=5, seed=1, observer=lambda _said: None
    )


def check(found: Outcome) -> None:
    """Both sides worked in every round. How fast, and whether others had the core, is the machine's affair."""
    assert found.failure == ""
    assert found.left_behind == ()
    assert found.comparison is not None
    assert len(found.comparison.rounds) == 5
    for each in found.comparison.rounds:
        assert each.ours.operations > 10
        assert each.theirs.operations > 10
        assert each.ours.failed == each.ours.wrong == each.theirs.failed == 0
        assert each.ours.cpu_seconds > 0
        assert each.theirs.cpu_seconds is not None
    assert found.comparison.ratio.low <= found.comparison.ratio.estimate <= found.comparison.ratio.high


@pytest.mark.parametrize(
    "yardstick", [pgbench.PgbenchRecords(), pgbench.PgbenchSummaries()], ids=["records", "summaries"]
)
def test_pgbench_beside_our_generator(yardstick: Yardstick) -> None:
    with EmbeddedPostgres(fsync=False) as server:
        found = outcome(yardstick, "interactions=postgres", server)
        password = server.variables()["DATABASE_URL"].split("@")[0].rpartition(":")[2]
        assert server.ask("select nspname from pg_namespace where nspname like 'sp%yard%'") == ""
    check(found)
    assert found.comparison is not None
    assert all(password not in each.theirs.command + each.theirs.output for each in found.comparison.rounds)


def test_redis_benchmark_beside_our_generator() -> None:
    with EmbeddedRedis() as server:
        url = server.variables()["REDIS_URL"]
        yardstick = redis_benchmark.RedisBenchmark()
        if isinstance(missing := yardstick.find(server.variables()), Missing):
            pytest.skip(str(missing))
        found = outcome(yardstick, "cache=redis", server)
        client = redis.Redis.from_url(url)
        assert client.dbsize() == 0
        assert client.acl_users() == ["default"]
        client.close()
    check(found)
    assert found.comparison is not None
    for each in found.comparison.rounds:
        assert url.split("@")[0].rpartition(":")[2] not in each.theirs.command
        assert "-a '***'" in each.theirs.command or "-a ***" in each.theirs.command


def test_the_user_of_a_run_can_do_nothing_else_and_is_gone_afterwards() -> None:
    with EmbeddedRedis() as server:
        url = server.variables()["REDIS_URL"]
        with redis_benchmark.one_time_user("tool", url, "mine:*", "get") as address:
            client = redis.Redis(address.host, address.port, username=address.user, password=address.password)
            assert client.get("mine:1") is None
            for words in (("GET", "other"), ("SET", "mine:1", "x"), ("KEYS", "*"), ("CONFIG", "GET", "requirepass")):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(*words)
            client.close()
        late = redis.Redis(address.host, address.port, username=address.user, password=address.password)
        with pytest.raises(redis.exceptions.AuthenticationError):
            late.ping()
        late.close()


def test_a_server_that_makes_us_no_user_is_refused() -> None:
    with EmbeddedRedis() as server:
        owner = redis.Redis.from_url(server.variables()["REDIS_URL"])
        owner.execute_command("ACL", "SETUSER", "small", "on", ">pw", "~*", "+get")
        owner.close()
        url = f"redis://small:pw@127.0.0.1:{server.port}/0"
        with (
            pytest.raises(YardstickError, match="only on its command line"),
            redis_benchmark.one_time_user("tool", url, "mine:*", "get"),
        ):
            pass


def stackproof_in(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stackproof", "yardsticks", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_the_command_compares_and_keeps(tmp_path: Path) -> None:
    words = (
        "--backend",
        "interactions=postgres",
        "--seconds",
        "1",
        "--concurrency",
        "4",
        "--json",
        "out.json",
        "--out",
        "kept",
    )
    done = stackproof_in(tmp_path, *words)
    assert done.returncode in (Exit.HOLDS, Exit.INCONCLUSIVE), done.stderr  # others may have had the core
    data = json.loads((tmp_path / "out.json").read_text())
    jsonschema.validate(data, json.loads(SCHEMA.read_text()))
    assert {row["outcome"] for row in data["yardsticks"]} <= {"compared", "invalid"}
    assert len(data["yardsticks"]) == 2
    assert "pgbench" in done.stdout
    assert "keeps sums of latencies" in done.stdout
    assert json.loads((tmp_path / "kept" / "yardsticks.json").read_text()) == data
    assert len(list((tmp_path / "kept").glob("*-pgbench-round*.txt"))) == 10


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--backend", "cache=memory"), "no tool of the field is known for it"),
        (("--backend", "cache=redis", "--stack", "development"), "choose one of them"),
        (("--stack", "memory"), "the field has a tool for no backend of the stack memory"),
        (("--core", "9999"), "--core 9999 is none that this process may use"),
        (("--backend", "events=kafka"), "No wheel carries kafka"),
        (("--rounds", "4"), "4 is not in the range"),
    ],
)
def test_wrong_usage_is_one_sentence(words: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    done = stackproof_in(tmp_path, *words)
    assert done.returncode == Exit.USAGE
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
