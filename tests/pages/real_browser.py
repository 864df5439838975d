"""A real browser for the tests of pages: the distribution's Chromium, without a window, driven by Playwright.

Where there is none the tests are skipped with that reason, unless STACKPROOF_BROWSER=required: then that is a failure. A test
module imports the fixture (a second ``conftest`` would hide the one of all tests).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def missing(reason: str) -> NoReturn:
    if os.environ.get("STACKPROOF_BROWSER") == "required":
        pytest.fail(f"a browser is required: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, once for all tests of this process."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        missing("there is no Chromium; on Debian: apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright is not installed: pip install playwright")
    # Its sandbox needs namespaces that root in a container has not; what is opened here are pages of our own.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=arguments, timeout=120_000)
        yield launched
        launched.close()
