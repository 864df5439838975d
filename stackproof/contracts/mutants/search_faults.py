"""Search indexes behind a simulated link, with one defect each: what they answer when they cannot ask."""

from __future__ import annotations

from stackproof.interfaces import BackendError, Hit, SearchQuery, UnavailableError

from .registry import mutant
from .remote import RemoteIndex
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


@mutant(of=RemoteIndex, killed_by="LIFE-09", imitates="E14")
class HasNoTimeLimit(WaitsWithoutALimit, RemoteIndex):
    """A request whose answer does not come is waited for without a limit."""


@mutant(of=RemoteIndex, killed_by="LIFE-10", imitates="E13")
class NeverConnectsAgain(GivesUpForEver, RemoteIndex):
    """Whose connection was refused once does not try another one."""


@mutant(of=RemoteIndex, killed_by="LIFE-11", imitates="I25")
class TakesEveryTimeOutForNothingDone(TakesTimeOutsForNothingDone, RemoteIndex):
    """Documents whose answer was lost are reported as if the server had never got them."""
