"""Kinesis keeps the contract on an emulator, its groups on one of DynamoDB; and what only this adapter does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from shared_servers import variables_of

from stackproof.adapters.aws_client import Effect
from stackproof.adapters.events import kinesis_members
from stackproof.adapters.events.kinesis import KinesisPublisher
from stackproof.adapters.events.kinesis_stream import RECORD_BYTES
from stackproof.adapters.events.kinesis_tail import POLL_SECONDS
from stackproof.adapters.settings import Settings
from stackproof.contracts.expectations import eventually
from stackproof.contracts.listeners import Listener, numbered
from stackproof.interfaces import Event, RejectedError
from stackproof.servers.http_faults import KINESIS_PUT_RECORDS, KINESIS_THROTTLED, AwsError, Throttled
from stackproof.servers.http_proxy import Answer, HttpProxy, Request, Service


def variables() -> dict[str, str]:
    return {**variables_of("aws"), **variables_of("kinesis")}


def settings(**changes: str) -> Settings:
    return Settings({**variables(), **changes})


Make = Callable[..., KinesisPublisher]


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    return f"t_{request.node.name[:40]}_{time.monotonic_ns()}"


@pytest.fixture
def make(namespace: str) -> Iterator[Make]:
    """Publishers of this test's namespace, with settings of their own; the stream is removed in the end."""
    made: list[KinesisPublisher] = []

    def one(**changes: str) -> KinesisPublisher:
        made.append(KinesisPublisher.from_settings(settings(**changes), namespace))
        return made[-1]

    yield one
    for each in made:
        each.disconnect()
    with KinesisPublisher.from_settings(settings(), namespace) as last:
        last.drop_namespace()


@pytest.fixture
def proxy() -> Iterator[HttpProxy]:
    found = variables()
    place = urlsplit(found.get("AWS_ENDPOINT_URL_KINESIS") or found["AWS_ENDPOINT_URL"])
    with HttpProxy(place.hostname or "", place.port or 80) as made:
        yield made


@pytest.fixture
def far(make: Make, proxy: HttpProxy) -> KinesisPublisher:
    return make(AWS_ENDPOINT_URL_KINESIS=f"http://127.0.0.1:{proxy.port}")


def publish_all(bus: KinesisPublisher, numbers: range, key: str = "") -> None:
    for number in numbers:
        bus.publish("orders", numbered(number, key))


class Watched:
    """Counts the calls of one name; changes nothing."""

    def __init__(self, call: str) -> None:
        self._call = call
        self.calls = 0

    def applies(self, request: Request) -> bool:
        return request.header("x-amz-target").endswith(f".{self._call}")

    def answer(self, request: Request, service: Service) -> Answer:
        self.calls += 1
        return service.forward(request)


def test_an_event_that_is_too_large_as_a_whole_is_rejected(make: Make) -> None:
    with pytest.raises(RejectedError, match=str(RECORD_BYTES)):
        make().publish("orders", Event(type="t" * RECORD_BYTES, payload={}))


