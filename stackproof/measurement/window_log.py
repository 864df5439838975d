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


def head_of(directory: Path) -> dict[str, Any] | None:
    """What the windows in a directory are of: ``identity``, and the ``command`` that repeats the run, where it was kept. None
    where there is no whole head yet; `ConfigurationError` where it is no file of windows.
    """
    path = directory / WINDOWS
    if not path.exists():
        return None
    with path.open("rb") as file:
        line = file.readline()
    if not line.endswith(b"\n"):
        return None
    try:
        head = read(line.decode("utf-8"), numbers_only=False)
    except ValueError as error:
        raise ConfigurationError(f"{path} is damaged: {error}; begin a new run") from error
    if not isinstance(head, dict) or head.get("schema") != SCHEMA or not isinstance(head.get("identity"), dict):
        raise ConfigurationError(f"{path} holds no windows of schema {SCHEMA}")
    return head


def _in_words(names: list[str]) -> str:
    return ", ".join("the source of a backend" if name == "digests" else name for name in names)


class WindowLog:
    """Appends to, and reads, the windows in one run directory."""

    def __init__(self, directory: Path, identity: Mapping[str, Any], command: str = "") -> None:
        """``command`` is what repeats the run, for whoever would go on with it by another one."""
        self._directory = directory
        self._path = directory / WINDOWS
        self._identity = json.loads(json.dumps(identity))
        self._command = command

    def begin(self) -> tuple[WindowRecord, ...]:
        """The windows that are there from before, of the same run; `ConfigurationError` if they are of another one."""
        head = head_of(self._directory)
        if head is None:
            self._path.unlink(missing_ok=True)
            self._append({"schema": SCHEMA, "identity": self._identity, "command": self._command})
            return ()
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            os.truncate(self._path, len(whole))
        rest = [read(line, numbers_only=False) for line in whole.decode("utf-8").splitlines()[1:]]
        kept = head["identity"]
        if other := sorted(name for name in {*kept, *self._identity} if kept.get(name) != self._identity.get(name)):
            raise ConfigurationError(
                f"{self._path} holds windows of another run, which differs in {_in_words(other)}; repeat its command"
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
