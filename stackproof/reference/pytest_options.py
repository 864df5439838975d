"""The options and settings of the pytest plug-in, as it tells them to pytest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stackproof.contracts import plugin
from stackproof.reports.markdown_text import code, table, wrapped

_HEAD = (
    "The plug-in comes with the package: pytest finds it by itself. It runs every class that is derived from a contract and "
    "whose name begins with `Test`. `pytest -p no:stackproof` leaves it out."
)


@dataclass
class _Listener:
    """Stands in for pytest's parser, and keeps what it is told."""

    options: list[tuple[tuple[str, ...], dict[str, Any]]] = field(default_factory=list)
    settings: list[tuple[str, str]] = field(default_factory=list)

    def getgroup(self, *_: Any, **__: Any) -> _Listener:
        return self

    def addoption(self, *names: str, **told: Any) -> None:
        self.options.append((names, told))

    def addini(self, name: str, help: str, **_: Any) -> None:  # noqa: A002 - pytest's own name
        self.settings.append((name, help))


def body() -> str:
    """The whole page."""
    listener = _Listener()
    parser: Any = listener
    plugin.pytest_addoption(parser)
    rows = [(code(_typed(names, told)), told.get("help", "")) for names, told in listener.options]
    parts = [wrapped(_HEAD), table(("option", "what it means"), rows)]
    if listener.settings:
        parts += ["## Settings", table(("in the configuration of pytest", "what it means"), list(_settings(listener)))]
    return "\n\n".join(parts)


def _settings(listener: _Listener) -> Iterator[tuple[str, str]]:
    for name, meaning in listener.settings:
        yield code(name), meaning


def _typed(names: tuple[str, ...], told: dict[str, Any]) -> str:
    value = told.get("metavar") or (f"[{'|'.join(told['choices'])}]" if "choices" in told else "")
    return f"{names[0]} {value}".strip()
