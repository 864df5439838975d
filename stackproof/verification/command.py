"""The command that repeats a verification, from what a certificate tells of it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable


def command(
    targets: Iterable[str],
    *,
    stack: str,
    origin: str,
    profile: str,
    clauses: Iterable[str],
    seed: int,
    quoted: bool = True,
) -> str:
    """The words of the command line; without ``quoted``, names of targets stand as they are, to be filled in."""
    words = ["stackproof", "verify"]
    if stack:
        words += ["--stack", stack]
    else:
        words += [word for name in targets for word in ("--backend", shlex.quote(name) if quoted else name)]
    if origin != "embedded":
        words += ["--origin", origin]
    if profile != "core":
        words += ["--profile", profile]
    for wanted in clauses:
        words += ["--clause", wanted]
    return " ".join([*words, "--seed", str(seed)])
