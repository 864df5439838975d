"""Every variable: those that choose backends from the container and the registry, the others from `variables`."""

from __future__ import annotations

from stackproof.adapters.registry import BUILT_IN
from stackproof.container import CHOSEN_BY
from stackproof.reports.markdown_text import wrapped

from .variables import GROUPS

_HEAD = (
    "All variables that are read. An empty value counts as not set; surrounding white space does not matter. "
    "With `--origin external` the commands take the addresses of servers from them; with `--origin embedded` "
    "and `container` they start servers and set the addresses themselves. A text that cannot be is one "
    "sentence that names the variable. What holds a password is never shown."
)


def body() -> str:
    """The whole page."""
    parts = [wrapped(_HEAD), "## Choosing backends"]
    chosen = []
    for concern, (variable, default) in CHOSEN_BY.items():
        names = [f"`{name}`" for entry in BUILT_IN if entry.concern == concern for name in (entry.name, *entry.aliases)]
        shown = f"`{default}`; `local` without `REDIS_URL`" if concern == "cache" else f"`{default}`"
        chosen.append((f"`{variable}`", shown, f"{concern}: {', '.join(names)}, or the name of an installed one"))
    parts.append(_table(chosen))
    for group in GROUPS:
        parts += [f"## {group.title}", _table([(f"`{v.name}`", v.default, v.meaning) for v in group.variables])]
    return "\n\n".join(parts)


def _table(rows: list[tuple[str, str, str]]) -> str:
    """The cells are Markdown already."""
    lines = [("variable", "default", "meaning"), ("---", "---", "---"), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
