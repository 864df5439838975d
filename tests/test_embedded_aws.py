"""The emulator of the AWS services starts, answers, comes back and ends like the other embedded servers."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import boto3
import psutil
import pytest
from test_servers import until

from stackproof.servers import MissingWheelError, embedded_aws, runs
from stackproof.servers.embedded_aws import EmbeddedAws
from stackproof.servers.sets import servers_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the checks read /proc")


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as started:
        yield started


def client(server: EmbeddedAws, service: str) -> object:
    given = server.variables()
    return boto3.client(
        service,
        endpoint_url=given["AWS_ENDPOINT_URL"],
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        region_name=given["AWS_REGION"],
    )


def test_the_services_answer(aws: EmbeddedAws) -> None:
    assert client(aws, "dynamodb").list_tables()["TableNames"] == []  # type: ignore[attr-defined]
    assert client(aws, "events").list_rules()["Rules"] == []  # type: ignore[attr-defined]
    assert client(aws, "logs").describe_log_groups()["logGroups"] == []  # type: ignore[attr-defined]
    assert client(aws, "kinesis").list_streams()["StreamNames"] == []  # type: ignore[attr-defined]
    assert client(aws, "sqs").list_queues().get("QueueUrls") is None  # type: ignore[attr-defined]


def test_it_says_what_it_is(aws: EmbeddedAws) -> None:
    assert (aws.name, aws.technology, aws.origin, aws.fidelity) == ("aws", "moto", "embedded", "emulator")
    assert aws.version().split(".")[0].isdigit()
    assert "in memory" in aws.facts()["durability"]


def test_it_comes_back_on_its_address(aws: EmbeddedAws) -> None:
    before = aws.variables()
    aws.kill()
    aws.start()
    aws.restart()
    assert aws.variables() == before
    assert client(aws, "dynamodb").list_tables()["TableNames"] == []  # type: ignore[attr-defined]


def test_it_listens_on_the_loopback_address_alone(aws: EmbeddedAws) -> None:
    listening = [c.laddr.ip for c in psutil.Process(aws.pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]


def test_it_ends_with_its_keeper_and_a_sweep_would_find_it() -> None:
    with servers_for(["aws"], "embedded", {}) as servers:
        run, server = servers._run, servers.server("aws")
        assert run is not None
        assert isinstance(server, EmbeddedAws)
        assert server.pid is not None
        process = psutil.Process(server.pid)
        assert runs.leftovers(run.path) == [process.pid]
        os.kill(run.keeper_pid, signal.SIGKILL)
        until(lambda: has_ended(process), "the end of the server")


def has_ended(process: psutil.Process) -> bool:
    """Also where it does so between two questions, and where its number is another one's by now."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_missing_package_is_the_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_aws, "PACKAGES", ("no_such_package",))
    with pytest.raises(MissingWheelError) as caught:
        EmbeddedAws().start()
    assert str(caught.value) == "pip install 'stackproof[emulator]'"
