"""The built-in backends, as the registry has them."""

from __future__ import annotations

from stackproof.adapters.registry import BUILT_IN, CONCERNS, BackendEntry
from stackproof.container import CHOSEN_BY
from stackproof.reports.markdown_text import table, wrapped

_HEAD = (
    "The backends that come with stackproof. `stackproof backends` lists the same, with those of installed "
    "packages and the last verdict of each. A name or an alias is a value of the variable, and a SPEC of "
    "`--backend CONCERN=SPEC`. The server is that of `--origin embedded` and `container` "
    "([servers](../servers.md))."
)


def body() -> str:
    """The whole page."""
    parts = [wrapped(_HEAD)]
    for concern in CONCERNS:
        variable, default = CHOSEN_BY[concern]
        rows = [_row(entry) for entry in BUILT_IN if entry.concern == concern]
        parts += [
            f"## {concern.capitalize()}",
            f"Chosen by `{variable}`; the default is `{default}`.",
            table(("name", "what it is", "extra", "server", "needs"), rows),
        ]
    return "\n\n".join(parts)


def _row(entry: BackendEntry) -> tuple[str, ...]:
    names = ", ".join(f"`{name}`" for name in (entry.name, *entry.aliases))
    servers = ", ".join(filter(None, (entry.server, *entry.also)))
    return names, entry.summary, entry.extra, servers or "none", ", ".join(entry.variables)
