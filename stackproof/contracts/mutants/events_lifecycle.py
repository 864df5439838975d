"""Event buses with one defect each: how they end, and what an end or an interruption leaves behind."""

from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from typing import ClassVar

from stackproof.adapters.events.memory import MemoryEventPublisher
from stackproof.interfaces import Event, Handler, Subscription, UnavailableError

from . import mutant
from .lifecycle_bases import StaysForTheExit


@mutant(of=MemoryEventPublisher, killed_by="LIFE-01")
class CannotDisconnectTwice(MemoryEventPublisher):
    """The second disconnect raises."""

    def disconnect(self) -> None:
        if self._closed:
            raise RuntimeError("already disconnected")
        super().disconnect()


@mutant(of=MemoryEventPublisher, killed_by="LIFE-02", imitates="X1")
class PublishesAfterDisconnect(MemoryEventPublisher):
    """publish goes on after disconnect, as if it had connected again."""

    def publish(self, topic: str, event: Event) -> None:
        closed, self._closed = self._closed, False
        try:
            super().publish(topic, event)
        finally:
            self._closed = closed


@mutant(of=MemoryEventPublisher, killed_by="LIFE-03", imitates="X2")
class LeavesTheThread(MemoryEventPublisher):
    """The thread that watches over the subscriptions is never ended."""

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        return super().subscribe(topic, handler, group)


@mutant(of=MemoryEventPublisher, killed_by="LIFE-03", imitates="X4")
class LeavesDescriptors(MemoryEventPublisher):
    """Opens a pipe to wake its threads, and never closes it."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        os.pipe()


@mutant(of=MemoryEventPublisher, killed_by="LIFE-04", imitates="E20")
class WaitsForAConfirmationForEver(MemoryEventPublisher):
    """A publish that is under way at disconnect waits for a confirmation that never comes."""

    def publish(self, topic: str, event: Event) -> None:
        super().publish(topic, event)
        time.sleep(0.05)  # long beside all else that a caller does: whenever the disconnect comes, somebody is here
        if self._closed:
            threading.Event().wait(60)


@mutant(of=MemoryEventPublisher, killed_by="LIFE-05", imitates="E3")
class PingIsAlwaysTrue(MemoryEventPublisher):
    """ping says that all is well, also after disconnect."""

    def ping(self) -> bool:
        return True


@mutant(of=MemoryEventPublisher, killed_by="LIFE-06", imitates="C27")
class StaysBusy(MemoryEventPublisher):
    """A publish that is interrupted leaves the bus busy for ever."""

    busy = False

    def publish(self, topic: str, event: Event) -> None:
        if self.busy:
            raise UnavailableError("another event is under way")
        self.busy = True
        time.sleep(0.005)
        super().publish(topic, event)
        self.busy = False


@mutant(of=MemoryEventPublisher, killed_by="LIFE-07")
class OneForAll(MemoryEventPublisher):
    """Disconnecting one instance disconnects all that use the same connection."""

    instances: ClassVar[weakref.WeakSet[MemoryEventPublisher]] = weakref.WeakSet()

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self.instances.add(self)

    def disconnect(self) -> None:
        for instance in list(self.instances):
            MemoryEventPublisher.disconnect(instance)


@mutant(of=MemoryEventPublisher, killed_by="LIFE-08")
class HasAServerButUndeclared(MemoryEventPublisher):
    """Talks to a server over a socket, and nobody says so."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self.connection = socket.socket()

    def disconnect(self) -> None:
        self.connection.close()
        super().disconnect()


@mutant(of=MemoryEventPublisher, killed_by="LIFE-15", imitates="X2")
class IsKeptForTheExit(StaysForTheExit, MemoryEventPublisher):
    """Registers its disconnect for the exit of the program, which keeps every instance until then."""
