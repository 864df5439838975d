"""Under gevent's patches Redis is waited for by one watcher a connection: others run meanwhile, and time limits hold."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from shared_servers import redis_url

BEGINNING = """
from gevent import monkey
monkey.patch_all()
import gevent, json, sys, threading, time
from stackproof.adapters.redis_client import RedisClient
from stackproof.adapters.redis_connections import read_address
from stackproof.interfaces import BackendError
address = read_address(sys.argv[1], connect_timeout=5.0, operation_timeout=float(sys.argv[2]))
client = RedisClient(address, operation_timeout=float(sys.argv[2]))
"""


def in_gevent(script: str, limit: float = 30.0) -> Any:
    """What a script tells, which runs in a process of its own; ``limit``: that of an operation."""
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING + script, redis_url(), str(limit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_many_at_once_get_their_own_answers_while_others_run() -> None:
    told = in_gevent("""
ticks = 0
def tick():
    global ticks
    while True:
        gevent.sleep(0.001)
        ticks += 1
ticking = gevent.spawn(tick)
def echo(number):
    for turn in range(50):
        assert client.execute("ECHO", f"{number}-{turn}", repeatable=True) == f"{number}-{turn}".encode()
    return number
asking = [gevent.spawn(echo, number) for number in range(20)]
gevent.joinall(asking, timeout=20)
ticking.kill()
green = {each._green is not None for each in client._pool._available_connections}
client.close()
print(json.dumps({"answers": [each.value for each in asking], "ticks": ticks, "green": list(green)}))
""")
    assert told["answers"] == list(range(20))
    assert told["ticks"] > 3
    assert told["green"] == [True]


def test_a_large_command_and_a_large_answer_come_through() -> None:
    told = in_gevent("""
text = b"x" * 20_000_000
found = client.execute("ECHO", text, repeatable=True)
client.close()
print(json.dumps(found == text))
""")
    assert told is True


@pytest.mark.parametrize("patience", [0.3, 5.0])
def test_an_answer_that_does_not_come_is_given_up(patience: float) -> None:
    told = in_gevent(
        f"""
client.ping()
began, ended = time.monotonic(), ""
try:
    with gevent.Timeout({patience}, TimeoutError("the caller's own")):
        client.execute("BLPOP", "green:nothing", 3, repeatable=False)
except (BackendError, TimeoutError) as error:
    ended = type(error).__name__
seconds = time.monotonic() - began
again = client.execute("ECHO", "mine", repeatable=True) == b"mine"
client.close()
print(json.dumps({{"ended": ended, "seconds": seconds, "again": again}}))
""",
        limit=1.0,
    )
    assert told["ended"] == ("TimeoutError" if patience < 1.0 else "IndeterminateError")
    assert min(patience, 1.0) - 0.05 < told["seconds"] < min(patience, 1.0) + 1.0
    assert told["again"]  # an answer to the one before must not meet it


def test_who_waits_for_a_connection_that_another_closes_is_told_so() -> None:
    told = in_gevent("""
def wait():
    try:
        client.execute("BLPOP", "green:nothing", 20, repeatable=False)
    except BackendError as error:
        return type(error).__name__
client.ping()
waiting, began = gevent.spawn(wait), time.monotonic()
while not client._pool._in_use_connections and time.monotonic() - began < 10.0:
    gevent.sleep(0.01)
gevent.sleep(0.1)
for connection in list(client._pool._in_use_connections):
    connection.disconnect()
waiting.join(10.0)
print(json.dumps([waiting.value, time.monotonic() - began < 15.0, client.ping()]))
client.close()
""")
    assert told == ["IndeterminateError", True, True]
