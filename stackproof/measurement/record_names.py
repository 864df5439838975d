"""Roles of windows in a record, and what limited them, where several modules must agree on them."""

MEASURED = "measured"
"""A window whose figures are those of the run; every other one prepares or explains them."""
SWEEP = "sweep"
"""A window of a closed-loop sweep over concurrencies."""
UNKNOWN = "unknown"
"""The limiter where nothing was offered: nothing was held then, and nothing stopped."""
LIMITERS = ("client", "error", "server", "none", UNKNOWN)
"""Of windows (`judgement.limiter_of`), the one first that is said of several: where the client was it, nothing is known about the
backends."""
