"""Names for what a namespace gets in a server that allows few characters: one to one, and never cut."""

from __future__ import annotations

from hashlib import blake2b

_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789"


def name_of(component: str, namespace: str, longest: int) -> str:
    """``sp_<component>_<namespace>`` in lower-case letters, digits and underscores; a digest where that is too long."""
    escaped = "".join(c if c in _PLAIN else "__" if c == "_" else f"_{ord(c):x}_" for c in namespace)
    name = f"sp_{component}_{escaped}"
    if len(name) <= longest:
        return name
    return f"sph_{component}_{blake2b(namespace.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"
