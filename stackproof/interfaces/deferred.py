"""Optional forms of `publish` and `record_event` that do not wait: for adapters whose driver has threads of its own.

One thread can keep many operations under way with them, where the blocking forms need a thread for each. Whether an adapter has
them is seen by ``isinstance``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias

from .errors import StackproofError
from .records import Event, Interaction

Done: TypeAlias = Callable[[StackproofError | None], None]
"""Is told how an operation ended: None, or the error that the blocking form would have raised.

It is called exactly once, on a thread of the adapter or of its driver, or before the call that was given it returns. It must not
wait, neither for a lock nor for an operation of the same adapter: the thread that calls it brings the answers of all others, too.
It may begin another deferred operation. What it raises is logged (logger ``stackproof``) and goes nowhere else.
"""


class DeferredPublisher(ABC):
    """Optional: `EventPublisher.publish` that returns before the broker has the event."""

    @abstractmethod
    def publish_deferred(self, topic: str, event: Event, done: Done) -> None:
        """Begin to publish, and return at once. ``done`` is told how it ended, with the guarantees of `EventPublisher.publish`.

        Raises `RejectedError` for what cannot be published, `ClosedError` after `disconnect`, and `UnavailableError` where
        nothing can be taken now (too many events wait for a connection already): then ``done`` is not called. Every other end
        is told to ``done``, within the connection timeout and the time limit of the operation together. Events of one key
        that one thread publishes so keep their order. `disconnect` waits for what is under way as it does for the blocking
        form, and every ``done`` was called when it returns. A forked child inherits nothing that is under way: ``done`` is
        called in the parent only.
        """


class DeferredInteractions(ABC):
    """Optional: `InteractionStore.record_event` that returns before the interaction is stored."""

    @abstractmethod
    def record_event_deferred(self, event: Interaction, done: Done) -> None:
        """Begin to record, and return at once. ``done`` is told how it ended, with the guarantees of `record_event`.

        When it is told None, the interaction is durable, counted by the next `get_summaries` of every instance, and its event id
        counts once, however often and by whichever of the two forms it is recorded. What raises, time limits, `disconnect` and
        forks are as with `DeferredPublisher.publish_deferred`. There is no order among interactions.
        """
