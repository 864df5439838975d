"""The journal: a transparent proxy that writes down each call on the backend, so that a failure can show what was done."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .expectations import shown, visible
from .listeners import Listener
from .refusals import RaisedCall, raised_call

_KEPT = 200
_NOTABLE = 4
"""So many calls of a handler that raised are told, also where they were made long before the end."""
_PAUSE = 0.05
"""A pause of so many seconds between two calls is worth a line."""


@dataclass(slots=True)
class _Entry:
    """A call, or several equal ones in a row (polling), as one line of the journal."""

    line: str
    first: float
    last: float
    pause: float
    """Seconds since the call before it."""
    times: int = 1
    matters: bool = False
    """A call of a handler that raised: told also where many calls followed."""
    done_by: str = ""
    """The handler, where this is a call of one, or several in a row, that returned."""
    first_call: str = ""
    calls: int = 1

    def lines(self) -> list[str]:
        pause = [f"... {self.pause:.2f} s later"] if self.pause >= _PAUSE else []
        within = max(0.0, self.last - self.first)
        again = f"   ({self.times} times within {within:.2f} s)" if self.times > 1 else ""
        return [*pause, self.line + again]


class Journal:
    """The last calls on one clause's backends. May be written from many threads."""

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque(maxlen=_KEPT)
        self._notable: deque[_Entry] = deque(maxlen=_NOTABLE)
        self._handlers = 0
        self._raised: list[BaseException] = []
        self._calls: list[RaisedCall] = []
        """Of each of those, the call that raised it."""
        self._not_made: list[BaseException] = []
        self._lock = threading.Lock()

    def write(self, line: str, began: float) -> None:
        """Add a call that began at ``began`` and has just ended."""
        with self._lock:
            last = self._entries[-1] if self._entries else None
            if last is not None and last.line == line:
                last.times += 1
                last.last = time.monotonic()
            else:
                self._add(line, began)

    def _add(self, line: str, began: float) -> _Entry:
        pause = began - self._entries[-1].last if self._entries else 0.0
        self._entries.append(_Entry(line, began, time.monotonic(), pause))
        return self._entries[-1]

    def handled(self, handler: str, event: str, error: str, began: float) -> None:
        """Add a call of a handler that began at ``began`` and has just ended; with the error that it raised, if any."""
        called = f"{handler} called with {event}"
        with self._lock:
            last = self._entries[-1] if self._entries else None
            if error:
                entry = self._add(f"{called} raised {error}", began)
                entry.matters = True
                self._notable.append(entry)
            elif last is not None and last.done_by == handler:
                last.calls += 1
                last.line = f"{last.first_call} to {event}, {last.calls} calls -> done"
                last.last = time.monotonic()
            else:
                entry = self._add(f"{called} -> done", began)
                entry.done_by, entry.first_call = handler, called

    def follow(self, listener: Any) -> None:
        """Write down what this handler is called with, as a handler with the next number."""
        with self._lock:
            self._handlers += 1
            number = self._handlers
        listener.tell(self, f"handler {number}")

    def raised(self, error: BaseException, call: RaisedCall) -> None:
        with self._lock:
            self._raised.append(error)
            self._calls.append(call)
            del self._raised[:-_KEPT], self._calls[:-_KEPT]

    def call_of(self, error: BaseException) -> RaisedCall | None:
        """The call on a backend that raised this."""
        with self._lock:
            calls = list(zip(self._raised, self._calls, strict=True))
        return next((call for known, call in reversed(calls) if _descends(error, [known])), None)

    def not_made(self, error: BaseException) -> None:
        """Making an instance raised this: the backend's constructor, or the factory around it."""
        with self._lock:
            self._not_made.append(error)
            del self._not_made[:-_KEPT]

    def lines(self, most: int = 10) -> tuple[str, ...]:
        """The last calls, oldest first, with the longer pauses between them."""
        with self._lock:
            last = list(self._entries)[-most:]
            earlier = [entry for entry in self._notable if all(entry is not each for each in last)]
            told = [line for entry in earlier for line in (entry.line, "...")]
            return (*told, *(line for entry in last for line in entry.lines()))

    def forget(self) -> None:
        """Begin a new story: the calls so far are not part of it."""
        with self._lock:
            self._entries.clear()
            self._notable.clear()
            self._handlers = 0

    def kept(self) -> tuple[_Entry, ...]:
        """The calls as they are now, for `restore`."""
        with self._lock:
            return tuple(self._entries)

    def restore(self, entries: tuple[_Entry, ...]) -> None:
        """Tell an earlier story."""
        with self._lock:
            self._entries = deque(entries, maxlen=_KEPT)
            self._notable = deque((entry for entry in entries if entry.matters), maxlen=_NOTABLE)

    def came_from_backend(self, error: BaseException) -> bool:
        """Whether this error was raised by a call on a backend (rather than by the clause's own code)."""
        return _descends(error, self._raised)

    def came_from_making(self, error: BaseException) -> bool:
        """Whether this error was raised while an instance was made."""
        return _descends(error, self._not_made)


