"""How containers are made: images, network and limits, as the environment says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from stackproof.servers.server import ServerError

NETWORK = "STACKPROOF_CONTAINER_NETWORK"
MEMORY = "STACKPROOF_CONTAINER_MEMORY"
CPUS = "STACKPROOF_CONTAINER_CPUS"
CPU_SHARES = "STACKPROOF_CONTAINER_CPU_SHARES"
IMAGE = "STACKPROOF_IMAGE_"

NETWORKS = ("published", "host")
_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}
LEAST_MEMORY = 64 * 2**20


@dataclass(frozen=True, slots=True)
class ContainerOptions:
    """What the environment says about containers."""

    network: str = "published"
    """"published": each port on 127.0.0.1; "host": no network of its own, everything bound to 127.0.0.1."""
    memory: int | None = None
    """Bytes that one container may use."""
    cpus: float | None = None
    """Processors that one container may use."""
    cpu_shares: int | None = None
    """Its weight where processors are contended; 1024 is usual."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Server -> image, instead of the official one."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> ContainerOptions:
        """Read the variables; a value that cannot be is a `ServerError` that names its variable."""
        network = environ.get(NETWORK, "").strip().lower() or "published"
        if network not in NETWORKS:
            raise ServerError(f"{NETWORK}={network!r} is unknown; known are {', '.join(NETWORKS)}.")
        images = {
            name.removeprefix(IMAGE).lower(): value.strip()
            for name, value in environ.items()
            if name.startswith(IMAGE) and value.strip()
        }
        return cls(
            network,
            _memory(environ.get(MEMORY, "")),
            _cpus(environ.get(CPUS, "")),
            _shares(environ.get(CPU_SHARES, "")),
            images,
        )

    @property
    def on_host(self) -> bool:
        """Whether containers share the network of the machine."""
        return self.network == "host"

    def heap(self, usual: int = 512) -> int:
        """Megabytes for the heap of a Java server: the usual ones, at most half of the memory that it may use."""
        return usual if self.memory is None else max(64, min(usual, self.memory // 2**21))

    def limits(self) -> dict[str, object]:
        """Return the limits in the words of Docker's client; memory includes swap, so that a limit is one."""
        found: dict[str, object] = {}
        if self.memory is not None:
            found |= {"mem_limit": self.memory, "memswap_limit": self.memory}
        if self.cpus is not None:
            found["nano_cpus"] = int(self.cpus * 1e9)
        if self.cpu_shares is not None:
            found["cpu_shares"] = self.cpu_shares
        return found


def _memory(text: str) -> int | None:
    if not text.strip():
        return None
    found = re.fullmatch(r"(\d+)\s*([bkmg]?)b?", text.strip().lower())
    if found is None or int(found[1]) * _UNITS[found[2]] < LEAST_MEMORY:
        raise ServerError(f"{MEMORY}={text!r} is not an amount of memory of at least 64m, for example 512m or 2g.")
    return int(found[1]) * _UNITS[found[2]]


def _cpus(text: str) -> float | None:
    return _number(CPUS, text, 0.01)


def _shares(text: str) -> int | None:
    number = _number(CPU_SHARES, text, 2)
    return None if number is None else int(number)


def _number(name: str, text: str, least: float) -> float | None:
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not least <= number < float("inf"):
        raise ServerError(f"{name}={text!r} is not a number of at least {least:g}.")
    return number
