"""The windows of a run on disk while it goes on: each is there before the next one begins, whoever is killed later.

A file of JSON lines: a head that says what is measured, then one window a line. A torn last line is left out: its window is
offered again. When the record of the run is written, everything is in there, and the file goes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stackproof.interfaces import ConfigurationError
from stackproof.kept_json import read

from .record import WindowRecord, window_from

SCHEMA = "stackproof-windows/1"
WINDOWS = "windows.jsonl"


class WindowLog:
    """Appends to, and reads, the windows in one run directory."""

    def __init__(self, directory: Path, identity: Mapping[str, Any]) -> None:
        self._path = directory / WINDOWS
        self._identity = json.loads(json.dumps(identity))

    def begin(self) -> tuple[WindowRecord, ...]:
        """The windows that are there from before, of the same run; `ConfigurationError` if they are of another one."""
        if not self._path.exists():
            self._append({"schema": SCHEMA, "identity": self._identity})
            return ()
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            os.truncate(self._path, len(whole))
        head, *rest = [read(line, numbers_only=False) for line in whole.decode("utf-8").splitlines()] or [{}]
        if head.get("schema") != SCHEMA:
            raise ConfigurationError(f"{self._path} holds no windows of schema {SCHEMA}")
        kept = head["identity"]
        if other := sorted(name for name in {*kept, *self._identity} if kept.get(name) != self._identity.get(name)):
            raise ConfigurationError(
                f"{self._path} holds windows of another run, which differs in {', '.join(other)}; repeat its command"
            )
        return tuple(window_from(row) for row in rest)

    def keep(self, window: WindowRecord) -> None:
        """On disk when it returns."""
        self._append(asdict(window))

    def _append(self, data: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(data, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
