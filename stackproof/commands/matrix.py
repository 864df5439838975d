"""`stackproof matrix`: what a CI matrix has to verify, from what changed."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict

import click

from stackproof.interfaces import ConfigurationError

from .options import json_option, print_table, write_result


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "--since", metavar="REVISION", help="The files that changed since a revision of git, instead of naming them."
)
@json_option
def matrix(files: tuple[str, ...], since: str | None, json_file: str | None) -> None:
    """List what has to be verified: backend, origin and server. FILEs are the paths that changed; none: everything.

    The JSON form is what the matrix of a CI takes: its field `include` has one object a job.
    """
    from stackproof.verification.matrix import matrix as planned

    if files and since:
        raise ConfigurationError("--since and files exclude each other")
    changed = _changed_since(since) if since else list(files) or None
    jobs = planned(changed)
    if json_file is not None:
        data = {"schema": "stackproof-matrix/1", "include": [asdict(job) for job in jobs]}
        write_result(json_file, json.dumps(data, indent=2) + "\n")
        return
    print_table(
        ("backend", "origin", "server", "version", "because of"),
        [(job.backend, job.origin, job.server or "none", job.version or "-", job.why) for job in jobs],
    )


def _changed_since(revision: str) -> list[str]:
    if revision.startswith("-"):
        raise ConfigurationError(f"--since={revision!r} is no revision")
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            ["git", "diff", "--name-only", revision, "--"],  # noqa: S607 - the user's git
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"--since needs git, which cannot be run: {error}") from error
    if done.returncode != 0:
        first = (done.stderr.strip() or "git failed").splitlines()[0]
        raise ConfigurationError(f"--since={revision!r}: {first}")
    return done.stdout.splitlines()
