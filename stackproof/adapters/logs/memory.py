"""The reference of the logs concern: a handler that keeps every delivered record as the dict that a reader would get."""

from __future__ import annotations

import json
import logging
from typing import Self

from stackproof.adapters.settings import Settings
from stackproof.adapters.spaces import Spaces
from stackproof.interfaces import JsonValue

from .handler import LineHandler, TextStream


class _Space:
    """The records of one namespace."""

    def __init__(self) -> None:
        self.lines: list[str] = []


_spaces = Spaces(_Space)


class MemoryLogHandler(LineHandler):
    """Delivers into a list.

    Guarantees: every record that is logged before `close` is in `delivered` once, in the order of arrival; handlers of
    the same namespace share one list. Limits: it lives as long as the process, and grows without bound.
    """

    def __init__(self, *, namespace: str = "", level: int | str = logging.NOTSET) -> None:
        super().__init__(level=level)
        self._stream: TextStream | None = None
        self._space = _spaces.of(namespace)

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:  # noqa: ARG003 - as all adapters have it
        """Reads nothing: there is nothing to configure."""
        return cls(namespace=namespace)

    @property
    def delivered(self) -> list[dict[str, JsonValue]]:
        """What arrived, oldest first."""
        return [json.loads(line) for line in self.read_back()]

    def read_back(self) -> list[str]:
        """The same as lines of JSON: how the contract of the logs concern reads what arrived."""
        return list(self._space.lines)

    def setStream(self, stream: TextStream) -> None:  # noqa: N802 - the name that logging.StreamHandler gives it
        """Deliver into a text stream in place of the list: a destination that fails can be tried only on a stream."""
        self._stream = stream

    def write_line(self, line: str) -> None:
        if self._stream is None:
            self._space.lines.append(line)
        else:
            self._stream.write(line + "\n")
