"""Logs in CloudWatch: the limits of batches, what becomes of a record whose stream is gone, and when records are given up."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from built_in_contract import run_clauses
from http_services import Asked, HttpService, Told, amz
from shared_servers import variables_of

from stackproof.adapters.aws_client import AwsClient, Effect
from stackproof.adapters.logs.cloudwatch import CloudWatchHandler, _milliseconds
from stackproof.adapters.logs.cloudwatch_stream import (
    BATCH_BYTES,
    BATCH_EVENTS,
    BATCH_MILLISECONDS,
    EVENT_BYTES,
    EVENT_OVERHEAD,
    LogEvent,
    batches,
)
from stackproof.adapters.logs.sender import Route, Sender
from stackproof.adapters.logs.sigterm import close_at_sigterm
from stackproof.adapters.settings import Settings
from stackproof.contracts.expectations import eventually
from stackproof.interfaces import ConfigurationError, UnavailableError
from stackproof.verification.cloudwatch import delivered_lines

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu-central-1", "LOG_LEVEL": "DEBUG"}
SHORT = {"STACKPROOF_CONNECT_TIMEOUT": "1", "STACKPROOF_OPERATION_TIMEOUT": "1", "CLOUDWATCH_SEND_SECONDS": "0.05"}
Make = Callable[..., CloudWatchHandler]


def settings(**changed: str) -> Settings:
    return Settings({**variables_of("aws"), "LOG_LEVEL": "DEBUG", **changed})


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[str]:
    """A log group of its own, which goes away after the test."""
    name = f"t_{abs(hash(request.node.name)):x}"[:24]
    yield name
    last = CloudWatchHandler.from_settings(settings(), name)
    last.drop_namespace()
    last.close()


@pytest.fixture
def make(namespace: str) -> Iterator[Make]:
    made: list[CloudWatchHandler] = []

    def make_one(**changed: str) -> CloudWatchHandler:
        made.append(CloudWatchHandler.from_settings(settings(**changed), namespace))
        return made[-1]

    yield make_one
    for handler in made:
        handler.close()


@pytest.fixture
def answered() -> Iterator[Callable[[Callable[[Asked], Told]], tuple[CloudWatchHandler, HttpService]]]:
    """A handler whose service answers as the test says."""
    made: list[Any] = []

    def make_one(respond: Callable[[Asked], Told], **changed: str) -> tuple[CloudWatchHandler, HttpService]:
        service = HttpService(respond)
        here = {**KEYS, **SHORT, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{service.port}", **changed}
        handler = CloudWatchHandler.from_settings(Settings(here))
        made.extend((handler, service))
        return handler, service

    yield make_one
    for each in made:
        each.close()


def logger_of(handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger("probe", logging.DEBUG)
    logger.addHandler(handler)
    return logger


def messages(namespace: str) -> list[str]:
    return [json.loads(line)["message"] for line in delivered_lines(settings(), namespace)]


def test_the_contract_holds(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    clauses = ("LOG-01", "LOG-03", "LOG-06", "LOG-16", "LIFE-03", "LIFE-12", "LIFE-13", "LIFE-14")
    run_clauses(pytester, monkeypatch, "logs", "cloudwatch", clauses).assert_outcomes(passed=len(clauses))


# Batches


def test_a_batch_is_within_all_limits_and_in_order() -> None:
    line = "x" * 1000
    events = [LogEvent(timestamp, line) for timestamp in (3, 1, 2) for _ in range(900)]
    events += [LogEvent(BATCH_MILLISECONDS + 2, line), LogEvent(5 * BATCH_MILLISECONDS, "x" * EVENT_BYTES)]
    events += [LogEvent(7, str(n)) for n in range(BATCH_EVENTS + 1)]
    cut = list(batches(events))
    flat = [event for batch in cut for event in batch]
    assert flat == sorted(events, key=lambda event: event.timestamp), "none lost, in order, as they came"
    for batch in cut:
        assert len(batch) <= BATCH_EVENTS
        assert sum(len(event.line) + EVENT_OVERHEAD for event in batch) <= BATCH_BYTES
        assert batch[-1].timestamp - batch[0].timestamp < 24 * 3600 * 1000
    assert list(batches([])) == []


@pytest.mark.parametrize("created", [0.0, -1e12, 1e12, math.nan, math.inf, "yesterday"])
def test_a_time_that_the_service_refuses_is_moved_to_one_that_it_takes(created: Any) -> None:
    now = time.time() * 1000
    assert now - 14 * 86_400_000 < _milliseconds(created) < now + 2 * 3_600_000


def test_records_of_long_ago_arrive_with_their_own_time(make: Make, namespace: str) -> None:
    handler = make()
    record = logging.makeLogRecord({"msg": "old", "created": 0.0, "levelno": 20, "levelname": "INFO"})
    handler.handle(record)
    handler.flush()
    (line,) = delivered_lines(settings(), namespace)
    assert json.loads(line)["time"].startswith("1970-01-01")
    assert handler.dropped == 0


# The stream


@pytest.mark.parametrize("what", ["stream", "group"])
def test_what_was_deleted_is_made_again(make: Make, namespace: str, what: str) -> None:
    handler = make(CLOUDWATCH_LOG_STREAM="one")
    log = logger_of(handler)
    log.info("before")
    handler.flush()
    client = AwsClient.from_settings("logs", settings())
    group = CloudWatchHandler.group_name(settings(), namespace)
    if what == "stream":
        client.call("delete_log_stream", Effect.IDEMPOTENT, logGroupName=group, logStreamName="one")
    else:
        client.call("delete_log_group", Effect.IDEMPOTENT, logGroupName=group)
    log.info("afterwards")
    handler.flush()
    client.close()
    assert messages(namespace) == ["afterwards"]
    assert handler.dropped == 0


def test_two_handlers_write_to_one_stream(make: Make, namespace: str) -> None:
    handlers = [make(CLOUDWATCH_LOG_STREAM="one") for _ in range(2)]
    for number in range(4):
        logger_of(handlers[number % 2]).info("record %d", number)
    for handler in handlers:
        handler.flush()
    assert sorted(messages(namespace)) == [f"record {number}" for number in range(4)]


def refusal(code: str) -> Told:
    return amz({"__type": code, "message": "no"}, 400)


def test_events_that_the_service_names_as_refused_are_counted(answered: Any) -> None:
    info = {"tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 2, "tooNewLogEventStartIndex": 4}
    handler, _ = answered(lambda _: amz({"rejectedLogEventsInfo": info}), CLOUDWATCH_SEND_SECONDS="5")
    log = logger_of(handler)
    for number in range(6):
        log.info("record %d", number)
    handler.flush()
    assert handler.dropped == 4, "those before 2, and 4 and 5"


def test_an_event_that_spoils_its_batch_is_counted_alone(answered: Any) -> None:
    taken: list[str] = []

    def respond(asked: Asked) -> Told:
        lines = [event["message"] for event in json.loads(asked[3])["logEvents"]]
        if any("bad" in line for line in lines):
            return refusal("InvalidParameterException")
        taken.extend(json.loads(line)["message"] for line in lines)
        return amz({})

    handler, _ = answered(respond, CLOUDWATCH_SEND_SECONDS="5")
    log = logger_of(handler)
    for number in range(10):
        log.info("bad" if number == 3 else f"good {number}")
    handler.flush()
    assert taken == [f"good {number}" for number in range(10) if number != 3]
    assert handler.dropped == 1


def test_what_cannot_be_sent_is_sent_when_it_can(answered: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A service that is out of order, and credentials that expire: told once, and nothing is lost."""
    state = {"answer": refusal("ExpiredTokenException")}
    taken: list[Any] = []

    def respond(asked: Asked) -> Told:
        answer = state["answer"]  # read once: it changes while a request may be answered
        if answer[0] == 200:
            taken.extend(json.loads(asked[3])["logEvents"])
        return answer

    handler, service = answered(respond)
    log = logger_of(handler)
    for number in range(3):
        log.info("record %d", number)
    eventually(lambda: len(service.heard) >= 2, "it was tried again", within=10)
    state["answer"] = amz({})
    handler.flush()
    assert len(taken) == 3
    assert handler.dropped == 0
    assert capsys.readouterr().err.count("are late, and may be dropped: UnavailableError") == 1


