"""Under gevent's patches PostgreSQL is waited for by one watcher a connection: others run meanwhile, and time limits hold."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from shared_servers import postgres_url

BEGINNING = """
from gevent import monkey
monkey.patch_all()
import gevent, json, socket, sys, threading, time
from stackproof.adapters.postgres_pool import PostgresPool
from stackproof.interfaces import BackendError
url = sys.argv[1]
pool = PostgresPool(url, component="x", max_connections=4, operation_timeout=float(sys.argv[2]))
"""


def in_gevent(script: str, limit: float = 30.0) -> Any:
    """What a script tells, which runs in a process of its own; ``limit``: that of an operation."""
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING + script, postgres_url(), str(limit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_others_run_while_an_answer_is_awaited_and_nobody_is_forgotten() -> None:
    told = in_gevent("""
ticks = 0
def tick():
    global ticks
    while True:
        gevent.sleep(0.005)
        ticks += 1
ticking = gevent.spawn(tick)
def ask(number):
    rows = pool.run(lambda connection: connection.execute("SELECT %s::int, pg_sleep(0.05)", [number]).fetchall(), writes=False)
    return rows[0][0]
asking = [gevent.spawn(ask, number) for number in range(16)]
gevent.joinall(asking, timeout=30)
ticking.kill()
green = [member.connection._green is not None for member in pool._idle]
pool.close()
print(json.dumps({"answers": [each.value for each in asking], "ticks": ticks, "green": green}))
""")
    assert told["answers"] == list(range(16))  # four at a time, so twelve of them waited for a connection
    assert told["ticks"] > 3
    assert told["green"] == [True] * 4


def test_a_large_statement_and_a_large_answer_come_through() -> None:
    told = in_gevent("""
text = "x" * 20_000_000
found = pool.run(lambda connection: connection.execute("SELECT %s::text", [text]).fetchall(), writes=False)
pool.close()
print(json.dumps(found[0][0] == text))
""")
    assert told is True


@pytest.mark.parametrize("patience", [0.3, 5.0])
def test_a_server_that_says_nothing_any_more_is_given_up(patience: float) -> None:
    told = in_gevent(
        f"""
patience = {patience}
pids = pool.run(lambda connection: connection.execute("SELECT pg_backend_pid()").fetchall(), writes=False)
import os, signal
pid = pids[0][0]
os.kill(pid, signal.SIGSTOP)
began = time.monotonic()
try:
    with gevent.Timeout(patience, TimeoutError("the caller's own")):
        pool.run(lambda connection: connection.execute("SELECT 1"), writes=False)
except (BackendError, TimeoutError) as error:
    ended = type(error).__name__
seconds = time.monotonic() - began
os.kill(pid, signal.SIGCONT)
again = pool.ping()
pool.close()
print(json.dumps({{"ended": ended, "seconds": seconds, "again": again}}))
""",
        limit=1.0,
    )
    assert told["ended"] == ("TimeoutError" if patience < 1.0 else "OperationTimeoutError")
    assert min(patience, 1.0) - 0.05 < told["seconds"] < min(patience, 1.0) + 2.0
    assert told["again"]  # on another connection


def test_a_connection_of_another_thread_is_waited_for_by_psycopg() -> None:
    told = in_gevent("""
def ask():
    return pool.run(lambda connection: connection.execute("SELECT 7, pg_sleep(0.02)").fetchall(), writes=False)[0][0]
here = ask()
there = gevent.get_hub().threadpool.apply(ask)
print(json.dumps([here, there, ask()]))
pool.close()
""")
    assert told == [7, 7, 7]
