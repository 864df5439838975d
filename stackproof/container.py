"""The container: environment variables in, the five adapters out, as singletons that are made on first use and closed once.

from stackproof import get_infra, shutdown_infra

infra = get_infra()
infra.cache.set("offer:7", {"name": "spring"}, ttl=300)
shutdown_infra()
"""

from __future__ import annotations

import inspect
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, cast

from stackproof.adapters.registry import CONCERNS, BackendEntry, find
from stackproof.adapters.settings import Settings
from stackproof.interfaces import (
    CacheStore,
    ClosedError,
    ConfigurationError,
    EventPublisher,
    InteractionStore,
    SearchIndex,
)

log = logging.getLogger("stackproof")

SHUTDOWN_SECONDS = 10.0
"""How long `shutdown_infra` may take in all, unless it is told otherwise."""

CHOSEN_BY = {
    "interactions": ("INTERACTION_STORE", "postgres"),
    "events": ("EVENT_PUBLISHER", "redis"),
    "search": ("SEARCH_INDEX", "postgres"),
    "cache": ("CACHE_STORE", "redis"),
    "logs": ("LOG_TRANSPORT", "console"),
}
"""Concern -> the variable that chooses its backend, and the default."""


@dataclass(frozen=True, slots=True)
class ShutdownReport:
    """How closing went: which concerns were closed, and for each that was not, why."""

    closed: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def choose(settings: Settings) -> dict[str, BackendEntry]:
    """The backend of each concern. An unknown value is a `ConfigurationError` that lists the known ones."""
    chosen = {}
    in_production = settings.production  # asked always: a mistyped STACKPROOF_ENV is told at once
    for concern in CONCERNS:
        variable, default = CHOSEN_BY[concern]
        value = settings.get(variable)
        if concern == "cache" and not value and not settings.get("REDIS_URL"):
            chosen[concern] = _cache_without_redis(in_production)
        else:
            chosen[concern] = find(concern, value or default, variable)
    return chosen


def _cache_without_redis(in_production: bool) -> BackendEntry:
    if in_production:
        raise ConfigurationError(
            "REDIS_URL is not set, and STACKPROOF_ENV=production has no in-process fallback for the cache; "
            "type: export REDIS_URL=redis://host:6379/0 (or CACHE_STORE=local, if each process may cache for itself)"
        )
    return find("cache", "local", "CACHE_STORE")


class Infra:
    """The five adapters of one configuration. Each is made on first use, once, whatever the number of threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.chosen = choose(settings)
        self._made: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._closed = False

    @property
    def interactions(self) -> InteractionStore:
        return cast("InteractionStore", self._get("interactions"))

    @property
    def events(self) -> EventPublisher:
        return cast("EventPublisher", self._get("events"))

    @property
    def search(self) -> SearchIndex:
        return cast("SearchIndex", self._get("search"))

    @property
    def cache(self) -> CacheStore:
        return cast("CacheStore", self._get("cache"))

    @property
    def logs(self) -> logging.Handler:
        """The log transport; add it to a logger: ``logging.getLogger().addHandler(infra.logs)``."""
        return cast("logging.Handler", self._get("logs"))

    def _get(self, concern: str) -> Any:
        made = self._made.get(concern)
        if made is not None and not self._closed:
            return made
        with self._lock:
            if self._closed:
                raise ClosedError("the infrastructure was shut down; reset_infra() builds it again")
            if concern not in self._made:
                self._warn_of_fallback(concern)
                self._made[concern] = make_adapter(self.chosen[concern], self.settings)
            return self._made[concern]

    def _warn_of_fallback(self, concern: str) -> None:
        unset = not self.settings.get("REDIS_URL") and not self.settings.get("CACHE_STORE")
        if concern == "cache" and unset:
            log.warning(
                "REDIS_URL is not set: the cache is kept in this process only, and other processes do not see it. "
                "Fine for development; set REDIS_URL, or CACHE_STORE=local to say that this is meant."
            )

    def shutdown(self, timeout: float = SHUTDOWN_SECONDS) -> ShutdownReport:
        """Flush and close what was made, last made first, within ``timeout`` seconds in all. A second call does nothing.

        An adapter that fails, or does not end in time, is reported and logged, and does not keep the others open.
        """
        began = time.monotonic()
        if not self._lock.acquire(timeout=timeout):
            return ShutdownReport(
                failed={"container": f"an adapter was still being made after {timeout:g} s"}, seconds=timeout
            )
        try:
            self._closed = True
            made = list(self._made.items())
            self._made.clear()
        finally:
            self._lock.release()
        closed, failed = [], {}
        for concern, adapter in reversed(made):
            trouble = _close(adapter, max(0.1, timeout - (time.monotonic() - began)))
            if trouble:
                failed[concern] = trouble
                log.error("closing %s failed: %s", concern, trouble)
            else:
                closed.append(concern)
        return ShutdownReport(tuple(closed), failed, time.monotonic() - began)


def make_adapter(entry: BackendEntry, settings: Settings, namespace: str = "") -> Any:
    """An adapter of this backend. A third party's class or factory needs no `from_settings`: it is called with the namespace."""
    factory = entry.load()
    from_settings = getattr(factory, "from_settings", None)
    if from_settings is not None:
        return from_settings(settings, namespace=namespace)
    return call_factory(factory, namespace)


