"""`stackproof matrix`: what a CI matrix has to verify, from what changed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackproof.interfaces import ConfigurationError

from .options import json_option, print_table, write_result

if TYPE_CHECKING:
    from stackproof.adapters.registry import BackendEntry
    from stackproof.verification.matrix import Job, Places


def _an_environment(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    """An empty text comes from a variable that is not set, and tox has no such environment."""
    if name == "":
        raise ConfigurationError("--tox is empty; give the name of an environment")
    return name


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--changed", multiple=True, metavar="FILE", help="A file that changed. May be repeated.")
@click.option(
    "--changed-since",
    "--since",
    "since",
    metavar="REVISION",
    help="The files that changed since a revision of git, instead of naming them.",
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="CONCERN=SPEC",
    help="Only this backend: a known name or package.module:factory. May be repeated.",
)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    type=click.Choice(["embedded", "container", "external"]),
    help="Only servers of this origin; external ones are left out unless asked for. May be repeated.",
)
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="SERVER=IMAGE",
    help="Verify on this image of a container instead of the usual one. May be repeated, for several versions.",
)
@click.option("--github", is_flag=True, help="Print outputs for GitHub Actions: matrix={...} and jobs=N.")
@click.option(
    "--tox",
    callback=_an_environment,
    metavar="ENV",
    help="Print a line a job: the command that runs it in this tox environment.",
)
@json_option
def matrix(
    files: tuple[str, ...],
    changed: tuple[str, ...],
    since: str | None,
    backends: tuple[str, ...],
    origins: tuple[str, ...],
    images: tuple[str, ...],
    github: bool,
    tox: str | None,
    json_file: str | None,
) -> None:
    """List what has to be verified: backend, origin and server. FILEs are the paths that changed; none: everything.

    In a third party's project these are the backends that it offers, and elsewhere the built-in ones. Nothing has to be
    verified where only documents changed: the list is empty then. Its JSON form is what the matrix of a CI takes: the field
    `include` has one object a job.
    """
    from stackproof.verification.matrix import Places
    from stackproof.verification.matrix import matrix as planned

    if github + (tox is not None) + (json_file == "-") > 1:
        raise ConfigurationError("only one of --github, --tox and --json - can have standard output")
    named = [*files, *changed]
    if named and since is not None:
        raise ConfigurationError("--changed-since and files exclude each other")
    given = [_relative(name) for name in named if name.strip()]
    paths = _changed_since(since) if since is not None else given or None
    places = Places(origins, _images(images))
    entries = _named(backends, places) if backends else _offered_here()
    jobs = planned(paths, entries, places)
    if json_file is not None:
        data = {"schema": "stackproof-matrix/1", "include": [asdict(job) for job in jobs]}
        write_result(json_file, json.dumps(data, indent=2) + "\n")
    if json_file is None or github or tox is not None:
        _print(jobs, github=github, tox=tox)
    if not jobs:
        click.echo(f"Nothing to verify: {_why_nothing(paths, places, built_in=entries is None)}.", err=True)


def _print(jobs: Sequence[Job], *, github: bool, tox: str | None) -> None:
    if github:
        # On one line and in ASCII: no name of a file can begin another output.
        click.echo(f"matrix={json.dumps({'include': [asdict(job) for job in jobs]})}")
        click.echo(f"jobs={len(jobs)}")
    elif tox is not None:
        for job in jobs:
            click.echo(job.tox(tox))
    elif jobs:
        from stackproof.reports.text import one_line

        print_table(
            ("backend", "origin", "server", "version", "because of"),
            [(job.backend, job.origin, job.server or "none", job.version or "-", one_line(job.why)) for job in jobs],
        )


def _why_nothing(paths: Sequence[str] | None, places: Places, *, built_in: bool) -> str:
    """Why there is no job; ``built_in``: whether no backend was named, and none is offered here."""
    from stackproof.verification.imports import is_here

    if paths is None:
        return f"no backend has a server of origin {' or '.join(places.origins)} that stackproof can start"
    if not paths:
        return "no file changed"
    what, nothing = (
        ("the file has", "nothing") if len(paths) == 1 else (f"none of the {len(paths)} files has", "anything")
    )
    if not built_in or is_here("stackproof", Path.cwd()):
        return f"{what} {nothing} to do with a backend"
    return (
        f"{what} {nothing} to do with a built-in backend, and this directory offers none of its own: nothing that is installed "
        "from it has an entry point of stackproof.adapters. Name yours: stackproof matrix --backend cache=my_cache:make FILE"
    )


def _offered_here() -> list[BackendEntry] | None:
    """The third-party backends whose source is in the current directory; None where there are none."""
    from stackproof.adapters.registry import third_party
    from stackproof.verification.imports import is_here

    here = Path.cwd()
    return [
        entry for entry in third_party() if is_here(entry.adapter.partition(":")[0].partition(".")[0], here)
    ] or None


def _named(backends: Sequence[str], places: Places) -> list[BackendEntry]:
    """The backends that were asked for; a `ConfigurationError` for one that can be verified nowhere."""
    from stackproof.adapters.registry import BackendEntry
    from stackproof.targets import parse_targets
    from stackproof.verification.imports import closure

    entries = []
    for target in parse_targets(None, backends):
        entry = target.entry or BackendEntry(target.concern, target.spec, target.spec)
        module = entry.adapter.partition(":")[0]
        if not closure(module):
            raise ConfigurationError(f"--backend {target.name}: the source of {module} is not to be found here")
        if not list(places.of(entry)):
            raise ConfigurationError(
                f"--backend {target.name} has no server of origin {' or '.join(places.origins)} that stackproof can start"
            )
        entries.append(entry)
    return entries


def _images(given: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in given:
        server, equals, image = text.partition("=")
        if not equals:
            raise ConfigurationError(f"--image {text!r} must look like SERVER=IMAGE, for example postgres=postgres:16")
        if image.strip() not in found.setdefault(server.strip().lower(), []):
            found[server.strip().lower()].append(image.strip())
    return found


def _relative(name: str) -> str:
    """A path from here, also of one that was given in full; else it would look like a file that nothing depends on."""
    path = Path(os.path.normpath(name))
    if not path.is_absolute():
        path = Path.cwd() / path
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError as error:
        raise ConfigurationError(
            f"{name} is not in this directory: give paths from the root of the repository"
        ) from error


def _changed_since(revision: str) -> list[str]:
    """What differs from a revision, and what git does not know yet; under both names where something was renamed."""
    if not revision or revision.startswith("-"):
        raise ConfigurationError(f"--changed-since {revision!r}: that is no revision")
    differing = _git(revision, "diff", "--name-only", "--no-renames", "-z", revision, "--")
    return differing + _git(revision, "ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ":/")


def _git(revision: str, *arguments: str) -> list[str]:
    """The names that git prints, which may hold anything but NUL."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            ["git", *arguments],  # noqa: S607 - the user's git
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"--changed-since needs git, which cannot be run: {error}") from error
    if done.returncode != 0:
        first = (done.stderr.strip() or "git failed").splitlines()[0].removeprefix("fatal: ")
        if "bad revision" in first:
            first = "git knows no such revision"
        raise ConfigurationError(f"--changed-since {revision!r}: {first}")
    return [name for name in done.stdout.split("\0") if name]
