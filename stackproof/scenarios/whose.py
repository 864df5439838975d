"""Where in somebody's own code an error comes from: a mistake in a scenario of one's own is told with its file and line."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

import stackproof

_OURS = Path(stackproof.__file__).parent
_ADAPTERS = _OURS / "adapters"
_STANDARD = tuple({Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")})
_INSTALLED = ("site-packages", "dist-packages")
_CARRIERS = ("gevent", "greenlet", "locust")
"""Packages that our own code runs under: their frames come before anybody's."""


def place_of(error: BaseException) -> str:
    """File and line of the last frame that is neither ours nor of the standard library; empty where there is none.

    What a driver does for an adapter of ours is nobody's own code, and of what calls a library, the caller is named.
    """
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        frames = list(_foreign(found))
        own = [frame for frame in frames if not _is_installed(Path(frame.filename))]
        if frames:
            # Somebody's scenario may be installed, too: then it is the first that is not ours.
            frame = own[-1] if own else frames[0]
            return f"{frame.filename}, line {frame.lineno}"
        found = found.__cause__
    return ""


def told_with_its_place(sentence: str, error: BaseException) -> str:
    """The sentence, and where the error comes from, if that is somebody's own code."""
    place = place_of(error)
    return f"{sentence} ({place})" if place else sentence


def _foreign(error: BaseException) -> Iterator[traceback.FrameSummary]:
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(_ADAPTERS):
            return
        if not (frame.filename.startswith("<") or path.is_relative_to(_OURS) or _is_standard(path) or _carries(path)):
            yield frame


def _is_installed(path: Path) -> bool:
    return any(part in _INSTALLED for part in path.parts)


def _is_standard(path: Path) -> bool:
    return not _is_installed(path) and any(path.is_relative_to(where) for where in _STANDARD)


def _carries(path: Path) -> bool:
    return _is_installed(path) and any(part in _CARRIERS for part in path.parts)
