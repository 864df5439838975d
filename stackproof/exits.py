"""The exit codes of every command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a command's end means to the shell, and to a CI matrix."""

    HOLDS = 0
    BROKEN = 1
    """A clause failed, or a regression was found."""
    USAGE = 2
    """Wrong usage or configuration: repeating will not help."""
    INCONCLUSIVE = 3
    """Inconclusive or partial."""
    ENVIRONMENT = 4
    """The environment could not be started: a server, a disk, a wheel."""
    INTERRUPTED = 130
    """Ctrl-C or SIGTERM: what was done is kept, and flagged partial."""
