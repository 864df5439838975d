"""Which verifications a change asks for: backend x origin x version of the server, from the files that changed.

What a file has to do with a backend follows from the imports in the source, which are read and not run: no driver is needed.
A file that nobody's imports explain, or that says what is installed, asks for everything.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import PurePosixPath

from stackproof.adapters.registry import BUILT_IN, CONCERNS, BackendEntry
from stackproof.interfaces import ConfigurationError
from stackproof.servers.containers.kinds import CONTAINERS
from stackproof.servers.containers.options import IMAGE
from stackproof.servers.sets import EMBEDDED

from .imports import closure, module_of, modules

EVERYTHING = ("pyproject.toml", "constraints.txt", "tox.ini", ".ci/run")
"""Files outside the package that say what is installed or run."""
OUTSIDE = (
    "docs/",
    "tests/",
    "examples/",
    "stackproof/scenarios/",
    "stackproof/planning/",
    "stackproof/reports/",
    "stackproof/commands/",
)
"""What no verdict depends on."""
PROSE = (".md", ".rst", ".adoc")
BESIDE = ("docs/", "doc/", "tests/", "test/", "LICENSE", "NOTICE", ".gitignore")
"""In a third party's project: what `stackproof verify` does not read. Its own tests are run by its own `pytest`."""


@dataclass(frozen=True, slots=True)
class Job:
    """One verification of a CI matrix."""

    backend: str
    """As `--backend` takes it."""
    origin: str
    """embedded (also for what needs no server), container, or external where that was asked for."""
    server: str
    """Empty for none."""
    version: str
    """The image of a container; of an embedded server, "wheel"; empty for none, and for a server that is the user's."""
    setting: str
    """NAME=value, the variable that chooses an image other than the usual one; empty where none is needed."""
    slug: str
    """A name that no other job has, of letters, digits, ``.``, ``_`` and ``-``: for files and artifacts."""
    why: str
    """The file that asks for it, or "everything". A name that others chose: never a part of a command."""
    command: str

    def tox(self, environment: str) -> str:
        """What runs this job in an environment of tox whose command is ``stackproof verify {posargs}``."""
        run = ["tox", "run", "-e", environment, "--", "--backend", self.backend, "--origin", self.origin]
        return shlex.join(["env", self.setting, *run] if self.setting else run)


