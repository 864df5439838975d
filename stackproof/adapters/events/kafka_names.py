"""Names of topics and groups in Kafka for the free texts of an application: injective, legal, readable where possible.

A legal name has at most 249 letters, digits, dots, underscores and hyphens. A broker refuses a topic that differs from another
one only in dots and underscores, so that underscores are never used here.
"""

from __future__ import annotations

import hashlib
import string

LONGEST_NAME = 249
LONGEST_NAMESPACE = 90
"""A longer namespace is shortened by itself: a name still begins with its whole namespace."""
LONGEST_SHOWN_TOPIC = 60
"""In the name of a group, a longer topic is shortened by itself: then there is room for the name of the group."""
_PLAIN = frozenset((string.ascii_letters + string.digits).encode())
_HYPHEN = ord("-")


def prefix_of(namespace: str) -> str:
    """What every name of this namespace begins with, and no name of another one: what is between the dots has none."""
    return f"stackproof.{_encoded(namespace, LONGEST_NAMESPACE)}."


def topic_name(namespace: str, topic: str) -> str:
    prefix = prefix_of(namespace)
    return prefix + _encoded(topic, LONGEST_NAME - len(prefix), plain=".")


def group_name(namespace: str, topic: str, group: str) -> str:
    """The group of one topic: groups of other topics that are called the same are others, and are not disturbed by it."""
    prefix = f"{prefix_of(namespace)}{_encoded(topic, LONGEST_SHOWN_TOPIC)}."
    return prefix + _encoded(group, LONGEST_NAME - len(prefix), plain=".")


def _encoded(text: str, limit: int, plain: str = "") -> str:
    """Letters and digits as they are, a hyphen as two, each other byte of UTF-8 as a hyphen and two hexadecimal digits.

    What gets too long is cut between two characters and ends with a digest, which a hyphen and an ``h`` announce: in no
    other name does a hyphen come before an ``h``.
    """
    pieces = [_piece(byte, plain) for byte in text.encode()]
    if sum(map(len, pieces)) <= limit:
        return "".join(pieces)
    digest = "-h" + hashlib.sha256(text.encode()).hexdigest()[:40]
    kept, room = "", limit - len(digest)
    for piece in pieces:
        if len(kept) + len(piece) > room:
            break
        kept += piece
    return kept + digest


def _piece(byte: int, plain: str) -> str:
    if byte in _PLAIN or chr(byte) in plain:
        return chr(byte)
    return "--" if byte == _HYPHEN else f"-{byte:02x}"
