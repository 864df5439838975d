"""Whether the suite that runs is the one of its source: what a third party patched would measure nothing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

PACKAGE = __name__.rpartition(".")[0]
_FOLDER = str(Path(__file__).parent)
_STANDARD_LIBRARY = str(Path(contextlib.__file__).parent)
"""Where the methods of data classes and the wrappers of context managers come from."""


def patched() -> str:
    """Which methods of the suite's classes come from elsewhere than its own source, in words; empty for none.

    What was made by `exec` has no file and is not seen; nor is a patch of something that the suite merely uses.
    """
    return ", ".join(f"{name} was patched" for name in sorted(_foreign()))


def _foreign() -> Iterator[str]:
    for module_name, module in list(sys.modules.items()):
        if not module_name.startswith(f"{PACKAGE}.") or module_name.startswith(f"{PACKAGE}.mutants"):
            continue
        classes = [v for v in list(vars(module).values()) if isinstance(v, type) and v.__module__ == module_name]
        for kind in classes:
            yield from (f"{kind.__qualname__}.{name}" for name, value in list(vars(kind).items()) if _is_foreign(value))


def _is_foreign(value: object) -> bool:
    if not isinstance(value, FunctionType):
        return False
    file = value.__code__.co_filename
    return not file.startswith(("<", _FOLDER)) and str(Path(file).parent) != _STANDARD_LIBRARY
