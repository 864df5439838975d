"""Where in somebody's own code an error came from, for a sentence that tells it without a traceback."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

_OURS = Path(__file__).resolve().parent
_INSTALLED = tuple(
    {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def place_of(error: BaseException) -> str:
    """``file.py:12``, the last line that is neither ours nor installed; empty where there is none.

    The file is named as it is seen from the current directory, and by its name alone where it lies elsewhere: sentences are
    kept in certificates, which name no machine.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if not path.is_file():
            continue  # <frozen importlib._bootstrap> and the like
        path = path.resolve()
        if any(path.is_relative_to(place) for place in (_OURS, *_INSTALLED)):
            continue
        here = Path.cwd()
        shown = path.relative_to(here) if path.is_relative_to(here) else Path(path.name)
        return f"{shown.as_posix()}:{frame.lineno}"
    return ""


def with_place(sentence: str, error: BaseException) -> str:
    """The sentence, with the place in brackets where there is one."""
    place = place_of(error)
    if not place:
        return sentence
    stop = "." if sentence.endswith(".") else ""
    return f"{sentence.removesuffix(stop)} ({place}){stop}"
