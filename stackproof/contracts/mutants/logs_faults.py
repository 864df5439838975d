"""Log handlers that send batches to a service, with one defect each: what they do when it refuses them, or is not there."""

from __future__ import annotations

from .registry import mutant
from .remote import BrokenError, BusyError, NoAnswerError, RefusedError
from .remote_logs import RemoteHandler


@mutant(of=RemoteHandler, killed_by="LOG-03", imitates="L5")
class LosesWhatIsThrottled(RemoteHandler):
    """A batch that is throttled is not sent again, and nobody counts it."""

    def send(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            self.link.ask(lambda: self._service.lines.extend(batch))
        except BusyError:
            return


@mutant(of=RemoteHandler, killed_by="LOG-03", imitates="L6")
class CountsInsteadOfTryingAgain(RemoteHandler):
    """A batch that is throttled once is dropped at once, although it is counted."""

    def send(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            self.link.ask(lambda: self._service.lines.extend(batch))
        except BusyError:
            self.dropped += len(batch)


@mutant(of=RemoteHandler, killed_by="LOG-03", imitates="L12")
class ForgetsWhatIsLeftAtClose(RemoteHandler):
    """What still waits when the handler is closed is lost, and not counted."""

    def close(self) -> None:
        before = self.dropped
        super().close()
        self.dropped = before


@mutant(of=RemoteHandler, killed_by="LOG-03")
class RaisesWhenItIsThrottled(RemoteHandler):
    """The error of the service reaches whoever flushes the handler."""

    def send(self) -> None:
        super().send()
        if self._waiting:
            raise BusyError("come again later")


@mutant(of=RemoteHandler, killed_by="LOG-04", imitates="L4")
class IsMuteAfterAnOutage(RemoteHandler):
    """Whose connection was refused once does not try another one."""

    mute = False

    def send(self) -> None:
        if self.mute:
            return
        try:
            self.link.ask(lambda: None)
        except RefusedError:
            self.mute = True
        except (BusyError, BrokenError, NoAnswerError):
            return
        super().send()


@mutant(of=RemoteHandler, killed_by="LOG-04", imitates="L7")
class RaisesWhenNobodyAnswers(RemoteHandler):
    """The error of the network reaches whoever flushes the handler."""

    def send(self) -> None:
        self.link.ask(lambda: None)
        super().send()
