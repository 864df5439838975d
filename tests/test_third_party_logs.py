"""What the contract says about log handlers that nobody here wrote: the verdict of every clause, and why, is pinned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("structlog")
pytest.importorskip("pythonjsonlogger")

ROOT = Path(__file__).parent.parent

HARNESS = """
import sys
sys.path.insert(0, {root!r})
from examples.third_party_backends import logs
from stackproof.contracts.logs import LogContract

class TestThirdParty(LogContract):
    delivery_seconds = 0.5  # both write before the call returns
    def make_backend(self, namespace):
        handler = logs.{factory}(namespace)
        handler.setStream(self.sink.stream)
        return handler
"""

CLAUSES = {f"LOG-{n:02d}" for n in (*range(1, 19), 20, 21, 40) if n != 3} | {f"LIFE-0{n}" for n in (1, 2, 3, 4, 6, 7)}

FINDINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "make_python_json_logger": {
        "LOG-02": ("RecursionError",),
        "LOG-08": ("a dict with keys that are no text", "an integer of 5001 digits", "NaN is not part of JSON"),
        "LOG-10": ("a dict that contains itself", "50,000 deep"),
        "LOG-11": ("6 lost", "an argument too few"),
        "LOG-40": ("1 lost",),
    },
    "make_structlog": {
        "LOG-02": ("RecursionError",),
        "LOG-08": ("an object whose repr raises", "a dict whose items() raises", "NaN is not part of JSON"),
        "LOG-09": ("1 lost: event",),
        "LOG-10": ("a dict that contains itself", "50,000 deep"),
        "LOG-11": ("6 lost", "an argument too few"),
        "LOG-40": ("1 lost",),
    },
}
"""Clause that breaks -> what the failure must say about it. The example's text explains each."""

PLAIN_TEXT = """
import logging
from stackproof.contracts.logs import LogContract
from stackproof.interfaces import LogCapabilities

class TestPlainText(LogContract):
    delivery_seconds = 0.5
    capabilities = LogCapabilities(structured=False)

    def make_backend(self, namespace):
        return logging.StreamHandler(self.sink.stream)
"""


def rows_of(pytester: pytest.Pytester, module: str) -> list[dict[str, Any]]:
    pytester.makepyfile(module)
    target = pytester.path / "verdicts.json"
    pytester.runpytest_subprocess("--stackproof-json", str(target), "-p", "no:cacheprovider")
    rows: list[dict[str, Any]] = json.loads(target.read_text())["clauses"]
    return rows


def test_a_handler_of_plain_text_is_judged_without_the_clauses_about_json(pytester: pytest.Pytester) -> None:
    verdicts = {row["clause"]: row["verdict"] for row in rows_of(pytester, PLAIN_TEXT)}
    absent = dict.fromkeys(("LOG-09", "LOG-13", "LOG-16", "LOG-18"), "NOT_SUPPORTED")
    # A stream in strict UTF-8, as a file is, refuses the record with half of a surrogate pair, and it is lost (LOG-17).
    broken = dict.fromkeys(("LOG-02", "LOG-11", "LOG-17", "LOG-40"), "FAIL")
    assert verdicts == dict.fromkeys(CLAUSES, "PASS") | absent | broken


@pytest.mark.parametrize("factory", FINDINGS)
def test_the_verdict_of_every_clause(factory: str, pytester: pytest.Pytester) -> None:
    rows = rows_of(pytester, HARNESS.format(root=str(ROOT), factory=factory))
    verdicts = {row["clause"]: row["verdict"] for row in rows}
    broken = FINDINGS[factory]
    expected = dict.fromkeys(CLAUSES, "PASS") | dict.fromkeys(broken, "FAIL") | {"LOG-16": "NOT_SUPPORTED"}
    assert verdicts == expected
    failures = {row["clause"]: json.dumps(row["failure"]) for row in rows if row["verdict"] == "FAIL"}
    missing = {(c, text) for c, texts in broken.items() for text in texts if text not in failures[c]}
    assert not missing, failures
