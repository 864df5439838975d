"""A server whose service time is known, seen from the process that starts it: what is injected, and what it really gave.

The server itself is ``stub_server.py``, a process of its own. What it is told and what it tells goes as JSON lines through
its standard input and output; when the input ends, it ends.
"""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from stackproof.interfaces import ConfigurationError, StackproofError

from .histogram import Histogram

START_SECONDS = 30.0
"""How long the process may take to listen, on a machine that is busy."""
ANSWER_SECONDS = 15.0
"""How long it may take to say something when it is asked."""
END_SECONDS = 5.0


class StubError(StackproofError):
    """The stub server did not start, or did not answer."""


@dataclass(frozen=True, slots=True)
class Injection:
    """What a stub server does to each request. Times are seconds."""

    service: float
    """From the arrival of a request to its answer; requests do not wait for each other."""
    stall_from: float = math.inf
    """When the stall begins, after the arrival of the first request."""
    stall: float = 0.0
    """How long it lasts. What would be answered within it is answered at its end, plus the service time."""

    def __post_init__(self) -> None:
        if not (0 <= self.service < math.inf and self.stall >= 0 and self.stall_from >= 0):
            raise ConfigurationError(f"a service time and a stall are 0 or more seconds, not {self}")

    @property
    def stall_to(self) -> float:
        return self.stall_from + self.stall

    def answered(self, arrival: float) -> float:
        """When the answer is due to a request that arrived then; both after the arrival of the first request."""
        if arrival < self.stall_to and arrival + self.service >= self.stall_from:
            return self.stall_to + self.service
        return arrival + self.service

    def to_data(self) -> dict[str, float | None]:
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}

    @classmethod
    def from_data(cls, data: Mapping[str, float | None]) -> Self:
        return cls(**{name: math.inf if value is None else value for name, value in data.items()})


@dataclass(frozen=True, slots=True)
class Truth:
    """What a stub server really did since it was told what to inject."""

    injection: Injection
    arrivals: int
    answers: int
    stalled: int
    """Answers that waited for the end of the stall."""
    waiting: int
    """Requests that are not answered yet."""
    given: Histogram
    """Arrival to answer, by the kernel's own stamp of the arrival where it gives one."""
    late: Histogram
    """How much later than due each answer left: what the stub admits."""
    troubles: tuple[str, ...] = ()
    """Requests that it did not understand, clients that did not read."""

    def admitted(self, percentile: float) -> float:
        """Seconds by which the stub itself was late at this percentile."""
        return self.late.percentiles([percentile])[percentile] if self.late.count else 0.0

    def to_data(self) -> dict[str, Any]:
        counts = {name: getattr(self, name) for name in ("arrivals", "answers", "stalled", "waiting")}
        encoded = {"given": self.given.encoded(), "late": self.late.encoded()}
        return {"injection": self.injection.to_data(), **counts, **encoded, "troubles": list(self.troubles)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            injection=Injection.from_data(data["injection"]),
            given=Histogram.decoded(data["given"]),
            late=Histogram.decoded(data["late"]),
            troubles=tuple(data["troubles"]),
            **{name: data[name] for name in ("arrivals", "answers", "stalled", "waiting")},
        )


class StubServer:
    """A running stub server. It ends with the block, and with this process in every case."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stackproof.scenarios.stub_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            bufsize=0,  # what could not be said to a dead one is not said again when the pipe is closed
            start_new_session=True,  # Ctrl-C reaches us, and we end it when its truth was told
        )
        try:
            self.port = int(self._heard(START_SECONDS)["port"])
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """What REDIS_URL has to be for it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def inject(self, injection: Injection) -> None:
        """From now on do this, and forget what was before. The next request that arrives is the first one."""
        self._say({"inject": injection.to_data()})

    def truth(self) -> Truth:
        """What it did since `inject`."""
        return Truth.from_data(self._say({"truth": True}))

    def close(self) -> None:
        """End it. Again: does nothing."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _say(self, words: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(words).encode() + b"\n")
        except OSError as error:
            raise StubError(f"the stub server is gone: {error.strerror}") from error
        return self._heard(ANSWER_SECONDS)

    def _heard(self, seconds: float) -> dict[str, Any]:
        """One line of its output. It writes nothing unless asked, so nothing else can be waiting in the pipe."""
        assert self._process.stdout is not None
        output, line, deadline = self._process.stdout.fileno(), b"", time.monotonic() + seconds
        while not line.endswith(b"\n"):
            if not select.select([output], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise StubError(f"the stub server said nothing for {seconds:g} s")
            piece = os.read(output, 65536)
            if not piece:
                raise StubError(f"the stub server ended: {self._last_words()}")
            line += piece
        heard: dict[str, Any] = json.loads(line)
        return heard

    def _last_words(self) -> str:
        assert self._process.stderr is not None
        words = self._process.stderr.read().decode(errors="replace").strip().splitlines()
        return words[-1] if words else f"code {self._process.wait()}"
