"""Which operating system account a server runs as, and what that account can reach."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .server import ServerError

UNPRIVILEGED = ("nobody", "daemon", "postgres", "www-data")
"""Accounts that a Unix system usually has, in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account that is not the one we run as."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """Return the account for the servers: None (our own) for an ordinary user, an unprivileged one for root.

    PostgreSQL refuses to run as root. The account has to be an existing one, since initdb looks its name up.
    """
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise ServerError(f"PostgreSQL refuses to run as root, and this system has none of {', '.join(UNPRIVILEGED)}.")


def can_use(paths: Iterable[Path], account: Account | None) -> bool:
    """Tell whether the account can read each file and walk to it; programs it can also execute."""
    return all(_can_use(path.resolve(), account) for path in paths)


def can_enter(folder: Path, account: Account | None) -> bool:
    """Tell whether the account can walk into a folder."""
    resolved = folder.resolve()
    return all(_allows(each, account, "x") for each in [resolved, *resolved.parents])


def _can_use(path: Path, account: Account | None) -> bool:
    wanted = "rx" if path.stat().st_mode & stat.S_IXUSR else "r"
    return can_enter(path.parent, account) and all(_allows(path, account, right) for right in wanted)


def _allows(path: Path, account: Account | None, right: str) -> bool:
    """Tell from the mode bits whether a right is given; the kernel looks at the first class that fits, so do we."""
    if account is None:
        return os.access(path, os.X_OK if right == "x" else os.R_OK)
    status = path.stat()
    bit = 1 if right == "x" else 4
    if status.st_uid == account.uid:
        return bool(status.st_mode & (bit << 6))
    if status.st_gid == account.gid:
        return bool(status.st_mode & (bit << 3))
    return bool(status.st_mode & bit)
