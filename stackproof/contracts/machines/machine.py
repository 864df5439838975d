"""The base of all state machines: rules that are counted, bounded in time, and chosen by capabilities.

A machine does any sequence of operations on the backend and on a model, and compares what both answer. `explore` runs it.
A third party extends one by subclassing it, with further steps, and names it as ``machine`` of its contract class.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st
from hypothesis.errors import Flaky, HypothesisWarning
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from hypothesis.strategies import SearchStrategy

from stackproof.contracts.expectations import ContractViolation
from stackproof.contracts.journal import quiet, unwrapped

from .stage import Over, Stage, Taken

_STEP = "__stackproof_step__"
BATCHES = 4
"""So many explorations at most, until every rule has fired."""

Needs = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Step:
    """A rule of a machine."""

    name: str
    needs: Needs
    """Whether a backend with these capabilities is asked for it."""
    when: Needs
    """Whether a machine in this state can do it."""


def _always(_: Any) -> bool:
    return True


def step(
    needs: Needs = _always, when: Needs = _always, **draws: SearchStrategy[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declare a method of a machine as a rule, with a strategy for each of its parameters.

    ``needs`` looks at the capabilities: where it is false the rule is not part of the machine. ``when`` looks at the machine:
    where it is false the rule is not chosen now.
    """

    def attach(function: Callable[..., None]) -> Callable[..., None]:
        name = function.__name__

        @functools.wraps(function)
        def run(self: Machine, **drawn: Any) -> None:
            __tracebackhide__ = True
            self.stage.check_time()
            self.taken.append(Taken(name, _copied(drawn)))
            try:
                function(self, **drawn)
            except Exception as error:
                self.failed = True
                self.stage.failed(error, self.taken)
                raise
            self.stage.fired[name] += 1

        def allowed(self: Machine) -> bool:
            return needs(self.stage.declared) and when(self) and self.may_do(name)

        as_rule: Any = rule  # its overloads know nothing of strategies that come as one dictionary
        done: Callable[..., None] = precondition(allowed)(as_rule(**draws)(run))
        setattr(done, _STEP, Step(name, needs, when))
        return done

    return attach


def bounded(made: Callable[[Any], SearchStrategy[Any]]) -> SearchStrategy[Any]:
    """A strategy that depends on the capabilities of the backend: ``bounded(lambda declared: ...)``."""
    return st.runner().flatmap(lambda machine: made(machine.stage.declared))


