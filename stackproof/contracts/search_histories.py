"""The clause of the search index about histories: what is found while documents change."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from stackproof.interfaces import Hit, SearchIndex

from .callers import Callers
from .clauses import clause
from .evidence import Evidence
from .expectations import expect
from .histories import Recorder, check_visibility
from .judged_history import DECIDED, ENOUGH, OVERLAPPING, must_be_valid, rounds
from .search_text import TENANT, SearchTextContract, document_of, search

ROUNDS = 3
DOCUMENTS = ("p", "q")
WRITERS = len(DOCUMENTS)
"""One for each document: a replacement that races with another one may be seen in either order."""
SEARCHERS = 4
CHANGES = 25
"""Of each writer, in each round."""
LONGEST_ROUND = 12.0
"""Seconds over which the changes of one round are spread at most."""
FOUND, ENOUGH_FOUND = "documents found beside changes", 20
VISIBLE_TIMES = 4
"""A round lasts so many times the declared delay: shorter, and no change would be seen before the next ones are made."""
END = 99
"""The process that searches when all changes must be visible."""


class SearchHistoryClauses(SearchTextContract):
    """Concurrent indexing, deleting and searching of the same documents."""

    @clause(
        "SEARCH-22",
        "While documents change, a search finds each once, in a version that it can have: none is gone, old, doubled or back "
        "again.",
        because="an offer that vanishes while it is saved, or comes back after it was withdrawn, is shown or missed by chance",
        learnt_from=("S14", "S15"),
        sees=((OVERLAPPING, ENOUGH), (DECIDED, ROUNDS), (FOUND, ENOUGH_FOUND)),
        seconds=120.0,
    )
    def test_what_is_found_is_possible_at_all_times(
        self,
        index: SearchIndex,
        another: Callable[[], SearchIndex],
        callers: Callers,
        rng: random.Random,
        evidence: Evidence,
    ) -> None:
        declared = self.declared(index)
        instances: list[Any] = [index, another() if declared.durable else index]
        pause = min(VISIBLE_TIMES * declared.visible_within, LONGEST_ROUND) / CHANGES
        for round_number in rounds(ROUNDS, evidence, {FOUND: ENOUGH_FOUND}):
            recorder = Recorder()
            names = [f"{name}{round_number}" for name in DOCUMENTS]
            work: list[Callable[[], None]] = [
                partial(
                    _change,
                    instances[n % 2],
                    n,
                    name,
                    declared.delete,
                    random.Random(rng.random()),  # noqa: S311
                    pause,
                    recorder,
                )
                for n, name in enumerate(names)
            ]
            until = time.monotonic() + 20.0
            busy = _Busy(len(work))
            work = [busy.counting(each) for each in work]
            work += [
                partial(_search_on, instances[n % 2], WRITERS + n, names, busy, until, recorder)
                for n in range(SEARCHERS)
            ]
            callers.each(work, within=30.0)
            self.let_become_visible(index)
            for name in names:
                _search_once(index, END, name, recorder)
            history = recorder.history()
            beside = [each for each in history if each.kind == "search" and each.process != END]
            evidence.saw(FOUND, sum(each.result is not None for each in beside))
            verdict = check_visibility(
                history, visible_within=declared.visible_within, monotonic=declared.visible_within == 0
            )
            what = "what searches found while documents were indexed, replaced and deleted"
            must_be_valid(verdict, history, evidence, what, "a change that each answer can be owed to")


class _Busy:
    """How many writers are still at work."""

    def __init__(self, writers: int) -> None:
        self._ended = itertools.count(1)
        self._writers = writers
        self.over = False

    def counting(self, work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            finally:
                self.over = next(self._ended) >= self._writers

        return run


def _change(
    index: Any, caller: int, name: str, deletes: bool, rng: random.Random, pause: float, recorder: Recorder
) -> None:
    """New versions of one document, and now and then its removal. Every version has its own title."""
    for version in range(CHANGES):
        time.sleep(pause)
        title = f"{name} version{version}"
        indexed = partial(index.index, [document_of(name, title)])
        recorder.call("index", name, indexed, process=caller, value=title)
        if deletes and (version == 0 or rng.random() < 0.2):
            recorder.call("delete", name, partial(index.delete, TENANT, [name]), process=caller)


def _search_on(index: Any, caller: int, names: list[str], busy: _Busy, until: float, recorder: Recorder) -> None:
    for number in itertools.count():
        if busy.over or time.monotonic() > until:
            return
        _search_once(index, caller, names[number % len(names)], recorder)


def _search_once(index: Any, caller: int, name: str, recorder: Recorder) -> None:
    recorder.call("search", name, partial(search, index, name), process=caller, answer=partial(_version, name))


def _version(name: str, hits: list[Hit]) -> str | None:
    """The version of the one document that has this name as a word; two of them at once are never right."""
    found = [hit.id for hit in hits]
    expect(found, f"ids found by the word that is in {name!r} only, while it changes").is_one_of([], [name])
    return hits[0].title if hits else None
