"""Where a measurement ran: what must be equal before two of them may be compared. Holds no name of a machine or of a person."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

import psutil

DRIVERS = (
    "psycopg", "redis", "hiredis", "msgpack", "confluent-kafka", "scylla-driver", "opensearch-py", "urllib3", "boto3", "botocore",
)  # fmt: skip
"""What adapters reach their servers with: another version of one may behave differently, or be faster or slower."""
PACKAGES = (*DRIVERS, "locust", "gevent", "hdrhistogram")
"""Drivers and load generator."""

BUSY_SHARE = 0.25
"""A load of more than this share of the usable cores, before anything was offered, is other people's work."""

_SAME = {
    "processor": "the processor",
    "architecture": "the architecture",
    "virtual": "whether it is a virtual machine",
    "cores": "the number of usable cores",
    "cpu_limit": "the limit of processor time",
    "memory_bytes": "the memory",
    "memory_limit_bytes": "the limit of memory",
    "governor": "the frequency governor",
    "system": "the operating system",
    "kernel": "the kernel",
    "container": "the container",
    "python": "Python",
}
"""Field -> how a reason calls it. The load at the start is no property of the machine: see `disturbance`."""


@dataclass(frozen=True, slots=True)
class Environment:
    """One machine (or the part of it that a process may use) at the start of a run."""

    processor: str
    """The model, as the kernel names it."""
    architecture: str
    virtual: bool
    """Whether a hypervisor is below: then its neighbours are not seen from here."""
    cores: int
    """Logical cores that this process may use."""
    cpu_limit: float | None
    """Cores' worth of time that control groups allow; None: no limit."""
    memory_bytes: int
    memory_limit_bytes: int | None
    """What control groups allow; None: no limit."""
    governor: str
    """The frequency governors of the cores; ``not controlled`` where the kernel governs no frequency (as in most machines of a
    cloud)."""
    system: str
    kernel: str
    container: str
    """docker, podman, kubernetes and so on; ``none`` where no sign of one was found."""
    python: str
    packages: Mapping[str, str]
    """Driver or load generator -> version; what is not installed is missing."""
    load: float | None
    """Processes that ran or waited to run, averaged over the minute before the start."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Field -> why it could not be read. Its value stands for nothing."""

    def to_data(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The environment whose `to_data` this is; TypeError where it is none."""
        return cls(**data)


MACHINE = ("cores", "processor", "python", "system")
"""What each record tells of where it was made, beside the versions of what was installed there."""


def changed_since(
    told: Mapping[str, str], now: Mapping[str, str], *, drivers_only: bool = False
) -> Iterator[tuple[str, str, str]]:
    """What a record tells of where it was made, and is another now: its name, what was told and what is; empty for nothing.

    A driver that a record does not tell of was no part of it: it was installed since, or is asked about since. To figures
    everything matters that is told, and the machine of which each tells; to a verdict (``drivers_only``) only what reaches the
    server.
    """
    names = {*told} & {*DRIVERS} if drivers_only else {*told, *MACHINE}
    for name in sorted(names):
        if str(told.get(name, "")) != str(now.get(name, "")):
            yield name, str(told.get(name, "")), str(now.get(name, ""))


def same_environment(a: Environment, b: Environment) -> tuple[str, ...]:
    """Why figures of these two must not be compared, a sentence each; empty where they may.

    What is not known of one of them differs: unknown is never equal.
    """
    reasons = []
    for name, title in _SAME.items():
        missing = next((found.unknown[name] for found in (a, b) if name in found.unknown), None)
        first, second = _shown(getattr(a, name)), _shown(getattr(b, name))
        if missing is not None:
            reasons.append(f"{title} is not known ({missing})")
        elif first != second:
            reasons.append(f"{title} differs: {first} and {second}")
    for package in sorted({*a.packages, *b.packages}):
        first, second = (found.packages.get(package, "not installed") for found in (a, b))
        if first != second:
            reasons.append(f"{package} differs: {first} and {second}")
    return tuple(reasons)


def properties(environment: Environment) -> dict[str, str]:
    """What must be equal before figures may be compared, by the name of its field or package."""
    return {name: _shown(getattr(environment, name)) for name in _SAME} | dict(environment.packages)


def disturbance(environment: Environment) -> str:
    """A sentence where the machine was busy before the run began; empty where it was not, or where that is not known."""
    cores = min(environment.cores, environment.cpu_limit or environment.cores)
    if environment.load is None or environment.load <= BUSY_SHARE * cores:
        return ""
    return f"The machine was busy before the run began: a load of {environment.load:.2f} on {cores:g} cores."


def _shown(value: object) -> str:
    return "no limit" if value is None else str(value)


def read_environment(root: Path = Path("/")) -> Environment:
    """The environment of this process, now. ``root`` is where ``proc`` and ``sys`` are (another one in tests).

    What cannot be read is noted as unknown, with the reason; nothing here raises.
    """
    unknown: dict[str, str] = {}
    processor, virtual = _processor(root, unknown)
    return Environment(
        processor=processor,
        architecture=platform.machine(),
        virtual=virtual,
        cores=usable_cores(),
        cpu_limit=_least(_cpu_limits(root)),
        memory_bytes=psutil.virtual_memory().total,
        memory_limit_bytes=_memory_limit(root),
        governor=_governor(root, unknown),
        system=platform.system(),
        kernel=platform.release(),
        container=_container(root),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=versions(PACKAGES),
        load=_load(unknown),
        unknown=unknown,
    )


def usable_cores() -> int:
    """How many logical cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_model(root: Path = Path("/")) -> str:
    """What the kernel calls the processor."""
    return _processor(root, {})[0]


def versions(names: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor(root: Path, unknown: dict[str, str]) -> tuple[str, bool]:
    """The model, and whether the processor says that a hypervisor is below."""
    try:
        lines = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        unknown["virtual"] = f"/proc/cpuinfo cannot be read: {error.strerror}"
        return platform.processor() or _none("processor", unknown["virtual"], unknown), False
    said = {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
    flags = said.get("flags", said.get("Features", "")).split()
    model = said.get("model name") or said.get("Model") or platform.processor()
    return model or _none("processor", "the kernel names no model", unknown), "hypervisor" in flags


def _none(name: str, reason: str, unknown: dict[str, str]) -> str:
    unknown[name] = reason
    return ""


def _governor(root: Path, unknown: dict[str, str]) -> str:
    folder = root / "sys/devices/system/cpu"
    try:
        found = {path.read_text(encoding="ascii").strip() for path in folder.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    except OSError as error:
        return _none("governor", f"scaling_governor cannot be read: {error.strerror}", unknown)
    return ", ".join(sorted(found)) or "not controlled"


def _load(unknown: dict[str, str]) -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        unknown["load"] = "this system tells no load"
        return None


def _container(root: Path) -> str:
    """By the marks that engines leave; none of them is a proof, and a container without any is not noticed."""
    if os.environ.get("KUBERNETES_SERVICE_HOST") and root == Path("/"):
        return "kubernetes"
    marks = {"run/.containerenv": "podman", ".dockerenv": "docker"}
    for mark, name in marks.items():
        if (root / mark).exists():
            return name
    told = _text(root / "run/systemd/container").strip()
    if told:
        return told
    groups = _text(root / "proc/1/cgroup")
    known = {"kubepods": "kubernetes", "docker": "docker", "libpod": "podman", "containerd": "containerd", "lxc": "lxc"}
    return next((name for mark, name in known.items() if mark in groups), "none")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


# Control groups, both versions. A limit holds for everything below it, so the smallest on the way to the root counts. In a
# container the root of the file system of groups is the container's own group.


def _cpu_limits(root: Path) -> Iterable[float]:
    for folder in _groups(root, ""):
        quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
        if quota.isdecimal() and period.isdecimal():
            yield int(quota) / int(period)
    for folder in _groups(root, "cpu"):
        quota, period = _text(folder / "cpu.cfs_quota_us").strip(), _text(folder / "cpu.cfs_period_us").strip()
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield int(quota) / int(period)


def _memory_limit(root: Path) -> int | None:
    files = [folder / "memory.max" for folder in _groups(root, "")]
    files += [folder / "memory.limit_in_bytes" for folder in _groups(root, "memory")]
    texts = [_text(file).strip() for file in files]
    # Version 1 says "no limit" by a number that is larger than any memory.
    limits = [int(text) for text in texts if text.isdecimal() and int(text) < psutil.virtual_memory().total]
    return int(found) if (found := _least(limits)) is not None else None


def _groups(root: Path, controller: str) -> Iterable[Path]:
    """The folders of the group of this process for a controller ("": version 2), its own first, up to the root of groups."""
    mounts = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if controller not in names.split(","):
            continue
        bases = [mounts / names, mounts / controller] if controller else [mounts, mounts / "unified"]
        for base in bases:
            inner = base / path.lstrip("/")
            for folder in (inner, *inner.parents):
                yield folder
                if folder == base:
                    break


def _least(limits: Iterable[float]) -> float | None:
    return min(limits, default=None)
