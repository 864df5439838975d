"""Workers of other machines, as `stackproof bench --bind` meets them: what to type there, who may take part, what they run on."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import psutil
from rich.console import Console

import stackproof
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.environment import Environment
from stackproof.measurement.evidence import WorkerMachine
from stackproof.reports.text import what_happened
from stackproof.scenarios.alone import Introduced
from stackproof.scenarios.deferred import NATIVE
from stackproof.verification.digests import package_digest


def check_bind(bind: tuple[str, int]) -> None:
    """Raise a `ConfigurationError` where nothing can listen there now."""
    host, port = bind
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server(("" if host == "*" else host, port), family=family).close()
    except (OSError, UnicodeError) as error:
        why = f"nothing can listen there on this machine: {what_happened(error)}"
        raise ConfigurationError(f"--bind {typed(host, port)}: {why}") from error


def say_waiting(bind: tuple[str, int], workers: int, engine: str, console: Console) -> None:
    """What has to be typed on the other machines."""
    wanted = "a worker" if workers == 1 else f"{workers} workers"
    native = " --native" if engine == NATIVE else ""
    first, *others = [typed(host, bind[1]) for host in reachable(bind[0])]
    console.print(f"Waiting for {wanted}; type there: stackproof worker --master {first}{native}", markup=False)
    if others:
        console.print(
            f"(This machine is also {', '.join(others)}: which one they reach depends on the network.)", markup=False
        )


def reachable(host: str) -> list[str]:
    """The addresses at which a master that is bound to this one can be reached; the address itself, unless it stands for all."""
    try:
        bound = ipaddress.ip_address("0.0.0.0" if host == "*" else host)  # noqa: S104 - nothing is bound here
    except ValueError:
        return [host]
    if not bound.is_unspecified:
        return [host]
    family = socket.AF_INET if bound.version == 4 else socket.AF_INET6
    found = [
        address.address.partition("%")[0]
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == family
    ]
    of_others = [address for address in found if not _local(address)]
    return of_others or ["the address of this machine"]


def _local(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_loopback or parsed.is_link_local


def typed(host: str, port: int) -> str:
    """As `--master` takes it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def machines_of(introduced: Sequence[Introduced], engine: str) -> tuple[WorkerMachine, ...]:
    """What the workers run on; a `ConfigurationError` where one must not take part in a run with this engine."""
    for number, worker in enumerate(introduced, 1):
        if worker.version != stackproof.__version__:
            raise ConfigurationError(
                f"worker {number} runs stackproof {worker.version or 'of another release'}, not {stackproof.__version__}"
            )
        if worker.about.get("build") != package_digest():
            raise ConfigurationError(
                f"worker {number} runs stackproof {worker.version} from another source than this machine (digest "
                f"{str(worker.about.get('build', 'not told'))[:12]}, here {package_digest()[:12]}): install the same there"
            )
        if worker.native != (engine == NATIVE):
            what = (
                "without --native, which Kafka and CQL need"
                if engine == NATIVE
                else "with --native, which is for Kafka and CQL only"
            )
            raise ConfigurationError(f"worker {number} was started {what}: this run needs it the other way round")
    return tuple(
        WorkerMachine(worker.version, worker.about["build"], Environment.from_data(worker.about["environment"]))
        for worker in introduced
    )
