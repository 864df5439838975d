"""The windows of a run on disk while it goes on: each is there before the next one begins, whoever is killed later.

A file of JSON lines: a head that says what is measured, then one window a line. Before the first window of each session stands
what its self-check showed: a good one of a later session vouches for none of these. A torn last line is left out: its window is
offered again. So is one that was cut short; but what was wrong in it stays there, and in the record: no later window takes back a
wrong answer. When the record of the run is written, everything is in there, and the file goes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from stackproof.interfaces import ConfigurationError
from stackproof.kept_json import read

from .check_words import UNTRUTHS, said_by
from .figures import Figures
from .kept_record import misshapen_check, misshapen_window, wrong_in_window
from .record import Measurement, WindowRecord, calibration_from, window_from

SCHEMA = "stackproof-windows/3"
WINDOWS = "windows.jsonl"
_FORM = "stackproof-windows/"
_CHECK = "self_check"
_BROKEN_OFF = "broken_off"
_WINDOW = "window"
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


@dataclass(frozen=True, slots=True)
class Kept:
    """What a file of windows holds."""

    windows: tuple[WindowRecord, ...]
    checks: tuple[Mapping[str, Any], ...]
    """Self-checks of which there are windows."""
    untrue: tuple[tuple[str, str], ...]
    """Of windows that count for nothing: where it was, and what was wrong there."""


def kept_windows(directory: Path) -> Kept | None:
    """The windows in a directory, but for a torn last line; None where there is no whole head yet. `ConfigurationError`, with the
    line, where they are damaged, or contradict themselves or each other: nobody goes on with figures that cannot be true.
    """
    head = head_of(directory)
    if head is None:
        return None
    path, rows = directory / WINDOWS, list[tuple[str, Any]]()
    lines = path.read_bytes().split(b"\n")[1:-1]
    had: dict[str, dict[int, int]] = {"number": {}, "seed": {}}
    for number, line in enumerate(lines, start=2):
        try:
            rows.append(_row(line))
            kind, value = rows[-1]
            if kind == _WINDOW and not head["identity"].get(
                "find_max"
            ):  # a search may offer a window again, which counts once
                _refuse_doubled(value, had, number)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ConfigurationError(f"{path} is damaged in line {number} ({why}); begin a new run") from error
    missing = [number for number in range(len(had["number"])) if number not in had["number"]]
    if missing:
        raise ConfigurationError(f"{path} is damaged: window {missing[0]} is missing; begin a new run")
    untrue = tuple(value for kind, value in rows if kind == _BROKEN_OFF)
    rest = [row for row in rows if row[0] != _BROKEN_OFF]
    return Kept(
        tuple(value for kind, value in rest if kind == _WINDOW),
        # A check that no window follows is that of a session whose first one was torn: it vouches for nothing.
        tuple(value for (kind, value), (after, _) in pairwise(rest) if (kind, after) == (_CHECK, _WINDOW)),
        untrue,
    )


def newer_than(
    kept: Sequence[WindowRecord], recorded: Sequence[WindowRecord], seeds: Collection[int] | None = None
) -> int:
    """How many of the windows that are kept are not among those of a record, be they of these ``seeds``. One that was offered
    again counts once, and one that was cut short when the record was written is another than the whole one of its seed."""
    had = [replace(window, role="") for window in recorded]
    last = {int(window.order["seed"]): replace(window, role="") for window in kept}
    return sum(window not in had for seed, window in last.items() if seeds is None or seed in seeds)


def _row(line: bytes) -> tuple[str, Any]:
    """What a line holds, and its kind."""
    data = read(line.decode("utf-8"), numbers_only=False)
    if isinstance(data, dict) and _CHECK in data:
        if wrong := misshapen_check(data[_CHECK]):
            raise ValueError(wrong[0])
        return _CHECK, calibration_from(data[_CHECK])
    if isinstance(data, dict) and _BROKEN_OFF in data:
        return _BROKEN_OFF, (str(data[_BROKEN_OFF]["where"]), str(data[_BROKEN_OFF]["said"]))
    if wrong := misshapen_window(data):
        raise ValueError(wrong[0])
    window = window_from(data)
    for sentence in wrong_in_window(window):
        raise ValueError(sentence)
    return _WINDOW, window


def _refuse_doubled(window: WindowRecord, had: dict[str, dict[int, int]], line: int) -> None:
    """ValueError where this number or seed was had before: it is the same window, or would be of the same operations."""
    for name, before in had.items():
        value = window.order[name]
        if value in before:
            raise ValueError(f"it has the {name} {value}, as line {before[value]} has")
        before[value] = line


class WindowLog:
    """Appends to, and reads, the windows in one run directory."""

    def __init__(self, directory: Path, identity: Mapping[str, Any], command: str = "", planned: int = 0) -> None:
        """``command`` is what repeats the run, for whoever would go on with it by another one. ``planned``: how many windows were
        asked for; 0 where a search finds that out."""
        self._directory = directory
        self._path = directory / WINDOWS
        self._identity = json.loads(json.dumps(identity))
        self._command = command
        self._planned = self._first_planned = planned
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
            self._append(
                {"schema": SCHEMA, "identity": self._identity, "command": self._command, "planned": self._planned}
            )
            return ()
        self._first_planned = int(head.get("planned", self._planned))
        self._refuse_others(head["identity"])
        kept = kept_windows(self._directory)
        assert kept is not None, "it has a head"
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            os.truncate(self._path, whole)
        self.checks, self._untrue = kept.checks, list(kept.untrue)
        if self._planned and len(kept.windows) > self._planned:
            raise ConfigurationError(
                f"{self._path} holds {len(kept.windows)} windows, and {self._planned} are asked for; "
                "go on with a larger --repeat"
            )
        return kept.windows

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
        """The record, which says what was wrong in windows that are not in it, where windows were not kept while the run went
        on, and where more were asked for later."""
        untold = [f"{where}: {said}" for where, said in self._untrue if said not in result.invalid]
        if untold:
            result = replace(result, invalid=tuple(dict.fromkeys([*result.invalid, *untold])))
        told = []
        if self._planned > self._first_planned:
            told.append(
                f"{self._planned} windows were asked for when the run was gone on with, and {self._first_planned} when it was "
                "begun: whoever has seen the first ones can choose when to stop."
            )
        if self._trouble:
            told.append(f"{self._trouble}; had the run been cut short, its later windows would have been lost.")
        return replace(result, warnings=(*result.warnings, *told)) if told else result

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
