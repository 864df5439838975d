"""Search indexes behind a simulated link, with one defect each: what they answer when they cannot ask."""

from __future__ import annotations

from collections.abc import Iterable

from stackproof.interfaces import BackendError, Document, Hit, RejectedError, SearchQuery, UnavailableError

from .registry import mutant
from .remote import BusyError, RemoteIndex, T
from .remote_bases import GivesUpForEver, TakesTimeOutsForNothingDone, WaitsWithoutALimit


@mutant(of=RemoteIndex, killed_by="SEARCH-07", imitates="S17")
class FindsNothingWithoutItsServer(RemoteIndex):
    """A search whose server does not answer finds nothing."""

    def search(self, query: SearchQuery) -> list[Hit]:
        try:
            return super().search(query)
        except BackendError:
            return []


@mutant(of=RemoteIndex, killed_by="SEARCH-07", imitates="S17")
class FindsNothingWhenRefused(RemoteIndex):
    """Only a refused connection is taken for an empty index; a time-out is an error."""

    def search(self, query: SearchQuery) -> list[Hit]:
        try:
            return super().search(query)
        except UnavailableError:
            return []


@mutant(of=RemoteIndex, killed_by="SEARCH-07")
class FindsNothingWhenThrottled(RemoteIndex):
    """A search that is refused for the moment finds nothing."""

    def search(self, query: SearchQuery) -> list[Hit]:
        try:
            return super().search(query)
        except UnavailableError as error:
            if isinstance(error.__cause__, BusyError):
                return []
            raise


@mutant(of=RemoteIndex, killed_by="LIFE-16")
class PingFailsWhenThrottled(RemoteIndex):
    """ping raises what the server answers while it has too much to do."""

    def ping(self) -> bool:
        return bool(self.over(lambda: not self._closed, writes=False))


@mutant(of=RemoteIndex, killed_by="SEARCH-23", imitates="S1")
class TakesABulkForDone(RemoteIndex):
    """The answer to a bulk request is not looked into."""

    def to_repeat(self, batch: list[T], refused: list[int]) -> list[T]:
        return []


class _Once(RemoteIndex):
    """Does not send again what was refused."""

    attempts = 1


@mutant(of=RemoteIndex, killed_by="SEARCH-23", imitates="S5")
class NamesNoDocument(_Once):
    """The error gives the number of the documents that failed, and not their names."""

    def index(self, documents: Iterable[Document]) -> int:
        try:
            return super().index(documents)
        except RejectedError as error:
            raise RejectedError(str(error)) from error


@mutant(of=RemoteIndex, killed_by="SEARCH-23")
class NamesTheWholeBatch(_Once):
    """Where one document is refused, all of the batch are reported."""

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        try:
            return super().index(batch)
        except RejectedError as error:
            raise RejectedError(str(error), {document.id: "failed" for document in batch}) from error


@mutant(of=RemoteIndex, killed_by="SEARCH-23", imitates="S4")
class CountsWhatItSent(RemoteIndex):
    """The number that is reported is that of the documents sent, each time."""

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        return super().index(batch) + len(batch) // 2


@mutant(of=RemoteIndex, killed_by="LIFE-09", imitates="E14")
class HasNoTimeLimit(WaitsWithoutALimit, RemoteIndex):
    """A request whose answer does not come is waited for without a limit."""


@mutant(of=RemoteIndex, killed_by="LIFE-10", imitates="E13")
class NeverConnectsAgain(GivesUpForEver, RemoteIndex):
    """Whose connection was refused once does not try another one."""


@mutant(of=RemoteIndex, killed_by="LIFE-11", imitates="I25")
class TakesEveryTimeOutForNothingDone(TakesTimeOutsForNothingDone, RemoteIndex):
    """Documents whose answer was lost are reported as if the server had never got them."""
