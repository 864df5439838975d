"""What the tests of the documentation read out of Markdown: code blocks, links, anchors, commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
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
SITE = tuple(sorted((ROOT / "docs").rglob("*.md")))
EXAMPLES = tuple(sorted((ROOT / "examples").rglob("README.md")))
DOCUMENTS = (README, CONTRIBUTING, CHANGELOG, *EXAMPLES, *SITE)

_BLOCK = re.compile(r'^(?:<!-- ([^\n]*?) -->\n)?```(\w+)(?: title="([^"]*)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w./-]+\.[a-z]+)(, with these methods instead)?\n")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_REFERENCE = re.compile(r"^\[[^\]]+\]: (\S+)$", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ID = re.compile(r'<a id="([^"]+)"')
_COMMAND = re.compile(r"^stackproof(?: .*)?$")
_SUBSTITUTION = re.compile(r"\$\((stackproof [^)]*)\)")
_BETWEEN_COMMANDS = re.compile(r"&&|\|\||[|;]")
_AROUND = re.compile(r"^(?:[A-Z_]+=\S* )*(?:\S*/bin/)?|\s+(?:&|\d?>.*)$")
SHELL = ("sh", "bash", "console")


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    mark: str
    """The text of the comment directly above it, which says how it is run, or why it is not."""
    language: str
    told: str
    """The title that stands in the fence: where a worked example puts it."""
    code: str
    line: int = 0

    @cached_property
    def title(self) -> str:
        """The file that it is: from the fence, or from a comment in its first line."""
        named = _FILE.match(self.code)
        return self.told or (named[1] if named else "")

    @cached_property
    def replaces(self) -> bool:
        """Whether it holds methods that take the place of those of the file."""
        named = _FILE.match(self.code)
        return bool(named and named[2])


def blocks(document: Path, *languages: str) -> list[Block]:
    """The code blocks of these languages (none given: of all), in order."""
    text = document.read_text(encoding="utf-8")
    found = (
        Block(*match.groups(default=""), line=text.count("\n", 0, match.start()) + 1) for match in _BLOCK.finditer(text)
    )
    return [block for block in found if not languages or block.language in languages]


def shell_lines(block: Block) -> Iterator[str]:
    """The command lines of a block in a language of shells; lines that are continued are joined."""
    lines = block.code.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    yield from lines


def text_without_blocks(document: Path) -> str:
    """What a document says outside of its code blocks."""
    return _BLOCK.sub("", document.read_text(encoding="utf-8"))


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
    lines = [line for block in blocks(document, *SHELL) for line in shell_lines(block)]
    parts = [part for line in lines for part in _BETWEEN_COMMANDS.split(line)]
    parts += [inner for line in lines for inner in _SUBSTITUTION.findall(line)]
    spans = re.findall(r"`([^`\n]+)`", text_without_blocks(document))
    for text in (*parts, *spans):
        bare = _AROUND.sub("", text.partition(" #")[0].strip())
        if _COMMAND.match(bare):
            yield bare


def _without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", _BLOCK.sub("", text))


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
