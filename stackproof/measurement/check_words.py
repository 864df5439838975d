"""What the checks of a window say against the backends, in words: the same in a run, in a search and in its judgement. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

from stackproof.scenarios.counting_words import ACKNOWLEDGED, COUNTED

UNTRUE = "untrue"
"""What is wrong, and what came twice, where a search adds both up."""
_WORDS = {
    "wrong": "answers of backends were wrong",
    "lost": "{} that were acknowledged are gone",
    "duplicated": "{} came or count more than once",
    UNTRUE: "answers were wrong or came twice",
    "unhandled": "{} were accepted and not handled when the window had settled",
}
KINDS = tuple(kind for kind in _WORDS if kind != UNTRUE)
"""What checks count, each with words of its own."""


def against(kind: str, number: int, *, of: int | None = None, where: str = "") -> str:
    """What was seen so often, ``of`` so many operations."""
    among, noun = ("", "things") if of is None else (f" of {of:,}", "operations")
    return f"{number:,}{among} {_WORDS[kind].format(noun)}{where}"


def counted_again(counts: Mapping[str, int]) -> str:
    """What share of the acknowledged interactions was looked for afterwards; empty where none was acknowledged."""
    if not (acknowledged := counts.get(ACKNOWLEDGED, 0)):
        return ""
    counted = counts.get(COUNTED, 0)
    share = math.floor(1000 * counted / acknowledged) / 10
    return f"{counted:,} of {acknowledged:,} acknowledged interactions were counted again ({share:g} %)"


def not_known(why: str) -> str:
    """That nobody could look."""
    return f"it is not known whether anything is lost: {why}"
