"""EventBridge with SQS keeps the contract on an emulator of both; and what only this adapter does: rules, queues, visibility."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from shared_servers import variables_of

from stackproof.adapters.aws_client import Effect
from stackproof.adapters.events.eventbridge import MOST_BYTES, EventBridgePublisher
from stackproof.adapters.events.eventbridge_names import (
    BridgeEntry,
    detail_of,
    detail_type_of,
    group_name,
    namespace_name,
    pattern_of,
    prefix_of,
    queue_policy,
    received,
    single_name,
    source_of,
)
from stackproof.adapters.settings import Settings
from stackproof.contracts.expectations import eventually
from stackproof.contracts.listeners import Listener, numbered
from stackproof.interfaces import ConfigurationError, Event, RejectedError
from stackproof.servers.http_faults import EVENTBRIDGE_PUT_EVENTS
from stackproof.servers.http_proxy import HttpProxy

NAMESPACES = ("", "a", "A", "a-b", "a_b", "a.b", "ab", "a" * 24, "a" * 25, "a" * 26, "é", "e\u0301")


def settings(**changes: str) -> Settings:
    return Settings({**variables_of("aws"), **changes})


Make = Callable[..., EventBridgePublisher]


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Publishers of this test's namespace, with settings of their own; what they made is removed in the end."""
    namespace = f"t_{request.node.name[:40]}_{time.monotonic_ns()}"
    made: list[EventBridgePublisher] = []

    def one(**changes: str) -> EventBridgePublisher:
        made.append(EventBridgePublisher.from_settings(settings(**changes), namespace))
        return made[-1]

    yield one
    for each in made:
        each.disconnect()
    with EventBridgePublisher.from_settings(settings(), namespace) as last:
        last.drop_namespace()


# Names


def test_namespaces_topics_and_groups_have_names_of_their_own() -> None:
    assert len({prefix_of(each) for each in NAMESPACES}) == len(NAMESPACES)
    assert len({source_of(each) for each in NAMESPACES}) == len(NAMESPACES)
    assert not any(
        prefix_of(one).startswith(prefix_of(other)) for one in NAMESPACES for other in NAMESPACES if one != other
    )
    topics = ("orders", "Orders", "orders ", "orders*", "o" * 200 + "1", "o" * 200 + "2", "órders", "o\u0301rders")
    assert len({detail_type_of(each) for each in topics}) == len(topics)
    assert all(len(detail_type_of(each)) <= 128 and detail_type_of(each).isascii() for each in topics)
    groups = (("a", "bc"), ("ab", "c"), ("a", "b"), ("a", "B"))
    names = {group_name("n", topic, group) for topic, group in groups}
    assert len(names) == len(groups)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_names_fit_rules_and_queues(namespace: str) -> None:
    for name in (group_name(namespace, "orders", "workers"), single_name(namespace, "f" * 24)):
        assert len(name) <= 64
        assert all(character.isascii() and (character.isalnum() or character in "-_") for character in name)
    assert namespace_name(namespace) == namespace or "X" in namespace_name(namespace)


def test_patterns_are_lists_of_whole_texts() -> None:
    pattern = json.loads(pattern_of("n", "orders*", "rule"))
    assert set(pattern) == {"source", "detail-type"}
    assert all(isinstance(text, str) for texts in pattern.values() for text in texts)


def test_the_policy_lets_one_rule_send() -> None:
    policy = json.loads(queue_policy("arn:aws-cn:events:cn-north-1:123:rule/bus/name", "name"))
    (statement,) = policy["Statement"]
    assert statement["Resource"] == "arn:aws-cn:sqs:cn-north-1:123:name"
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": "arn:aws-cn:events:cn-north-1:123:rule/bus/name"}}


def test_an_entry_is_as_large_as_aws_counts_it() -> None:
    assert BridgeEntry("söurce", "type", "{}").size == 7 + 4 + 2


def test_an_envelope_comes_back_from_a_message() -> None:
    envelope = '{"é": "\u0000"}'.encode()
    body = {"detail-type": "orders", "detail": json.loads(detail_of(envelope))}
    assert received(json.dumps(body)).envelope == envelope


# On the emulator


def test_a_bus_that_does_not_exist_is_told_before_anything_is_published(make: Make) -> None:
    bus = make(EVENTBRIDGE_BUS="there-is-none")
    assert not bus.ping()
    with pytest.raises(ConfigurationError, match="there-is-none"):
        bus.publish("orders", numbered(0))
    with pytest.raises(ConfigurationError, match="there-is-none"):
        bus.subscribe("orders", Listener())


