"""Names of what is tallied after a window of load, for those who write them and those who read them."""

from __future__ import annotations

ACKNOWLEDGED = "interactions acknowledged"
"""Those that nobody had counted again when the window ended."""
COUNTED = "interactions counted again"
"""Of those, the ones of customers whose interactions were counted again after the window."""
