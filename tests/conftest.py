"""What all tests share."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import hypothesis
import pytest

pytest_plugins = ["pytester"]

# A shell ignores SIGINT for what it starts in the background, and children inherit that: then Ctrl-C could not be tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine takes long for an example now and then, which says nothing of what is tested.
hypothesis.settings.register_profile(
    "tests", hypothesis.settings(), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

# For the examples, which are not installed. At the end of the path: the package under test is the installed one.
sys.path.append(str(Path(__file__).parent.parent))

SUMMARY: list[str] = []
"""Lines of tests that are printed at the end of the session."""


LONGEST = ("test_backends_on_servers.py",)
"""Modules that take minutes: begun first, so that none of them runs alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_sessionfinish(session: pytest.Session) -> None:
    told = getattr(session.config, "workeroutput", None)
    if told is not None:  # a process of pytest-xdist: what it knows is printed by the one that started it
        told["summary"] = SUMMARY


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    SUMMARY.extend(getattr(node, "workeroutput", {}).get("summary", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if SUMMARY:
        terminalreporter.section("what tests tell: backends on servers, blocks of documents")
        for line in SUMMARY:
            terminalreporter.write_line(line)
