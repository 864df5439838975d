"""The event bus on Amazon EventBridge: PutEvents, and for each subscription a rule that leads to an SQS queue."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Self

from stackproof.adapters.aws_client import AwsClient, Effect
from stackproof.adapters.aws_errors import NOT_ALLOWED, THROTTLED, code_of
from stackproof.adapters.settings import Settings
from stackproof.interfaces import (
    BackendError,
    ConfigurationError,
    Delivery,
    Event,
    EventCapabilities,
    EventPublisher,
    Handler,
    Order,
    RejectedError,
    Subscription,
    UnavailableError,
)

from .common import check_topic, logger, to_json
from .eventbridge_names import (
    PROBE,
    BridgeEntry,
    detail_of,
    detail_type_of,
    group_name,
    single_name,
    source_of,
)
from .eventbridge_rules import Rules
from .outbox import Outbox, Refusal
from .running import Running
from .sqs_delivery import QueueSubscription, VisibilityKeeper

MOST_ENTRIES = 10
MOST_BYTES = 1_000_000
"""All entries of a call together are smaller than 1 MB: so says the SDK's description of PutEvents; until January 2026 it was
256 KB, and some pages still say so. Whether it means 10^6 or 2^20 it does not say; this is the smaller one."""
RULE_SECONDS = 10.0
"""How long `subscribe` waits until its rule is in force."""
PROBE_SECONDS = 0.5
"""How often it is tried whether it is."""
DELIVERY_SECONDS = 5.0
VISIBILITY_SECONDS = 30
"""So long what a member received is kept from others; a living one asks for more time before."""
RETENTION_SECONDS = 4 * 24 * 3600
_PASSING = THROTTLED | {"InternalFailure", "InternalException", "ServiceUnavailable", "InternalError"}


class EventBridgePublisher(EventPublisher):
    """EventBridge: routes events of a bus by rules; here each subscription is a rule with an SQS queue of its own.

    **At least once.** What PutEvents accepted is kept by EventBridge (it tries a target for up to 24 hours) and then by the
    queue (``retention_seconds``, 4 days). A message is deleted after its handler returned; one whose handler raised comes again
    at once, then after seconds, at last every half a minute, until it is too old. While a handler runs, the queue is asked
    every quarter of ``visibility_seconds`` to keep its message, and the others of its batch, from others; what a member held that
    was killed comes again after ``visibility_seconds`` at the latest. SQS itself may
    deliver a message twice. There is **no order**: neither EventBridge nor a standard queue has one.

    **Publishing.** Events that several threads publish at the same time go in one call, at most 10 and less than 1 MB
    together. Of a call that was taken in part the refused ones are sent again, alone. EventBridge says yes to events for a bus
    that does not exist: so the first `publish` and each `ping` ask for it.

    **Subscribing.** A rule is not in force as soon as it is made: `subscribe` sends probes through it, and returns when one came
    out of the queue. Without a group, rule and queue are removed by `close` and `disconnect`. **Groups** share a queue by its
    name, and are **durable**: rule and queue stay, and collect, until `drop_namespace` removes them. What a crash
    leaves behind is found by its name, which begins with ``stackproof-NAMESPACE-``: `drop_namespace` removes it, too.

    **Limits.** A bus has 300 rules unless AWS grants more: so many subscriptions and groups. Each subscription has one thread,
    which asks its queue every two seconds (SQS bills that: about 1.3 million requests a month).
    The envelope travels as base64 in the ``envelope`` of the detail, because EventBridge rewrites JSON. An SQS queue name that
    was deleted can be used again after a minute only. The bus is not made here.

    **Names.** ``source`` is ``stackproof.NAMESPACE``, ``detail-type`` the topic, or where that is long or has unusual characters
    a digest of it. Rules compare whole texts: a topic is never a pattern. A forked child can publish and subscribe;
    subscriptions stay with the parent.
    """

    capabilities = EventCapabilities(
        delivery=Delivery.AT_LEAST_ONCE,
        order=Order.NONE,
        delivery_seconds=DELIVERY_SECONDS,
        groups=True,
        durable=True,
        takeover_seconds=VISIBILITY_SECONDS + DELIVERY_SECONDS,
        shared=True,
        remote=True,
        throttles=True,
        partial_batches=True,
    )

    def __init__(
        self,
        events: AwsClient,
        sqs: AwsClient,
        *,
        bus: str = "default",
        namespace: str = "",
        visibility_seconds: int = VISIBILITY_SECONDS,
        retention_seconds: int = RETENTION_SECONDS,
    ) -> None:
        self.namespace = namespace
        self.bus = bus
        self._events = events
        self._sqs = sqs
        self._rules = Rules(events, sqs, bus, namespace, visibility_seconds, retention_seconds)
        self._visibility = visibility_seconds
        self.capabilities = replace(  # type: ignore[misc] # of an instance, as it was configured
            self.capabilities, takeover_seconds=visibility_seconds + DELIVERY_SECONDS
        )
        self._source = source_of(namespace)
        self._bus_is_there = False
        self._outbox: Outbox[BridgeEntry] = Outbox(
            self._put, MOST_ENTRIES, MOST_BYTES - 1, events.place.operation_timeout
        )
        self._keeper = VisibilityKeeper(visibility_seconds)
        self._running: Running[QueueSubscription] = Running()

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        return cls(
            AwsClient.from_settings("events", settings),
            AwsClient.from_settings("sqs", settings),
            bus=settings.get("EVENTBRIDGE_BUS", "default"),
            namespace=namespace,
            visibility_seconds=int(settings.number("EVENTBRIDGE_VISIBILITY_SECONDS", VISIBILITY_SECONDS, minimum=1)),
            retention_seconds=int(settings.number("EVENTBRIDGE_RETENTION_SECONDS", RETENTION_SECONDS, minimum=60)),
        )

    def publish(self, topic: str, event: Event) -> None:
        self._events.check_open()
        check_topic(topic)
        detail = detail_of(to_json(event, self.capabilities.max_payload_bytes))
        entry = BridgeEntry(self._source, detail_type_of(topic), detail)
        if entry.size >= MOST_BYTES:
            raise RejectedError(f"an event with all that it carries has less than {MOST_BYTES} bytes, not {entry.size}")
        self._check_bus()
        self._outbox.send(entry)

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        self._events.check_open()
        check_topic(topic)
        if group is None:
            name, lasting = single_name(self.namespace, secrets.token_hex(12)), False
        else:
            name, lasting = group_name(self.namespace, topic, _checked(group)), True
        self._check_bus()
        subscription: QueueSubscription | None = None
        at_end: Callable[[], None] = _nothing if lasting else partial(self._rules.try_to_remove, name)
        try:
            new = not (lasting and self._rules.exists(name))
            url = self._rules.make(name, topic) if new else self._rules.url_of(name)
            subscription = QueueSubscription(self._sqs, url, topic, handler, self._visibility, at_end)
            self._begin(subscription)
            if new:
                self._await_rule(name, subscription)
        except BaseException:
            if subscription is not None and subscription.running:
                subscription.close()
            else:
                at_end()
            raise
        return subscription

    def ping(self) -> bool:
        return self._events.answers("describe_event_bus", Name=self.bus)

    def disconnect(self) -> None:
        self._running.end(2 * self._sqs.place.operation_timeout)
        self._keeper.close()
        self._events.close()
        self._sqs.close()

    def drop_namespace(self) -> None:
        """Remove every rule and queue of this namespace, also those of groups, and what crashes left behind."""
        if not self.namespace:
            raise ConfigurationError("the empty namespace is not dropped")
        for name in self._rules.names():
            self._rules.remove(name)

    def _begin(self, subscription: QueueSubscription) -> None:
        subscription.start()
        self._running.add(subscription)
        self._events.check_open()  # a disconnect meanwhile may have missed it
        self._keeper.watch(subscription)

    def _await_rule(self, name: str, subscription: QueueSubscription) -> None:
        """Until an event gets through the new rule into the queue."""
        deadline = time.monotonic() + RULE_SECONDS
        probe = secrets.token_hex(8)
        while time.monotonic() < deadline:
            self._outbox.send(BridgeEntry(self._source, PROBE + name, f'{{"probe":"{probe}"}}'))
            until = time.monotonic() + PROBE_SECONDS
            while time.monotonic() < until:
                if subscription.saw_probe(probe):
                    return
                self._events.check_open()
                time.sleep(0.005)
        raise UnavailableError(f"the rule {name} was made, but no event came through it within {RULE_SECONDS:g} s")

    def _check_bus(self) -> None:
        """Ask once whether the bus exists: PutEvents does not tell."""
        if self._bus_is_there:
            return
        try:
            self._events.call("describe_event_bus", Effect.NONE, Name=self.bus)
        except BackendError as error:
            if code_of(error) == "ResourceNotFoundException":
                raise ConfigurationError(f"EVENTBRIDGE_BUS={self.bus!r}: there is no such event bus") from error
            if code_of(error) not in NOT_ALLOWED:
                raise
            logger.warning("whether the event bus %r exists cannot be told: %s", self.bus, error)
        self._bus_is_there = True

    def _put(self, entries: Sequence[BridgeEntry]) -> Sequence[Refusal | None]:
        answer = self._events.call("put_events", Effect.ONCE, Entries=[entry.request(self.bus) for entry in entries])
        return [
            Refusal(told["ErrorCode"], told.get("ErrorMessage", ""), told["ErrorCode"] in _PASSING)
            if told.get("ErrorCode")
            else None
            for told in answer["Entries"]
        ]


def _checked(group: str) -> str:
    if not group:
        raise RejectedError("a group has a name that is not empty")
    return group


def _nothing() -> None:
    """At the end of a member of a group: its rule and queue stay."""
