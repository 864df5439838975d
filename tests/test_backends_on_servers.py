"""The contract of every backend with a server, on the truest one that is to be had here: containers, and moto for Amazon's own.

In groups of backends whose servers can stand side by side; within a group they are verified in parallel. How many clauses were
executed of each, and how long they took, is printed at the end of the session.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from command_line import stackproof
from conftest import SUMMARY
from shared_servers import our_images, variables_of

GROUPS = {
    "growth-aws": ("--stack", "growth-aws"),
    "startup-aws": ("--stack", "startup-aws"),
    "scylla, kafka, postgres, dragonfly": (
        "--backend", "interactions=scylla", "--backend", "events=kafka", "--backend", "search=postgres",
        "--backend", "cache=dragonfly",
    ),
    "keyspaces, kinesis, redis": (
        "--backend", "interactions=keyspaces", "--backend", "events=kinesis", "--backend", "events=redis",
        "--backend", "cache=redis",
    ),
}  # fmt: skip
GOOD = {"PASS", "NOT_SUPPORTED"}


@pytest.mark.parametrize("group", GROUPS)
def test_every_clause_of_the_core_holds(group: str, tmp_path: Path) -> None:
    our_images()  # skips, or fails, where there is no Docker
    done = stackproof("verify", *GROUPS[group], "--origin", "container", "--out", "run", cwd=tmp_path, seconds=1500)
    certificate = json.loads((tmp_path / "run" / "certificate.json").read_text())
    for target in certificate["targets"]:
        rows = [row for row in certificate["clauses"] if row["target"] == target["target"]]
        counts = Counter(row["verdict"] for row in rows)
        seconds = sum(row["seconds"] for row in rows)
        told = ", ".join(f"{number} {verdict}" for verdict, number in sorted(counts.items()))
        served = {server["name"]: f"{server['technology']} {server['version']}" for server in certificate["servers"]}
        where = served.get(target["server"], "no server")
        SUMMARY.append(f"{target['target']:<24} {target['fidelity']:<18} {where:<22} {told} in {seconds:.0f} s")
    bad = [
        f"{r['target']} {r['clause']} {r['verdict']} {r['reason']}"
        for r in certificate["clauses"]
        if r["verdict"] not in GOOD
    ]
    assert (bad, done.returncode) == ([], 0), done.stderr


def test_a_failure_that_is_injected_ends_with_1(tmp_path: Path) -> None:
    """Somebody else's adapter, on a container that a command of ours did not start."""
    (tmp_path / "broken.py").write_text(
        "from stackproof.adapters.events.kafka import KafkaEventPublisher\n"
        "from stackproof.adapters.settings import Settings\n"
        "class Loses(KafkaEventPublisher):\n"
        "    def publish(self, topic, event):\n"
        "        if event.payload.get('n') != 1:\n"
        "            super().publish(topic, event)\n"
        "def make(namespace):\n"
        "    return Loses.from_settings(Settings.from_environment(), namespace)\n"
    )
    wanted = ("--backend", "events=broken:make", "--clause", "EVENT-03")
    done = stackproof("verify", *wanted, cwd=tmp_path, env=dict(variables_of("kafka")), seconds=200)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "EVENT-03" in done.stdout
