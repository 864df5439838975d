"""Makes a plan: the question, the prices and what was measured go in, the record comes out. Pure."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stackproof.adapters.registry import CONCERNS

from .bill import BackendCost
from .choosing import far_apart
from .cost import EXCLUDED, cost_of_stack
from .demand import Demand, Workload
from .environment_file import environment_file
from .feasibility import Asked, Candidate, Mark, Rests, Status, Where, out_of_place, provider_of
from .measured import Known
from .origins import EXTERNAL
from .outgrowth import outgrowth
from .plan_basis import ADDED, DATA, LINEAR, MACHINE, Bases, money, thresholds
from .plan_growth import month_rows, outgrown_row, sensitivity_rows
from .plan_record import (
    DOCUMENTED,
    SHOWN,
    CandidateRow,
    ChosenRow,
    LineRow,
    Plan,
    StackRow,
    Statement,
)
from .plan_rows import flow_rows, inputs, kept_rows, sentence, without
from .price_book import STALE_DAYS, PriceBook
from .recommendation import Advisor, Answer, Option, Rank, picks
from .sensitivity import sensitivity
from .settling import settling
from .stacks import PlannedStack

_RANKS = {
    Rank.SHOWN: SHOWN,
    Rank.OPEN: "something not shown",
    Rank.COST_UNKNOWN: "cost unknown",
    Rank.BOTH: "something not shown and cost unknown",
}


@dataclass(frozen=True, slots=True)
class Question:
    """All that a plan is made from, beside prices and measurements."""

    workload: Workload
    asked: Asked
    months: int = 12
    judged: PlannedStack | None = None
    """A stack that is to be judged, too."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is kept about the plan itself."""

    id: str
    created: str
    version: str
    command: str
    today: datetime.date


def make_plan(question: Question, known: Known, book: PriceBook, facts: Facts) -> Plan:
    """The whole answer."""
    known = known.as_of(datetime.datetime.fromisoformat(facts.created).timestamp())
    return _Writer(question, known, book, facts).plan()


