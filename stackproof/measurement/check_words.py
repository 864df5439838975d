"""What the checks of a window say against the backends, in words: the same in a run, in a search and in its judgement. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

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
UNTRUTHS = tuple(kind for kind in KINDS if kind != "unhandled")
"""What stays true of a backend also where the window was cut short: a backlog may be because of that."""


def against(kind: str, number: int, *, of: int | None = None, where: str = "") -> str:
    """What was seen so often, ``of`` so many operations."""
    among, noun = ("", "things") if of is None else (f" of {of:,}", "operations")
    return f"{number:,}{among} {_WORDS[kind].format(noun)}{where}"


def said_by(checks: Mapping[str, Any], kinds: tuple[str, ...] = KINDS) -> str:
    """The sentence against the backends for what was checked, with an example; empty where there is nothing to say."""
    said = [against(kind, checks[kind]) for kind in kinds if checks.get(kind)]
    example = next(iter(checks.get("examples", ())), "")
    return f"{', '.join(said)}{f'; for example: {example}' if example else ''}." if said else ""


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
