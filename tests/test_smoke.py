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
