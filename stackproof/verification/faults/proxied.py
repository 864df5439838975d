"""The faults of a network, made by a proxy before each node of a server; and what a way through proxies is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from stackproof.adapters.settings import Settings
from stackproof.contracts.faulty import LATE_SECONDS, NETWORK, Fault
from stackproof.interfaces import ConfigurationError
from stackproof.servers import proxy as tcp

SHORT: Mapping[str, str] = {"STACKPROOF_CONNECT_TIMEOUT": "1", "STACKPROOF_OPERATION_TIMEOUT": "1"}
"""The time limits of a backend behind faults: a clause waits for them often."""
_STRIKES = ("dropped", "delayed", "cut", "reset", "refused")


class ProxiedFaults:
    """The faults of a fault clause, made by a proxy before each node of the server, by all of them alike."""

    def __init__(self, *proxies: tcp.FaultProxy) -> None:
        self._proxies = proxies

    def kinds(self) -> frozenset[Fault]:
        return NETWORK

    def begin(self, fault: Fault, spared: int = 0) -> None:
        for proxy in self._proxies:
            _begin(proxy, fault, spared)

    def end(self) -> None:
        for proxy in self._proxies:
            proxy.heal()

    def happened(self) -> int:
        return sum(proxy.counts.get(name, 0) for proxy in self._proxies for name in _STRIKES)

    def taken(self) -> int:
        return 0

    def close(self) -> None:
        for proxy in self._proxies:
            proxy.close()


def _begin(proxy: tcp.FaultProxy, fault: Fault, spared: int) -> None:
    match fault:
        case Fault.BLACK_HOLE:
            proxy.black_hole()
        case Fault.REFUSED:
            proxy.refuse()
        case Fault.ANSWERS_LOST:
            proxy.half_open(tcp.Way.ANSWERS, spared)
        case Fault.ANSWER_CUT:
            proxy.reset_answer(spared)
        case Fault.ANSWERS_LATE:
            proxy.latency(LATE_SECONDS)
        case _:
            raise ValueError(f"no TCP proxy can make the fault {fault.value!r}")


class Way(Protocol):
    """How one kind of server is reached, by which variables, and how something gets between."""

    def through(self, settings: Settings) -> tuple[ProxiedFaults, dict[str, str]]:
        """Proxies in front of the server, and the variables that change so that they lead through them.

        An address that no proxy can stand in front of is a `ConfigurationError`.
        """

    def nowhere(self) -> dict[str, str]:
        """The variables that lead to a closed port, for the clauses about a server that is not there."""


def behind(way: Way, settings: Settings) -> tuple[ProxiedFaults, Settings]:
    """Faults on this way, and the settings of a backend that is behind them, with short time limits."""
    faults, changed = way.through(settings)
    return faults, Settings({**settings.variables, **changed, **SHORT})


def no_place_for_a_proxy(variable: str, what: str = "names no host and port") -> ConfigurationError:
    return ConfigurationError(f"{variable} {what}, so that no proxy can stand in front of it")
