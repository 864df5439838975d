"""Changes settings in a YAML file as text, so that comments, order and everything else stay as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping

TOP_LEVEL = re.compile(r"^([A-Za-z_][\w-]*):")


def with_settings(text: str, settings: Mapping[str, str | None]) -> str:
    """Return the text with top-level settings replaced; None removes one, with everything that is indented below it."""
    kept: list[str] = []
    dropping = False
    for line in text.splitlines():
        found = TOP_LEVEL.match(line)
        if found is not None:
            dropping = found[1] in settings
        elif not line.startswith((" ", "\t", "-")):
            dropping = False  # a comment or an empty line between two settings
        if not dropping:
            kept.append(line)
    added = [f"{name}: {value}" for name, value in settings.items() if value is not None]
    return "\n".join([*kept, *added]) + "\n"
