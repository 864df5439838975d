"""What a page's tables are filled with: columns, verdicts and links as values, which ``components.html.j2`` writes."""

from __future__ import annotations

from dataclasses import dataclass

TONES = ("PASS", "FAIL", "INCONCLUSIVE", "SKIPPED", "NOT_SUPPORTED", "PROVISIONAL")
"""What a verdict is coloured and marked like, whatever its word is."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    title: str
    kind: str = ""
    """Classes of the style sheet: ``number`` (aligned right), ``mono``, ``small``; several with spaces between them."""


@dataclass(frozen=True, slots=True)
class Badge:
    """A verdict in a cell: symbol and word, never colour alone."""

    tone: str
    """One of `TONES`."""
    word: str
    why: str = ""
    """A sentence below it; empty for none."""
    mark: str | None = None
    """Another symbol than that of the tone."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link in a cell; ``href`` is an anchor of the page, or a path relative to it."""

    href: str
    text: str


def number(title: str) -> Column:
    """A column of figures."""
    return Column(title, "number")


def percent_encoded(path: str) -> str:
    """A relative path as an address: no name of a file can leave the attribute, or name a scheme or a host."""
    from urllib.parse import quote

    return "./" + "/".join(quote(part, safe="", errors="surrogateescape") for part in path.split("/"))
