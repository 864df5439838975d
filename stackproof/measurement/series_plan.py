"""How the time of a series is shared among its searches. Pure.

Whoever is named first is served first: each search gets what one usually takes, as long as there is so much, and what is left
then is divided among those that were served, since some searches take longer. The plan is made anew before each search, with the
time that is really left and with what the searches before really took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

USUAL, LEAST, MOST = 60.0, 40.0, 150.0
"""Seconds that a short search (`search_journal.SHORT`) usually takes, that it needs to find anything, and that it may take."""
AROUND = 3.0
"""Seconds for what is around a search: connecting, asking the servers for their settings, writing the record."""


@dataclass(frozen=True, slots=True)
class Job:
    """One search that is wanted, as far as its time is concerned."""

    session: int
    """Searches of one session share its beginning, and what it has filled in."""
    documents: int = 0
    """That it searches in; 0 where it searches nothing."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, as far as is known by now."""

    search: float = USUAL
    documents: float = 2_000.0
    """That are filled in a second."""
    session: float = 45.0
    """Seconds until a session can begin with its first search: servers, the generator's own ceiling, its check."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Where a session stands that has begun."""

    documents: int = 0
    """That it has filled in."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one search gets."""

    search: float
    """Seconds that it may take; 0 where it does not fit."""
    before: float
    """Seconds that are expected to pass before it can begin: for its session, and for filling in what it lacks."""

    @property
    def fits(self) -> bool:
        return self.search > 0

    @property
    def needs(self) -> float:
        """Seconds without which nothing could come of it."""
        return LEAST + self.before


def shares(jobs: Sequence[Job], left: float, pace: Pace, begun: Mapping[int, Begun]) -> tuple[Share, ...]:
    """The share of each search, in the order of the jobs: the most important first. ``left`` is in seconds."""
    documents = {session: there.documents for session, there in begun.items()}
    found: list[Share] = []
    for job in jobs:
        before = AROUND if job.session in documents else AROUND + pace.session
        before += max(0, job.documents - documents.get(job.session, 0)) / pace.documents
        search = min(max(pace.search, LEAST), MOST, left - before)
        if search < LEAST:
            found.append(Share(0.0, before))
            continue
        documents[job.session] = max(job.documents, documents.get(job.session, 0))
        left -= search + before
        found.append(Share(search, before))
    extra = left / max(1, sum(share.fits for share in found))
    return tuple(Share(min(MOST, share.search + extra), share.before) if share.fits else share for share in found)


def in_turn(jobs: Sequence[Job]) -> list[int]:
    """The numbers of the jobs in the order in which they are done: session by session, that of the most important search first;
    within one, those that search in more documents after those that search in fewer, for documents are only added."""
    first = {session: number for number, session in reversed(list(enumerate(job.session for job in jobs)))}
    return sorted(range(len(jobs)), key=lambda number: (first[jobs[number].session], jobs[number].documents, number))


def paced(took: Sequence[float]) -> float:
    """Seconds that a search is expected to take, after others took so long: their mean, and what is usual counts as one."""
    return (USUAL + sum(took)) / (1 + len(took))
