"""Chooses TCP ports on the loopback address for servers which must keep theirs over a restart."""

from __future__ import annotations

import random
import socket

from .server import ServerError

LOOPBACK = "127.0.0.1"
LOWEST = 15_000
LINUX_RANGE = "/proc/sys/net/ipv4/ip_local_port_range"


def free_port() -> int:
    """Return a port that nobody listens on now, below the range from which the system takes ports of its own.

    Inside that range, while a server is down, the system may give its port to somebody's outgoing connection: even to a
    client that tries to connect to that very port, which then speaks to itself. Another process may still be faster
    than our server; the caller tries again then.
    """
    highest = max(_lowest_of_the_system() - 1, LOWEST + 1_000)
    chooser = random.SystemRandom()
    for _ in range(100):
        port = chooser.randint(LOWEST, highest)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        return port
    raise ServerError(f"No free port was found on {LOOPBACK}.")


def free_ports(count: int) -> tuple[int, ...]:
    """Return several different ports that nobody listens on now."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return tuple(found)


def _lowest_of_the_system() -> int:
    try:
        with open(LINUX_RANGE, encoding="ascii") as file:
            return int(file.read().split()[0])
    except OSError:
        return 32_768