def test_refused_records_go_again_alone_and_in_the_order_of_their_keys(
    make: Make, far: KinesisPublisher, proxy: HttpProxy
) -> None:
    listener = Listener()
    make().subscribe("orders", listener)
    far.publish("warm-up", numbered(0))
    proxy.rewrite(KINESIS_PUT_RECORDS)
    lanes = [range(first, first + 12) for first in (0, 100, 200, 300)]
    threads = [threading.Thread(target=publish_all, args=(far, lane, str(lane.start))) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    listener.await_numbers([number for lane in lanes for number in lane], "the events", 10.0)
    for lane in lanes:
        assert [number for number in listener.numbers if number in lane] == list(lane)
    assert proxy.counts["items taken"] == 48
    assert proxy.counts["items refused"] >= 24


def test_an_expired_iterator_is_renewed_from_the_last_record(far: KinesisPublisher, proxy: HttpProxy) -> None:
    listener = Listener()
    subscription = far.subscribe("orders", listener)
    publish_all(far, range(5))
    listener.await_numbers(range(5), "events before", 10.0)
    expired = Throttled(AwsError("ExpiredIteratorException", "Iterator expired."), frozenset({"GetRecords"}))
    proxy.rewrite(expired, times=4)
    publish_all(far, range(5, 10))
    listener.await_numbers(range(10), "events afterwards", 10.0)
    assert listener.numbers == list(range(10))
    assert subscription.active
    eventually(lambda: proxy.counts["throttled"] == 4, "every iterator was told to be expired", 10.0)


def test_reading_that_is_refused_for_a_while_misses_nothing(
    far: KinesisPublisher, proxy: HttpProxy, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener()
    far.subscribe("orders", listener)
    proxy.rewrite(Throttled(KINESIS_THROTTLED, frozenset({"GetRecords"})))
    publish_all(far, range(5))
    eventually(lambda: proxy.counts.get("throttled", 0) >= 10, "reading is refused", 20.0)
    proxy.heal()
    listener.await_numbers(range(5), "the events", 15.0)
    assert "cannot be read" not in caplog.text, "a refusal for the moment is no outage"


def test_a_shard_is_asked_at_its_pace_whatever_the_number_of_subscriptions(
    far: KinesisPublisher, proxy: HttpProxy
) -> None:
    listeners = [Listener() for _ in range(6)]
    for listener in listeners:
        far.subscribe("orders", listener)
    watched = Watched("GetRecords")
    began = time.monotonic()
    proxy.rewrite(watched)
    publish_all(far, range(20))
    for listener in listeners:
        listener.await_numbers(range(20), "the events", 10.0)
    eventually(lambda: watched.calls >= 8, "the shards are asked", 10.0)
    shards = len(far._stream.shards())
    assert watched.calls <= shards * (2 + (time.monotonic() - began) / POLL_SECONDS)


def hash_range(bus: KinesisPublisher, shard: str) -> tuple[int, int]:
    listed = bus._kinesis.call("list_shards", Effect.NONE, StreamName=bus._stream.name)["Shards"]
    (found,) = [each["HashKeyRange"] for each in listed if each["ShardId"] == shard]
    return int(found["StartingHashKey"]), int(found["EndingHashKey"])


def reshard(bus: KinesisPublisher, operation: str, **parameters: str) -> None:
    stream = bus._stream
    bus._kinesis.call(operation, Effect.IDEMPOTENT, StreamName=stream.name, **parameters)
    eventually(lambda: stream._status() == "ACTIVE", "the shards are made", 20.0)


def split_all(bus: KinesisPublisher) -> None:
    for shard in [each for each in bus._stream.shards() if each.open]:
        middle = sum(hash_range(bus, shard.id)) // 2
        reshard(bus, "split_shard", ShardToSplit=shard.id, NewStartingHashKey=str(middle))


def merge_the_first_two(bus: KinesisPublisher) -> None:
    shards = sorted((each for each in bus._stream.shards() if each.open), key=lambda each: int(each.first_hash))
    reshard(bus, "merge_shards", ShardToMerge=shards[0].id, AdjacentShardToMerge=shards[1].id)


@pytest.mark.parametrize("kind", ["subscribe", "group", "replay"])
def test_shards_that_are_split_and_merged_are_followed_in_order(make: Make, kind: str) -> None:
    bus, listener = make(), Listener()
    begin: dict[str, Callable[[], Any]] = {
        "subscribe": lambda: bus.subscribe("orders", listener),
        "group": lambda: bus.subscribe("orders", listener, group="workers"),
        "replay": lambda: bus.replay("orders", listener),
    }
    if kind != "replay":
        begin[kind]()
    keys, number = "abcdefgh", 0
    for change in (split_all, merge_the_first_two, split_all, lambda _: None):
        for key in keys * 3:
            bus.publish("orders", numbered(number, key))
            number += 1
        change(bus)
    if kind == "replay":  # now it has to find its way from the oldest shards to the youngest
        begin[kind]()
    listener.await_numbers(range(number), "the events before, between and after the changes", 20.0)
    for place, key in enumerate(keys):
        got = [each for each in dict.fromkeys(listener.numbers) if int(each) % len(keys) == place]  # type: ignore[call-overload]
        assert got == sorted(got), f"the order of key {key}"  # type: ignore[type-var]


def test_a_stream_that_was_removed_is_made_again(make: Make) -> None:
    bus, listener = make(), Listener()
    bus.publish("orders", numbered(0))
    make().drop_namespace()
    stream = bus._stream

    def published() -> bool:
        try:
            bus.publish("orders", numbered(1))
        except Exception:  # noqa: BLE001 - the first one may be told that it is gone
            return False
        return True

    eventually(published, "the publisher works again", 10.0)
    assert stream._status() == "ACTIVE"
    bus.replay("orders", listener)
    listener.await_numbers([1], "the event in the new stream", 10.0)


def test_records_of_others_are_left_out(make: Make) -> None:
    bus, listener = make(), Listener()
    bus.subscribe("orders", listener)
    for data in (b"no JSON", b"", b'{"topic":"orders","event":nonsense}', b'{"topic":"orders2","event":{}}'):
        bus._kinesis.call(
            "put_record", Effect.ONCE, StreamName=bus._stream.name, Data=data, PartitionKey="somebody else's"
        )
    bus.publish("orders", numbered(0))
    listener.await_numbers([0], "the event", 10.0)
    assert len(listener.calls) == 1


CRASHES = """
import sys, threading, time
from stackproof.adapters.events.kinesis import KinesisPublisher
from stackproof.adapters.settings import Settings

def handle(event):
    print(event.payload["n"], flush=True)
    if event.payload["n"] == 5:
        threading.Event().wait()

bus = KinesisPublisher.from_settings(Settings.from_environment(), sys.argv[1])
bus.subscribe("orders", handle, group="workers")
print("ready", flush=True)
threading.Event().wait()
"""


def test_after_a_crash_a_group_goes_on_at_least_once(
    make: Make, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinesis_members, "LEASE_SECONDS", 4.0)
    child = subprocess.Popen(
        [sys.executable, "-c", CRASHES, namespace], env={**os.environ, **variables()}, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        bus = make()
        publish_all(bus, range(10), key="k")
        assert [child.stdout.readline() for _ in range(6)] == [f"{number}\n" for number in range(6)]
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(10.0)
        child.stdout.close()
    listener = Listener()
    bus.subscribe("orders", listener, group="workers")
    listener.await_numbers(range(5, 10), "what the crashed member had not done", 20.0)
    numbers = listener.numbers
    assert numbers == sorted(numbers)  # type: ignore[type-var]
