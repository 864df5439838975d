"""Runs the search for the ceiling: offers what the planner asks for, judges what comes back, and keeps the journal on disk.

Each entry is on disk before the next window begins, so that a search which was killed goes on where it was. The journal is a file
of JSON lines: a head that says what is searched, then one entry a line.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from stackproof.interfaces import ConfigurationError
from stackproof.kept_json import read
from stackproof.scenarios.orders import NULL, Offered, Order
from stackproof.scenarios.session import GeneratorError

from .promises import Promise, tightest_seconds
from .saturation import conclude, next_step
from .search_journal import Entry, Role, Search, SearchSettings, Step
from .search_judgement import judge, look
from .search_start import calibrate
from .search_steps import base_service, promises_of

SCHEMA = "stackproof-search/1"
JOURNAL = "journal.jsonl"
BUDGET = ("most_steps", "most_seconds")
"""Settings that may change from one part of a search to the next: they say when it stops, not what it finds."""

Offer = Callable[[Order], Offered]
Observer = Callable[[tuple[Entry, ...], Step | None], None]
"""Is told the journal and the step that begins now, None at the end."""
Keep = Callable[[Step, Offered], None]
"""Keeps all of a window, before the journal says that there is one."""
KeepUntrue = Callable[[Mapping[str, Any]], None]
"""Keeps what the checks of a window say that was cut short, and that no journal knows of."""


def find_ceiling(
    offer: Offer,
    settings: SearchSettings,
    path: Path,
    identity: Mapping[str, Any],
    observe: Observer = lambda _journal, _step: None,
    *,
    keep: Keep = lambda _step, _offered: None,
    keep_untrue: KeepUntrue = lambda _checks: None,
    known: Sequence[Entry] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Search:
    """Search for the highest rate that holds, with the journal in ``path``; go on from it where it exists.

    ``identity`` names what is searched (scenario, backends, build): a journal of another identity or of other settings is
    refused with `ConfigurationError`. ``known`` is what a new journal begins with: the generator's own ceiling
    (`find_generator_ceiling`), where it was measured before. Ctrl-C, or a generator that is gone, ends the search; what was
    measured is kept. `GeneratorError` where the backends cannot be used at all.
    """
    interrupted, trouble = False, ""
    with _locked(path) as kept:
        journal, notes = load_journal(path, settings, identity)
        if not path.stat().st_size:
            _append(kept, json.dumps(_head(settings, identity), ensure_ascii=False))
            for entry in known:
                _append(kept, entry.to_json())
            journal = tuple(known)
        try:
            while (step := next_step(journal, settings)) is not None:
                observe(journal, step)
                began = clock()
                offered = offer(order_of(step, settings))
                if offered.interrupted or not offered.complete:
                    # A part of a window decides no rate; whoever resumes the search offers it again.
                    keep_untrue(offered.checks)
                    interrupted, trouble = offered.interrupted, offered.trouble or "the window was cut short"
                    break
                keep(step, offered)
                entry = judged_entry(step, offered, journal, settings, clock() - began)
                _append(kept, entry.to_json())
                journal = (*journal, entry)
        except KeyboardInterrupt:
            interrupted = True
        except GeneratorError as error:
            if not any(entry.step.target != NULL for entry in journal):
                raise
            trouble = str(error)
    observe(journal, None)
    return Search(conclude(journal, settings), journal, interrupted, "" if interrupted else trouble, notes)


def find_generator_ceiling(
    offer: Offer, settings: SearchSettings, observe: Observer = lambda _journal, _step: None, *, keep: Keep
) -> tuple[Entry, ...]:
    """The first part of a search by itself: how fast the generator is with a step that does nothing. It is the same for all
    searches of a session, as long as their seed, places in flight and lengths of null windows are; so its time is nobody's
    (``took`` is 0).

    `KeyboardInterrupt` where somebody cut it short; `GeneratorError` where the generator did.
    """
    journal: tuple[Entry, ...] = ()
    while isinstance(step := calibrate(journal, settings), Step):
        observe(journal, step)
        offered = offer(order_of(step, settings))
        if offered.interrupted:
            raise KeyboardInterrupt
        if not offered.complete:
            raise GeneratorError(
                f"the generator's own ceiling was not measured: {offered.trouble or 'it was cut short'}"
            )
        keep(step, offered)
        journal = (*journal, judged_entry(step, offered, journal, settings, 0.0))
    observe(journal, None)
    return journal


def order_of(step: Step, settings: SearchSettings) -> Order:
    """What the generator is asked for. Every window has arrivals and keys of its own: none repeats what a cache has seen."""
    return Order(
        rate=step.rate,
        seconds=step.seconds,
        warmup=step.warmup,
        arrivals=settings.arrivals,
        seed=seed_of(step.number, settings),
        in_flight=step.in_flight,
        # What comes after the tightest promise came, but late, as in every other window.
        limit=tightest_seconds(settings.promises),
        target=step.target,
        drain=settings.drain,
    )


def seed_of(number: int, settings: SearchSettings) -> int:
    """Of the arrivals and keys of a step."""
    return settings.seed + number


def judged_entry(
    step: Step, offered: Offered, journal: tuple[Entry, ...], settings: SearchSettings, took: float
) -> Entry:
    """The line of the journal for what came back."""
    promises: tuple[Promise, ...] = ()
    if step.role is not Role.CALIBRATION and step.role is not Role.PROBE:
        promises = promises_of(journal, settings)
    seen = look(offered, promises)
    judgement = judge(step, seen, settings, base_service(journal), promises)
    return Entry(step, seen, judgement.verdict, str(judgement.cause), judgement.reasons, round(took, 3))


# -- the journal on disk --------------------------------------------------------------------------------------------


def load_journal(
    path: Path, settings: SearchSettings, identity: Mapping[str, Any]
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The entries of a kept journal, and notes about it. A torn last line is cut off from the file.

    `ConfigurationError` where it is a journal of something else, or damaged anywhere but at its end.
    """
    lines, torn = _whole_lines(path)
    notes = (f"the last line of {path.name} was torn and is dropped: its window is offered again",) if torn else ()
    if not lines:
        _truncate(path, 0)
        return (), notes
    _check_head(path, lines[0], settings, identity)
    journal: list[Entry] = []
    for number, entry in enumerate(_entries(path, lines), start=2):
        expected = next_step(journal, _budget_of(settings, journal))
        if expected != entry.step:
            raise ConfigurationError(
                f"{path} does not go on from line {number - 1} as this build would; begin a new search"
            )
        journal.append(entry)
    if torn:
        _truncate(path, sum(len(line.encode()) + 1 for line in lines))
    return tuple(journal), notes


