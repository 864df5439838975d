"""`python -m stackproof.reference DIRECTORY`: write all pages, or one with ``--page``."""

from __future__ import annotations

from pathlib import Path

import click

from .pages import PAGES


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--page", "wanted", type=click.Choice(sorted(PAGES)), multiple=True, help="Only this page.")
def main(directory: Path, wanted: tuple[str, ...]) -> None:
    """Write the reference pages into DIRECTORY."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in wanted or PAGES:
        (directory / name).write_text(PAGES[name].text(), encoding="utf-8")


if __name__ == "__main__":
    main()
