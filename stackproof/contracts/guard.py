"""Whether the suite that runs is the one of its source: what a third party patched would measure nothing.

Each module of the suite is remembered as it was when its import ended, before anybody could reach into it, and compared
with what it is when a verdict is given. So a function, a class, a method, a property or a name that one module has from
another cannot be exchanged without being seen, in whatever way it was done.

What is not seen: a patch of something that the suite merely uses, and content of a list or a dictionary.
"""

from __future__ import annotations

import builtins
import importlib.abc
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any, Final

PACKAGE: Final = __name__.rpartition(".")[0]
_FOUNDATION: Final = f"{PACKAGE.rpartition('.')[0]}.interfaces"
"""What the contracts speak about, and what is judged by it: imported before them."""
_MUTANTS: Final = f"{PACKAGE}.mutants"
"""Backends of ours. They judge nothing."""

_Marks = tuple[object, ...]
_Memory = dict[tuple[str, str], _Marks]
"""(class or nothing, name) -> what it was."""
_BY_PYTHON: Final = frozenset({"__annotations__", "__annotations_cache__"})
"""What Python itself adds to a class when somebody asks for it."""
MANY: Final = 5
"""So many are named."""
_NOTHING: Final[_Marks] = ()


class _Loader(importlib.abc.Loader):
    """Remembers a module when it has been executed. The memory goes with the module, so that a second copy has its own."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self.loader = loader
        self.memory: _Memory | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        self.memory = _look_at(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)  # where its source is, and whatever else is asked of a loader


class _Finder(importlib.abc.MetaPathFinder):
    """Has the suite's modules found by whoever finds them anyway (pytest does), and loaded by a `_Loader`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.startswith(f"{PACKAGE}."):
            return None
        others = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
        spec = next((spec for finder in others if (spec := finder.find_spec(name, path, target)) is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


_memories: Final[dict[str, tuple[ModuleType, _Memory]]] = {}
"""Of the modules that were imported before there was a finder."""


def watch() -> None:
    """Remember every module of the suite that is imported from now on, and what it is built on. Once, at its own import."""
    sys.meta_path.insert(0, _Finder())
    for name, module in list(sys.modules.items()):
        if name in (__name__, PACKAGE, _FOUNDATION) or name.startswith(f"{_FOUNDATION}."):
            _memories[name] = module, _look_at(module)


def patched() -> str:
    """What of the suite is another than when it was imported, in words; empty for nothing."""
    names = sorted(set(_foreign()))
    more = [f"and {len(names) - MANY} more"] if len(names) > MANY else []
    return ", ".join([*(f"{name} was patched" for name in names[:MANY]), *more])


def _foreign() -> Iterator[str]:
    for name, module in list(sys.modules.items()):
        watched = name in _memories or (name.startswith(f"{PACKAGE}.") and not name.startswith(_MUTANTS))
        if watched:
            memory = _memory_of(name, module)
            short = name.rpartition(".")[2]
            if memory is None:
                yield short
            else:
                yield from (_in_words(short, *key) for key in _differences(memory, _look_at(module)))


def _memory_of(name: str, module: ModuleType) -> _Memory | None:
    if name in _memories:
        first, memory = _memories[name]
        return memory if first is module else None
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    if not isinstance(loader, _Loader):
        return None  # a stand-in: another loader, or none
    being_imported = getattr(module.__spec__, "_initializing", False)
    return {} if loader.memory is None and being_imported else loader.memory


def _differences(then: _Memory, now: _Memory) -> Iterator[tuple[str, str]]:
    if not then:
        return
    changed = {key for key in then.keys() | now.keys() if not _same(then.get(key, _NOTHING), now.get(key, _NOTHING))}
    for owner, name in changed:
        if owner:
            if ("", owner.partition(".")[0]) not in changed:
                yield owner, name
        elif ("", name) in then or hasattr(builtins, name):
            # A name that is new in a module does something only where it hides one of Python's own.
            yield owner, name


def _same(before: _Marks, after: _Marks) -> bool:
    return len(before) == len(after) and all(a is b for a, b in zip(before, after, strict=True))


def _look_at(module: ModuleType) -> _Memory:
    found: _Memory = {}
    for name, value in list(vars(module).items()):
        found["", name] = _marks(value)
        if isinstance(value, type) and value.__module__ == module.__name__:
            for attribute, inner in list(vars(value).items()):
                if attribute not in _BY_PYTHON:
                    found[value.__qualname__, attribute] = _marks(inner)
    found.pop(("", "__builtins__"), None)  # the import fills it in
    return found


def _marks(value: object) -> _Marks:
    """What must stay the same, and not merely equal. A function can be given other code, defaults or attributes."""
    function = getattr(value, "__func__", value) if isinstance(value, staticmethod | classmethod) else value
    if isinstance(function, FunctionType):
        return value, function.__code__, function.__defaults__, function.__kwdefaults__, *vars(function).values()
    return (value,)


def _in_words(module: str, owner: str, name: str) -> str:
    return f"{owner}.{name}" if owner else f"{module}.{name}"
