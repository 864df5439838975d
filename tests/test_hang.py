"""Drivers with threads of their own under gevent's patches: refused with a sentence, and ended where they hang all the same."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from stackproof.adapters.native_threads import require_native_threads
from stackproof.adapters.registry import BUILT_IN
from stackproof.scenarios.hang import HUNG

PATCHED = "from gevent import monkey; monkey.patch_all()\n"
MAKE = """
from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError
from stackproof.targets import parse_target
settings = Settings({"SCYLLA_CONTACT_POINTS": "127.0.0.1:1", "KAFKA_BROKERS": "127.0.0.1:1"})
try:
    adapter = parse_target("TARGET").make(settings, "x")
except ConfigurationError as error:
    print(error)
else:
    print("made", type(adapter).__name__)
"""
UNGUARDED = """
import socket, stackproof.adapters.cql_client as cql, stackproof.adapters.events.kafka_client as kafka
cql.require_native_threads = kafka.require_native_threads = lambda driver: None
from stackproof.adapters.settings import Settings
from stackproof.interfaces import Event
from stackproof.scenarios.hang import ended_if_it_hangs
from stackproof.targets import parse_target
silent = socket.create_server(("127.0.0.1", 0))
address = "127.0.0.1:%d" % silent.getsockname()[1]
settings = Settings({"SCYLLA_CONTACT_POINTS": address, "KAFKA_BROKERS": address})
with ended_if_it_hangs("connecting to TARGET", 4.0):
    parse_target("TARGET").make(settings, "x").ping()
print("it did not hang")
"""


def run(program: str, target: str) -> tuple[subprocess.CompletedProcess[str], float]:
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", program.replace("TARGET", target)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended, time.monotonic() - began


@pytest.mark.parametrize("target", ["interactions=cassandra", "interactions=scylla", "events=kafka", "events=redpanda"])
def test_a_driver_with_threads_of_its_own_is_refused_where_gevent_has_replaced_them(target: str) -> None:
    ended, _ = run(PATCHED + MAKE, target)
    assert ended.stdout.count("\n") == 1, ended.stderr
    assert "use the native engine" in ended.stdout
    assert "gevent has replaced" in ended.stdout
    ended, _ = run(MAKE, target)
    assert ended.stdout.startswith("made "), ended.stderr


@pytest.mark.parametrize("target", ["interactions=cassandra", "events=kafka"])
def test_the_known_hang_ends_with_a_sentence(target: str) -> None:
    """Without the refusal, the driver blocks the only thread there is; what is left is to end the process."""
    ended, seconds = run(PATCHED + UNGUARDED, target)
    assert ended.returncode == HUNG, (ended.stdout, ended.stderr)
    assert ended.stderr.strip().splitlines()[-1].startswith(f"connecting to {target} did not end within 4 s and hangs")
    assert seconds < 40.0


IN_TIME = """
import time
from stackproof.scenarios.hang import ended_if_it_hangs
with ended_if_it_hangs("this", 2.0):
    pass
time.sleep(2.2)
"""
FIRST_TIME = """
import time
from stackproof.scenarios import performer
performer.FIRST_SECONDS = 0.2
with performer._first_time("TARGET"):
    time.sleep(60)
"""


def test_what_ends_in_time_is_left_alone() -> None:
    ended, _ = run(IN_TIME, "")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_step_that_hangs_before_any_load_ends_with_its_name() -> None:
    ended, _ = run(FIRST_TIME, "put (MyCache)")
    assert ended.returncode == HUNG, (ended.stdout, ended.stderr)
    (line,) = ended.stderr.strip().splitlines()[-1:]
    assert line == "the step put (MyCache), done once before any load, did not end within 0.2 s and hangs"


def test_an_unpatched_process_may_use_any_driver() -> None:
    require_native_threads("a driver")


def test_the_list_of_backends_says_whose_drivers_have_threads_of_their_own() -> None:
    named = {f"{entry.concern}={entry.name}" for entry in BUILT_IN if entry.native_threads}
    assert named == {
        *(f"interactions={name}" for name in ("scylla", "cassandra", "keyspaces")),
        *(f"events={name}" for name in ("kafka", "redpanda", "msk")),
    }
