"""The exit codes of every command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a command's end means to the shell, and to a CI matrix."""

    HOLDS = 0
    """Everything that was asked for holds."""
    BROKEN = 1
    """A clause failed, a promise was missed, operations failed under load, or a regression was found."""
    USAGE = 2
    """Wrong usage or configuration: repeating will not help."""
    INCONCLUSIVE = 3
    """Inconclusive or partial; of two runs it cannot be told."""
    ENVIRONMENT = 4
    """The environment could not be started: a server, a disk, a wheel."""
    INVALID = 5
    """A record that must not be used: corrupt, foreign, or of a run that was invalid."""
    NO_DATA = 6
    """Nothing was measured: no record, or no window of load in it."""
    OTHER = 7
    """Two runs of different workloads, machines or servers: they are not comparable."""
    INTERRUPTED = 130
    """Ctrl-C or SIGTERM: what was done is kept, and flagged partial."""
