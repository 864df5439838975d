"""The event bus: publish to a topic, subscribe with a handler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeAlias

from .capabilities import EventCapabilities
from .lifecycle import Backend
from .records import Event

Handler: TypeAlias = Callable[[Event], None]


class Subscription(ABC):
    """A running delivery to one handler."""

    @abstractmethod
    def close(self) -> None:
        """Stop the delivery. When it returns, the handler is not running and will not be called again.

        Called from inside the handler, it returns at once and that call is the last. A second call does nothing.
        """

    @property
    @abstractmethod
    def active(self) -> bool:
        """Whether events are being delivered: false after `close`, and false while the delivery is broken."""


class EventPublisher(Backend):
    """Publish to topics, subscribe to topics.

    **Accepted**: when `publish` returns, the broker has the event (or the adapter has it buffered and `disconnect` flushes it).
    Where that cannot be, `publish` raises; it never drops an event silently, not even when a buffer is full.

    Where the broker takes a part of a batch only, `publish` knows it: what was refused is sent again, and nothing else is, or
    raises. What was refused at first may then come after what was published later, unless ``order`` promises otherwise.

    **Delivery** to a subscriber starts when `subscribe` has returned: events published after that are delivered as
    ``capabilities.delivery`` says, in the order that ``capabilities.order`` says, each within ``delivery_seconds``
    on an idle system. Each subscription gets each event (fan-out), unless subscriptions share a ``group``.
    Handlers of one subscription run one at a time, in a thread of the adapter.

    **A handler that raises** has not acknowledged its event. The error is logged (logger ``stackproof``), later events are
    still delivered, other subscriptions are not affected. At-least-once delivers the event again, at-most-once does not.
    An event is not delivered again while its first handler call is still running.

    **Topics** are literal non-empty text: ``*`` and ``?`` are characters. **Events** arrive equal to what was published.
    A payload beyond ``capabilities.max_payload_bytes`` or one that has no JSON form raises `RejectedError`.

    **Isolation**: instances of different namespaces never see each other's events.
    """

    capabilities: ClassVar[EventCapabilities]

    @abstractmethod
    def publish(self, topic: str, event: Event) -> None:
        """Hand ``event`` to the broker."""

    @abstractmethod
    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        """Call ``handler`` with each event of ``topic`` from now on, until the subscription or the publisher is closed.

        ``group`` needs ``capabilities.groups``; without it, `UnsupportedError`. With ``capabilities.durable`` a group keeps its
        place while it has no member: a member that comes back first gets what was published meanwhile, and what the last one
        had not acknowledged. A group is there from its first subscription to the topic on. Without it, a group ends with
        its last member.

        Members of a group come and go while events flow, and nothing is lost to the group by that, not even what one of them
        had failed on. With order PER_KEY they keep it together: an event is handled when the earlier ones with its key are done,
        by whichever member.

        With ``capabilities.takeover_seconds`` not even the death of a process loses anything: what its member of a group had
        not finished goes within that time to another one, whether it was there before or comes afterwards (then from its
        `subscribe` on; without ``durable`` one must be there). What it had finished just before may come again.
        """


class ReplayableEvents(ABC):
    """Optional (``capabilities.replay``): a subscription can begin with events that were published before it."""

    @abstractmethod
    def replay(self, topic: str, handler: Handler) -> Subscription:
        """Call ``handler`` with each event of ``topic`` that is still kept, oldest first, then with new ones.

        There is neither a gap nor a change of order between the two. Everything else is as with `subscribe`: only ``topic``
        and this namespace, ``order`` as declared. Nothing is used up: each replay gets all that is kept.
        """
