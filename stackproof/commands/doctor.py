"""`stackproof doctor`: what this machine can run, and for what it cannot, the one thing to do."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from stackproof.exits import Exit
from stackproof.extras import EXTRAS
from stackproof.targets import STACKS

from .options import json_option, write_result

if TYPE_CHECKING:
    from testcontainers.core.docker_client import DockerClient

LEAST_FREE = 2 * 2**30
"""Bytes: the logs and data of a whole stack in containers stay under that."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a machine has, or lacks."""

    about: str
    """extra, docker, image, space or stack."""
    name: str
    ok: bool
    says: str
    todo: str = ""
    """The one thing to do; empty where nothing is to be done."""


@click.command()
@json_option
def doctor(json_file: str | None) -> int:
    """Say what this machine can run, and for what it cannot, the one thing to do."""
    from stackproof.servers.containers.sweep import sweep_containers
    from stackproof.servers.runs import sweep

    removed = [str(path) for path in sweep()] + sweep_containers()
    checks = list(_checks())
    if json_file is not None:
        rows = [asdict(check) for check in checks]
        document = {"schema": "stackproof-doctor/1", "checks": rows, "removed": removed}
        write_result(json_file, json.dumps(document, indent=2) + "\n")
    if json_file != "-":
        if removed:
            click.echo(f"Removed what dead runs left: {', '.join(removed)}.")
        for check in checks:
            click.echo(_line(check))
    runs = any(check.ok for check in checks if check.about == "stack" and check.name.startswith("development"))
    return Exit.HOLDS if runs else Exit.ENVIRONMENT


def _line(check: Check) -> str:
    """Lines and no table, so that what is to be typed can be copied."""
    found = f"{'yes' if check.ok else 'no':<4}{check.about:<8}{check.name}: {check.says}"
    return f"{found}\n            do: {check.todo}" if check.todo else found


def _checks() -> Iterator[Check]:
    """Everything that is looked at; what builds on something else comes after it."""
    extras = {name: _extra(name) for name in EXTRAS}
    yield from extras.values()
    yield _space()
    docker = _docker(extras["containers"])
    yield docker
    images = _images() if docker.ok else {}
    yield from dict.fromkeys(images.values())
    yield from _stacks(extras, docker, images)


def _extra(name: str) -> Check:
    missing = [module for module in EXTRAS[name] if find_spec(module) is None]
    if not missing:
        return Check("extra", name, ok=True, says="installed")
    return Check("extra", name, ok=False, says=f"{missing[0]} is missing", todo=f"pip install 'stackproof[{name}]'")


def _space() -> Check:
    from stackproof.servers.runs import bases

    folders = bases()
    if not folders:
        return Check("space", "-", ok=False, says="no temporary directory can be written to", todo="set TMPDIR to one")
    free = shutil.disk_usage(folders[0]).free
    says, where = f"{free / 2**30:.1f} GB free", str(folders[0])
    if free >= LEAST_FREE:
        return Check("space", where, ok=True, says=says)
    return Check("space", where, ok=False, says=says, todo=f"free {LEAST_FREE / 2**30:.0f} GB, or set TMPDIR elsewhere")


def _docker(extra: Check) -> Check:
    from stackproof.servers import ServerError
    from stackproof.servers.containers.engine import opened, refusals

    if not extra.ok:
        return Check("docker", "daemon", ok=False, says="not asked", todo=extra.todo)
    try:
        with opened() as client, refusals("tell its version"):
            return Check("docker", "daemon", ok=True, says=str(client.client.version()["Version"]))
    except ServerError as error:
        installed = shutil.which("dockerd") or shutil.which("docker")
        todo = "start the Docker daemon (images/docker does)" if installed else "install Docker (images/docker does)"
        return Check("docker", "daemon", ok=False, says=str(error).partition(";")[0], todo=todo)


def _images() -> dict[str, Check]:
    """For each server, the image that a start would take."""
    from stackproof.servers import ServerError
    from stackproof.servers.containers.engine import opened
    from stackproof.servers.containers.kinds import CONTAINERS
    from stackproof.servers.containers.options import ContainerOptions

    try:
        options = ContainerOptions.from_environment(os.environ)
    except ServerError as error:
        broken = Check("docker", "options", ok=False, says=str(error), todo="correct the variable")
        return dict.fromkeys(CONTAINERS, broken)
    with opened() as client:
        chosen = {server: kind(options=options).image_of(client) for server, kind in CONTAINERS.items()}
        looked = {image: _image(client, CONTAINERS[server].image_name, image) for server, image in chosen.items()}
    return {server: looked[image] for server, image in chosen.items()}


def _image(client: DockerClient, name: str, image: str) -> Check:
    from stackproof.servers.containers.container import OUR_IMAGES
    from stackproof.servers.containers.engine import image_is_here

    if image_is_here(client, image):
        return Check("image", name, ok=True, says=image)
    if image.startswith(OUR_IMAGES):
        return Check("image", name, ok=False, says=f"{image} is not here", todo=f"images/build {name}")
    todo = f"docker pull {image} (or images/build {name})"
    return Check("image", name, ok=False, says=f"{image} is not here", todo=todo)


def _stacks(extras: Mapping[str, Check], docker: Check, images: Mapping[str, Check]) -> Iterator[Check]:
    """For each stack and origin, the first thing that is in the way."""
    from stackproof.servers.sets import EMBEDDED

    for stack in STACKS:
        targets = stack.targets()
        names = list(dict.fromkeys(server for target in targets for server in target.servers))
        drivers = [extras[e] for t in targets if t.entry is not None and (e := t.entry.extra) in extras]
        beside = [extras["emulator"]] if "aws" in names else []
        wheels = [extras["embedded"]] if {"postgres", "redis", "redis-cluster"} & set(names) else []
        foreign = [name for name in names if name not in EMBEDDED]
        embedded = [*drivers, *wheels, *beside]
        if foreign:
            todo = "use --origin container"
            embedded.append(
                Check("server", foreign[0], ok=False, says=f"no wheel carries {', '.join(foreign)}", todo=todo)
            )
        yield _verdict(stack.name, "embedded", embedded)
        if names:
            held = [images[name] for name in names if name in images]
            yield _verdict(stack.name, "container", [*drivers, docker, *held, *beside])


def _verdict(stack: str, origin: str, needs: list[Check]) -> Check:
    lacking = next((need for need in needs if not need.ok), None)
    name = f"{stack} --origin {origin}"
    if lacking is None:
        return Check("stack", name, ok=True, says="can run")
    return Check("stack", name, ok=False, says=f"{lacking.about} {lacking.name}: {lacking.says}", todo=lacking.todo)