class Machine(RuleBasedStateMachine):
    """One sequence of operations. What a subclass adds: a model, `prepare`, steps."""

    stage: ClassVar[Stage]
    """Set by `explore`, on a subclass of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Taken] = []
        self.failed = False
        self.stage.begin()
        try:
            self.prepare()
        except Exception as error:
            self.stage.failed(error, self.taken)
            raise

    def prepare(self) -> None:
        """Begin a sequence: make the part of the backend that the sequence will use as if it was new."""

    def may_do(self, name: str) -> bool:
        """Whether a rule may be done now: a further exploration begins its sequences with those that never fired before.

        Hypothesis leaves out some rules of each sequence, so that a backend which is too slow for many may never meet them.
        """
        if self.taken or not self.stage.silent:
            return True
        silent = [each for each in self.steps() if each.name in self.stage.silent and each.when(self)]
        return not silent or any(each.name == name for each in silent)

    def finish(self) -> None:
        """After the last step of a sequence in which nothing failed: what must hold at its end."""

    def tidy(self) -> None:
        """After each sequence: give back what it opened."""

    def teardown(self) -> None:
        try:
            if not self.failed and not self.stage.over:
                self.finish()
        except Exception as error:
            self.stage.failed(error, self.taken)
            raise
        finally:
            self.tidy()

    def handle(self, number: int) -> Any:
        """One of the open instances, whatever the number."""
        return self.stage.handles[number % len(self.stage.handles)]

    def plain(self, number: int = 0) -> Any:
        """The same without its journal, for what is no part of the story."""
        return unwrapped(self.handle(number))

    def aside(self, number: int = 0) -> Any:
        """The same for a call that is no part of the story unless it raises."""
        return quiet(self.handle(number))

    @classmethod
    def steps(cls) -> Iterator[Step]:
        """The rules of this machine."""
        for name in dir(cls):
            found = getattr(getattr(cls, name), _STEP, None)
            if found is not None:
                yield found


def explore(kind: type[Machine], stage: Stage) -> None:
    """Run a machine: as many sequences as the budget says, and more where a rule has not fired yet.

    Raises what went wrong in the smallest sequence that shows it, with the journal of that sequence. The same seed gives the
    same sequences.
    """
    __tracebackhide__ = True
    machine = type(kind.__name__, (kind,), {"stage": stage})
    for batch in range(BATCHES):
        _run(machine, stage, seed=stage.case.seed * BATCHES + batch)
        if stage.found is not None:
            _leave_out_steps(machine, stage)
            _confirm(machine, stage)
            stage.case.journal.restore(stage.found.calls)
            raise _told(stage)
        asked = [each.name for each in kind.steps() if each.needs(stage.declared)]
        stage.silent = [name for name in asked if not stage.fired[name]]
        if not stage.silent:
            return


def _run(machine: type[Machine], stage: Stage, seed: int) -> None:
    """One exploration. What fails is noted on the stage; what Hypothesis says of it is not needed."""
    stage.renew()
    settings = hypothesis.settings(
        max_examples=stage.budget.examples,
        stateful_step_count=stage.budget.steps,
        phases=(Phase.generate, Phase.shrink),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)  # about long names, say: no matter of the backend
            run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=settings)
    except Over:
        pass
    except (
        Flaky
    ):  # a defect that depends on chance, or our own `Over`, which ended a sequence earlier than the last time
        if stage.found is None and not stage.over:
            raise
    except Exception:
        if stage.found is None:
            raise


def _leave_out_steps(machine: type[Machine], stage: Stage) -> None:
    """Do the failing sequence again without some of its steps, and keep it where it fails all the same.

    Hypothesis makes what was drawn simpler, and does not always find that a whole step can go.
    """
    assert stage.found is not None
    stage.renew()
    size = max(1, len(stage.found.steps) // 2)
    while size and not stage.time_is_up():
        place = 0
        while place < len(stage.found.steps) and not stage.time_is_up():
            before = stage.found
            _do_again(machine, before.steps[:place] + before.steps[place + size :])
            if stage.found is before:
                place += size
        size //= 2


def _confirm(machine: type[Machine], stage: Stage) -> None:
    """Do the smallest sequence once more, with all the time that answers may take. Where it passes, the first failure is told."""
    smallest, stage.found, stage.confirming = stage.found, None, True
    if smallest is not None:
        _do_again(machine, smallest.steps)
    stage.found = stage.found or stage.first


def _do_again(machine: type[Machine], steps: Sequence[Taken]) -> None:
    """A sequence of known steps. Where it fails it has told the stage."""
    with contextlib.suppress(Exception, Over):  # told already, by the step itself
        made = machine()
        try:
            for each in steps:
                getattr(made, each.name)(**_copied(each.drawn))
        finally:
            made.teardown()


def _copied(drawn: dict[str, Any]) -> dict[str, Any]:
    """What was drawn, for another time: a step may change what it is given."""
    try:
        return copy.deepcopy(drawn)
    except Exception:  # noqa: BLE001 - what cannot be copied (a lock, say) is not changed either
        return dict(drawn)


def _told(stage: Stage) -> Exception:
    """The error of the smallest sequence; a broken rule says after how many operations."""
    assert stage.found is not None
    error, length = stage.found.error, len(stage.found.steps)
    if not isinstance(error, ContractViolation):
        return error
    why = f"{error.why}; " if error.why else ""
    sequence = " ; ".join(map(str, stage.found.steps))
    told = ContractViolation(
        error.what, error.expected, error.seen, f"{why}found in a sequence of {length}: {sequence}"
    )
    return told.with_traceback(error.__traceback__)
