"""Chooses TCP ports on the loopback address for servers which must keep theirs over a restart."""

from __future__ import annotations

import random
import socket

from .server import ServerError

LOOPBACK = "127.0.0.1"
LOWEST = 15_000
LINUX_RANGE = "/proc/sys/net/ipv4/ip_local_port_range"


def free_port(also: int = 0) -> int:
    """Return a port that nobody listens on now, below the range from which the system takes ports of its own.

    Inside that range, while a server is down, the system may give its port to somebody's outgoing connection: even to a
    client that tries to connect to that very port, which then speaks to itself. Another process may still be faster
    than our server; the caller tries again then. The port that lies ``also`` above it is free, and below that range, too.
    """
    highest = max(_lowest_of_the_system() - 1 - also, LOWEST + 1_000)
    chooser = random.SystemRandom()
    for _ in range(100):
        port = chooser.randint(LOWEST, highest)
        if all(map(_is_free, {port, port + also})):
            return port
    raise ServerError(f"No free port was found on {LOOPBACK}.")


def free_ports(count: int) -> tuple[int, ...]:
    """Return several different ports that nobody listens on now."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return tuple(found)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _lowest_of_the_system() -> int:
    try:
        with open(LINUX_RANGE, encoding="ascii") as file:
            return int(file.read().split()[0])
    except OSError:
        return 32_768
