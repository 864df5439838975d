"""The smoke step: data that two namespaces share, and whose fault that is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import stackproof

SHARED = """
from stackproof.adapters.cache.memory import MemoryCache
from stackproof.adapters.events.memory import MemoryEventPublisher
from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.adapters.search.memory import MemorySearchIndex

def cache(namespace): return MemoryCache(namespace="same")
def events(namespace): return MemoryEventPublisher(namespace="same")
def interactions(namespace): return MemoryInteractionStore(namespace="same")
def search(namespace): return MemorySearchIndex(namespace="same")
def good_cache(namespace): return MemoryCache(namespace=namespace)
def good_events(namespace): return MemoryEventPublisher(namespace=namespace)
def good_interactions(namespace): return MemoryInteractionStore(namespace=namespace)
def good_search(namespace): return MemorySearchIndex(namespace=namespace)

class Ignores(MemoryCache):
    def __init__(self, *, namespace=""):
        super().__init__(namespace="same")
"""


@pytest.mark.parametrize("concern", ["cache", "events", "interactions", "search"])
def test_a_factory_that_shares_its_state_is_no_broken_backend(tmp_path: Path, concern: str) -> None:
    (tmp_path / "shared.py").write_text(SHARED)
    spec = f"{concern}=shared:{concern}"
    done = stackproof("verify", "--backend", spec, "--clause", "LIFE-01", "--json", "out.json", cwd=tmp_path)
    assert done.returncode == 2
    assert "does not hand its namespace on, or the backend ignores it" in done.stderr
    told = json.loads((tmp_path / "out.json").read_text())
    assert told["targets"][0]["trouble"] == "harness"
    assert told["level"] == "INCONCLUSIVE"
    spec = f"{concern}=shared:good_{concern}"
    done = stackproof("verify", "--backend", spec, "--clause", "LIFE-01", "--json", "out.json", cwd=tmp_path)
    told = json.loads((tmp_path / "out.json").read_text())
    assert (done.returncode, told["targets"][0]["trouble"], told["level"]) == (3, "none", "PARTIAL")


def test_a_class_that_ignores_its_namespace_is_a_broken_backend(tmp_path: Path) -> None:
    """It was given the namespace itself: nobody else can have lost it."""
    (tmp_path / "shared.py").write_text(SHARED)
    done = stackproof("verify", "--backend", "cache=shared:Ignores", "--clause", "CACHE-16", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr


ASYNC = """
from stackproof.contracts import bridged
from stackproof.interfaces import MISSING, CacheStore

class AsyncCache:
    async def get(self, key): return MISSING
    async def set(self, key, value, ttl=None): ...
    async def delete(self, key): return False
    async def get_or_fetch(self, key, fetch, ttl=None): return await fetch()
    async def ping(self): return True
    async def disconnect(self): ...

async def make(namespace): return AsyncCache()
"""


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("AsyncCache", "delete, disconnect, get, get_or_fetch, ping, set of AsyncCache are coroutine functions: "),
        ("make", "cache=backend:make is a coroutine function: "),
    ],
)
def test_an_asyncio_backend_without_its_bridge_is_one_sentence(tmp_path: Path, factory: str, words: str) -> None:
    (tmp_path / "backend.py").write_text(ASYNC)
    done = stackproof("verify", "--backend", f"cache=backend:{factory}", "--clause", "CACHE-01", cwd=tmp_path)
    assert done.returncode == 2
    assert f"{words}the clauses call ordinary functions; wrap it with bridged(CacheStore, {factory})" in done.stderr
    assert "never awaited" not in done.stdout + done.stderr


def test_the_reason_of_a_failure_is_what_went_wrong(tmp_path: Path) -> None:
    (tmp_path / "backend.py").write_text(
        "from stackproof.adapters.cache.memory import MemoryCache\n"
        "from stackproof.interfaces import MISSING\n"
        "class Nones(MemoryCache):\n"
        "    def get(self, key):\n"
        "        found = super().get(key)\n"
        "        return None if found is MISSING else found\n"
    )
    done = stackproof(
        "verify", "--backend", "cache=backend:Nones", "--clause", "CACHE-06", "--json", "out.json", cwd=tmp_path
    )
    assert done.returncode == 1
    (row,) = json.loads((tmp_path / "out.json").read_text())["clauses"]
    assert row["failure"]["headline"] in row["reason"]
    assert f"expected {row['failure']['expected']}, seen {row['failure']['seen']}" in row["reason"]
    assert row["because"] not in row["reason"]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def make(namespace):\n    return {}[namespace]\n", "(backend.py:2)"),
        ("import os\n\nraise ValueError('no')\n", "backend raised ValueError: no (backend.py:3)"),
        ("import gone_for_good\n", "(backend.py:1)"),
    ],
)
def test_an_error_of_a_factory_says_where_it_was(tmp_path: Path, source: str, sentence: str) -> None:
    (tmp_path / "backend.py").write_text(source)
    done = stackproof("verify", "--backend", "cache=backend:make", "--clause", "CACHE-01", cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
