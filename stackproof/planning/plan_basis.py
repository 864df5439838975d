"""What the statements of a plan rest on: runs, prices, quotas, published claims, models, assumptions, each named once. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from .amount import Amount, plain
from .bill import BackendCost, Limit, in_gb
from .ceilings import MeasuredCeiling
from .measured import Known
from .plan_record import Basis, Money
from .price_book import PriceBook
from .stacks import Threshold, reference_stacks

LINEAR = "assumption:machines"
ADDED = "assumption:parts"
MACHINE = "assumption:machine"
DATA = "assumption:data"
_ASSUMPTIONS = {
    LINEAR: "that several machines carry as much more than one as they are more; nobody measured it here",
    ADDED: "that the parts of ceilings which several kinds of load take at the same time add up",
    DATA: "that it is as fast with the data of the whole retention in it as with what a run of load puts there",
    MACHINE: "that another machine carries what the one carried on which it was measured",
}


class Bases:
    """Collects what is rested on, while a plan is written."""

    def __init__(self, known: Known, book: PriceBook) -> None:
        self._shipped = {one.run for one in known.shipped}
        self._book = book
        self._found: dict[str, Basis] = {}

    @property
    def found(self) -> tuple[Basis, ...]:
        """All of them, in the order of their ids."""
        return tuple(self._found[id_] for id_ in sorted(self._found))

    def _add(self, basis: Basis) -> str:
        self._found.setdefault(basis.id, basis)
        return basis.id

    def run(self, ceiling: MeasuredCeiling) -> str:
        machine = ", ".join(f"{name}: {value}" for name, value in ceiling.machine if name in _TOLD)
        where = f" Measured on {machine}." if machine else ""
        origin = f"{ceiling.origin}, with the package" if ceiling.run in self._shipped else ceiling.origin
        return self._add(
            Basis(f"run:{ceiling.run}", "run", ceiling.sentence + where, ceiling.fidelity, origin, ceiling.date)
        )

    def runs(self, ceilings: Iterable[MeasuredCeiling]) -> tuple[str, ...]:
        return tuple(self.run(one) for one in ceilings)

    def price(self, id_: str) -> str:
        price = self._book.price(id_)
        amount = (
            "not known"
            if price.low is None or price.high is None
            else f"{plain(price.low)} {price.currency}"
            if price.low == price.high
            else f"{plain(price.low)} to {plain(price.high)} {price.currency}"
        )
        units = f"{price.per:,} x {price.unit}" if price.per > 1 else price.unit
        text = (
            f"{price.service}, {price.dimension}: {amount} for {units} ({price.region}, confidence {price.confidence})"
        )
        if price.holds_bytes is not None:
            text += f"; one holds {in_gb(price.holds_bytes)} of data ({price.holds_source})"
        date = price.date.isoformat() if price.date is not None else ""
        return self._add(Basis(f"price:{id_}", "price", text, "", f"{price.source}; {price.file}", date))

    def quota(self, limit: Limit) -> str:
        text = f"{limit.what}: {float(limit.allowed):,.0f} {limit.unit} ({limit.kind})" + (
            f"; {limit.note}" if limit.note else ""
        )
        return self._add(Basis(f"quota:{limit.name}", "quota", text, "", limit.source, ""))

    def quotas(self, limits: Iterable[Limit]) -> tuple[str, ...]:
        return tuple(self.quota(limit) for limit in limits if limit.kind != "measured")

    def claim(self, threshold: Threshold) -> str:
        return self._add(Basis(f"claim:{threshold.id}", "claim", f"“{threshold.text}”", "", threshold.source, ""))

    def model(self, cost: BackendCost) -> tuple[str, ...]:
        """The cost model of a backend, and the prices that it took."""
        name = f"{cost.concern}/{cost.backend}/{cost.hosting or 'none'}"
        text = f"the cost model of {cost.concern}={cost.backend}" + (f" had as {cost.hosting}" if cost.hosting else "")
        own = self._add(Basis(f"model:{name}", "model", text, "", "stackproof, docs/prices.md", ""))
        return (own, *(self.price(id_) for id_ in cost.prices))

    def assumption(self, id_: str) -> str:
        return self._add(Basis(id_, "assumption", _ASSUMPTIONS[id_], "", "docs/plan.md", ""))


_TOLD = frozenset({"processor", "cores", "memory_bytes", "system", "container"})
"""Of a machine, in one sentence."""


def thresholds(concern: str, backend: str) -> tuple[Threshold, ...]:
    """What was published about up to where this backend is recommended, each once."""
    found = {
        threshold.id: threshold
        for stack in reference_stacks()
        if stack.parts[concern].backend == backend
        for threshold in stack.thresholds
        if threshold.concern == concern
    }
    return tuple(found.values())


def money(amount: Amount) -> Money:
    """An amount, for the record."""
    return Money(f"{amount.low:f}", f"{amount.high:f}", amount.currency, amount.unknown, str(amount))
