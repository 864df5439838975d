"""HTML pages from the templates beside this file: one self-contained file each, every value escaped."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from stackproof.interfaces import ConfigurationError

from .text import one_line, visible


def render_page(template: str, **values: object) -> str:
    """The page that a template makes of these values.

    Values are escaped for HTML and made visible (`text.visible`), wherever the template puts them; a value that the
    template names and that is missing is an error.
    """
    return str(_environment().get_template(template).render(**values))


def require() -> None:
    """Raise ConfigurationError now, before any work is done, where what pages are made with is not installed."""
    _environment()


def require_charts() -> None:
    """The same for a page that has charts. To be called before the module of such a page is imported."""
    require()
    if find_spec("matplotlib") is None:
        raise ConfigurationError("The charts of this page need matplotlib: pip install 'stackproof[report]'")


def _environment() -> Any:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise ConfigurationError("Pages need jinja2: pip install 'stackproof[report]'") from error

    def shown(value: object) -> object:
        """Runs on every value just before it is written."""
        return value if isinstance(value, Markup) else visible(str(value))

    environment = Environment(
        loader=PackageLoader("stackproof.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["one_line"] = one_line
    return environment