def call_factory(factory: Callable[..., Any], namespace: str) -> Any:
    """Call a factory that takes the namespace, by position or by name, or nothing."""
    parameters = _parameters(factory)
    if parameters is None:
        return factory(namespace)
    if not parameters:
        return factory()
    named = parameters.get("namespace")
    if named is not None and named.kind is inspect.Parameter.KEYWORD_ONLY:
        return factory(namespace=namespace)
    return factory(namespace)


def takes_namespace(factory: Callable[..., Any]) -> bool:
    """Whether `call_factory` can give it the namespace."""
    parameters = _parameters(factory)
    return parameters is None or bool(parameters)


def _parameters(factory: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """None where Python cannot tell."""
    try:
        return inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return None


def _close(adapter: Any, within: float) -> str:
    """Close one adapter in bounded time; what went wrong, or nothing."""
    outcome: list[str] = []

    def close() -> None:
        try:
            if isinstance(adapter, logging.Handler):
                adapter.flush()
                adapter.close()
            else:
                adapter.disconnect()
            outcome.append("")
        except Exception as error:  # noqa: BLE001 - reported, and the next adapter is closed all the same
            outcome.append(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=close, name="stackproof-close", daemon=True)
    thread.start()
    thread.join(within)
    return outcome[0] if outcome else f"did not end within {within:.1f} s"


# The singleton of the process.

_lock = threading.RLock()
_infra: Infra | None = None


def build_infra(settings: Settings | None = None) -> Infra:
    """A container of its own, which the caller closes. Settings default to the environment."""
    return Infra(settings or Settings.from_environment())


def get_infra() -> Infra:
    """The process's container, built from the environment on first use."""
    global _infra  # noqa: PLW0603 - the one singleton that this module exists for
    with _lock:
        if _infra is None:
            _infra = build_infra()
        return _infra


def shutdown_infra(timeout: float = SHUTDOWN_SECONDS) -> ShutdownReport:
    """Close the process's container, if there is one. Afterwards its adapters refuse; `reset_infra` builds anew."""
    infra = _infra
    return infra.shutdown(timeout) if infra is not None else ShutdownReport()


def reset_infra(settings: Settings | None = None) -> Infra:
    """Close the process's container and build it again, from the environment as it is now (or the given settings)."""
    global _infra
    with _lock:
        fresh = build_infra(settings)  # first, so that wrong settings leave the running one alone
        before, _infra = _infra, fresh
    if before is not None:
        before.shutdown()
    return fresh


def shutdown_on_sigterm(timeout: float = SHUTDOWN_SECONDS) -> None:
    """Let SIGTERM close the container, and then end the process the way it would have ended. Call it in the main thread.

    The main thread goes on meanwhile (its calls on the adapters raise `ClosedError`). It must not wait in the signal handler:
    a handler may run while that thread holds a lock that closing needs, of standard output for example.
    """
    before = signal.getsignal(signal.SIGTERM)

    def close_and_end(number: int) -> None:
        shutdown_infra(timeout)
        os.kill(os.getpid(), number)

    def handle(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, before)  # the end that is sent after closing, and a second SIGTERM, mean what they meant
        threading.Thread(target=close_and_end, args=(number,), name="stackproof-sigterm").start()

    signal.signal(signal.SIGTERM, handle)
