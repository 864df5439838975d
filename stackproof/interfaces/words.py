"""What a word is, for every search index: the one definition that texts and queries share."""

from __future__ import annotations

import re
import unicodedata

MAX_WORD_CHARACTERS = 255
"""Longer words are cut to this, in texts and queries alike (at most 1,020 bytes of UTF-8)."""

MAX_MARKS = 30
"""Of a longer run of combining marks only the first ones count, as in Unicode's stream-safe text format (UAX 15).
Putting marks into canonical order takes quadratic time: without a limit one document could block a processor for seconds."""

# One letter for each kind of character: a text is classified by `str.translate`, and words are found in the result.
_JOINING, _ALONE, _MARK, _IGNORED, _SEPARATOR = "ajmx "

# Letters by category that are written for quotes and apostrophes: O'zbek is spelt with U+0027, U+2019, U+02BB and U+02BC,
# so all of them separate.
_QUOTE_LIKE = frozenset([*range(0x02B9, 0x02C0), 0x02C8, 0x02EE, 0x07F4, 0x07F5])

# Marks and letters without any appearance: grapheme joiner, variation selectors, fillers.
_INVISIBLE = frozenset(
    [
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    ]
)
_ZERO_WIDTH_SPACE = 0x200B

# Written without spaces: each character is a word, as in Unicode's word boundaries (UAX 29).
_ALONE_NAMES = ("CJK ", "IDEOGRAPHIC ", "HIRAGANA ")


class _Kinds(dict[int, str]):
    """The kind of each code point, worked out when it is first met: classifying all of Unicode would cost every import."""

    def __missing__(self, code: int) -> str:
        kind = self[code] = _kind_of(code)
        return kind


def _kind_of(code: int) -> str:
    category = unicodedata.category(chr(code))
    if code in _QUOTE_LIKE or code == _ZERO_WIDTH_SPACE:
        return _SEPARATOR
    if code in _INVISIBLE or category in ("Cf", "Me"):
        return _IGNORED
    if category[0] == "M":
        return _MARK
    if category[0] not in "LN":
        return _SEPARATOR
    return _ALONE if unicodedata.name(chr(code), "").startswith(_ALONE_NAMES) else _JOINING


_KINDS = _Kinds()
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_WORD = re.compile(f"{_JOINING}[{_JOINING}{_MARK}]*|{_ALONE}{_MARK}*")
_SURPLUS_MARKS = re.compile(f"(?<={_MARK}{{{MAX_MARKS}}}){_MARK}+")


def words_of(text: str) -> list[str]:
    """The words of a text in order.

    A word is a run of letters and digits with the marks that combine with them, after compatibility normalisation and
    case folding (Unicode's NFKC_Casefold). Characters without any appearance (soft hyphen, joiners, variation selectors) are
    left out. Ideographs and hiragana are a word each. Everything else separates words: punctuation, operators, quotes
    and their look-alikes, the underscore, symbols and emoji, control characters, lone surrogates.

    Each word is its own only word: ``words_of(word) == [word]``.
    """
    if text.isascii():
        return [word[:MAX_WORD_CHARACTERS] for word in _ASCII_WORD.findall(text.lower())]
    folded = _without_surplus_marks(_folded(_without_surplus_marks(_without_ignored(text))))
    kinds = folded.translate(_KINDS)
    return [
        folded[match.start() : min(match.end(), match.start() + MAX_WORD_CHARACTERS)] for match in _WORD.finditer(kinds)
    ]


def _folded(text: str) -> str:
    """Unicode's definition D146 of a compatibility caseless match: decompose, fold, normalise, and once more."""
    once = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", text).casefold())
    return unicodedata.normalize("NFKC", once.casefold())


def _without_ignored(text: str) -> str:
    kinds = text.translate(_KINDS)
    if _IGNORED not in kinds:
        return text
    return "".join(character for character, kind in zip(text, kinds, strict=True) if kind != _IGNORED)


def _without_surplus_marks(text: str) -> str:
    kinds = text.translate(_KINDS)
    if _MARK * (MAX_MARKS + 1) not in kinds:
        return text
    kept, start = [], 0
    for surplus in _SURPLUS_MARKS.finditer(kinds):
        kept.append(text[start : surplus.start()])
        start = surplus.end()
    return "".join([*kept, text[start:]])
