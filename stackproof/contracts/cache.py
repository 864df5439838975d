"""The contract of the cache: what every `CacheStore` keeps, and how it is seen.

A clause judges only what the interface promises. Times are compared so that a slow machine cannot make a good cache
fail: an entry is gone too early only if a read that *ended* before its ttl missed it, and too late only if a read that
*began* after it found it.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from stackproof.interfaces import MISSING, CacheCapabilities, CacheStore, CacheValue, RejectedError

from .cache_samples import FALSY_VALUES, ODD_VALUES, PLAIN_VALUES, Source, exactly, sample_keys, size_of
from .cache_sequences import CacheSequenceClauses
from .cache_time import GRACE_SECONDS, must_expire, observe_lives
from .callers import Callers
from .clauses import absence, clause
from .evidence import Evidence
from .expectations import ContractViolation, expect, expect_error, shown
from .instances import JOINS
from .lifecycle_processes import Found

CENTURY = 100 * 365.25 * 24 * 3600.0
LIKELY_DEFAULT_SECONDS = 2.5
"""How long an entry without a ttl is watched: a lifetime that somebody made up, and that is longer, is not found."""
LONG = 100
"""No more of a value is shown."""


class CacheContract(CacheSequenceClauses):
    """All clauses of the cache concern."""

    def exercise(self, backend: CacheStore) -> None:
        """Write, read, fetch and remove one entry."""
        key = uuid.uuid4().hex[: self.declared(backend).max_key_bytes]
        backend.set(key, [1, "two"], ttl=60)
        expect(backend.get(key), "a value that was just set").equals([1, "two"])
        expect(backend.get_or_fetch(key, lambda: "fetched", ttl=60), "get_or_fetch of a present key").equals([1, "two"])
        expect(backend.delete(key), "delete of a present key").is_true()
        expect(backend.get(key), "a key that was just deleted").is_missing()

    def meets(self, backend: CacheStore, other: CacheStore) -> bool:
        key = uuid.uuid4().hex[: self.declared(backend).max_key_bytes]
        backend.set(key, "written elsewhere", ttl=60)
        return other.get(key) == "written elsewhere"

    def operations(self, backend: CacheStore) -> dict[str, Callable[[], object]]:
        return {
            "get": lambda: backend.get("operation"),
            "set": lambda: backend.set("operation", "value", ttl=60),
            "delete": lambda: backend.delete("operation"),
            "get_or_fetch": lambda: backend.get_or_fetch("operation", lambda: "value", ttl=60),
        }

    def write_number(self, backend: CacheStore, number: int) -> None:
        backend.set(str(number), number, ttl=600)

    def numbers_written(self, reader: CacheStore) -> Found:
        return lambda numbers: {number for number in numbers if reader.get(str(number)) == number}

    # Hits and misses

    @clause(
        "CACHE-01",
        "A stored None, False, 0, empty text or empty list is a hit.",
        because="taking a falsy value for a miss asks the database for each negative answer again, every time",
        learnt_from=("C1", "C23", "C24", "C25"),
        sees=("falsy hits", 2 * len(FALSY_VALUES)),
    )
    def test_falsy_values_are_hits(self, cache: CacheStore, evidence: Evidence) -> None:
        for number, (name, value) in enumerate(FALSY_VALUES.items()):
            source = Source(value)
            cache.set(f"set {number}", value, ttl=60)
            expect(cache.get(f"set {number}"), f"{name}, after set").equals(value)
            cache.get_or_fetch(f"fetched {number}", source, ttl=60)
            for way in ("set", "fetched"):
                seen = cache.get_or_fetch(f"{way} {number}", source, ttl=60)
                expect(seen, f"get_or_fetch of {name} that was {way}").equals(value)
                evidence.saw("falsy hits")
            expect(source.calls, f"fetches of {name}").equals(1, why="a value that is there needs no fetch")

    @clause(
        "CACHE-02",
        "A key that has no entry is MISSING, which is not None.",
        because="a caller that cannot tell None from missing either fetches for ever or never",
        learnt_from=("C2", "C20"),
        sees=("misses", 2),
    )
    def test_missing_is_not_none(self, cache: CacheStore, evidence: Evidence) -> None:
        cache.set("deleted", "value")
        cache.delete("deleted")
        for key in ("never set", "deleted"):
            expect(cache.get(key), f"get({key!r})").is_missing()
            evidence.saw("misses")
        cache.set("none", None)
        expect(cache.get("none"), "get of a stored None").equals(None)

    @clause(
        "CACHE-11",
        "delete says whether there was an entry, and removes it.",
        because="'deleted' that leaves the value in place goes on serving what was withdrawn",
        learnt_from=("C42", "C43"),
        sees=(("true answers", 3), ("false answers", 4)),
    )
    def test_delete_tells_the_truth(self, cache: CacheStore, evidence: Evidence) -> None:
        cache.set("neighbour", "stays")
        for name, value in (("text", "value"), ("None", None), ("empty list", [])):
            cache.set(name, value)
            expect(cache.delete(name), f"delete of a stored {name}").is_true()
            expect(cache.get(name), f"get of {name} after delete").is_missing()
            expect(cache.delete(name), f"delete of {name} again").is_false()
            evidence.saw("true answers")
            evidence.saw("false answers")
        expect(cache.delete("never set"), "delete of a key that was never set").is_false()
        evidence.saw("false answers")
        expect(cache.get("neighbour"), "the entry of another key").equals("stays")

    # Lifetimes

    @clause(
        "CACHE-06",
        "A ttl means what it says: fractions count, zero or less is over at once, None is for ever, a century is valid.",
        because="a ttl is a promise about freshness; cut to whole seconds it is broken, and 0.4 becomes 'for ever'",
        learnt_from=("C11", "C12", "C13", "C14", "C15", "C16", "C41"),
        sees=(("reads of live entries", 2), ("entries that expired", 2), ("entries that were over at once", 4)),
    )
    def test_a_ttl_means_what_it_says(self, cache: CacheStore, evidence: Evidence) -> None:
        cache.set("for ever", "stays")
        cache.set("a century", "stays", ttl=CENTURY)
        for ttl in (0, 0.0, -1, -0.5):
            cache.set("over", "old", ttl=30)
            cache.set("over", "new", ttl=ttl)
            expect(cache.get("over"), f"an entry set with ttl={ttl}").is_missing()
            evidence.saw("entries that were over at once")
        cache.set("a blink", "value", ttl=0.0001)
        lives = observe_lives(
            cache, {ttl: partial(cache.set, f"{ttl} s", "value", ttl=ttl) for ttl in (0.4, 1.3)}, self._resolution()
        )
        for life in lives.values():
            evidence.saw("reads of live entries", life.reads)
        for ttl, life in lives.items():
            life.must_be(ttl, self._resolution())
            evidence.saw("entries that expired")
        expect(cache.get("a blink"), "an entry with a ttl of 0.1 ms, much later").is_missing()
        expect(cache.get("for ever"), "an entry without a ttl").equals("stays")
        expect(cache.get("a century"), "an entry with a ttl of a century").equals("stays")

    @clause(
        "CACHE-07",
        "An entry that has expired is never returned, by no operation.",
        because="some servers remove expired entries hours later; until then they are still there, and must not be seen",
        learnt_from=("C32", "C33", "C34", "C35"),
        sees=("operations on an expired entry", 3),
    )
    def test_expired_entries_are_gone_for_every_operation(self, cache: CacheStore, evidence: Evidence) -> None:
        for key in ("get", "delete", "get_or_fetch"):
            cache.set(key, "stale", ttl=0.2)
        cache.set("the last one", "stale", ttl=0.2)
        must_expire(cache, "the last one", 0.2, self._resolution())
        expect(cache.get("get"), "get of an expired entry").is_missing()
        expect(cache.delete("delete"), "delete of an expired entry").is_false()
        expect(cache.get_or_fetch("get_or_fetch", Source("fresh"), ttl=30), "get_or_fetch").equals("fresh")
        evidence.saw("operations on an expired entry", 3)

    @clause(
        "CACHE-12",
        "set decides the lifetime anew: it takes no ttl over from the entry that it replaces.",
        because="an entry that inherits a lifetime disappears at a time, or stays for a time, that nobody asked for",
        learnt_from=("C17", "C30"),
        sees=(("entries that outlived the old ttl", 2), ("entries that expired by the new ttl", 1)),
    )
    def test_set_decides_the_lifetime_anew(self, cache: CacheStore, evidence: Evidence) -> None:
        cache.set("cleared", "old", ttl=0.2)
        cache.set("cleared", "new")
        cache.set("longer", "old", ttl=0.2)
        cache.set("longer", "new", ttl=60)
        cache.set("shorter", "old")
        cache.set("shorter", "new", ttl=0.2)
        cache.set("the last one", "old", ttl=0.2)
        must_expire(cache, "the last one", 0.2, self._resolution())
        for key in ("cleared", "longer"):
            expect(cache.get(key), f"the entry {key!r} after the ttl that was replaced").equals("new")
            evidence.saw("entries that outlived the old ttl")
        must_expire(cache, "shorter", 0.2, self._resolution())
        evidence.saw("entries that expired by the new ttl")

    @clause(
        "CACHE-13",
        "The ttl of get_or_fetch applies to what it stores, a hit does not prolong it, and after it there is a new fetch.",
        because="a read-through cache that forgets its ttl serves the first answer for ever, or nothing ever again",
        learnt_from=("C9", "C10", "C30"),
        sees=(("reads of live entries", 1), ("fetches after expiry", 2), ("entries without a ttl", 2)),
    )
    def test_the_ttl_of_get_or_fetch_is_applied(self, cache: CacheStore, evidence: Evidence) -> None:
        first, second = Source("first"), Source("second")
        cache.get_or_fetch("no ttl", first)
        cache.get_or_fetch("ttl None", first, ttl=None)
        written = time.monotonic()
        lives = observe_lives(cache, {0.4: lambda: cache.get_or_fetch("0.4 s", first, ttl=0.4)}, self._resolution())
        evidence.saw("reads of live entries", lives[0.4].reads)
        lives[0.4].must_be(0.4, self._resolution())
        expect(cache.get_or_fetch("0.4 s", second, ttl=30), "get_or_fetch after the ttl").equals("second")
        expect(cache.get_or_fetch("0.4 s", first, ttl=30), "get_or_fetch once more").equals("second")
        evidence.saw("fetches after expiry", second.calls)
        self._hits_must_not_prolong(cache, evidence)
        time.sleep(max(0.0, written + LIKELY_DEFAULT_SECONDS - time.monotonic()))
        for key in ("no ttl", "ttl None"):
            expect(cache.get(key), f"what get_or_fetch stored for ever ({key})").equals("first")
            evidence.saw("entries without a ttl")
        over = [cache.get_or_fetch("over", Source("value"), ttl=0), cache.get("over")]
        expect(over, "get_or_fetch with ttl=0, and get after it").equals(["value", MISSING])

    def _hits_must_not_prolong(self, cache: CacheStore, evidence: Evidence) -> None:
        """Ask again and again: the entry goes at its time all the same, and the next one who asks fetches."""
        old, new = Source("old"), Source("new")
        cache.get_or_fetch("asked for", old, ttl=0.4)
        written = time.monotonic()
        while (asked := time.monotonic()) < written + 0.4 + self._resolution() + GRACE_SECONDS:
            if cache.get_or_fetch("asked for", new, ttl=30) == "new":
                evidence.saw("fetches after expiry")
                return
            time.sleep(0.02)
        seen = f"still there after {asked - written:.1f} s"
        raise ContractViolation("an entry with ttl=0.4 that get_or_fetch was often asked for", "to expire", seen)

    @clause(
        "CACHE-21",
        "Every operation that takes a ttl takes None, integers and fractions, and rejects what is no finite number.",
        because="a ttl comes from a settings file: what works in one place and raises in the other fails in production",
        learnt_from=("C14", "C19", "C22"),
        sees=(("lifetimes taken", 8), ("lifetimes rejected", 6)),
    )
    def test_every_entry_point_takes_the_same_lifetimes(self, cache: CacheStore, evidence: Evidence) -> None:
        writes: dict[str, Callable[..., object]] = {
            "set": lambda key, ttl: cache.set(key, "value", ttl),
            "get_or_fetch": lambda key, ttl: cache.get_or_fetch(key, lambda: "value", ttl),
        }
        for name, write in writes.items():
            for number, ttl in enumerate((None, 30, 30.5, CENTURY)):
                write(f"{name} {number}", ttl)
                expect(cache.get(f"{name} {number}"), f"an entry of {name} with ttl={ttl}").equals("value")
                evidence.saw("lifetimes taken")
            for ttl in (float("nan"), float("inf"), float("-inf")):
                with expect_error(RejectedError, f"{name} with ttl={ttl}"):
                    write("rejected", ttl)
                expect(cache.get("rejected"), f"the key of a rejected {name}").is_missing()
                evidence.saw("lifetimes rejected")

    # Values

    @clause(
        "CACHE-10",
        "A value belongs to nobody: changing an object after set or after get changes nothing in the cache.",
        because="two requests that share one list corrupt each other's answers, at a distance and rarely",
        sees=("objects changed", 5),
    )
    def test_values_are_not_shared_with_callers(self, cache: CacheStore, callers: Callers, evidence: Evidence) -> None:
        mine: Any = {"tags": ["a"]}
        cache.set("set", mine)
        fetched: Any = {"tags": ["a"]}
        first: Any = cache.get_or_fetch("fetched", lambda: fetched)
        together: list[Any] = callers.all_at_once(
            2, partial(cache.get_or_fetch, "together", Source({"tags": ["a"]}, seconds=0.1))
        )
        read: Any = cache.get("set")
        for changed in (mine, fetched, first, read, together[0]):
            changed["tags"].append("changed by a caller")
            evidence.saw("objects changed")
        expect(together[1], "what another caller of the same fetch got").equals({"tags": ["a"]})
        for key in ("set", "fetched", "together"):
            expect(cache.get(key), f"the entry {key!r}").equals({"tags": ["a"]})

    @clause(
        "CACHE-14",
        "Every plain value up to the declared size comes back equal and of the same type, however it was stored.",
        because="a price that changes in its last digit, or a byte that turns into '?', is found by the customer",
        sees=(
            ("values tried", 2 * len(PLAIN_VALUES) + 4),
            ("values equal after a round trip", 2 * len(FALSY_VALUES) + 4),
        ),
    )
    def test_plain_values_come_back_equal(self, cache: CacheStore, evidence: Evidence) -> None:
        limit = self._limits().max_value_bytes
        large: dict[str, CacheValue] = {
            "text of the largest size": "x" * limit,
            "bytes of the largest size": b"\xff" * limit,
        }
        for number, (name, value) in enumerate((PLAIN_VALUES | large).items()):
            ways: dict[str, Callable[[str, CacheValue], object]] = {
                "set": cache.set,
                "fetched": lambda key, value: cache.get_or_fetch(key, Source(value)),
            }
            for way, write in ways.items():
                key = f"{way} {number}"
                evidence.saw("values tried")
                try:
                    answer = write(key, value)
                except RejectedError:
                    if size_of(value) > limit:
                        continue  # beyond what was declared: told, and that is allowed
                    raise
                for back in [cache.get(key)] + [answer] * (way == "fetched"):
                    expect(back, f"{name}, {way} and read").equals(value)
                    if isinstance(value, float):
                        expect(exactly(back), f"{name}, with its sign").equals(exactly(value))
                cache.delete(key)
                evidence.saw("values equal after a round trip")

    @clause(
        "CACHE-15",
        "A value that cannot be kept as it is raises RejectedError; it is never altered.",
        because="a tuple that comes back as a list, or 1 that comes back as '1', works in the test and fails behind a cache",
        sees=("values tried", len(ODD_VALUES) + 2),
    )
    def test_what_cannot_be_kept_is_rejected(self, cache: CacheStore, evidence: Evidence) -> None:
        altered = []
        beyond = self._limits().max_value_bytes + 1
        too_large = {"text of one byte more than declared": "x" * beyond, "bytes of one more": b"\xff" * beyond}
        for number, (name, value) in enumerate((ODD_VALUES | too_large).items()):
            ways: dict[str, Callable[..., object]] = {"set": cache.set, "get_or_fetch": cache.get_or_fetch}
            for way, write in ways.items():
                key = f"{way} {number}"
                given = value if way == "set" else partial(_same_object, value)
                try:
                    write(key, given)
                except RejectedError:
                    expect(cache.get(key), f"the key after {way} of {name} was rejected").is_missing()
                except Exception as error:  # noqa: BLE001 - collected, so that one run shows all of them
                    altered.append(f"{way} of {name} raised {type(error).__name__}")
                else:
                    back = exactly(cache.get(key))
                    told = back if len(back) < LONG else f"{back[:LONG]}... ({len(back)} characters)"
                    altered += [] if back == exactly(value) else [f"{name} came back from {way} as {told}"]
            evidence.saw("values tried")
        if altered:
            seen = "; ".join(sorted(altered, key=lambda trouble: " raised " in trouble))  # what was altered comes first
            raise ContractViolation("values that were neither kept equal nor rejected", "none", seen)

    @clause(
        "CACHE-20",
        "A write that fails leaves the entry as it was.",
        because="a bad input must not also destroy the good value that was there",
        learnt_from=("C17",),
        sees=("writes that failed", 2),
    )
    def test_a_failed_write_keeps_the_old_entry(self, cache: CacheStore, evidence: Evidence) -> None:
        attempts: dict[str, tuple[Any, float]] = {name: (value, 30.0) for name, value in ODD_VALUES.items()}
        attempts |= {f"a value with ttl={ttl}": ("new", ttl) for ttl in (float("nan"), float("inf"))}
        for name, (value, ttl) in attempts.items():
            cache.set("key", "old", ttl=30)
            try:
                cache.set("key", value, ttl=ttl)
            except Exception:  # noqa: BLE001 - which error it must be is the business of other clauses
                expect(cache.get("key"), f"the entry, after setting {name} failed").equals("old")
                evidence.saw("writes that failed")

    # Keys and namespaces

    @clause(
        "CACHE-09",
        "Two different keys never share an entry, whatever they are made of.",
        because="a join, a cut, a hash or a change of case gives one customer the entry of another",
        learnt_from=("C36", "C37", "C38", "C39", "C40"),
        sees=("keys that kept their own value", 40),
        seconds=60.0,
    )
    def test_keys_are_never_mixed_up(self, cache: CacheStore, rng: random.Random, evidence: Evidence) -> None:
        keys = sample_keys(self._limits().max_key_bytes)
        rng.shuffle(keys)
        for number, key in enumerate(keys):
            cache.set(key, number)
        for number, key in enumerate(keys):
            self._must_be_own(cache.get(key), keys, number)
            evidence.saw("keys that kept their own value")
        half = len(keys) // 2
        for key in keys[:half]:
            expect(cache.delete(key), f"delete({key!r})").is_true()
        for number, key in list(enumerate(keys))[half:]:
            expect(cache.get(key), f"the entry of {shown(key)} after others were deleted").equals(number)

    def _must_be_own(self, found: object, keys: list[str], number: int) -> None:
        """The entry of a key holds its place in the list; that of another one says which of them was taken for it."""
        __tracebackhide__ = True
        what = f"the entry of {shown(keys[number])}"
        if isinstance(found, int) and found != number and found in range(len(keys)):
            raise ContractViolation(
                what, shown(number), f"{found}, which was set for another key: {shown(keys[found])}"
            )
        expect(found, what).equals(number)

    @clause(
        "CACHE-19",
        "The longest declared key works; a longer one, an empty one and one without a UTF-8 form are rejected.",
        because="a key that is silently cut, replaced or refused later meets somebody else's entry or none",
        learnt_from=("C36", "C38"),
        sees=(("longest keys kept", 2), ("keys rejected", 20)),
    )
    def test_keys_have_a_limit_that_holds(self, cache: CacheStore, evidence: Evidence) -> None:
        limit = self._limits().max_key_bytes
        for key in ("k" * limit, "é" * (limit // 2) + "k" * (limit % 2)):
            cache.set(key, "kept")
            expect(cache.get(key), f"the entry of a key of {limit} bytes").equals("kept")
            evidence.saw("longest keys kept")
        refused = {
            f"a key of {limit + 1} bytes": "k" * (limit + 1),
            f"a key of {limit // 2 + 1} two-byte characters": "é" * (limit // 2 + 1),
            "an empty key": "",
            "a key with a lone high surrogate": "\ud83d",
            "a key with a lone low surrogate": "key \udc80",
        }
        for name, key in refused.items():
            operations: dict[str, Callable[[str], object]] = {
                "get": cache.get,
                "delete": cache.delete,
                "set": lambda key: cache.set(key, "value"),
                "get_or_fetch": lambda key: cache.get_or_fetch(key, lambda: "value"),
            }
            for operation, call in operations.items():
                with expect_error(RejectedError, f"{operation} of {name}"):
                    call(key)
                evidence.saw("keys rejected")

    @clause(
        "CACHE-16",
        "Namespaces are disjoint, also where namespace and key, written one after the other, look alike.",
        because="two tenants or two applications on one server would read and overwrite each other's entries",
        learnt_from=("C39", "C40"),
        sees=("entries seen by their own namespace only", 8),
        seconds=60.0,
    )
    def test_namespaces_are_disjoint(
        self, cache: CacheStore, namespace: str, elsewhere: Callable[..., CacheStore], evidence: Evidence
    ) -> None:
        spaces = {"": cache} | {f"{join}a": elsewhere(f"{namespace}{join}a") for join in JOINS}
        keys = ["key", f"{namespace}_key"] + [
            f"{form}key" for join in JOINS for form in (f"a{join}", f"{join}a{join}", join)
        ]
        keys = [key for key in dict.fromkeys(keys) if len(key) <= self._limits().max_key_bytes]
        for suffix, space in spaces.items():
            for key in keys:
                expect(space.get(key), f"{key!r}, set in other namespaces only").is_missing()
                space.set(key, f"{suffix}/{key}")
        for key in keys:
            for suffix, space in spaces.items():
                expect(space.get(key), f"{key!r} in the namespace '...{suffix}'").equals(f"{suffix}/{key}")
            evidence.saw("entries seen by their own namespace only")
        spaces["_a"].delete("key")
        expect(cache.get("key"), "an entry whose namesake elsewhere was deleted").equals("/key")
        fetched = spaces["_a"].get_or_fetch("key", Source("fetched here"))
        expect(fetched, "get_or_fetch of a key that only other namespaces have").equals("fetched here")

    @clause(
        "CACHE-17",
        "What one instance writes or deletes, the other instances of its namespace see at once.",
        because="workers that share a cache on paper but not in fact serve different answers to the same customer",
        learnt_from=("C42",),
        needs="shared",
        sees=("writes seen by another instance", 3),
    )
    def test_instances_see_each_others_writes(
        self, cache: CacheStore, another: Callable[[], CacheStore], evidence: Evidence
    ) -> None:
        other = another()
        for value in ("first", "second"):
            cache.set("key", value, ttl=30)
            expect(other.get("key"), f"the {value} value, read by another instance").equals(value)
            evidence.saw("writes seen by another instance")
        expect(cache.delete("key"), "delete of what the other instance has read").is_true()
        expect(other.get("key"), "a deleted key, read by another instance").is_missing()
        evidence.saw("writes seen by another instance")

    @absence("CACHE-17")
    def prove_that_instances_are_apart(
        self, cache: CacheStore, another: Callable[[], CacheStore], evidence: Evidence
    ) -> None:
        other = another()
        cache.set("key", "value", ttl=30)
        expect(other.get("key"), "another instance's entry").is_missing(why="`shared` is not declared")
        evidence.saw("absence probes")

    # What clauses share

    def _limits(self) -> CacheCapabilities:
        declared: CacheCapabilities = self.capabilities
        return declared

    def _resolution(self) -> float:
        return self._limits().ttl_resolution


def _same_object(value: Any) -> Any:
    return value
