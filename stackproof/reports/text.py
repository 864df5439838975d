"""Text that others chose (keys, messages, names of backends), made safe to show: nothing hidden, nothing obeyed."""

from __future__ import annotations

import io
import unicodedata
from typing import IO

_KEPT = "\n\t"
# Format characters that reorder or hide what follows; joiners that writing systems and emoji need stay as they are.
_JOINERS = "\u200c\u200d"


def visible(text: str) -> str:
    """The text with every control, surrogate and invisible format character written as its Python escape.

    What is left can be encoded as UTF-8, is legal in XML 1.0, and cannot steer a terminal or reorder a line.
    """
    return text if text.isascii() and text.isprintable() else "".join(_shown(character) for character in text)


def one_line(text: str) -> str:
    """`visible`, and on one line: line breaks and tabs are written as their escapes too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def what_happened(error: BaseException) -> str:
    """What an error says; of one of the operating system only that, without its number and the name of the file."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def told(error: BaseException, sentence: str | None = None) -> str:
    """What an error says (or the ``sentence`` that is said instead), with what was noted of it on its way."""
    return "; ".join([str(error) if sentence is None else sentence, *getattr(error, "__notes__", ())])


def escape_what_it_cannot_encode(stream: IO[str]) -> None:
    """Make a stream write a character that its encoding lacks as an escape, where it would raise.

    A log of a CI server may be ASCII or Latin-1; a result must not be lost over a tick.
    """
    # In the C locale Python's own choice is surrogateescape, which helps only with what came in as bytes.
    if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
        stream.reconfigure(errors="backslashreplace")


def _shown(character: str) -> str:
    if character in _KEPT or character in _JOINERS:
        return character
    noncharacter = ord(character) & 0xFFFE == 0xFFFE
    if noncharacter or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape").decode("ascii")
    return character
