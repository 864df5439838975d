"""One schedule begins once: every process that takes part in it is there before it is shared out, and all begin together.

Kept by the process that conducts a test of somebody else's locustfile: Locust's master, or its only process. Knows nothing
of Locust but the names of user classes and how many users of each there will be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Share = tuple[int, int]
"""Which process of how many, among those of one user class."""


@dataclass(slots=True)
class CommonStart:
    """Who is there for a test, and who has told how it ended."""

    there: dict[str, list[str]] = field(default_factory=dict)
    """By name of the user class, the processes that wait to begin."""
    expected: Mapping[str, int] | None = None
    """By name of the user class, how many users there are; None until all were started."""
    begun: bool = False
    refused: str = ""
    """Why nothing is offered, or nothing more."""

    def join(self, name: str, process: str) -> None:
        """A process is ready to offer its share of this class's schedule."""
        self.there.setdefault(name, []).append(process)

    def expect(self, users: Mapping[str, int]) -> None:
        """All users were started: so many of each class. Of a test that has begun, it changes nothing."""
        if not self.begun:
            self.expected = users

    @property
    def complete(self) -> bool:
        """Whether everybody is there, so that the schedules can begin."""
        wanted = {name: users for name, users in (self.expected or {}).items() if users}
        return bool(wanted) and wanted == {name: len(processes) for name, processes in self.there.items()}

    def shares(self) -> dict[str, dict[str, Share]]:
        """By process and name of the user class, what it offers: each schedule is offered as a whole, by those that are there."""
        found: dict[str, dict[str, Share]] = {}
        for name, processes in self.there.items():
            for number, process in enumerate(sorted(processes)):
                found.setdefault(process, {})[name] = (number, len(processes))
        return found

    @property
    def missing(self) -> str:
        """Who is not there, as a phrase."""
        if self.expected is None:
            return "not all users were started"
        parts = [
            f"{len(self.there.get(name, ()))} of {users} of {name} were ready"
            for name, users in self.expected.items()
            if users
        ]
        return ", ".join(parts) or "there were no users"
