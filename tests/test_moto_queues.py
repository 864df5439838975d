"""Queues of the repaired emulator: who waits at them holds up no other, and a message costs the same whatever the backlog."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import stackproof.servers
from stackproof.adapters.aws_client import AwsClient, Effect
from stackproof.adapters.settings import Settings
from stackproof.contracts.expectations import eventually
from stackproof.servers.ports import free_port

REPAIRS = Path(stackproof.servers.__file__).with_name("moto_repairs.py")
SERVER = """
import sys
from stackproof.servers import moto_repairs
moto_repairs.repair()
from moto.server import main
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
"""


COUNTS = """
import runpy, sys
from moto.sqs.models import SQSBackend, Queue

if "repaired" in sys.argv:
    runpy.run_path(sys.argv[1])["repair"]()
looks = 0
messages = Queue.messages.fget

def counted(self):
    global looks
    looks += 1
    return messages(self)

Queue.messages = property(counted)
backend = SQSBackend("us-east-1", "123456789012")
backend.create_queue("q", None)
for _ in range(10):
    backend.send_message("q", "text")
looks = 0
assert len(backend.receive_message("q", 10, 0, 30)) == 10
print(looks)
"""


@pytest.mark.parametrize(("state", "looks"), [("repaired", range(1, 4)), ("as it is", range(20, 100))])
def test_a_message_is_received_without_a_look_at_all_others(state: str, looks: range) -> None:
    command = [sys.executable, "-W", "ignore", "-c", COUNTS, str(REPAIRS), state]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert int(done.stdout) in looks, done.stderr


@pytest.fixture
def sqs() -> Iterator[AwsClient]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stderr=subprocess.DEVNULL)
    client = AwsClient.from_settings(
        "sqs",
        Settings(
            {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "STACKPROOF_OPERATION_TIMEOUT": "15",
            }
        ),
    )
    try:
        eventually(lambda: client.answers("list_queues"), "the emulator answers", 30.0)
        yield client
    finally:
        client.close()
        process.kill()
        process.wait(10.0)


def test_who_waits_for_a_message_lets_others_send_it(sqs: AwsClient) -> None:
    url = sqs.call("create_queue", Effect.IDEMPOTENT, QueueName="q")["QueueUrl"]
    answers: list[dict[str, Any]] = []

    def wait() -> None:
        answers.append(sqs.call("receive_message", Effect.NONE, QueueUrl=url, WaitTimeSeconds=10))

    thread = threading.Thread(target=wait)
    began = time.monotonic()
    thread.start()
    thread.join(
        1.0
    )  # by now it waits at the server, where nothing is too slow: then nothing is proven, and nothing fails
    while not answers and time.monotonic() - began < 5.0:
        sqs.call("send_message", Effect.ONCE, QueueUrl=url, MessageBody="here it is")
        thread.join(0.2)
    thread.join(20.0)
    assert answers[0]["Messages"][0]["Body"] == "here it is"
    assert time.monotonic() - began < 8.0