def test_an_event_that_is_too_large_as_a_whole_is_rejected(make: Make) -> None:
    with pytest.raises(RejectedError, match=str(MOST_BYTES)):
        make().publish("orders", Event(type="t" * MOST_BYTES, payload={}))


def test_only_refused_entries_are_sent_again(make: Make) -> None:
    place = urlsplit(variables_of("aws")["AWS_ENDPOINT_URL"])
    with HttpProxy(place.hostname or "", place.port or 80) as proxy:
        listener, far = Listener(), make(AWS_ENDPOINT_URL_EVENTBRIDGE=f"http://127.0.0.1:{proxy.port}")
        make().subscribe("orders", listener)
        far.publish("warm-up", numbered(0))
        proxy.rewrite(EVENTBRIDGE_PUT_EVENTS)
        threads = [threading.Thread(target=far.publish, args=("orders", numbered(number))) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20.0)
        listener.await_numbers(range(20), "the events", 10.0)
        assert proxy.counts["items taken"] == 20
        assert proxy.counts["items refused"] >= 10
        assert proxy.counts["requests"] < 45, "they go in batches"


def test_a_message_stays_invisible_as_long_as_its_handler_runs(make: Make) -> None:
    short = {"EVENTBRIDGE_VISIBILITY_SECONDS": "1"}
    done = threading.Event()
    slow, other = Listener(lambda _: done.wait(20.0)), Listener()
    first = make(**short)
    first.subscribe("orders", slow, group="workers")
    first.publish("orders", numbered(0))
    eventually(lambda: slow.calls, "the slow handler is called", 10.0)
    make(**short).subscribe("orders", other, group="workers")
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > 2.5 or other.calls, "it would have come again", 10.0)
    assert not other.calls
    done.set()
    slow.await_numbers([0], "the event", 10.0)
    assert len(slow.calls) == 1


def test_closing_removes_rule_and_queue_and_a_group_keeps_them(make: Make) -> None:
    bus = make()
    alone, member = bus.subscribe("orders", Listener()), bus.subscribe("orders", Listener(), group="workers")
    assert len(list(bus._rules.names())) == 2
    alone.close()
    member.close()
    assert list(bus._rules.names()) == [group_name(bus.namespace, "orders", "workers")]
    bus.drop_namespace()
    assert list(bus._rules.names()) == []


def test_what_a_crash_left_behind_is_removed_with_its_namespace(make: Make) -> None:
    bus = make()
    with_queue, without_rule = single_name(bus.namespace, "left1"), single_name(bus.namespace, "left2")
    bus._rules.make(with_queue, "orders")
    bus._sqs.call("create_queue", Effect.IDEMPOTENT, QueueName=without_rule)
    assert set(bus._rules.names()) == {with_queue, without_rule}
    bus.drop_namespace()
    assert list(bus._rules.names()) == []


def test_a_rule_without_its_target_is_made_anew(make: Make) -> None:
    bus, listener = make(), Listener()
    name = group_name(bus.namespace, "orders", "workers")
    bus._events.call("put_rule", Effect.IDEMPOTENT, Name=name, EventPattern=pattern_of(bus.namespace, "orders", name))
    bus.subscribe("orders", listener, group="workers")
    bus.publish("orders", numbered(0))
    listener.await_numbers([0], "the event", 10.0)


def test_a_message_of_somebody_else_is_left_out_and_deleted(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    bus, listener = make(), Listener()
    subscription: Any = bus.subscribe("orders", listener)
    with caplog.at_level(logging.WARNING, "stackproof"):
        for body in ("no JSON", "[]", '{"detail-type": "orders", "detail": {"envelope": "????"}}'):
            bus._sqs.call("send_message", Effect.ONCE, QueueUrl=subscription._url, MessageBody=body)
        bus.publish("orders", numbered(0))
        listener.await_numbers([0], "the event", 10.0)
        eventually(lambda: caplog.text.count("is no event of ours") == 3, "each is logged once", 10.0)


def test_an_idle_subscription_closes_at_once(make: Make) -> None:
    subscription = make().subscribe("orders", Listener())
    began = time.monotonic()
    subscription.close()
    assert time.monotonic() - began < 1.9  # a look into its queue takes 2 s


def test_how_soon_others_take_over_is_declared_as_configured() -> None:
    with EventBridgePublisher.from_settings(settings(EVENTBRIDGE_VISIBILITY_SECONDS="7"), "n") as bus:
        assert bus.capabilities.takeover_seconds == 12.0
    assert EventBridgePublisher.capabilities.takeover_seconds == 35.0
