"""The handles of librdkafka, all of which are known here.

A handle owns threads, and whoever ends it waits for them. A forked child does not have them, and would wait for ever; a thread of
the handle itself, in which the collector finds it among the garbage (callbacks run there), would wait for itself. So a
child keeps what it inherited as it is, for ever, and nobody leaves a handle to the collector.
"""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Mapping
from typing import Any, TypeVar
from weakref import WeakSet, ref

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from .kafka_log import driver_log


# The driver's own classes know no weak references; classes that are derived from them do.
class Sending(Producer):  # type: ignore[misc,unused-ignore]
    pass


class Receiving(Consumer):  # type: ignore[misc,unused-ignore]
    pass


class Asking(AdminClient):
    pass


H = TypeVar("H", Sending, Receiving, Asking)
_handles: WeakSet[Any] = WeakSet()


def opened(kind: type[H], options: Mapping[str, Any]) -> H:
    """A new handle. Whoever has it lets go of it by `see_to_the_end`.

    It is made in a thread of its own, because the driver cannot be interrupted there: with tokens, it sleeps for a second, and
    an exception that a signal handler raises meanwhile comes out as a `SystemError`.
    """
    made: list[H | BaseException] = []

    def make() -> None:
        try:
            made.append(kind(dict(options), logger=driver_log))
            _handles.add(made[0])
        except BaseException as error:  # noqa: BLE001 - it is raised below
            made.append(error)

    thread = threading.Thread(target=make, name="stackproof-kafka-opens", daemon=True)
    thread.start()
    thread.join()
    handle = made.pop()
    if isinstance(handle, BaseException):
        raise handle
    return handle


def see_to_the_end(left: ref[Any]) -> None:
    """To be called after the last reference was dropped: a handle that garbage still refers to is ended now, in this thread."""
    if left() is not None:
        gc.collect()


def keep_all() -> None:
    """Never end the handles that there are: nothing of them is freed any more."""
    for handle in list(_handles):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle))
