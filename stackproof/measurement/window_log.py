"""The windows of a run on disk while it goes on: each is there before the next one begins, whoever is killed later.

A file of JSON lines: a head that says what is measured, then one window a line. Before the first window of each session stands
what its self-check showed: a good one of a later session vouches for none of these. A torn last line is left out: its window is
offered again. So is one that was cut short; but what was wrong in it stays there, and in the record: no later window takes back a
wrong answer. When the record of the run is written, everything is in there, and the file goes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from stackproof.interfaces import ConfigurationError
from stackproof.kept_json import read

from .check_words import UNTRUTHS, said_by
from .figures import Figures
from .record import Measurement, WindowRecord, calibration_from, window_from

SCHEMA = "stackproof-windows/3"
WINDOWS = "windows.jsonl"
_FORM = "stackproof-windows/"
_CHECK = "self_check"
_BROKEN_OFF = "broken_off"
CUT_SHORT = "In a window that was cut short"
WITHOUT_PAIR = "In a window whose pair was cut short"


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
        data: Any = read(line.decode("utf-8"), numbers_only=False)
    except ValueError as error:
        raise ConfigurationError(f"{path} is damaged: {error}; begin a new run") from error
    head: dict[str, Any] = data if isinstance(data, dict) and isinstance(data.get("identity"), dict) else {}
    form = str(head.get("schema"))
    if not form.startswith(_FORM):
        raise ConfigurationError(f"{path} holds no windows of schema {SCHEMA}")
    if form != SCHEMA:
        raise of_another_build(directory)
    return head


def of_another_build(directory: Path) -> ConfigurationError:
    """Why the run in a directory is not gone on with: not even what counts as an operation need be the same."""
    return ConfigurationError(
        f"{directory} was begun by another build of stackproof, whose windows do not belong to those of this one; begin a new run"
    )


def _other_source(path: Path, kept: Mapping[str, str], now: Mapping[str, str]) -> ConfigurationError:
    names = ", ".join(sorted(name for name in {*kept, *now} if kept.get(name) != now.get(name)))
    return ConfigurationError(
        f"{path} holds windows of another source of {names} than is there now: they do not belong together; begin a new run"
    )


class WindowLog:
    """Appends to, and reads, the windows in one run directory."""

    def __init__(self, directory: Path, identity: Mapping[str, Any], command: str = "") -> None:
        """``command`` is what repeats the run, for whoever would go on with it by another one."""
        self._directory = directory
        self._path = directory / WINDOWS
        self._identity = json.loads(json.dumps(identity))
        self._command = command
        self._noted: Mapping[str, Any] | None = None
        self.checks: tuple[Mapping[str, Any], ...] = ()
        """What the self-checks of the sessions before this one showed, of which there are windows. Known when it has begun."""
        self._untrue: list[tuple[str, str]] = []
        """Of windows that count for nothing, in whichever session: where it was, and what was wrong there."""
        self._trouble = ""

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
        rows = [read(line, numbers_only=False) for line in whole.decode("utf-8").splitlines()[1:]]
        self._refuse_others(head["identity"])
        self._untrue = [(row[_BROKEN_OFF]["where"], row[_BROKEN_OFF]["said"]) for row in rows if _BROKEN_OFF in row]
        rest = [row for row in rows if _BROKEN_OFF not in row]
        # A check that no window follows is that of a session whose first one was torn: it vouches for nothing.
        self.checks = tuple(
            calibration_from(row[_CHECK]) for row, after in pairwise(rest) if _CHECK in row and _CHECK not in after
        )
        return tuple(window_from(row) for row in rest if _CHECK not in row)

    def keep(self, window: WindowRecord, check: Mapping[str, Any]) -> None:
        """On disk when it returns; so is the self-check of its session (`judgement.calibration_of`).

        Where there is no room for it the run goes on, since its figures are worth more than that it could be gone on with; no
        later window is kept, either. `told_by` says so in the record.
        """
        if self._trouble:
            return
        try:
            self._keep(window, check)
        except OSError as error:
            self._trouble = f"{self._path.name} cannot be written: {error.strerror or error}"

    def keep_untrue(self, checks: Mapping[str, Any], where: str = CUT_SHORT) -> None:
        """Keep what was wrong, lost or doubled in a window that counts for nothing, for good: whoever goes on with the run
        offers the window again, and the backend may do better then. Nothing is kept of a window in which nothing was."""
        said = said_by(checks, UNTRUTHS)
        if not said:
            return
        self._untrue.append((where, said))
        if self._trouble:
            return
        try:
            self._append({_BROKEN_OFF: {"where": where, "said": said}})
        except OSError as error:
            self._trouble = f"{self._path.name} cannot be written: {error.strerror or error}"

    def told_by(self, result: Measurement) -> Measurement:
        """The record, which says what was wrong in windows that are not in it, and where windows were not kept while the run
        went on."""
        untold = [f"{where}: {said}" for where, said in self._untrue if said not in result.invalid]
        if untold:
            result = replace(result, invalid=tuple(dict.fromkeys([*result.invalid, *untold])))
        if not self._trouble:
            return result
        told = f"{self._trouble}; had the run been cut short, its later windows would have been lost."
        return replace(result, warnings=(*result.warnings, told))

    def _keep(self, window: WindowRecord, check: Mapping[str, Any]) -> None:
        if self._noted is not check:
            plain = {name: asdict(value) if isinstance(value, Figures) else value for name, value in check.items()}
            self._append({_CHECK: plain})
            self._noted = check
        self._append(asdict(window))

    def _refuse_others(self, kept: Mapping[str, Any]) -> None:
        """`ConfigurationError` where the windows that are there are of another run."""
        now = self._identity
        other = sorted(name for name in {*kept, *now} if kept.get(name) != now.get(name))
        if other == ["digests"]:
            raise _other_source(self._path, kept.get("digests", {}), now.get("digests", {}))
        if other:
            raise ConfigurationError(
                f"{self._path} holds windows of another run, which differs in {', '.join(other)}; repeat its command"
            )

    def _append(self, data: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(data, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
