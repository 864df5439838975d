"""What a word is, for every search index: the one definition that texts and queries share."""

from __future__ import annotations

import re
import unicodedata

MAX_WORD_CHARACTERS = 255
"""Longer words are cut to this, in texts and queries alike."""

# Letters, digits and the marks that combine with them; the underscore joins words in no human language.
_WORD = re.compile(
    r"[^\W_]+(?:[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u0900-\u0903\u093a-\u094f]+[^\W_]*)*"
)


def words_of(text: str) -> list[str]:
    """The words of a text in order: runs of letters and digits after NFKC and case folding.

    Everything else (punctuation, operators, quotes, control characters, lone surrogates) separates words.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return [word[:MAX_WORD_CHARACTERS] for word in _WORD.findall(folded)]