class _Writer:
    """Writes one plan; keeps what its statements rest on."""

    def __init__(self, question: Question, known: Known, book: PriceBook, facts: Facts) -> None:
        self.question, self.book, self.facts = question, book, facts
        self.every, known = known.own, known.for_promise(question.asked.p99_ms)
        self.known = known
        self.asked = question.asked
        self.advisor = Advisor(question.asked, known, book)
        self.demand = Demand.of(question.workload)
        self.bases = Bases(known, book)
        self.answer: Answer = self.advisor.answer(self.demand)

    def plan(self) -> Plan:
        best = self.answer.best
        grown = outgrowth(self.advisor, self.question.workload, best, self._months()) if best is not None else None
        candidates = tuple(map(self.candidate, self.answer.candidates))
        recommended = self.stack("recommended", best) if best is not None else None
        alternatives = tuple(self.stack(title, option) for title, option in picks(self.answer))
        judged = self.judged()
        workload = self.question.workload
        months = month_rows(grown, self.advisor, self.demand)
        outgrown = None
        if grown is not None and best is not None:
            outgrown = outgrown_row(grown, best, workload, self.question.months, self.bases)
        rows = sensitivity_rows(sensitivity(self.advisor, workload), best, self.book.currency)
        statements = self.statements()
        return Plan(
            id=self.facts.id,
            created=self.facts.created,
            version=self.facts.version,
            command=self.facts.command,
            workload=inputs(self.question.workload),
            headroom=float(self.asked.headroom),
            p99_ms=self.asked.p99_ms,
            where=str(self.asked.where),
            requirements=tuple(one.text for one in self.asked.all_requirements),
            prices=self.book.files,
            months_asked=self.question.months,
            flows=flow_rows(self.demand),
            kept=kept_rows(self.demand),
            answer=self.headline(),
            recommended=recommended,
            statements=statements,
            alternatives=alternatives,
            judged=judged,
            candidates=candidates,
            months=months,
            outgrown=outgrown,
            sensitivity=rows,
            not_known=self.not_known(),
            warnings=self.warnings(),
            not_counted=EXCLUDED,
            basis=self.bases.found,
            environment=self.environment(best),
        )

    def _months(self) -> int:
        return self.question.months if self.question.workload.growth_per_month else 0

    # -- the answer -----------------------------------------------------------------------------------------------------

    def headline(self) -> str:
        best = self.answer.best
        volume = f"{self.question.workload.decisions_per_day:,} decisions a day"
        if best is None:
            missing = self.answer.missing()
            lacking = f" for {', '.join(missing)}" if missing else ""
            return f"Not known: no backend{lacking} is known to carry {volume}."
        cost = self.advisor.cost(best, self.demand).total
        marks = sorted({str(mark) for part in best.parts for mark in part.marks})
        but = f"; not shown: {', '.join(marks)}" if marks else ""
        return f"For {volume}: {best.name}; a month costs {cost}{but}."

    def statements(self) -> tuple[Statement, ...]:
        best, found = self.answer.best, [without(concern, self.demand) for concern in self.answer.unused]
        if best is None:
            first = settling(self.answer)
            found = [*(first.statements if first is not None else ()), *found]
            for concern in self.answer.missing():
                found.append(Statement(f"{concern}: no backend is known to be feasible; its candidates say why.", ()))
            if not self.answer.missing():
                found.append(Statement("The backends that are feasible alone are not known to be so together.", ()))
        else:
            found.append(self._cheapest(best))
            if self.asked.p99_ms is None:
                said = "No latency is asked for (--p99-ms): what was measured holds within the promise that stands beside it."
                found.append(Statement(said, ()))
        for option, seen in self.answer.refuted[:3]:
            found.append(
                Statement(
                    f"Not {option.name}: measured together, its backends do not carry the peak.",
                    (self.bases.run(seen.ceiling),),
                )
            )
        return tuple(found)

    def _cheapest(self, best: Option) -> Statement:
        rivals = self.answer.rivals
        known = [one for one in rivals if one.known]
        open_ = [one for one in rivals if not one.known]
        others = len(self.answer.options) - 1
        if not others:
            return Statement("It is the only stack that is known to be feasible.", ())
        if not rivals:
            same = len(self.answer.equals)
            rest = f"{same:,} others may cost as much, and none less" if same else "every other one costs more"
            return Statement(f"It is the cheapest of {others + 1:,} feasible stacks: {rest}.", ())
        parts = []
        if known:
            better = sum(one.rank > best.rank for one in known)
            parts.append(
                ("another one" if len(known) == 1 else f"{len(known):,} others")
                + " of known cost may cost less"
                + (f" ({better:,} of them leave more open, and rank after it for that)" if better else "")
            )
        if open_:
            reasons = Counter(why for one in open_ for why in one.not_priced)
            most = reasons.most_common(1)[0][0]
            unknown = "another one has" if len(open_) == 1 else f"{len(open_):,} others have"
            parts.append(f"{unknown} a cost of which a part is unknown, most often: {most}")
        sure = (
            "That it is the cheapest of all cannot be told: "
            if best.known
            else "Which one is the cheapest cannot be told: "
        )
        own = "" if best.known else "a part of its own cost is unknown; "
        return Statement(sure + own + "; ".join(parts) + ".", ())

    # -- stacks and candidates ------------------------------------------------------------------------------------------

    def candidate(self, one: Candidate) -> CandidateRow:
        total = one.cost.total
        statements = [*self.reasons(one), self._cost_statement(one.cost)]
        return CandidateRow(
            one.concern,
            one.backend,
            one.hosting,
            provider_of(one.concern, one.backend, one.hosting) if ":" not in one.backend else "not known",
            str(one.status),
            tuple(map(str, one.marks)),
            tuple(statements),
            None if one.use is None else float(one.use),
            money(total),
            one.settles,
        )

    def reasons(self, one: Candidate) -> tuple[Statement, ...]:
        """Why, with what each sentence rests on; and what was published about the backend, beside it."""
        rests = {
            Rests.INPUT: (),
            Rests.RUNS: self.bases.runs(one.ceilings),
            Rests.QUOTAS: self.bases.quotas(one.quotas or one.cost.exceeded),
        }
        found = []
        for number, reason in enumerate(one.because):
            assumed = self._assumed(one) if number == 0 and reason.rests is Rests.RUNS else ()
            found.append(Statement(sentence(reason.text), (*rests[reason.rests], *assumed)))
        for threshold in thresholds(one.concern, one.backend) if one.usable else ():
            said = f"Published threshold: {threshold.text}. It does not decide here{_instead(one)}."
            found.append(Statement(said, (self.bases.claim(threshold),)))
        return tuple(found)

    def _assumed(self, one: Candidate) -> tuple[str, ...]:
        """What it takes to apply these runs to this backend."""
        found = [LINEAR] if Mark.SCALED in one.marks else []
        found += [ADDED] if len(one.ceilings) > 1 else []
        found += [DATA] if one.concern == "interactions" and one.ceilings else []
        found += [MACHINE] if any(ceiling.origin != EXTERNAL for ceiling in one.ceilings) else []
        return tuple(map(self.bases.assumption, found))

    def _cost_statement(self, cost: BackendCost) -> Statement:
        total = cost.total
        why = f": {'; '.join(total.unknown)}" if total.unknown else ""
        label = "cost unknown, " if not total.known else ""
        return Statement(f"A month: {label}{total}{why}.", self.bases.model(cost))

    def stack(self, title: str, option: Option) -> StackRow:
        cost = self.advisor.cost(option, self.demand)
        chosen = tuple(self.chosen(part, bill) for part, bill in zip(option.parts, cost.backends, strict=True))
        rank = DOCUMENTED if option.rank is Rank.SHOWN and option.documented else _RANKS[option.rank]
        return StackRow(title, option.name, rank, chosen, money(cost.total), self.of_whole(option.parts))

    def chosen(self, part: Candidate, bill: BackendCost) -> ChosenRow:
        lines = tuple(
            LineRow(line.item, str(line.quantity), line.unit, line.price, money(line.amount), line.formula)
            for line in bill.lines
        )
        statements = (*self.reasons(part), self._cost_statement(bill))
        return ChosenRow(
            part.concern, part.backend, part.hosting, str(part.status), tuple(map(str, part.marks)), statements, lines,
            money(bill.total), bill.notes,
        )  # fmt: skip

    def of_whole(self, parts: Sequence[Candidate]) -> tuple[Statement, ...]:
        """What is known of whole decisions on this stack."""
        seen = self.advisor.seen_together(parts, self.demand)
        limit = "" if self.asked.p99_ms is None else f" within a p99 of {self.asked.p99_ms:g} ms"
        if seen is None:
            also = ", and so is its latency" if limit else ""
            return (Statement(f"Whole decisions on these backends were not measured: each is judged alone{also}.", ()),)
        run = (self.bases.run(seen.ceiling),)
        if seen.carried is None:
            return (
                Statement("Whole decisions were measured on these backends, and do not decide about this peak.", run),
            )
        if not seen.carried:
            return (Statement("Measured together, these backends do not carry the peak.", run),)
        listened = self.question.workload.events_per_decision and self.question.workload.subscriptions
        receiving = "; receiving the events was no part of it" if listened else ""
        shown = limit if seen.quick else f"; that they end{limit} was not seen" if limit else ""
        return (
            Statement(
                f"Whole decisions were measured on these backends, and hold at the peak with head-room{shown}{receiving}.",
                run,
            ),
        )

    def judged(self) -> StackRow | None:
        """The stack that was named: whether it carries the load, wherever it runs."""
        stack = self.question.judged
        if stack is None:
            return None
        title = f"the stack that was named: {stack.title}"
        advisor = replace(self.advisor, asked=replace(self.asked, named=True))
        answer = advisor.answer(self.demand, stack.choices().values())
        if answer.best is not None:
            row = self.stack(title, answer.best)
            return replace(row, statements=(*self._elsewhere(answer.best.parts), *row.statements))
        parts = tuple(
            next(one for one in answer.candidates if one.concern == concern)
            for concern in CONCERNS
            if concern not in answer.unused
        )
        cost = cost_of_stack({part.concern: part.choice for part in parts}, self.demand, self.book)
        unknown = [part for part in parts if part.status is Status.NOT_KNOWN]
        against = [part for part in parts if part.status is Status.REJECTED]
        rank = "does not carry it" if against or answer.refuted else "not known"
        if against and all(part.because[0].rests is Rests.INPUT for part in against):
            rank = "lacks a capability"
        said = [f"{part.concern}={part.name}: {part.reasons[0]}" for part in (*against, *unknown) if part.reasons]
        together = (
            ""
            if said or answer.refuted
            else "Two servers cannot be told apart behind one variable, or what its concerns ask of a server that they share is "
            "not known to be carried."
        )
        statements = tuple(Statement(sentence(text), ()) for text in [*said, together] if text)
        chosen = tuple(self.chosen(part, bill) for part, bill in zip(parts, cost.backends, strict=True))
        name = ", ".join(f"{part.concern}={part.name}" for part in parts)
        said_of_all = (*self._elsewhere(parts), *statements, *self.of_whole(parts))
        return StackRow(title, name, rank, chosen, money(cost.total), said_of_all)

    def _elsewhere(self, parts: Sequence[Candidate]) -> tuple[Statement, ...]:
        """That a stack which was named would not be recommended, for where it runs."""
        found: dict[str, list[str]] = {}
        for part in parts:
            if why := out_of_place(part, self.asked.where):
                found.setdefault(why, []).append(part.concern)
        return tuple(
            Statement(f"{', '.join(of)}: {why}; judged by what it carries all the same.", ())
            for why, of in found.items()
        )

    # -- what is left ---------------------------------------------------------------------------------------------------

    def not_known(self) -> tuple[str, ...]:
        found = []
        for one in self.answer.candidates:
            if one.status is Status.NOT_KNOWN or (one.usable and one.marks):
                why = (
                    one.reasons[0] if one.status is Status.NOT_KNOWN and one.reasons else ", ".join(map(str, one.marks))
                )
                settled = f" Settled by: {'; '.join(one.settles)}" if one.settles else ""
                found.append(f"{one.concern}={one.name}: {why}.{settled}")
        best = self.answer.best
        costs = best.not_priced if best is not None else ()
        return tuple(dict.fromkeys([*found, *(f"cost: {why}" for why in costs)]))

    def warnings(self) -> tuple[str, ...]:
        used = [basis.id.removeprefix("price:") for basis in self.bases.found if basis.kind == "price"]
        unused = [f"run {one.run} is not used: {one.refused[0]}" for one in self.known.own if not one.valid]
        damaged = [one.reason for one in self.known.unreadable]
        return (*damaged, *unused, *self._doubtful(), *self._old(), *self.book.warnings(self.facts.today, used))

    def _doubtful(self) -> list[str]:
        """What a user must know of the own runs that statements rest on: that they are of something else than what is there now,
        have no date that can be, or are far from what was measured for the package."""
        used = {basis.id.removeprefix("run:") for basis in self.bases.found if basis.kind == "run"}
        found = []
        for one in self.known.own:
            if one.run in used:
                found += [f"run {one.run} counts, but {reason}" for reason in one.unlike]
                found += far_apart(one, self.known.shipped)
        for one in self.every:
            if one.future and one.valid:
                found.append(f"run {one.run} is of {one.date[:10]}, which is in the future: it counts as the oldest")
        return list(dict.fromkeys(found))

    def _old(self) -> list[str]:
        """Runs that statements rest on and that are as old as a price that is told: servers and drivers have changed since."""
        runs = [basis for basis in self.bases.found if basis.kind == "run"]
        used = {basis.id.removeprefix("run:"): datetime.datetime.fromisoformat(basis.date).date() for basis in runs}
        ages = {run: (self.facts.today - day).days for run, day in used.items()}
        old = sorted((run for run, days in ages.items() if days > STALE_DAYS), key=lambda run: (-ages[run], run))
        if not old:
            return []
        first = f"the oldest of {used[old[0]]} ({ages[old[0]]} days)"
        return [
            f"{len(old)} of the runs that it rests on are more than {STALE_DAYS} days old, {first}: {', '.join(old)}"
        ]

    def environment(self, best: Option | None) -> str:
        if best is None:
            return ""
        backends = {part.concern: part.backend for part in best.parts}
        title = f"{self.question.workload.decisions_per_day:,} decisions a day: {best.name}"
        return environment_file(backends, title, production=self.asked.where is not Where.LOCAL)


def _instead(one: Candidate) -> str:
    """What decides about a backend in place of a published threshold."""
    decides = {Rests.RUNS: "; the measurement does", Rests.QUOTAS: "; the documented quota does"}
    return decides.get(one.because[0].rests, "") if one.because else ""