@dataclass(frozen=True, slots=True)
class Places:
    """Where to verify: the origins that are wanted (none: those that need nothing of the user), and other images."""

    origins: Sequence[str] = ()
    images: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Name of an image (postgres) -> the images to verify on, instead of the usual one."""

    def __post_init__(self) -> None:
        known = sorted({kind.image_name for kind in CONTAINERS.values()})
        for name, images in self.images.items():
            if name not in known:
                raise ConfigurationError(f"--image {name}=...: there is no such server; known are {', '.join(known)}")
            for image in images:
                if not re.fullmatch(r"[A-Za-z0-9][\w.:/@-]*", image):
                    raise ConfigurationError(f"--image {name}={image!r} is no name of an image")

    def of(self, entry: BackendEntry) -> Iterator[tuple[str, str, str]]:
        """Origin, version and setting of each place where a backend can be verified."""
        for origin, version, setting in self._all(entry):
            if origin in self.origins or (not self.origins and origin != "external"):
                yield origin, version, setting

    def _all(self, entry: BackendEntry) -> Iterator[tuple[str, str, str]]:
        if not entry.server:
            # What needs no server of ours is the same everywhere; of a third party's server only its user knows.
            yield (self.origins[0] if self.origins else "embedded"), "", ""
            return
        if all(server in EMBEDDED for server in (entry.server, *entry.also)):
            yield "embedded", "wheel", ""
        kind = CONTAINERS.get(entry.server)
        if kind is not None:
            usual = kind.official_image or kind.our_image()
            for image in self.images.get(kind.image_name) or (usual,):
                yield "container", image, "" if image == usual else f"{IMAGE}{kind.image_name.upper()}={image}"
        yield "external", "", ""


def matrix(
    changed: Iterable[str] | None, entries: Iterable[BackendEntry] | None = None, places: Places | None = None
) -> list[Job]:
    """The jobs that these files (paths from the root of the repository) ask for; None: all of them.

    ``entries`` are the backends to choose from, by default all built-in ones that are no references. One that can be verified at
    none of the ``places`` has no job.
    """
    files = None if changed is None else [PurePosixPath(path).as_posix() for path in changed if path.strip()]
    chosen = [entry for entry in BUILT_IN if not entry.reference] if entries is None else list(entries)
    where = places or Places()
    jobs: list[Job] = []
    for entry in chosen:
        why = "everything" if files is None else _why(entry, files, chosen)
        if why is not None:
            jobs += [_job(entry, *place, why) for place in where.of(entry)]
    return list(_told_apart(jobs))


def _why(entry: BackendEntry, files: Iterable[str], chosen: Sequence[BackendEntry]) -> str | None:
    """The first file that has to do with a backend."""
    built_in = _module(entry).startswith("stackproof.")
    concerns = _concerns if built_in else _concerns_third_party
    return next((path for path in files if concerns(entry, path, chosen)), None)


def _module(entry: BackendEntry) -> str:
    return entry.adapter.partition(":")[0]


# What a file of stackproof's own repository has to do with a built-in backend


def _concerns(entry: BackendEntry, path: str, _chosen: Sequence[BackendEntry]) -> bool:
    if path in EVERYTHING:
        return True
    if path.startswith("images/"):
        return bool({"java", "build", "docker", *_images(entry)} & set(PurePosixPath(path).parts[1:2]))
    if path.startswith(OUTSIDE) or not path.startswith("stackproof/"):
        return False
    module = module_of(path)
    if module not in modules("stackproof"):  # data of the package, or a module that is gone
        return True
    if module in closure(_module(entry)) or module in _own_server(entry):
        return True
    owners = _contracts_that_reach(module)
    if owners or module.startswith("stackproof.contracts."):
        return entry.concern in owners or len(owners) != 1  # what several contracts share is nobody's own
    return not any(module in closure(_module(other)) | _own_server(other) for other in BUILT_IN)


@cache
def _contracts_that_reach(module: str) -> frozenset[str]:
    """The concerns whose contract, or whose mutants, come to import a module of the contracts."""
    if not module.startswith("stackproof.contracts."):
        return frozenset()
    roots = ("stackproof.contracts", "stackproof.contracts.mutants")
    return frozenset(concern for concern in CONCERNS for root in roots if module in closure(f"{root}.{concern}"))


def _own_server(entry: BackendEntry) -> set[str]:
    """The modules that start its server."""
    kinds = [kind for kind in (CONTAINERS.get(entry.server), EMBEDDED.get(entry.server)) if kind is not None]
    return {module for kind in kinds for module in closure(getattr(kind, "__module__", ""))}


def _images(entry: BackendEntry) -> set[str]:
    return {CONTAINERS[server].image_name for server in (entry.server, *entry.also) if server in CONTAINERS}


# What a file of a third party's project has to do with its backend


def _concerns_third_party(entry: BackendEntry, path: str, chosen: Sequence[BackendEntry]) -> bool:
    own = closure(_module(entry))
    of_all = {module for other in chosen for module in closure(_module(other))}
    module = next((name for name in _names(path) if name in of_all), None)
    if module is not None:
        return module in own
    # A file that no import explains: of the package (its data, or a module that is gone), or what says how it is built.
    in_package = {module.partition(".")[0] for module in own} & set(PurePosixPath(path).parts)
    return bool(in_package) or not (path.startswith(BESIDE) or path.endswith(PROSE))


def _names(path: str) -> Iterator[str]:
    """The names that a file can have as a module, wherever the packages of its project lie: the longest first."""
    if path.endswith(".py"):
        parts = PurePosixPath(path).parts
        for first in range(len(parts)):
            yield module_of("/".join(parts[first:]))


# Jobs


def _job(entry: BackendEntry, origin: str, version: str, setting: str, why: str) -> Job:
    backend = f"{entry.concern}={entry.name}"
    verify = ["stackproof", "verify", "--backend", backend, "--origin", origin]
    command = shlex.join(["env", setting, *verify] if setting else verify)
    slug = re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(filter(None, (backend, origin, version))))
    return Job(backend, origin, entry.server, version, setting, slug, why, command)


def _told_apart(jobs: Iterable[Job]) -> Iterator[Job]:
    """A number behind a slug that another job has already."""
    taken = set[str]()
    for job in jobs:
        slug, number = job.slug, 2
        while slug in taken:
            slug, number = f"{job.slug}-{number}", number + 1
        taken.add(slug)
        yield job if slug == job.slug else replace(job, slug=slug)
