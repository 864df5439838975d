"""Roles of windows in a record, where several modules must agree on them."""

MEASURED = "measured"
"""A window whose figures are those of the run; every other one prepares or explains them."""
SWEEP = "sweep"
"""A window of a closed-loop sweep over concurrencies."""
