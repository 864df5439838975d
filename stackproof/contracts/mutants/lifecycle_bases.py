"""What mutants of several concerns that end badly are made of: one defect each, to be put before a reference."""

from __future__ import annotations

import atexit
import os
import socket
import threading
import time
import weakref
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:

    class _Reference:
        """What stands behind these classes in the mutants: a reference."""

        _closed: bool

        def __init__(self, *, namespace: str = "") -> None: ...

        def disconnect(self) -> None: ...

        def ping(self) -> bool: ...

else:
    _Reference = object


class DisconnectsOnce(_Reference):
    """The second disconnect raises."""

    def disconnect(self) -> None:
        if self._closed:
            raise RuntimeError("already disconnected")
        super().disconnect()


class LeavesADescriptor(_Reference):
    """Opens a file for its own use and never closes it."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        os.open(os.devnull, os.O_WRONLY)


class LeavesAThread(_Reference):
    """Starts a thread that disconnect does not end."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


class StaysForTheExit(_Reference):
    """Registers its disconnect for the exit of the program, which keeps every instance until then."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        atexit.register(self.disconnect)


class AlwaysAnswersPing(_Reference):
    """ping says that all is well, also after disconnect."""

    def ping(self) -> bool:
        return True


class ClosesAllOfItsKind(_Reference):
    """Disconnecting one instance disconnects all."""

    _instances: ClassVar[weakref.WeakSet[ClosesAllOfItsKind]] = weakref.WeakSet()

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._instances.add(self)

    def disconnect(self) -> None:
        for instance in list(self._instances):
            super(ClosesAllOfItsKind, instance).disconnect()


class HoldsASocket(_Reference):
    """Is connected to something, and nobody says so."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._connection = socket.socket()

    def disconnect(self) -> None:
        self._connection.close()
        super().disconnect()
