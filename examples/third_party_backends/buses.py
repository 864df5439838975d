"""An event bus that nobody here wrote: the signals of `blinker`, with as little of our own as possible.

    stackproof verify --backend events=examples.third_party_backends.buses:Blinker

What the contract finds is in docs/findings.md.
"""

from __future__ import annotations

import blinker

from stackproof.contracts import EventCapabilities, Order
from stackproof.interfaces import ClosedError, Event, EventPublisher, Handler, Subscription, UnsupportedError


class BlinkerSubscription(Subscription):
    """A receiver that is connected to a signal."""

    def __init__(self, signal: blinker.Signal, handler: Handler) -> None:
        self._signal = signal
        self._handler = handler
        self._active = True
        signal.connect(self._receive, weak=False)

    def _receive(self, event: Event) -> None:
        self._handler(event)

    def close(self) -> None:
        self._active = False
        self._signal.disconnect(self._receive)

    @property
    def active(self) -> bool:
        return self._active


class Blinker(EventPublisher):
    """A signal per topic, sent with the event as its sender."""

    capabilities = EventCapabilities(order=Order.TOTAL, shared=False)

    def __init__(self) -> None:
        self._signals = blinker.Namespace()
        self._subscriptions: list[Subscription] = []
        self._open = True  # there is nothing to close in the library: this much is the adapter's

    def publish(self, topic: str, event: Event) -> None:
        self._check_open()
        self._signals.signal(topic).send(event)

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        self._check_open()
        if group is not None:
            raise UnsupportedError("signals have no groups")
        subscription = BlinkerSubscription(self._signals.signal(topic), handler)
        self._subscriptions.append(subscription)
        return subscription

    def ping(self) -> bool:
        return self._open

    def disconnect(self) -> None:
        self._open = False
        for subscription in self._subscriptions:
            subscription.close()

    def _check_open(self) -> None:
        if not self._open:
            raise ClosedError("this bus was disconnected")