def _descends(error: BaseException, known: list[BaseException]) -> bool:
    """Whether an error is one of these, or was raised because of one of them."""
    chain: BaseException | None = error
    seen: set[int] = set()
    while chain is not None and id(chain) not in seen:  # `raise error.__cause__` makes a circle
        seen.add(id(chain))
        if any(chain is each for each in known):
            return True
        chain = chain.__cause__ or chain.__context__
    return False


class Journalled:
    """A backend whose calls are written down. It looks like the backend also to ``isinstance``."""

    def __init__(self, backend: Any, journal: Journal, name: str, *, quiet: bool = False) -> None:
        """``quiet``: only calls that raise are written down."""
        self.__dict__.update(_backend=backend, _journal=journal, _name=name, _quiet=quiet)

    @property  # type: ignore[misc]
    def __class__(self) -> type[Any]:
        return type(self.__dict__["_backend"])

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self.__dict__["_backend"], attribute)
        if attribute.startswith("_") or not callable(value):
            return value
        own = self.__dict__
        return _recording(value, f"{own['_name']}.{attribute}", own["_journal"], own["_quiet"])

    def __setattr__(self, attribute: str, value: Any) -> None:
        setattr(self.__dict__["_backend"], attribute, value)

    def __enter__(self) -> Journalled:
        self.__dict__["_backend"].__enter__()
        return self

    def __exit__(self, *details: Any) -> Any:
        return self.__dict__["_backend"].__exit__(*details)

    def __repr__(self) -> str:
        return repr(self.__dict__["_backend"])


def quiet(backend: Any) -> Any:
    """The same backend, of which only calls that raise are written down: the others are no part of the story."""
    if type(backend) is not Journalled:
        return backend
    return Journalled(backend.__dict__["_backend"], backend.__dict__["_journal"], backend.__dict__["_name"], quiet=True)


def unwrapped(backend: Any) -> Any:
    """The backend itself, without its journal."""
    return backend.__dict__["_backend"] if type(backend) is Journalled else backend


def _recording(method: Callable[..., Any], name: str, journal: Journal, quiet: bool) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        began = time.monotonic()
        for each in args:
            if isinstance(each, Listener):
                journal.follow(each)
        try:
            result = method(*args, **kwargs)
        except BaseException as error:
            journal.raised(error, raised_call(method, name, args, kwargs))
            journal.write(
                f"{name}({_arguments(args, kwargs)}) raised {type(error).__name__}: {visible(str(error))}", began
            )
            raise
        if not quiet:
            journal.write(f"{name}({_arguments(args, kwargs)}) -> {shown(result)}", began)
        return result

    return call


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    return ", ".join([shown(a) for a in args] + [f"{k}={shown(v)}" for k, v in kwargs.items()])
