"""A certificate says when something stood in for the technology that a backend is for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from certificate_samples import REDIS, holds

from stackproof.adapters.registry import BUILT_IN
from stackproof.reports.certificate_page import title
from stackproof.reports.limits import not_shown
from stackproof.servers.addresses import PLACES
from stackproof.verification.asking import UNTOLD
from stackproof.verification.fidelity import fidelity


@pytest.mark.parametrize(
    ("wanted", "runs", "of_server", "expected"),
    [
        ("redis", "redis", "native", "native"),
        ("scylla", "cassandra", "native", "compatible-engine"),
        ("dynamodb", "moto", "emulator", "emulator"),
        ("", "redis", "native", "native"),
        ("dynamodb", "", "native", "native"),  # told by its address
        ("redis", "valkey", "native", "compatible-engine"),
        ("elasticache", "valkey", "native", "native"),
        ("elasticache", "elasticache-serverless", "native", "native"),
        ("redis", "elasticache-serverless", "native", "compatible-engine"),
        ("elasticache", "dragonfly", "native", "compatible-engine"),
        ("kafka", "msk", "native", "native"),
        ("msk", "kafka", "native", "compatible-engine"),
        ("upstash", "upstash", "native", "native"),
        ("upstash", UNTOLD, "native", "compatible-engine"),
    ],
)
def test_fidelity_is_between_what_is_wanted_and_what_runs(
    wanted: str, runs: str, of_server: str, expected: str
) -> None:
    assert fidelity(wanted, runs, of_server) == expected


def test_every_backend_with_a_server_says_what_it_is_for() -> None:
    for entry in BUILT_IN:
        assert bool(entry.server) == bool(entry.technology), entry
        assert entry.server in {"", *PLACES}


def test_the_page_names_what_stood_in() -> None:
    certificate = holds()
    cache = next(target for target in certificate.targets if target.target == "cache=redis")
    stood_in = replace(cache, target="cache=dragonfly", technology="dragonfly", fidelity="compatible-engine")
    valkey = replace(REDIS, name=cache.server, technology="valkey", version="8.1.1")
    changed = replace(certificate, stack="", targets=(stood_in,), servers=(valkey,))
    assert title(changed) == "cache=dragonfly: dragonfly on valkey 8.1.1 (compatible-engine)"
    assert "dragonfly itself: cache=dragonfly was shown on valkey 8.1.1." in not_shown(changed)
    assert title(certificate) == f"{certificate.stack} stack"