def test_a_full_queue_drops_and_counts_and_nobody_waits(answered: Any) -> None:
    waiting = threading.Event()

    def hang(_: Asked) -> Told:
        waiting.wait(20)
        return amz({})

    service = HttpService(hang)
    there = Settings({**KEYS, **SHORT, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{service.port}"})
    handler = CloudWatchHandler(AwsClient.from_settings("logs", there), group="g", most_bytes=20_000)
    log = logger_of(handler)
    began = time.monotonic()
    for _ in range(1000):
        log.info("x" * 200)
    assert time.monotonic() - began < 5
    assert 800 < handler.dropped < 1000
    waiting.set()
    handler.close()
    service.close()
    assert 800 < handler.dropped < 1000


def test_what_the_sdk_logs_while_it_sends_is_not_sent(make: Make, namespace: str) -> None:
    handler = make()
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        logging.getLogger("application").info("a record")
        for _ in range(3):
            handler.flush()
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    assert messages(namespace) == ["a record"]


# The end


def test_what_cannot_be_sent_until_the_end_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stackproof.adapters.logs.cloudwatch.CLOSE_SECONDS", 1.0)
    monkeypatch.setattr(logging, "raiseExceptions", False)
    nowhere = Settings({**KEYS, **SHORT, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    handler = CloudWatchHandler.from_settings(nowhere)
    log = logger_of(handler)
    for number in range(5):
        log.info("record %d", number)
    began = time.monotonic()
    handler.close()
    assert time.monotonic() - began < 10
    log.info("afterwards")
    assert handler.dropped == 6


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN, "a function"])
def test_sigterm_closes_the_handler_and_then_does_what_it_did(make: Make, namespace: str, before: Any) -> None:
    handler = make(CLOUDWATCH_SEND_SECONDS="60")
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, before if before != "a function" else lambda *_: os._exit(7))
        close_at_sigterm(handler)
        logger_of(handler).info("the last record")
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(8)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == {signal.SIG_DFL: -signal.SIGTERM, signal.SIG_IGN: 8}.get(before, 7)
    assert messages(namespace) == ["the last record"]


def test_the_sender_survives_what_it_does_not_know() -> None:
    sent: list[list[int]] = []
    told: list[Exception] = []
    failures: list[Exception] = [ZeroDivisionError("a defect"), UnavailableError("for the moment")]

    def send(batch: list[int]) -> int:
        if failures:
            raise failures.pop(0)
        sent.append(batch)
        return 0

    # A turn that has nothing but somebody who waits makes no batch.
    route = Route(
        batches=lambda events: [batch] if (batch := list(events)) else [], send=send, size=lambda _: 1, told=told.append
    )
    sender: Sender[int] = Sender(route, most_bytes=100, linger=0.01, name="test")
    sender.put(1)
    assert sender.flush(10)
    assert (sender.given_up, sent) == (1, [])
    sender.put(2)
    assert sender.flush(10)
    assert (sender.given_up, sent) == (1, [[2]])
    assert [type(error) for error in told] == [ZeroDivisionError, UnavailableError]
    sender.close(5)
    assert sender.flush(5)


# Settings


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"CLOUDWATCH_LOG_GROUP": "a b"}, "CLOUDWATCH_LOG_GROUP"),
        ({"CLOUDWATCH_SEND_SECONDS": "-1"}, "CLOUDWATCH_SEND_SECONDS"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
    ],
)
def test_settings_that_cannot_work_are_said(changed: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        CloudWatchHandler.from_settings(Settings({**KEYS, **changed}))


def test_the_group_carries_the_namespace_and_the_stream_the_process(make: Make, namespace: str) -> None:
    handler = make(CLOUDWATCH_LOG_GROUP="/my/app", CLOUDWATCH_LOG_STREAM="web:{process}")
    try:
        logger_of(handler).info("x")
        handler.flush()
        client = AwsClient.from_settings("logs", settings())
        group = CloudWatchHandler.group_name(settings(CLOUDWATCH_LOG_GROUP="/my/app"), namespace)
        assert group.startswith("/my/app.t__")
        (stream,) = client.call("describe_log_streams", Effect.NONE, logGroupName=group)["logStreams"]
        assert stream["logStreamName"] == f"web_{os.getpid()}"
        client.close()
    finally:
        handler.drop_namespace()
    with pytest.raises(ConfigurationError, match="empty namespace"):
        CloudWatchHandler.from_settings(settings()).drop_namespace()
