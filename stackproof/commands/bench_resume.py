"""`stackproof bench --resume`: that the options are those with which the run was begun.

Asked before anything starts: what does not go together need not be verified first.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stackproof.interfaces import ConfigurationError
from stackproof.kept_json import text_of
from stackproof.measurement.ceiling import JOURNAL, is_finished, settings_in
from stackproof.measurement.record import from_json
from stackproof.measurement.search_journal import SearchSettings
from stackproof.measurement.search_words import a_time
from stackproof.measurement.window_log import WINDOWS, head_of, kept_windows, of_another_build
from stackproof.reports.text import what_happened
from stackproof.verification.runs import RECORD, DamagedRecordError, reopen_run

from .bench import Asked
from .bench_going_on import going_on, is_of_a_pair, newer_windows, resumed, used_in, used_up
from .bench_load import Load

_OPTIONS = {
    "find_max": "--find-max",
    "stack": "--stack",
    "backends": "--backend",
    "scenario": "--scenario",
    "settings": "--set",
    "origin": "--origin",
    "workers": "--workers",
    "sweep": "--sweep",
    "rate": "--rate",
    "seconds": "--duration",
    "warmup": "--warmup",
    "arrivals": "--arrivals",
    "seed": "--seed",
    "in_flight": "--in-flight",
    "limit": "--slo",
}
"""What a run is told by, and each of its windows, and the option that says it."""
_OF_A_SEARCH = {
    "promises": "--slo",
    "window": "--duration",
    "longest": "--duration",
    "most_in_flight": "--in-flight",
    **dict.fromkeys(("growth", "resolution", "probe", "confirming", "recovery", "drain"), "--short"),
}
_WITH_ITS_SCENARIO = ("--rate", "--arrivals", "--seed", "--in-flight")
"""Options that a scenario has its own values for."""

_KINDS = ("--find-max", "--sweep")


def to_go_on_with(asked: Asked, load: Load, settings: SearchSettings | None, levels: Sequence[int]) -> Path | None:
    """The directory of the run that is gone on with, None where a new one begins.

    `ConfigurationError` where there is none to go on with, or where it was begun with other options: it names them.
    """
    if asked.resume is None:
        return None
    directory = reopen_run(asked.resume, kept=WINDOWS)
    head = head_of(directory)
    if head is None:
        return directory  # killed before it had begun
    kept, now = head["identity"], json.loads(json.dumps(load.identity()))
    if kept.get("build") != now["build"]:
        raise of_another_build(directory)
    if is_of_a_pair(head):
        raise ConfigurationError(
            f"{directory} is a side of pairs of windows, which are not gone on with; begin a new run: {head['command']}"
        )
    found = list(dict.fromkeys(_differing(directory, kept, now, settings, levels)))
    if not found and int(head.get("planned", 0)) > load.planned(levels):
        found = [
            "--repeat"
        ]  # more windows of the same may be asked for, which the record says; what is there is not dropped
    if found:
        raise ConfigurationError(
            _refusal(directory, found, str(head.get("command", "")), load.command(), _left_out(asked))
        )
    kept_windows(directory)  # what is damaged is told before anything is verified for it
    if settings is not None:
        _refuse_without_room(directory, settings, load)
    return directory


def _refuse_without_room(directory: Path, settings: SearchSettings, load: Load) -> None:
    """`ConfigurationError` where a search would take no window: its budget is used up, or it has ended and is on record."""
    steps, seconds = used_in(directory)
    if options := used_up(settings, steps, seconds):
        command = going_on(directory, load.command())
        raise ConfigurationError(
            f"the search in {directory} has used {steps} windows and {a_time(seconds)}: to go on, {' and '.join(options)} must "
            f"be larger; {f'type: {command}' if command else 'begin a new run'}"
        )
    record = directory / RECORD
    if record.is_file() and is_finished(directory / JOURNAL):
        try:
            result = from_json(text_of(record))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedRecordError(f"{record} cannot be read: {what_happened(error)}") from error
        if not newer_windows(directory, result):
            raise ConfigurationError(
                f"the search in {directory} has ended, and has nothing more to measure; begin a new run"
            )


def _differing(
    directory: Path,
    kept: Mapping[str, Any],
    now: Mapping[str, Any],
    settings: SearchSettings | None,
    levels: Sequence[int],
) -> Iterator[str]:
    """The options that say something else than when the run was begun."""
    if kept.get("sweep", []) != list(levels):
        yield "--sweep"
    yield from (option for name, option in _OPTIONS.items() if name in now and kept.get(name) != now[name])
    before = kept.get("order", {})
    yield from (option for name, option in _OPTIONS.items() if before.get(name) != now["order"].get(name))
    searched = settings_in(directory / JOURNAL)
    if settings is not None and searched is not None:
        wanted = json.loads(json.dumps(asdict(settings)))
        names = {**_OPTIONS, **_OF_A_SEARCH}
        yield from (names[name] for name in searched if name in names and searched[name] != wanted.get(name))


def _left_out(asked: Asked) -> frozenset[str]:
    """Options that nobody typed, whose values are the scenario's own."""
    typed = (asked.rate, asked.arrivals, asked.seed, asked.in_flight)
    return frozenset(option for option, value in zip(_WITH_ITS_SCENARIO, typed, strict=True) if value is None)


def _refusal(directory: Path, found: Sequence[str], before: str, now: str, left_out: frozenset[str]) -> str:
    if not before:  # a run that did not keep its command
        return (
            f"{directory} was begun with another {' and another '.join(found)}; repeat its command, or begin a new run"
        )
    kept, typed = _values(before), _values(now)
    told = [option for option in found if kept.get(option) != typed.get(option)]
    if {"--scenario", "--set"} & {*told}:
        told = [option for option in told if option not in left_out]
    if any((option in kept) != (option in typed) for option in _KINDS if option in told):
        # Of another kind: that the one has options which the other has not goes without saying.
        told = [option for option in told if option in _KINDS or (option in kept and option in typed)]
    if not told:
        return f"{directory} was not begun by this command, although its options are the same; begin a new run"
    differences = ", ".join(_difference(option, kept.get(option), typed.get(option)) for option in told)
    again = resumed(before, directory)
    return f"{directory} was begun with {differences}; go on with it as it was begun: {again}"


def _difference(option: str, kept: str | None, now: str | None) -> str:
    if kept is None:
        return f"no {option} (now {now or 'given'})"
    return f"{option} {kept}".rstrip() + f" (now {'none' if now is None else now})"


def _values(command: str) -> dict[str, str]:
    """Each option of a command with what follows it, empty where nothing does: the command is one of `Load.command`."""
    found: dict[str, list[str]] = {}
    option = ""
    for word in shlex.split(command):
        if word.startswith("--"):
            option = word
            found.setdefault(option, [])
        elif option:
            found[option].append(word)
    return {option: ", ".join(values) for option, values in found.items()}
