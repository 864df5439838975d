"""Text of ours as Markdown, for the pages of the documentation that are made from the code."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterable

WIDTH = 130


def escaped(text: str) -> str:
    """Text for Markdown; what stands between backticks is code already. Underscores within a name need no escape."""
    parts = text.replace("``", "`").split("`")
    parts[::2] = [re.sub(r"[\\*<|\[\]]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", part) for part in parts[::2]]
    return "`".join(parts)


def code(text: str) -> str:
    """Text as code, for a cell of a table too: there a bar between backticks is read in two ways."""
    return f"<code>{html.escape(text, quote=False).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def wrapped(text: str, indent: str = "") -> str:
    """A paragraph or a list item in lines."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table. The first column is Markdown as it is; the others are text, or a whole cell of code."""
    lines = [head, tuple("---" for _ in head), *((first, *map(_cell, rest)) for first, *rest in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    is_code = (text.startswith("`") and text.endswith("`")) or (text.startswith("<code>") and text.endswith("</code>"))
    return text if is_code else escaped(text)


def docstring(text: str) -> str:
    """A docstring as Markdown: its paragraphs, with ``names`` as `names`. Emphasis and lists in it are Markdown already."""
    paragraphs = [re.sub(r"(?m)^\s+(?!\s*[-*0-9])", "", part) for part in text.replace("``", "`").strip().split("\n\n")]
    return "\n\n".join(
        part if part.lstrip().startswith("- ") else wrapped(" ".join(part.split())) for part in paragraphs
    )
