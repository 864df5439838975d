"""Runs some clauses of a built-in backend against the shared server of its kind, with the harness that `verify` uses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from shared_servers import variables_of

FILE = """
from stackproof.adapters.settings import Settings
from stackproof.verification.harness import contract_class
from stackproof.verification.plan import PlannedTarget

planned = PlannedTarget(name="{concern}={backend}", concern="{concern}", spec="{backend}")
TestBuiltIn = contract_class(planned, Settings.from_environment())
"""


def run_clauses(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, concern: str, backend: str, clauses: Sequence[str]
) -> pytest.RunResult:
    """In a process of its own, with the profile full."""
    for name, value in variables_of("aws").items():
        monkeypatch.setenv(name, value)
    pytester.makepyfile(FILE.format(concern=concern, backend=backend))
    only = [word for clause in clauses for word in ("--stackproof-clause", clause)]
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "--stackproof-profile", "full", *only)
