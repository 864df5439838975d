"""What the tests of the documentation read out of Markdown: code blocks, links, anchors, commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
CHANGELOG = ROOT / "CHANGELOG.md"
INDEX = ROOT / "docs" / "index.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
ASYNCIO = ROOT / "docs" / "asyncio.md"
DISTRIBUTED = ROOT / "docs" / "distributed.md"
FINDINGS = ROOT / "docs" / "findings.md"
MACHINES = ROOT / "docs" / "machines.md"
MEASURING = ROOT / "docs" / "measuring.md"
INTERFACES = ROOT / "docs" / "interfaces.md"
REHEARSAL = ROOT / "examples" / "distributed" / "README.md"
DOCUMENTS = (README, CONTRIBUTING, CHANGELOG, REHEARSAL, *sorted((ROOT / "docs").rglob("*.md")))

_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]*)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_REFERENCE = re.compile(r"^\[[^\]]+\]: (\S+)$", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ID = re.compile(r'<a id="([^"]+)"')
_COMMAND = re.compile(r"^stackproof(?: .*)?$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code. ``title`` says where a worked example puts it."""

    language: str
    title: str
    code: str


def blocks(document: Path, language: str) -> list[Block]:
    """The code blocks of a language, in order."""
    found = (Block(*match.groups(default="")) for match in _BLOCK.finditer(document.read_text(encoding="utf-8")))
    return [block for block in found if block.language == language]


def links(document: Path) -> Iterator[str]:
    """The targets of links and images, code left out."""
    text = _without_code(document.read_text(encoding="utf-8"))
    yield from _LINK.findall(text)
    yield from _REFERENCE.findall(text)


def anchors(document: Path) -> set[str]:
    """What a link into this document can name after its ``#``, as GitHub and MkDocs make it of headings."""
    text = document.read_text(encoding="utf-8")
    headings = {_slug(heading) for heading in _HEADING.findall(_BLOCK.sub("", text))}
    return headings | set(_ID.findall(text))


def commands(document: Path) -> Iterator[str]:
    """Every command line of stackproof that the document shows, in a block or between backticks."""
    lines = [line for block in blocks(document, "sh") for line in re.split(r"\n|&&", block.code)]
    spans = re.findall(r"`([^`\n]+)`", _BLOCK.sub("", document.read_text(encoding="utf-8")))
    for text in (*lines, *spans):
        bare = re.sub(r"^\S*/bin/", "", text.partition("#")[0].strip())
        if _COMMAND.match(bare):
            yield bare


def _without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", _BLOCK.sub("", text))


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
