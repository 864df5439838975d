"""Steps on the cache: reads that fetch what is missing, reads of what was filled in, and keys that expire under load."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

from stackproof.interfaces import MISSING, CacheValue, ConfigurationError
from stackproof.scenarios.item import Item, text_of, uniform_for

from .base import Action, Bench, Step, Tell
from .filling import fill

TTL = 300.0
VALUES_KEPT = 16_384
"""Values that are remembered, so that comparing with one does not cost making it."""


class CacheRead(Step):
    """A `CacheStore.get_or_fetch` of a key whose value is a function of the key: first the customer's, then an offer's."""

    name = "cache read"
    concern = "cache"

    def bind(self, bench: Bench) -> Action:
        if self.times > 1 and bench.offers is None:
            raise ConfigurationError("a second cache read is one of an offer, and the scenario has no offers")
        read, checks, value_of = bench.cache.get_or_fetch, bench.checks, _values(bench)
        customer, offer = f"{bench.apart}customer:", f"{bench.apart}offer:"

        def act(item: Item, turn: int) -> None:
            key = f"{customer}{item.key}" if turn == 0 else f"{offer}{item.offers[turn % 2]}"
            expected = value_of(key)

            def fetch() -> CacheValue:
                checks.saw("cache fetches")
                return expected

            found = read(key, fetch, TTL)
            checks.saw("cache reads")
            if found != expected:
                raise checks.wrong_answer(f"get_or_fetch({key!r}) answered with something that was never stored there")

        return act


class CacheGet(Step):
    """A `CacheStore.get` of a key that was filled in beforehand, without an end to its life: it must be there, and be right."""

    name = "cache get"
    concern = "cache"

    def bind(self, bench: Bench) -> Action:
        cache, checks, value_of = bench.cache, bench.checks, _values(bench)
        get, prefix = cache.get, f"{bench.apart}key:"
        gone: set[str] = set()

        def prepare(tell: Tell, deadline: float) -> None:
            first, step = bench.share("cache")
            ranks = range(first + 1, bench.keys.size + 1, step)

            def put(rank: int) -> None:
                cache.set(f"{prefix}{rank}", value_of(f"{prefix}{rank}"))

            fill("filling the cache, keys", ranks, len(ranks), put, tell, deadline)

        def act(item: Item, _turn: int) -> None:
            key = f"{prefix}{item.key}"
            found = get(key)
            checks.saw("cache reads")
            if found != value_of(key):
                if found is MISSING:
                    if key not in gone:
                        gone.add(key)
                        checks.lose(1, f"get({key!r}) found nothing; it was stored before the load, to stay")
                    raise LookupError(key)
                raise checks.wrong_answer(f"get({key!r}) answered with something that was never stored there")

        def settle(deadline: float) -> None:
            """What was lost in this window is stored again: it is not lost once more in each window that follows."""
            while gone and not bench.over(deadline):
                key = next(iter(gone))
                cache.set(key, value_of(key))
                gone.discard(key)

        bench.prepare_with(prepare)
        bench.settle_with(settle)
        return act


@dataclass(frozen=True)
class CacheStampede(Step):
    """A `CacheStore.get_or_fetch` of one of few keys that live for a moment, and whose fetch takes its time.

    Checked: of one key no two fetches of this process run at once, and none begins while the value before it must still live.
    """

    ttl: float = 1.0
    """Seconds that a value lives."""
    fetch_seconds: float = 0.05

    name = "cache read"
    concern = "cache"

    def bind(self, bench: Bench) -> Action:
        read, checks = bench.cache.get_or_fetch, bench.checks
        # One key for each worker: who fetches for whom is only known within one process.
        prefix = f"{bench.apart}stampede:{bench.worker}:"
        fetches: dict[str, _Fetches] = {}

        def act(item: Item, _turn: int) -> None:
            key = f"{prefix}{item.key}"
            mine = fetches.get(key)
            if mine is None:
                mine = fetches.setdefault(key, _Fetches(key))
            found = read(key, lambda: mine.fetch(self, bench), self.ttl)
            checks.saw("cache reads")
            if not mine.gave(found):
                raise checks.wrong_answer(
                    f"get_or_fetch({key!r}) answered with something that was never fetched for it"
                )

        return act


class _Fetches:
    """The fetches of one key."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._guard = Lock()
        self._running = 0
        self._begun = 0
        self._lives_until = 0.0

    def fetch(self, step: CacheStampede, bench: Bench) -> CacheValue:
        now = time.monotonic()
        with self._guard:
            at_once, early = self._running > 0, now < self._lives_until
            self._running += 1
            self._begun += 1
            value: CacheValue = {"key": self._key, "number": self._begun}
        bench.checks.saw("cache fetches")
        if at_once:
            bench.checks.double(1, f"two fetches of {self._key!r} ran at once")
        elif early:
            bench.checks.double(1, f"{self._key!r} was fetched again before its {step.ttl:g} s were over")
        try:
            time.sleep(step.fetch_seconds)
            return value
        finally:
            with self._guard:
                self._running -= 1
                # It is stored after this moment; what is early by less than the clocks can tell apart is not early.
                self._lives_until = time.monotonic() + step.ttl - 0.010

    def gave(self, value: object) -> bool:
        """Whether a value is one that was fetched for this key."""
        if not isinstance(value, dict) or value.get("key") != self._key:
            return False
        number = value.get("number")
        return isinstance(number, int) and 1 <= number <= self._begun


def _values(bench: Bench) -> Callable[[str], CacheValue]:
    """The value of a key: a function of the key."""
    sizes = bench.sizes

    @lru_cache(maxsize=VALUES_KEPT)
    def value_of(key: str) -> CacheValue:
        return {"key": key, "text": text_of(key, sizes.size(uniform_for(key)))}

    return value_of
