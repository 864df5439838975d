"""The smoke step: before the first clause, tell a broken harness, factory or server from a broken backend."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest

from stackproof.interfaces import ConfigurationError, OperationTimeoutError, UnavailableError
from stackproof.whereabouts import with_place

from .expectations import ContractViolation
from .instances import Instances, fresh_namespace
from .journal import Journal, unwrapped
from .timelimit import OutOfTime, time_limit

SMOKE_SECONDS = 20.0


class Trouble(StrEnum):
    """Where the trouble lies."""

    NONE = "none"
    HARNESS = "harness"
    """The factory or the test class: no clause can say anything about the backend."""
    SERVER = "server"
    """The server cannot be reached."""
    BACKEND = "backend"
    """The backend itself fails at the simplest use: the clauses will say how."""


@dataclass(frozen=True, slots=True)
class Smoke:
    """What the smoke step found."""

    trouble: Trouble = Trouble.NONE
    sentence: str = ""
    hung: bool = False
    """Whether the first use did not end: then no clause is tried, each would take its full time."""


class _Found(Exception):  # noqa: N818 - a finding, not an error
    def __init__(self, trouble: Trouble, sentence: str) -> None:
        super().__init__(sentence)
        self.smoke = Smoke(trouble, sentence)


def smoke_test(contract: Any) -> tuple[Smoke, Any]:
    """Make two instances, look at them, use one once. What was found, and the first instance (closed again) or None."""
    instances = Instances()
    made: list[Any] = []
    try:
        with time_limit(SMOKE_SECONDS, "the first use of the backend"):
            made.append(_make(contract, instances, fresh_namespace()))
            # Names that differ from the first letter on: two that look alike may meet by a defect of the backend, for which
            # there are clauses. These meet only where the name is not used at all.
            made.append(_make(contract, instances, f"other_{fresh_namespace()}"))
            _look_at(contract, made)
            _use(contract, *made)
    except _Found as found:
        return found.smoke, made[0] if made else None
    except OutOfTime as error:
        return Smoke(Trouble.BACKEND, f"{error}.", hung=True), made[0] if made else None
    finally:
        instances.close(contract)
    if instances.notes:
        return Smoke(
            Trouble.BACKEND, f"Cleaning up after the first use went wrong: {'; '.join(instances.notes)}."
        ), made[0]
    return Smoke(), made[0]


def _make(contract: Any, instances: Instances, namespace: str) -> Any:
    try:
        backend = unwrapped(instances.open(contract, namespace, Journal()))
    except (UnavailableError, OperationTimeoutError) as error:
        raise _Found(Trouble.SERVER, str(error)) from error
    except ConfigurationError as error:
        raise _Found(Trouble.HARNESS, str(error)) from error
    except (KeyboardInterrupt, OutOfTime):
        raise
    except BaseException as error:
        if isinstance(error, pytest.skip.Exception) and _is_the_users(contract):
            raise _Found(Trouble.SERVER, f"{_factory(contract)} called pytest.skip: {error}") from error
        raise _Found(Trouble.HARNESS, with_place(f"{_factory(contract)} raised {_named(error)}", error)) from error
    if inspect.iscoroutine(backend):
        backend.close()
        factory = _factory(contract)
        advice = _wrap(contract, factory.rpartition(":")[2])
        raise _Found(Trouble.HARNESS, f"{factory} is a coroutine function: {advice}")
    if backend is None:
        raise _Found(Trouble.HARNESS, f"{_factory(contract)} returned None instead of a backend.")
    return backend


def _is_the_users(contract: Any) -> bool:
    """Whether `make_backend` was written by an author of tests, who may skip them; ours calls a backend or a factory."""
    return not type(contract).make_backend.__module__.startswith("stackproof.")


def _factory(contract: Any) -> str:
    """What makes the backends, by the name that the user gave it."""
    return getattr(contract, "target_name", "") or f"{type(contract).__name__}.make_backend"


def _wrap(contract: Any, made_by: str) -> str:
    """What to do with an asyncio backend."""
    bridge = f"bridged({contract.interface.__name__}, {made_by})"
    return f"the clauses call ordinary functions; wrap it with {bridge}, see docs/asyncio.md."


def _look_at(contract: Any, made: list[Any]) -> None:
    first, second = made
    try:
        contract.declared(first)
    except ConfigurationError as error:
        raise _Found(Trouble.HARNESS, f"{error}.") from error
    if first is second:
        raise _Found(
            Trouble.HARNESS,
            f"{_factory(contract)} returned the same object for two namespaces: "
            "clauses would disturb each other. It must make a new instance for each call.",
        )
    methods = sorted(getattr(contract.interface, "__abstractmethods__", ()))
    absent = [name for name in methods if not callable(getattr(first, name, None))]
    if absent:
        raise _Found(
            Trouble.HARNESS,
            f"{type(first).__name__} is not a {contract.interface.__name__}: it has no {', '.join(absent)}.",
        )
    kind = type(first).__name__
    waits = [name for name in methods if inspect.iscoroutinefunction(getattr(first, name))]
    if waits:
        raise _Found(
            Trouble.HARNESS,
            f"{', '.join(waits)} of {kind} {'are coroutine functions' if waits[1:] else 'is a coroutine function'}: "
            f"{_wrap(contract, kind)}",
        )


def _use(contract: Any, backend: Any, other: Any) -> None:
    ping = getattr(backend, "ping", None)
    try:
        answers = ping is None or ping()
        contract.exercise(backend)  # also when ping is false: the error of a real operation says why
        if not answers:
            raise _Found(Trouble.BACKEND, "ping() is false, while the backend works.")
        _must_be_apart(contract, backend, other)
    except (UnavailableError, OperationTimeoutError) as error:
        raise _Found(Trouble.SERVER, str(error)) from error
    except ContractViolation as error:
        raise _Found(Trouble.BACKEND, f"The simplest use already goes wrong: {error}.") from error
    except (_Found, KeyboardInterrupt, OutOfTime):
        raise
    except BaseException as error:
        raise _Found(Trouble.BACKEND, f"The simplest use already raised {_named(error)}") from error


def _must_be_apart(contract: Any, backend: Any, other: Any) -> None:
    """Where the name certainly reached the backend, one that ignores it is broken, and the clauses say so."""
    if not contract.hands_namespace_on and contract.meets(backend, other):
        raise _Found(
            Trouble.HARNESS,
            f"what an instance of one namespace wrote is seen by an instance of another, so clauses would disturb each other: "
            f"{_factory(contract)} does not hand its namespace on, or the backend ignores it.",
        )


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(".") + "."
