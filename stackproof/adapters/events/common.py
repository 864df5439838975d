"""What the event adapters share: the JSON envelope of an event, the rule for topics, and how a handler is called."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime

from stackproof.interfaces import Event, Handler, RejectedError

logger = logging.getLogger("stackproof")

_encoder = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"))
_PLAIN = frozenset({str, int, float, bool, type(None)})
_DEEP = 20
"""Values that are nested deeper are read back to be compared."""
_quoted = json.encoder.encode_basestring  # one text as JSON, in C; anything else is a TypeError


def _compact_encoder() -> Callable[[object], str]:
    """`_encoder`'s ``encode``, which makes the encoder in C anew each time: here it is made once, where there is one."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return _encoder.encode
    quoted, (item, key) = json.encoder.encode_basestring, (_encoder.item_separator, _encoder.key_separator)
    chunks = make(None, _encoder.default, quoted, None, key, item, False, False, False)
    return lambda value: "".join(chunks(value, 0))


_compact = _compact_encoder()


def to_json(event: Event, max_payload_bytes: int) -> bytes:
    """The envelope as compact JSON in UTF-8. Raises `RejectedError` for what would not come back equal."""
    try:
        payload = dict(event.payload)
        text = _compact(payload)
        size = len(text.encode())
        # Tuples, number keys and the like have a JSON form, but another value comes back.
        faithful = _is_plain(payload) or json.loads(text) == payload
        head = (
            f'{{"type":{_quoted(event.type)},"event_id":{_quoted(event.event_id)},"key":{_quoted(event.key)},'
            f'"timestamp":"{event.timestamp.isoformat()}"'
        )
        envelope = f'{head},"payload":{text}}}'.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise RejectedError(f"the event has no JSON form: {error}") from error
    if not faithful:
        raise RejectedError("the event holds values that JSON would alter, such as a tuple or a key that is no text")
    if size > max_payload_bytes:
        raise RejectedError(f"a payload has at most {max_payload_bytes} bytes of JSON; this one has {size}")
    return envelope


def _is_plain(value: object, depth: int = 0) -> bool:
    """Whether it is made of nothing but what JSON gives back as it was: seen at a glance, where reading it back takes longer."""
    kind = type(value)
    if kind in _PLAIN:
        return True
    if depth > _DEEP:
        return False
    if kind is dict:
        return all(
            type(key) is str and (type(held) in _PLAIN or _is_plain(held, depth + 1))
            for key, held in value.items()  # type: ignore[attr-defined]
        )
    return kind is list and all(_is_plain(held, depth + 1) for held in value)  # type: ignore[attr-defined]


def from_json(envelope: bytes) -> Event:
    """The event of an envelope. Raises ValueError, KeyError or TypeError for anything else."""
    fields = json.loads(envelope)
    return Event(
        type=fields["type"],
        payload=fields["payload"],
        timestamp=datetime.fromisoformat(fields["timestamp"]),
        key=fields["key"],
        event_id=fields["event_id"],
    )


def check_topic(topic: str) -> None:
    """Raise `RejectedError` for a topic that is empty or has no UTF-8 form."""
    try:
        empty = not topic.encode()
    except UnicodeEncodeError as error:
        raise RejectedError(f"the topic {topic!r} has no UTF-8 form") from error
    if empty:
        raise RejectedError("a topic is a non-empty text")


def call_handler(handler: Handler, event: Event, topic: str) -> bool:
    """Whether the handler took the event; what it raises is logged, without the payload, which may be private."""
    try:
        handler(event)
    except BaseException:  # SystemExit too: it would end the thread of the subscription without a word
        logger.exception("the handler of topic %r failed on event %s (%s)", topic, event.event_id, event.type)
        return False
    return True
