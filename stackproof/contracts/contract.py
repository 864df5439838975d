"""The base of all contracts: what a third party fills in, and the fixtures that clauses use."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from stackproof.interfaces.capabilities import (
    CacheCapabilities,
    EventCapabilities,
    InteractionCapabilities,
    LogCapabilities,
    SearchCapabilities,
)
from stackproof.interfaces.errors import ConfigurationError

from .around import Around
from .callers import Callers
from .case import Case
from .clauses import BIRTH_ATTRIBUTE, clause_of
from .evidence import Evidence
from .instances import fresh_namespace

B = TypeVar("B")

_DEFAULTS = {
    "interactions": InteractionCapabilities,
    "events": EventCapabilities,
    "search": SearchCapabilities,
    "cache": CacheCapabilities,
    "logs": LogCapabilities,
}

CASE_KEY = pytest.StashKey[Case]()
GATE_KEY = pytest.StashKey["Callable[[Contract[Any]], None]"]()
"""Called with the contract's instance before anything is made with it: the smoke step, once per class."""


def capabilities_of(concern: str) -> type[Any] | None:
    """What a backend of this concern can declare."""
    return _DEFAULTS.get(concern)


class RaisedInFixture(Exception):  # noqa: N818 - carries another error
    """What a fixture raised is the cause of this, which pytest can remember of a fixture."""


@contextmanager
def _fit_for_pytest() -> Iterator[None]:
    """A `BaseException` of a backend leaves pytest's fixtures in a state in which it fails itself ever after."""
    try:
        yield
    except (Exception, KeyboardInterrupt, GeneratorExit, pytest.skip.Exception, pytest.fail.Exception):
        raise
    except BaseException as error:
        raise RaisedInFixture from error


class Contract(Generic[B]):
    """All clauses of one concern. Subclass it in a test module, name the subclass ``Test...``, fill in `make_backend`."""

    concern: ClassVar[str] = ""
    interface: ClassVar[type[Any]] = object
    capabilities: Any = None
    """What the backend declares; where it is None, the ``capabilities`` of the backend's own class, or the defaults.

    It replaces what the backend's own class declares as a whole, also what it does not name."""
    only_clauses: ClassVar[frozenset[str] | None] = None
    """Plan just these ids (the self-test and ``--clause`` use it); None: all."""

    hands_namespace_on: ClassVar[bool] = False
    """Whether `make_backend` is known to give its namespace to the backend's own class. Only our own harness knows that;
    of somebody else's factory the smoke step asks it by use, see `meets`."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        born_with = {name: value for name, value in vars(cls).items() if clause_of(value) is not None}
        setattr(cls, BIRTH_ATTRIBUTE, born_with)

    def make_backend(self, namespace: str) -> B:
        """A new instance of the backend that keeps everything it stores under this name. Called several times a clause.

        ``namespace`` has at most 24 characters: lower-case letters, digits, ``_``, and now and then ``:``, ``.`` or ``-``.
        Two instances with the same name are two handles of the same data (where the capabilities say so), with
        different names they never meet.
        """
        raise TypeError(f"{type(self).__name__} needs a method make_backend(self, namespace) that returns the backend")

    def remove_namespace(self, backend: Any, namespace: str) -> None:
        """Remove everything that was stored under this name. The default asks the backend to `drop_namespace`, if it can."""
        drop = getattr(backend, "drop_namespace", None)
        if drop is not None:
            drop()

    def around(self, namespace: str) -> Around | None:
        """How to look at what the server keeps under this name without the backend; None where that cannot be."""
        return None

    def close_backend(self, backend: Any) -> None:
        """Give back what an instance holds."""
        backend.disconnect()

    def exercise(self, backend: Any) -> None:
        """One small write and read through the interface; raises where the answer is wrong."""
        raise TypeError(f"{type(self).__name__} does not say how its backend is exercised")

    def meets(self, backend: Any, other: Any) -> bool:
        """Whether the other instance, which has another namespace, sees what this one writes. Asked in the smoke step."""
        return False

    def operations(self, backend: Any) -> dict[str, Callable[[], object]]:
        """Each operation of the interface, by name, ready to be called once: for the clauses about closed backends."""
        return {"a write and a read": lambda: self.exercise(backend)}

    @classmethod
    def declared(cls, backend: Any) -> Any:
        """The capabilities that hold for this backend: of the contract class, else of the backend's class, else the defaults."""
        kind = _DEFAULTS[cls.concern]
        found = cls.capabilities if cls.capabilities is not None else getattr(backend, "capabilities", None)
        if found is None:
            return kind()
        if not isinstance(found, kind):
            raise ConfigurationError(f"capabilities must be {kind.__name__}(...), not {type(found).__name__}")
        return found

    # Fixtures. They live in the class, so that they cannot collide with those of the third party's own tests.

    @pytest.fixture
    def case(self, request: pytest.FixtureRequest) -> Iterator[Case]:
        # In a fixture, so that the third party's own autouse fixtures (a server's URL, say) have been set up before.
        with _fit_for_pytest():
            request.node.stash[GATE_KEY](self)
        case = request.node.stash[CASE_KEY]
        yield case
        case.instances.close(self)

    @pytest.fixture
    def namespace(self) -> str:
        return fresh_namespace()

    @pytest.fixture
    def backend(self, case: Case, namespace: str) -> Any:
        """The backend under test, under a name of its own."""
        with _fit_for_pytest():
            backend = case.instances.open(self, namespace, case.journal)
        case.declared = self.declared(backend)
        if type(self).capabilities is None:
            self.capabilities = case.declared
        else:
            case.own = getattr(backend, "capabilities", None)
        return backend

    @pytest.fixture
    def another(self, case: Case, namespace: str) -> Callable[[], Any]:
        """Makes a further instance of the same namespace."""
        return lambda: case.instances.open(self, namespace, case.journal)

    @pytest.fixture
    def elsewhere(self, case: Case) -> Callable[..., Any]:
        """Makes an instance of another namespace (a fresh one, or the one given)."""
        return lambda namespace=None: case.instances.open(self, namespace or fresh_namespace(), case.journal)

    @pytest.fixture
    def evidence(self, case: Case) -> Evidence:
        return case.evidence

    @pytest.fixture
    def callers(self, case: Case) -> Callers:
        return case.callers

    @pytest.fixture
    def rng(self, case: Case) -> random.Random:
        return case.rng
