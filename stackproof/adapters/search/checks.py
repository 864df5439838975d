"""What search adapters share: whether a document can be indexed, and the error that names those that cannot."""

from __future__ import annotations

from collections.abc import Mapping

from stackproof.interfaces import MAX_MATCH_WORDS, Document, Match, RejectedError, SearchQuery, words_of

_REASONS_SHOWN = 3


def too_large(document: Document, max_document_bytes: int) -> str:
    """Why the document is too large; empty where it is not."""
    size = utf8_length(document.title) + utf8_length(document.text)
    if size <= max_document_bytes:
        return ""
    return f"title and text have {size} bytes, the limit is {max_document_bytes}"


def utf8_length(text: str) -> int:
    """The length of the UTF-8 form, in bytes; lone surrogates, which have none, count three as their neighbours do."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def words_to_match(match: Match, query: SearchQuery) -> list[str]:
    """The words of a query that are looked for: in order and with repetitions for a phrase, else each once.

    `RejectedError` where there are more than `MAX_MATCH_WORDS`.
    """
    words = words_of(query.text)
    if match is not Match.PHRASE:
        words = list(dict.fromkeys(words))
    if len(words) > MAX_MATCH_WORDS:
        raise RejectedError(f"the query has {len(words)} words; one for {match.value} has {MAX_MATCH_WORDS} at most")
    return words


def raise_if_any(failed: Mapping[str, str], done: str = "indexed") -> None:
    """Raise a `RejectedError` that names every rejected document and shows the first reasons."""
    if not failed:
        return
    shown = "; ".join(f"{name!r:.80}: {reason}" for name, reason in list(failed.items())[:_REASONS_SHOWN])
    more = f"; and {len(failed) - _REASONS_SHOWN} more" if len(failed) > _REASONS_SHOWN else ""
    noun = "document" if len(failed) == 1 else "documents"
    raise RejectedError(f"{len(failed)} {noun} cannot be {done}: {shown}{more}", failed)
