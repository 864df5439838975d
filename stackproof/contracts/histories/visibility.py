"""The visibility checker: is each document found when it must be, and only when and as it may be?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from stackproof.interfaces import JsonValue

from .operation import Operation, by_key
from .verdict import Budget, BudgetExhausted, HistoryVerdict, invalid, refuse_other_kinds, unknown, valid_if_seen

KINDS = ("index", "search", "delete")
STEPS = 5_000_000
"""The default budget: some seconds."""


def check_visibility(
    history: Iterable[Operation], *, visible_within: float = 0.0, monotonic: bool = True, steps: int = STEPS
) -> HistoryVerdict:
    """Whether the documents (one for each key, none at first) were found as an index with this delay may find them.

    Operations: ``index`` (its value is the version), ``delete``, and ``search`` for the one document (its result is the version
    that was found, None for none). A failed change did not take effect; an indeterminate one may, at any later time.

    Each answer must have a source: a change that had begun before the search ended, and that no change which came wholly
    after it had replaced for longer than ``visible_within``. Rules, by the name that the verdict gives: *never indexed*, *too
    early*, *after delete*, *old version*, *not found*. With ``monotonic`` also *went back*: an answer whose every source was over
    before any source of an earlier answer began.

    *Blind spots*: the order of changes that overlap is left open, so three answers that only together exclude each order of
    them pass (`check_register` sees that where the delay is zero). What several documents show together, scores and words
    are not judged.

    *Cost*: the number of searches times the number of changes of a document, each pair takes one of ``steps``.
    """
    history = list(history)
    refuse_other_kinds(history, KINDS)
    budget = Budget(steps)
    findings: list[HistoryVerdict] = []
    try:
        for operations in by_key(history).values():
            findings += _Document(operations, visible_within, budget).findings(monotonic)
    except BudgetExhausted as error:
        return unknown(str(error))
    if findings:
        first = findings[0]
        more = f" (and {len(findings) - 1} more findings)" if len(findings) > 1 else ""
        return invalid(first.rule, first.argument + more, first.bad_part)
    verdict = valid_if_seen(history, ("index", "search"), "every answer has a change that it can be owed to")
    if verdict.valid and not any(each.kind == "search" and each.ok and each.result is not None for each in history):
        return unknown("no search ever found a document")
    return verdict


class _Document:
    """The operations of one document."""

    def __init__(self, operations: Sequence[Operation], delay: float, budget: Budget) -> None:
        self._delay = delay
        self._budget = budget
        self._key = operations[0].key
        self._searches = [each for each in operations if each.kind == "search" and each.ok]
        self._tried = [each for each in operations if each.kind != "search"]
        # That there was nothing at first is a change before all others.
        self._nothing = Operation(kind="delete", key=self._key, start=-math.inf, end=-math.inf)
        self._changes = [self._nothing, *(each for each in self._tried if each.may_have_happened)]

    def findings(self, monotonic: bool) -> Iterator[HistoryVerdict]:
        explained: list[tuple[Operation, list[Operation]]] = []
        for search in self._searches:
            sources = self._sources(search)
            if sources:
                explained.append((search, sources))
            else:
                yield self._unexplained(search)
        if monotonic:
            yield from self._went_back(explained)

    def _sources(self, search: Operation) -> list[Operation]:
        """The changes that an answer can be owed to."""
        self._budget.spend(len(self._changes))
        begun = self._begun(search)
        # The change that must be seen and began last decides: whatever was over before it is replaced.
        newest = max((each.start for each in begun if self._must_be_seen(each, search)), default=-math.inf)
        return [each for each in begun if _version(each) == search.result and each.latest >= newest]

    def _begun(self, search: Operation) -> list[Operation]:
        return [each for each in self._changes if each.start <= search.end]

    def _must_be_seen(self, change: Operation, search: Operation) -> bool:
        return change.latest + self._delay < search.start

    def _unexplained(self, search: Operation) -> HistoryVerdict:
        begun = self._begun(search)
        seen = "found nothing" if search.result is None else f"found version {search.result!r}"
        says = f"the search for {self._key!r} that began at {search.start:.6g} and ended at {search.end:.6g} {seen}"
        sources = [each for each in begun if _version(each) == search.result]
        if not sources:
            return self._without_source(search, says)
        source = max(sources, key=lambda each: each.latest)
        replaced = max((each for each in begun if self._must_be_seen(each, search)), key=lambda each: each.start)
        due = f"at {replaced.end:.6g}" + (
            f", more than {self._delay:g} s before" if self._delay else ", before it began"
        )
        if search.result is None:
            part = [each for each in (source, replaced, search) if each is not self._nothing]
            after = "" if source is self._nothing else ", and the last delete was over before that"
            return invalid(
                "not found", f"{says}; version {replaced.value!r} had been indexed {due}{after}: a contradiction", part
            )
        what = "deleted" if replaced.kind == "delete" else f"replaced by version {replaced.value!r}"
        rule = "after delete" if replaced.kind == "delete" else "old version"
        argument = f"{says}; that version was indexed until {source.end:.6g} and {what} after it, which was over {due}"
        return invalid(rule, f"{argument}: a contradiction", [source, replaced, search])

    def _without_source(self, search: Operation, says: str) -> HistoryVerdict:
        later = [each for each in self._changes if _version(each) == search.result]
        if later:
            argument = f"{says}; that version began to be indexed only at {later[0].start:.6g}: a contradiction"
            return invalid("too early", argument, [search, later[0]])
        failed = [each for each in self._tried if _version(each) == search.result]
        why = "its indexing failed, so it did not take effect" if failed else "nobody ever indexed that version"
        return invalid("never indexed", f"{says}; {why}: a contradiction", [*failed, search])

    def _went_back(self, explained: list[tuple[Operation, list[Operation]]]) -> Iterator[HistoryVerdict]:
        """An answer whose sources are all older than those of an answer before it."""
        by_end = sorted(explained, key=lambda pair: pair[0].end)
        place = 0
        newest: tuple[float, Operation, list[Operation]] | None = None
        for search, sources in sorted(explained, key=lambda pair: pair[0].start):
            while place < len(by_end) and by_end[place][0].end < search.start:
                began = min(each.start for each in by_end[place][1])
                if newest is None or began > newest[0]:
                    newest = (began, *by_end[place])
                place += 1
            if newest is not None and max(each.latest for each in sources) < newest[0]:
                _, earlier, of_earlier = newest
                argument = (
                    f"the search for {self._key!r} that ended at {earlier.end:.6g} found {_found(earlier.result)}; the one that "
                    f"began after it, at {search.start:.6g}, found {_found(search.result)}, as it was before the change that the "
                    "first one saw had begun: it went back"
                )
                part = [each for each in (*sources, *of_earlier, earlier, search) if each is not self._nothing]
                yield invalid("went back", argument, part)


def _version(change: Operation) -> JsonValue:
    return change.value if change.kind == "index" else None


def _found(version: JsonValue) -> str:
    return "nothing" if version is None else f"version {version!r}"
