"""Which verifications a change asks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import stackproof

from stackproof.adapters.registry import BUILT_IN
from stackproof.verification.matrix import closure, matrix

EVERY = {f"{entry.concern}={entry.name}" for entry in BUILT_IN if not entry.reference}
KAFKA = {"events=kafka", "events=redpanda", "events=msk"}
REDIS = {"cache=redis", "cache=elasticache", "cache=upstash", "cache=dragonfly", "events=redis"}
CQL = {"interactions=scylla", "interactions=cassandra", "interactions=keyspaces"}


@pytest.mark.parametrize(
    ("changed", "backends"),
    [
        ("stackproof/adapters/redis_client.py", REDIS),
        ("stackproof/adapters/events/kafka_log.py", KAFKA),
        ("stackproof/adapters/cache/local.py", {"cache=local"}),
        ("stackproof/contracts/mutants/logs.py", {"logs=console", "logs=cloudwatch"}),
        ("stackproof/contracts/cache_time.py", {b for b in EVERY if b.startswith("cache=")}),
        ("stackproof/contracts/lifecycle.py", EVERY),
        ("stackproof/servers/containers/cassandra.py", CQL),
        ("images/kafka/Dockerfile", KAFKA),
        ("images/build", EVERY),
        ("stackproof/verification/worker.py", EVERY),
        ("stackproof/adapters/registry.py", EVERY),
        ("stackproof/is_gone_now.py", EVERY),
        ("constraints.txt", EVERY),
        ("docs/index.md", set()),
        ("tests/test_matrix.py", set()),
        ("README.md", set()),
    ],
)
def test_a_change_asks_for_what_it_touches(changed: str, backends: set[str]) -> None:
    jobs = matrix([changed])
    assert {job.backend for job in jobs} == backends
    assert {job.why for job in jobs} <= {changed}


def test_nothing_named_is_everything_on_every_server_that_there_is() -> None:
    jobs = matrix(None)
    assert {job.backend for job in jobs} == EVERY
    assert {(job.origin, job.version) for job in jobs if job.backend == "search=postgres"} == {
        ("embedded", "wheel"),
        ("container", "postgres:17"),
    }
    assert len({(job.backend, job.origin, job.version) for job in jobs}) == len(jobs)


def test_imports_are_followed_without_a_driver() -> None:
    reached = closure("stackproof.adapters.cache.elasticache")
    assert {"stackproof.adapters.cache.redis", "stackproof.adapters.redis_cluster", "stackproof.interfaces"} <= reached
    assert not any(name.startswith("stackproof.contracts") for name in reached)


def test_the_command(tmp_path: Path) -> None:
    done = stackproof("matrix", "stackproof/adapters/search/opensearch.py", "--json", "-", cwd=tmp_path)
    (job,) = json.loads(done.stdout)["include"]
    assert job["command"] == "stackproof verify --backend search=opensearch --origin container"
    assert "search=opensearch" in stackproof("matrix", cwd=tmp_path).stdout
    for wrong in (["--since", "nonsense"], ["--since", "--output=x"], ["--since", "HEAD", "a.py"]):
        done = stackproof("matrix", *wrong, cwd=tmp_path)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), wrong
