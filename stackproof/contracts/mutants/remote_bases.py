"""What mutants of several concerns behind a broken link are made of: one defect each, to be put before a double of `remote`."""

from __future__ import annotations

import threading
from collections.abc import Callable

from stackproof.interfaces import BackendError, UnavailableError

from .remote import NoAnswerError, RefusedError, Remote, T


class WaitsWithoutALimit(Remote):
    """Waits for an answer that does not come."""

    def over(self, serve: Callable[[], T], *, writes: bool) -> T:
        try:
            return super().over(serve, writes=writes)
        except BackendError as error:
            if isinstance(error.__cause__, NoAnswerError):
                threading.Event().wait(60)
            raise


class GivesUpForEver(Remote):
    """Whose connection was refused once does not try another one."""

    dead = False

    def over(self, serve: Callable[[], T], *, writes: bool) -> T:
        if self.dead:
            raise UnavailableError("the connection is closed")
        try:
            return super().over(serve, writes=writes)
        except UnavailableError as error:
            self.dead = isinstance(error.__cause__, RefusedError)
            raise


class TakesTimeOutsForNothingDone(Remote):
    """A write whose answer is lost is reported as if nothing had been applied."""

    def over(self, serve: Callable[[], T], *, writes: bool) -> T:
        return super().over(serve, writes=False)
