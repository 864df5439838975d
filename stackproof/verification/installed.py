"""What is installed here, as far as a certificate can be checked against it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.resources import files

import stackproof
from stackproof.contracts import CONCERNS, contract_for
from stackproof.contracts.clauses import planned_clauses
from stackproof.contracts.mutants import all_mutants
from stackproof.contracts.stream import PlannedClause
from stackproof.measurement.environment import DRIVERS
from stackproof.targets import STACKS

from .digests import backend_digest, suite_digest
from .environment import describe_environment, needed_drivers
from .soundness import Installed, KnownClause


def installed_for(backends: Iterable[tuple[str, str]]) -> Installed:
    """What is installed, with the digests of these backends (target and class). Nothing of theirs is imported or run."""
    environment, backends = describe_environment(), tuple(backends)
    mutants: dict[str, set[str]] = {}
    for mutant in all_mutants():
        mutants.setdefault(mutant.concern, set()).add(mutant.killed_by)
    return Installed(
        suite_digest=suite_digest(),
        version=stackproof.__version__,
        clauses={concern: tuple(_known(concern)) for concern in CONCERNS},
        stacks={stack.name: frozenset(target.name for target in stack.targets()) for stack in STACKS},
        digests={(target, backend): backend_digest(backend, _spec(target)) for target, backend in backends},
        now=datetime.now(UTC),
        schema=json.loads((files("stackproof.verification") / "certificate.schema.json").read_text("utf-8")),
        drivers={name: environment.get(name, "") for name in DRIVERS},
        needs={target: needed_drivers(target) for target, _ in backends},
        mutants={concern: frozenset(clauses) for concern, clauses in mutants.items()},
    )


def _spec(target: str) -> str:
    """What stands behind ``cache=``."""
    return target.partition("=")[2]


def _known(concern: str) -> Iterable[KnownClause]:
    for planned in planned_clauses(contract_for(concern)):
        told = PlannedClause.of(planned.clause)
        yield KnownClause(told, planned.clause.profile, planned.clause.provisional)
