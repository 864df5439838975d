"""A certificate says when something stood in for the technology that a backend is for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from certificate_samples import REDIS, a_certificate

from stackproof.adapters.registry import BUILT_IN
from stackproof.reports.certificate_page import _title
from stackproof.reports.limits import not_shown
from stackproof.servers.addresses import PLACES
from stackproof.verification.fidelity import fidelity


@pytest.mark.parametrize(
    ("wanted", "runs", "of_server", "expected"),
    [
        ("redis", "redis", "native", "native"),
        ("scylla", "cassandra", "native", "compatible-engine"),
        ("dynamodb", "moto", "emulator", "emulator"),
        ("", "redis", "native", "native"),
        ("scylla", "", "native", "native"),
    ],
)
def test_fidelity_is_between_what_is_wanted_and_what_runs(wanted: str, runs: str, of_server: str, expected: str) -> None:
    assert fidelity(wanted, runs, of_server) == expected


def test_every_backend_with_a_server_says_what_it_is_for() -> None:
    for entry in BUILT_IN:
        assert bool(entry.server) == bool(entry.technology), entry
        assert entry.server in {"", *PLACES}
