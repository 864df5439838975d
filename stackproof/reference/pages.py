"""Which reference pages there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from . import backends, capabilities, command_line, exit_codes, interfaces, pytest_options, scenarios, variables_page

COMMAND = "python -m stackproof.reference docs/reference"
"""What writes them anew."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its title, and what makes its body."""

    title: str
    body: Callable[[], str]

    def text(self) -> str:
        """The Markdown of the page."""
        mark = f"<!-- Generated. Do not edit: change the code, then run {COMMAND} -->"
        return "\n\n".join([f"# {self.title}", mark, self.body()]) + "\n"


PAGES: Mapping[str, Page] = MappingProxyType(
    {
        "cli.md": Page("Command line", command_line.body),
        "pytest.md": Page("Options of the pytest plug-in", pytest_options.body),
        "interfaces.md": Page("Interfaces in full", interfaces.body),
        "capabilities.md": Page("Capabilities", capabilities.body),
        "backends.md": Page("Backends", backends.body),
        "scenarios.md": Page("Scenarios and their settings", scenarios.body),
        "variables.md": Page("Environment variables", variables_page.body),
        "exit-codes.md": Page("Exit codes", exit_codes.body),
    }
)
