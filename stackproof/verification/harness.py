"""From a planned target to the contract class that pytest collects."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from stackproof.adapters.settings import Settings
from stackproof.container import takes_namespace
from stackproof.contracts import Contract, contract_for
from stackproof.contracts.around import Around
from stackproof.contracts.faulty import Faulty
from stackproof.contracts.mutants import all_mutants
from stackproof.interfaces import ConfigurationError
from stackproof.targets import Target, load_object, parse_target

from .around import around
from .cloudwatch import DELIVERY_SECONDS, delivered_lines
from .faults import ProxiedFaults, Way, behind, way_to
from .plan import PlannedTarget


def contract_class(planned: PlannedTarget, settings: Settings) -> type[Contract[Any]]:
    """The contract of a target, filled in. What is wrong with its spec is raised when the backend is made."""
    only = frozenset(planned.clauses) or None
    shared: dict[str, Any] = {
        "target_name": planned.name,
        "only_clauses": only,
        "explore_seconds": planned.explore_seconds,
    }
    base = contract_for(planned.concern)
    if planned.mutant:
        shared |= _mutant_harness(planned.spec)
    else:
        target = parse_target(f"{planned.concern}={planned.spec}")
        if target.entry is None:
            base, shared = _given(target, base, shared)
        else:
            shared |= _built_in(target, settings)
    return type(f"Test_{planned.concern}", (base,), shared)


def _built_in(target: Target, settings: Settings) -> dict[str, Any]:
    def make_backend(self: Any, namespace: str) -> Any:
        return _into_sink(self, target.make(settings, namespace))

    def look_around(_: Any, namespace: str) -> Around | None:
        return around(target.concern, target.server, settings, namespace, target.spec)

    harness: dict[str, Any] = {"make_backend": make_backend, "around": look_around, "hands_namespace_on": True}
    if target.name == "logs=cloudwatch":
        harness["delivered"] = lambda _, namespace: delivered_lines(settings, namespace)
        harness["delivery_seconds"] = DELIVERY_SECONDS
    way = way_to(target)
    return harness if way is None else {**harness, **_on_the_way(target, settings, way)}


def _on_the_way(target: Target, settings: Settings, way: Way) -> dict[str, Any]:
    def make_unreachable(self: Any, namespace: str) -> Any:
        lost = {**settings.variables, "STACKPROOF_CONNECT_TIMEOUT": "1", **way.nowhere()}
        return target.make(Settings(lost), namespace)

    def make_faulty(self: Any, namespace: str) -> Faulty[Any]:
        faults, changed = behind(way, settings)
        return _behind(faults, lambda: target.make(changed, namespace))

    return {"make_unreachable": make_unreachable, "make_faulty": make_faulty}


def _given(target: Target, base: type[Any], shared: dict[str, Any]) -> tuple[type[Any], dict[str, Any]]:
    """A spec of somebody else's: a factory, a backend class, or a contract class that is filled in already."""
    try:
        found = load_object(target.name, target.spec)
    except ConfigurationError as error:
        sentence = str(error)

        def refuse(self: Any, namespace: str) -> Any:
            raise ConfigurationError(sentence)

        return base, {**shared, "make_backend": refuse}
    if isinstance(found, type) and issubclass(found, base):
        return found, shared

    def make_backend(self: Any, namespace: str) -> Any:
        return _into_sink(self, target.make(Settings.from_environment(), namespace))

    shared["make_backend"] = make_backend
    shared["hands_namespace_on"] = isinstance(found, type) and takes_namespace(found)
    declared = getattr(found, "capabilities", None)
    if declared is not None and not isinstance(found, type):  # of a class, the instance knows: it may have its own
        shared["capabilities"] = declared
    return base, shared


def _mutant_harness(name: str) -> dict[str, Any]:
    kind = {mutant.name: mutant for mutant in all_mutants()}[name].backend

    def make_backend(self: Any, namespace: str) -> Any:
        return _into_sink(self, kind(namespace=namespace))

    def make_faulty(_: Any, namespace: str) -> Faulty[Any]:
        made: Faulty[Any] = kind.make_faulty(namespace)
        return made

    declared = getattr(kind, "capabilities", None)
    harness = {
        "make_backend": make_backend,
        "capabilities": declared,
        "hands_namespace_on": True,
        "shrink_seconds": 0.2,
        # As many sequences as ever, also where the processors are shared with other mutants.
        "explore_seconds": 20.0,
    }
    if hasattr(kind, "make_faulty"):  # a double that stands for a backend with a server
        harness["make_faulty"] = make_faulty
    return harness


def _behind(faults: ProxiedFaults, make: Callable[[], Any]) -> Faulty[Any]:
    try:
        return Faulty(make(), faults)
    except BaseException:
        faults.close()
        raise


def _into_sink(contract: Any, backend: Any) -> Any:
    """Point a log handler that writes to a stream at the contract's sink, from where the clauses read it back."""
    sink = getattr(contract, "sink", None)
    redirect = getattr(backend, "setStream", None)
    if sink is not None and isinstance(backend, logging.Handler) and redirect is not None:
        redirect(sink.stream)
    return backend
