"""Numbers as people type them: 10K, 2.5M, 1B, 1,000,000, 10%. Pure, and exact."""

from __future__ import annotations

import re
from decimal import Decimal

from stackproof.interfaces import ConfigurationError

_NUMBER = re.compile(r"([+-]?)(\d{1,3}(?:,\d{3})+|\d[\d_]*)(\.\d+)?\s*([KMB%]?)\Z", re.IGNORECASE | re.ASCII)
"""With commas only between thousands, as every output writes them: in 1,5 one would be a decimal point to others."""
_TIMES = {"": Decimal(1), "K": Decimal(10**3), "M": Decimal(10**6), "B": Decimal(10**9), "%": Decimal("0.01")}
LONGEST = 40
"""Characters of a number; more are no number that anybody means."""


def number(option: str, text: str) -> Decimal:
    """The number; a `ConfigurationError` that names the option for anything else."""
    found = _NUMBER.match(text.strip()) if len(text) <= LONGEST else None
    if found is None:
        raise ConfigurationError(f"{option} {text[:LONGEST]!r} is no number; it looks like 10000, 10K, 2.5M, 1B or 0.1")
    sign, digits, fraction, unit = found.groups()
    return Decimal(f"{sign}{re.sub('[_,]', '', digits)}{fraction or ''}") * _TIMES[unit.upper()]


def whole(option: str, text: str) -> int:
    """The whole number; a `ConfigurationError` for one that is none."""
    value = number(option, text)
    if value != value.to_integral_value():
        raise ConfigurationError(f"{option} {text!r} is no whole number; it looks like 10000, 10K, 2.5M or 1B")
    return int(value)
