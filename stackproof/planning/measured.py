"""Ceilings in short: those that come with the package, and which of all that are known counts.

python -m stackproof.planning.measured FILE.json RUN...

writes those of runs (their directories) to a file; one without a folder is a file of the package. Only what may be used gets in:
no emulator, nothing invalid, nothing without a certificate (`ceilings.MeasuredCeiling.refused`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from stackproof.interfaces import ConfigurationError
from stackproof.kept_json import read
from stackproof.shape import misshapen
from stackproof.verification.runs import StorageError, keep

from .ceilings import NATIVE, MeasuredCeiling, Unlike, Unreadable, read_ceilings
from .choosing import closest, under_promise
from .origins import EXTERNAL

SCHEMA = "stackproof-measured/1"
FOLDER = "measured"
RECORD = "run.json"
CLOCKS = 86_400.0
"""Seconds that the clocks of two machines, or their zones, may be apart before a date is one in the future."""


@dataclass(frozen=True, slots=True)
class Known:
    """All ceilings that there are to rest on."""

    own: tuple[MeasuredCeiling, ...] = ()
    """Of the user's runs."""
    shipped: tuple[MeasuredCeiling, ...] = ()
    """Of ours, which came with the package."""
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def all(self) -> tuple[MeasuredCeiling, ...]:
        return (*self.own, *self.shipped)

    def as_of(self, now: float) -> Known:
        """What is known at this time, in seconds since 1970: a run of the user that is dated later counts as the oldest."""
        return replace(self, own=tuple(replace(one, future=one.when > now + CLOCKS) for one in self.own))

    def for_promise(self, p99_ms: float | None) -> Known:
        """What says most about this promise, of the user's runs and of ours (`choosing.under_promise`)."""
        return replace(self, own=under_promise(self.own, p99_ms), shipped=under_promise(self.shipped, p99_ms))

    def of_services(self) -> Known:
        """Only what was measured against what is really there: all that says anything about a service billed by request.

        A server of one's own that speaks the protocol of the service is external, too, but not native to it; one that is
        native, and not the service, is told by its engine (`engines.served_right`).
        """
        return Known(tuple(one for one in self.own if one.origin == EXTERNAL and one.fidelity == NATIVE))

    def those(self, fits: Callable[[MeasuredCeiling], bool]) -> Known:
        """Only those that fit."""
        own, ours = (tuple(one for one in runs if fits(one)) for runs in (self.own, self.shipped))
        return replace(self, own=own, shipped=ours)

    def about(
        self, backends: tuple[str, ...], scenario: str, fits: Callable[[MeasuredCeiling], bool] = lambda _: True
    ) -> MeasuredCeiling | None:
        """The ceiling of these backends alone that counts; None where nothing may be used."""
        return self.best(lambda one: one.backends == backends and one.scenario == scenario and fits(one))

    def best(self, fits: Callable[[MeasuredCeiling], bool]) -> MeasuredCeiling | None:
        """Of all that fit, the one that counts (`choosing.closest`): the user's own hardware, then other runs of the user, then
        ours."""
        own, ours = ([one for one in runs if one.valid and fits(one)] for runs in (self.own, self.shipped))
        external = [one for one in own if one.origin == EXTERNAL]
        return closest((external, [one for one in own if one.origin != EXTERNAL], ours))


def shipped() -> tuple[MeasuredCeiling, ...]:
    """Those that come with the package."""
    return _shipped()


@cache
def _shipped() -> tuple[MeasuredCeiling, ...]:
    folder = files(__package__) / FOLDER
    found = [file for file in folder.iterdir() if file.name.endswith(".json")] if folder.is_dir() else []
    named = sorted(found, key=lambda file: file.name)
    return tuple(one for file in named for one in from_json(file.read_text(encoding="utf-8"), file.name))


