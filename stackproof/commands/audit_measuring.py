"""What an audit measures: the searches that its claims ask for, from the servers that can be had, within its time."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from stackproof.interfaces import ConfigurationError, StackproofError
from stackproof.measurement.search_words import a_time
from stackproof.planning.wanted import Need
from stackproof.reports.text import told
from stackproof.servers import ServerError
from stackproof.servers.sets import EMBEDDED, servers_for
from stackproof.targets import parse_target

from .audit import Asked

if TYPE_CHECKING:
    from .series import Outlook, Wanted

EMULATOR = "emulator"
_AROUND = 10.0
"""Seconds of an audit beside its measuring."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of measuring."""

    not_measured: tuple[tuple[Need, str], ...]
    interrupted: bool = False
    trouble: Exception | None = None
    """Why servers could not be started, or why it ended before its time."""
    not_kept: tuple[str, ...] = ()
    """Where the certificates are that found no place in their runs."""


def measure_needs(wanted: Sequence[Need], asked: Asked, seconds: float, console: Console) -> Measured:
    """Measure what can be had here; everything else, and what did not fit, comes back with its reason.

    A server that does not start costs what needs it; Ctrl-C ends the measuring and not the audit: what was measured is kept.
    """
    beyond = tuple((need, need.unreachable) for need in wanted if need.unreachable)
    reachable = [need for need in wanted if not need.unreachable]
    without = partial(_without, reachable, beyond)
    if not asked.measured:
        return without("--no-measure was given")
    if not reachable:
        return Measured(beyond)
    # What a load is made with comes with the extra `bench`, and judging needs none of it.
    from .series import as_far_as_it_goes, outlook

    known = [(_wanted(need), need) for need in reachable]
    searches = [one for one, _ in known]
    try:
        ahead = outlook(searches, origin=asked.origin, seconds=seconds)
        console.print(_what_to_expect(len(searches), ahead, asked.minutes), markup=False, highlight=False)
        series = as_far_as_it_goes(searches, origin=asked.origin, seconds=seconds, runs=asked.runs, console=console)
    except KeyboardInterrupt:
        return without("it was interrupted", interrupted=True)
    except StackproofError as error:  # before anything was measured: what a claim asks for cannot be searched
        return without(f"nothing was measured: {told(error)}", trouble=error)
    missing = tuple(
        (need, reason) for one, reason in series.not_measured for wanted_one, need in known if wanted_one == one
    )
    # What has to be installed or set here first leaves claims without a verdict, and is no trouble of those that have one.
    told_apart = isinstance(series.trouble, ConfigurationError) and not series.ended
    trouble = None if told_apart else series.trouble
    return Measured((*missing, *beyond), series.interrupted, trouble, series.not_kept)


def _what_to_expect(missing: int, ahead: Outlook, minutes: float) -> str:
    """How far the time reaches, before any of it is spent."""
    searches = "1 search is" if missing == 1 else f"{missing} searches are"
    time = f"{minutes:g} min"
    if not ahead.fit:
        enough = math.ceil((ahead.first + _AROUND) / 60)
        return (
            f"Nothing can be measured in {time}: {searches} missing, and the shortest takes {a_time(ahead.first)} at least. "
            f"Give --minutes {enough} or more; what is kept already is judged now."
        )
    reach = "time for all" if ahead.fit == missing else f"time for about {ahead.fit}, the most deciding first"
    return f"{searches} missing, and {time} are {reach}."


def _without(
    reachable: Sequence[Need],
    beyond: tuple[tuple[Need, str], ...],
    reason: str,
    *,
    interrupted: bool = False,
    trouble: Exception | None = None,
) -> Measured:
    return Measured((*((need, reason) for need in reachable), *beyond), interrupted, trouble)


def _wanted(need: Need) -> Wanted:
    from .series import Wanted

    return Wanted(need.backends, need.scenario, dict(need.settings), need.promises)


def why_not(name: str, origin: str, environ: Mapping[str, str] = os.environ) -> str:
    """Why a target cannot be measured from this origin; empty where it can, as far as that is known before it is tried."""
    target = parse_target(name)
    try:
        servers_for(target.servers, origin, environ)
    except ServerError as error:
        return f"{name}: {error}"
    emulated = [server for server in target.servers if _fidelity(server, origin) == EMULATOR]
    if emulated:
        return f"{name}: there is only an emulator of {emulated[0]} here, whose speed is no evidence; use --origin external"
    return ""


def _fidelity(server: str, origin: str) -> str:
    """Of the server that would be started; empty where it is the user's own, who knows what it is."""
    from stackproof.servers.containers.kinds import CONTAINERS

    if origin == "external":
        return ""
    kind = CONTAINERS.get(server) if origin == "container" else None
    return str(getattr(kind or EMBEDDED[server], "fidelity", ""))
