"""Names of what adapters make in AWS services: the namespace in them, one to one, in the characters that services allow."""

from __future__ import annotations

from hashlib import blake2b

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
_HASH_BYTES = 16


def namespaced(prefix: str, component: str, namespace: str, longest: int) -> str:
    """``PREFIXcomponent`` for the empty namespace, ``PREFIXcomponent.NAMESPACE`` for another, in at most ``longest`` characters.

    A character that services do not allow is written as its code; a name that is too long, as a digest after two dots.
    """
    base = f"{prefix}{component}"
    if not namespace:
        return base
    escaped = "".join(c if c in _PLAIN else "__" if c == "_" else f"_{ord(c):x}_" for c in namespace)
    name = f"{base}.{escaped}"
    if len(name) <= longest:
        return name
    return f"{base}..{blake2b(namespace.encode('utf-8', 'surrogatepass'), digest_size=_HASH_BYTES).hexdigest()}"