def known_ceilings(runs: Path, *, with_shipped: bool = True, unlike: Unlike = lambda _: ()) -> Known:
    """What is known: the runs that are kept in a directory, and what comes with the package.

    ``runs`` holds a directory for each run; it need not exist. What cannot be read is named in `Known.unreadable`.
    """
    texts: dict[str, str] = {}
    damaged: list[Unreadable] = []
    for record in sorted(runs.glob(f"*/{RECORD}")):
        if not record.is_file():  # a pipe would be waited for without end
            damaged.append(Unreadable(record.parent.name, f"{record} cannot be read: it is no file"))
            continue
        try:
            texts[record.parent.name] = record.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            damaged.append(Unreadable(record.parent.name, f"{record} cannot be read: {error}"))
    own, unreadable = read_ceilings(texts, unlike)
    return Known(own, shipped() if with_shipped else (), (*damaged, *unreadable))


def to_json(ceilings: Iterable[MeasuredCeiling]) -> str:
    """A file of ceilings; ValueError for one that must not be used."""
    rows = []
    for ceiling in sorted(ceilings, key=lambda one: (one.backends, one.scenario, one.date, one.run)):
        if not ceiling.valid:
            raise ValueError(f"run {ceiling.run} must not be used: {ceiling.refused[0]}")
        row = asdict(ceiling)
        for of_here in ("refused", "unlike", "future"):
            row.pop(of_here)
        if not row["engines"]:
            del row["engines"]  # as in records that are older than it
        rows.append(row)
    return json.dumps({"schema": SCHEMA, "ceilings": rows}, indent=1) + "\n"


def from_json(text: str, file: str) -> tuple[MeasuredCeiling, ...]:
    """The ceilings of a file; ValueError where it is none."""
    data = read(text)
    wrong = misshapen(data, _schema())
    if wrong:
        raise ValueError(f"{file}: {wrong[0]}")
    return tuple(_ceiling(row) for row in data["ceilings"])


def _ceiling(row: Mapping[str, Any]) -> MeasuredCeiling:
    values = dict(row)
    for name in ("backends", "promises", "warnings"):
        values[name] = tuple(values[name])
    values["machine"] = tuple((name, value) for name, value in row["machine"])
    values["engines"] = tuple((target, engine) for target, engine in row.get("engines", ()))
    values["p99_at"] = tuple((float(rate), float(p99)) for rate, p99 in row["p99_at"])
    return MeasuredCeiling(**values)


@cache
def _schema() -> dict[str, Any]:
    text = (files(__package__) / "measured.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def usable(runs: Iterable[Path]) -> tuple[MeasuredCeiling, ...]:
    """The ceilings of these runs; a `ConfigurationError` for a run that cannot be read or must not be used."""
    found = []
    for run in runs:
        try:
            text = (run / RECORD).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{run} holds no {RECORD}: {error.strerror}") from error
        ceilings, unreadable = read_ceilings({run.name: text})
        if unreadable:
            raise ConfigurationError(unreadable[0].reason)
        if not ceilings[0].valid:
            raise ConfigurationError(f"{run} must not be used: {ceilings[0].refused[0]}")
        found.append(in_short(ceilings[0]))
    return tuple(found)


_MACHINE = ("cpu", "cores", "memory", "os", "kernel", "processor", "machine", "platform", "system", "logical_cores")


def in_short(ceiling: MeasuredCeiling) -> MeasuredCeiling:
    """The ceiling with what a reader wants to know of its machine."""
    return replace(ceiling, machine=_short(ceiling.machine))


def _short(machine: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Versions of packages are in the run."""
    short = tuple(pair for pair in machine if any(word in pair[0].lower() for word in _MACHINE))
    return short or machine


def main(arguments: list[str]) -> int:
    """Write a file of ceilings from runs: where it says, or by its name alone into the package."""
    if len(arguments) < 2 or not arguments[0].endswith(".json"):
        sys.stderr.write("usage: python -m stackproof.planning.measured FILE.json RUN...\n")
        return 2
    file = Path(arguments[0])
    if arguments[0] == file.name:
        file = Path(__file__).with_name(FOLDER) / file
    try:
        if not file.parent.is_dir():
            raise ConfigurationError(f"{file} cannot be written: its directory does not exist")
        text = to_json(usable(map(Path, arguments[1:])))
        keep(file, text)
    except (ConfigurationError, StorageError) as error:
        sys.stderr.write(f"stackproof: {error}\n")
        return 2
    sys.stdout.write(f"written: {file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
