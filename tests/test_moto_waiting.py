"""A request that waits at the repaired emulator holds up no other: the one that it waits for would never come."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from stackproof.adapters.aws_client import AwsClient, Effect
from stackproof.adapters.settings import Settings
from stackproof.contracts.expectations import eventually

SERVER = """
import sys
from stackproof.servers import moto_repairs
moto_repairs.repair()
from moto.server import main
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
"""


@pytest.fixture
def sqs() -> Iterator[AwsClient]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
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
