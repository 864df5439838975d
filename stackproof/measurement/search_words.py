"""How rates and times read in the sentences of a search. Pure."""

from __future__ import annotations


def a_rate(rate: float) -> str:
    """Such as ``1,600/s``."""
    return f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.3g}/s"


def a_time(seconds: float) -> str:
    """Such as ``12 s`` or ``15 min``."""
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.3g} s"


def milliseconds(value: float) -> str:
    """Such as ``1.42 ms``."""
    return f"{value:.2f} ms" if value < 10 else f"{value:.0f} ms"
