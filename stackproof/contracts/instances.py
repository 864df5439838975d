"""The instances of a backend that were opened under names of this run, and how they are taken away again."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from stackproof.interfaces import ClosedError

from .journal import Journal, Journalled, unwrapped
from .timelimit import OutOfTime, time_limit

_RUN = secrets.token_hex(3)
_numbers = itertools.count(1)

JOINS = ("_", ":", ".", "-", "")
"""How adapters join a namespace and a key. Namespaces that contain these must not meet either."""

MAKE_SECONDS = 60.0
"""How long making an instance may take: it has no limit of its own where a fixture does it, before the clause begins."""
CLOSE_SECONDS = 10.0
"""How long taking away everything may take."""


def fresh_namespace() -> str:
    """A name of this run that nothing else uses: lower-case letters, digits and underscores, at most 24 characters."""
    return f"sp_{_RUN}_{next(_numbers)}"


@dataclass(slots=True)
class Instances:
    """Opens instances, and closes all of them at the end; what goes wrong then is noted, not raised.

    A trouble while closing is no verdict on the clause that ran before: the lifecycle clauses judge how a backend closes.
    """

    notes: list[str] = field(default_factory=list)
    hung: bool = False
    """Whether closing did not end in time."""
    _opened: list[tuple[str, Any]] = field(default_factory=list)

    def open(self, contract: Any, namespace: str, journal: Journal) -> Any:
        """A further instance, journalled."""
        with time_limit(MAKE_SECONDS, "making the backend"):
            try:
                backend = unwrapped(contract.make_backend(namespace))
            except BaseException as error:
                journal.not_made(error)
                raise
        self._opened.append((namespace, backend))
        number = len(self._opened)
        return Journalled(backend, journal, contract.concern if number == 1 else f"{contract.concern}_{number}")

    def close(self, contract: Any) -> None:
        """Remove what was stored under the names and disconnect every instance."""
        opened, self._opened = self._opened, []
        try:
            with time_limit(CLOSE_SECONDS, "cleaning up"):
                for namespace in dict.fromkeys(namespace for namespace, _ in opened):
                    backends = [backend for name, backend in opened if name == namespace and backend is not None]
                    self._attempt(f"removing {namespace}", partial(_remove, contract, namespace, backends))
                for _, backend in reversed(opened):
                    self._attempt("disconnecting", partial(contract.close_backend, backend))
        except OutOfTime as error:
            self.hung = True
            self.notes.append(str(error))

    def _attempt(self, what: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - noted and shown; the next one must be closed all the same
            self.notes.append(f"{what}: {type(error).__name__}: {error}")


def _remove(contract: Any, namespace: str, backends: list[Any]) -> None:
    """Let an instance that is still open remove the namespace; where the clause closed all, a new one does."""
    for backend in backends:
        try:
            contract.remove_namespace(backend, namespace)
        except ClosedError:
            continue
        return
    backend = unwrapped(contract.make_backend(namespace))
    try:
        contract.remove_namespace(backend, namespace)
    finally:
        contract.close_backend(backend)
