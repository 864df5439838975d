"""Backends that are not ours, on a server that is not in the list: examples/third_party_servers keeps its contracts.

The server is Debian's `nats-server`: the one that is installed, else one that is unpacked from its package into a temporary
directory, for which apt needs no rights.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from stackproof.adapters.settings import Settings
from stackproof.contracts.expectations import eventually
from stackproof.interfaces import BackendError, Event, SummariesQuery
from stackproof.servers.ports import LOOPBACK, free_port

PROJECT = Path(__file__).parent.parent / "examples" / "third_party_servers"
NOT_DECLARED = {
    "interactions": {"STORE-01", "STORE-24", "STORE-28", "STORE-29", "STORE-30"},
    "events": {
        "EVENT-02",
        "EVENT-06",
        "EVENT-21",
        "EVENT-31",
        "EVENT-32",
        "EVENT-35",
        "EVENT-36",
        "EVENT-41",
        "EVENT-42",
        "LIFE-16",
    },
}
NO_SERVER = {"LIFE-08", "LIFE-09", "LIFE-10", "LIFE-11", "LIFE-16"}
sys.path.append(str(PROJECT))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of `nats-server`."""
    installed = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if installed:
        return installed
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        pytest.skip("there is no nats-server here, and no apt-get that could fetch one; install nats-server")
    place = tmp_path_factory.mktemp("nats")
    fetch = ["apt-get", "-o", "APT::Sandbox::User=root", "download", "nats-server"]
    subprocess.run(fetch, cwd=place, check=True, capture_output=True, timeout=120)
    (package,) = place.glob("*.deb")
    subprocess.run(["dpkg", "-x", package, place / "unpacked"], check=True, capture_output=True, timeout=60)
    return str(place / "unpacked" / "usr" / "sbin" / "nats-server")


class Nats:
    """A server that can be killed, and comes back on its port."""

    def __init__(self, program: str) -> None:
        self.port = free_port()
        self.url = f"nats://{LOOPBACK}:{self.port}"
        self._command = [program, "-a", LOOPBACK, "-p", str(self.port)]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._answers, "nats-server answers", within=20.0)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), 1.0) as client:
                return client.recv(4) == b"INFO"
        except OSError:
            return False

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)


@pytest.fixture(scope="module")
def server(program: str) -> Iterator[Nats]:
    started = Nats(program)
    yield started
    started.kill()


@pytest.mark.parametrize(("concern", "kind"), [("interactions", "TestSqliteStore"), ("events", "TestNatsBus")])
def test_every_clause_holds(server: Nats, tmp_path: Path, concern: str, kind: str) -> None:
    found = tmp_path / "verdicts.json"
    asked = f"{PROJECT / 'tests' / 'test_contracts.py'}::{kind}"
    options = ["-p", "no:cacheprovider", "--stackproof-profile", "full", "--stackproof-json", found]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, asked],
        cwd=tmp_path,
        env={**clean, "NATS_URL": server.url, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    rows: list[dict[str, Any]] = json.loads(found.read_text())["clauses"]
    broken = {row["clause"]: row["verdict"] for row in rows if row["verdict"] not in ("PASS", "NOT_SUPPORTED")}
    assert broken == {}, done.stdout[-4000:]
    assert done.returncode == 0, done.stdout[-4000:]
    absent = {row["clause"] for row in rows if row["verdict"] == "NOT_SUPPORTED"}
    assert absent == NOT_DECLARED[concern] | (NO_SERVER if concern == "interactions" else set())
    assert len(rows) > 40


def test_the_names_of_the_project_lead_to_its_backends(server: Nats, tmp_path: Path) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    settings = Settings({"NATS_URL": server.url, "ACME_SQLITE_DIRECTORY": str(tmp_path)})
    points = project["entry-points"]["stackproof.adapters"]
    made = {}
    for name, target in points.items():
        module, _, kind = target.partition(":")
        made[name] = getattr(__import__(module), kind).from_settings(settings, namespace="by_name")
    assert all(backend.ping() for backend in made.values())
    for backend in made.values():
        backend.disconnect()
    assert sorted(made) == ["events.acme-nats", "interactions.acme-sqlite"]


def test_a_subscription_is_restored_when_its_server_was_killed(program: str) -> None:
    from acme_nats import NatsBus

    server = Nats(program)
    arrived: Queue[Event] = Queue()
    with NatsBus(server.url, "killed", timeout=2.0) as bus:
        subscription = bus.subscribe("topic", arrived.put)
        bus.publish("topic", Event(type="before", payload={}))
        assert arrived.get(timeout=5).type == "before"
        server.kill()
        eventually(lambda: not subscription.active, "the gap is seen", within=5.0)
        with pytest.raises(BackendError):
            bus.publish("topic", Event(type="meanwhile", payload={}))
        server.start()
        eventually(lambda: subscription.active and bus.ping(), "the subscription is restored", within=10.0)
        bus.publish("topic", Event(type="after", payload={}))
        assert arrived.get(timeout=5).type == "after"
    server.kill()


def test_what_was_acknowledged_is_in_the_file_when_its_process_was_killed(tmp_path: Path) -> None:
    from acme_sqlite import SqliteStore

    program = """
import sys, datetime
from pathlib import Path
from acme_sqlite import SqliteStore
from stackproof.interfaces import Interaction, InteractionType
store = SqliteStore(Path(sys.argv[1]), "killed")
for number in range(10_000):
    now = datetime.datetime.now(datetime.UTC)
    kind = InteractionType.CLICK
    store.record_event(Interaction(event_id=str(number), tenant="t", customer="c", offer=str(number % 3),
                                   interaction_type=kind, timestamp=now))
    print(number, flush=True)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    clean = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean) as working:
        assert working.stdout is not None
        acknowledged = [int(next(working.stdout)) for _ in range(50)]
        working.kill()
        acknowledged += [int(line) for line in working.stdout if line.endswith("\n")]
    with SqliteStore(tmp_path, "killed") as store:
        rows = list(store.all_summaries(SummariesQuery(tenant="t", customer="c")))
    counted = sum(row.positive for row in rows if row.period_key == "all")
    assert len(acknowledged) <= counted <= len(acknowledged) + 1