def _entries(path: Path, lines: Sequence[str]) -> Iterator[Entry]:
    """The entries in the lines of a journal, after its head."""
    for number, line in enumerate(lines[1:], start=2):
        try:
            yield Entry.from_data(read(line))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"{path} is damaged in line {number} ({error}); begin a new search") from error


def entries_in(path: Path) -> tuple[Entry, ...]:
    """The whole entries of a kept journal, whatever it is of; none where there is no journal. `ConfigurationError` where it is
    damaged."""
    return tuple(_entries(path, _whole_lines(path)[0])) if path.exists() else ()


def settings_in(path: Path) -> Mapping[str, Any] | None:
    """The settings with which a kept journal was begun, but for its budget; None where there is none, or no whole head of one."""
    if not path.exists():
        return None
    lines, _ = _whole_lines(path)
    try:
        head = read(lines[0]) if lines else None
    except ValueError:
        return None  # `load_journal` says what is wrong with it
    settings = head.get("settings") if isinstance(head, dict) else None
    return settings if isinstance(settings, dict) else None


def is_finished(path: Path) -> bool:
    """Whether nothing is left to offer in a kept search, however large its budget is. `ConfigurationError` where its journal is
    damaged."""
    data = settings_in(path)
    if data is None:
        return False
    try:
        promises = tuple(Promise(**row) for row in data["promises"])
        settings = SearchSettings(**{**data, "promises": promises})
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is damaged in line 1 ({error}); begin a new search") from error
    journal = entries_in(path)
    return next_step(journal, _budget_of(settings, journal)) is None


def _budget_of(settings: SearchSettings, journal: Sequence[Entry]) -> SearchSettings:
    """A kept step was planned within the budget of its time, whatever the budget is now."""
    return replace(settings, most_steps=len(journal) + 1, most_seconds=float("inf"))


def _whole_lines(path: Path) -> tuple[list[str], bool]:
    """The lines that were written to their end, and whether there is a torn one behind them."""
    data = path.read_bytes()
    whole, newline, rest = data.rpartition(b"\n")
    text = whole.decode("utf-8", errors="replace") if newline else ""
    return (text.split("\n") if newline else []), bool(rest)


def _truncate(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)
        os.fsync(file.fileno())


def _head(settings: SearchSettings, identity: Mapping[str, Any]) -> dict[str, Any]:
    data = {name: value for name, value in asdict(settings).items() if name not in BUDGET}
    return {"schema": SCHEMA, "identity": dict(identity), "settings": data}


def _check_head(path: Path, line: str, settings: SearchSettings, identity: Mapping[str, Any]) -> None:
    try:
        head = read(line)
    except ValueError as error:
        raise ConfigurationError(f"{path} is no journal of a search: {error}") from error
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        raise ConfigurationError(f"{path} is no journal of a search of schema {SCHEMA}")
    expected = json.loads(json.dumps(_head(settings, identity)))
    for part in ("identity", "settings"):
        kept, wanted = head.get(part, {}), expected[part]
        other = sorted(name for name in {*kept, *wanted} if kept.get(name) != wanted.get(name))
        if other:
            raise ConfigurationError(
                f"{path} is the journal of another search: it differs in {', '.join(other)}; "
                "repeat its command, or begin a new search"
            )


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    """The journal, open at its end, for us alone. The lock ends with the process, however that ends."""
    with path.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(f"another search is writing {path}") from error
        yield file


def _append(file: IO[str], line: str) -> None:
    """On disk when it returns: whoever is killed later finds it there."""
    file.write(f"{line}\n")
    file.flush()
    os.fsync(file.fileno())
