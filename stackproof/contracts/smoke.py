"""The smoke step: before the first clause, tell a broken harness, factory or server from a broken backend."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stackproof.interfaces import ConfigurationError, OperationTimeoutError, UnavailableError

from .expectations import ContractViolation
from .instances import Instances, fresh_namespace, unlike_namespace
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
            made.append(_make(contract, instances, unlike_namespace()))
            _look_at(contract, made)
            _use(contract, *made)
    except _Found as found:
        return found.smoke, made[0] if made else None
    except OutOfTime as error:
        return Smoke(Trouble.BACKEND, f"{error}."), made[0] if made else None
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
    except (Exception, SystemExit) as error:
        raise _Found(Trouble.HARNESS, f"{_factory(contract)} raised {_named(error)}") from error
    if backend is None:
        raise _Found(Trouble.HARNESS, f"{_factory(contract)} returned None instead of a backend.")
    return backend


def _factory(contract: Any) -> str:
    """What makes the backends, by the name that the user gave it."""
    return getattr(contract, "target_name", "") or f"{type(contract).__name__}.make_backend"


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


def _use(contract: Any, backend: Any, other: Any) -> None:
    ping = getattr(backend, "ping", None)
    try:
        answers = ping is None or ping()
        contract.exercise(backend)  # also when ping is false: the error of a real operation says why
        if not answers:
            raise _Found(Trouble.BACKEND, "ping() is false, while the backend works.")
        if not contract.namespace_is_passed_on and contract.meet(backend, other):
            raise _Found(
                Trouble.HARNESS,
                f"{_factory(contract)} returned two instances for two namespaces, and what is written through one is there "
                "for the other. Either it does not pass the namespace on, or the backend makes no use of it.",
            )
    except (UnavailableError, OperationTimeoutError) as error:
        raise _Found(Trouble.SERVER, str(error)) from error
    except ContractViolation as error:
        raise _Found(Trouble.BACKEND, f"The simplest use already goes wrong: {error}.") from error
    except _Found:
        raise
    except (Exception, SystemExit) as error:
        raise _Found(Trouble.BACKEND, f"The simplest use already raised {_named(error)}") from error


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(".") + "."
