"""Settings: the environment variables that choose and configure backends, read once, secrets never shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from stackproof.interfaces import ConfigurationError

ENVIRONMENTS = ("development", "test", "production")
"""What STACKPROOF_ENV may be. A word that is mistyped must not turn production into a laptop."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A snapshot of the variables. ``Settings.from_environment()`` is the usual one; tests pass a mapping."""

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_environment(cls) -> Settings:
        return cls(dict(os.environ))

    def get(self, name: str, default: str = "") -> str:
        """The value of a variable without surrounding white space; an empty one counts as not set."""
        return self.variables.get(name, "").strip() or default

    def require(self, name: str, purpose: str, example: str) -> str:
        """The value of a variable, or a `ConfigurationError` that says what to type."""
        value = self.get(name)
        if not value:
            raise ConfigurationError(f"{name} is not set; {purpose} needs it, for example: export {name}={example}")
        return value

    def number(self, name: str, default: float, minimum: float = 0.0) -> float:
        """A numeric variable (seconds, counts); text that is no number is a `ConfigurationError`."""
        text = self.get(name)
        if not text:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not minimum <= value < float("inf"):
            raise ConfigurationError(f"{name}={text!r} is not a number of at least {minimum:g}")
        return value

    @property
    def connect_timeout(self) -> float:
        """Seconds to reach a server: ``STACKPROOF_CONNECT_TIMEOUT``, 5 unless set."""
        return self.number("STACKPROOF_CONNECT_TIMEOUT", 5.0, minimum=0.1)

    @property
    def operation_timeout(self) -> float:
        """Seconds for one operation: ``STACKPROOF_OPERATION_TIMEOUT``, 5 unless set."""
        return self.number("STACKPROOF_OPERATION_TIMEOUT", 5.0, minimum=0.1)

    @property
    def database_connections(self) -> int:
        """How many connections one adapter may open to PostgreSQL: ``DATABASE_MAX_CONNECTIONS``, 16 unless set."""
        return int(self.number("DATABASE_MAX_CONNECTIONS", 16, minimum=1))

    @property
    def production(self) -> bool:
        """Whether ``STACKPROOF_ENV=production``: fallbacks that are fine on a laptop become errors."""
        value = self.get("STACKPROOF_ENV", "development").lower()
        if value not in ENVIRONMENTS:
            raise ConfigurationError(f"STACKPROOF_ENV={value!r} is not known; known are: {', '.join(ENVIRONMENTS)}")
        return value == "production"


def hide_secrets(url: str) -> str:
    """A URL that may be shown: user name and password replaced, the query (it can hold tokens) cut off.

    Of what is no URL (a keyword string such as ``host=... password=...``), and of a URL that falls apart in the wrong places
    (a password with a ``/`` or ``#`` that was not encoded), nothing is shown but that.
    """
    try:
        parts = urlsplit(url)
        for host in parts.netloc.rpartition("@")[2].split(","):
            _ = urlsplit(f"//{host}").port  # asking for it is what raises
    except ValueError:
        return "(a URL that cannot be parsed)"
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        return "(a URL that cannot be parsed)"
    if not parts.scheme:
        return "(an address that is no URL)"
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    host = "***@" + parts.netloc.rpartition("@")[2] if "@" in parts.netloc else parts.netloc
    return urlunsplit(parts._replace(netloc=host, query="", fragment=""))
