"""Starts the load-generating process, follows its progress, and ends it in every case."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stackproof.interfaces import StackproofError

from .plan import PLAN_VARIABLE, PROGRESS_VARIABLE, RESULT_VARIABLE, Plan

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
START_SECONDS = 60.0
"""How long the process may take beyond its plan, for importing and connecting."""
STOP_SECONDS = 10.0
"""How long it may take to write its results when it is asked to stop."""

Observer = Callable[[Mapping[str, Any]], None]


class GeneratorError(StackproofError):
    """The load-generating process ended without results."""


def run_generator(plan: Plan, variables: Mapping[str, str], directory: Path, observer: Observer) -> dict[str, Any]:
    """Run the plan; the results, with ``interrupted`` if Ctrl-C cut them short. `GeneratorError` where there are none."""
    result, log = directory / "generator.json", directory / "generator.log"
    result.unlink(missing_ok=True)
    reading, writing = os.pipe()
    limit = plan.calibration + plan.warmup + plan.duration + plan.drain + START_SECONDS
    interrupted = overdue = False
    with open(reading, "rb", buffering=0) as progress, open(log, "wb") as errors:
        try:
            process = _started(plan, variables, result, writing, errors)
        finally:
            os.close(writing)
        with _ended(process):
            try:
                overdue = not _follow(progress.fileno(), observer, time.monotonic() + limit)
            except KeyboardInterrupt:
                interrupted = True
    if not result.is_file():
        if interrupted:
            raise KeyboardInterrupt
        raise GeneratorError(_why(process.returncode, log, overdue=overdue))
    data: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    result.unlink()  # everything of it goes into run.json
    if data["complete"]:
        log.unlink()  # holds Locust's own summary and nothing else
    return {**data, "interrupted": interrupted}


def _started(
    plan: Plan, variables: Mapping[str, str], result: Path, progress: int, errors: Any
) -> subprocess.Popen[bytes]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    environ |= variables
    environ |= {
        PLAN_VARIABLE: plan.to_json(),
        RESULT_VARIABLE: str(result.absolute()),
        PROGRESS_VARIABLE: str(progress),
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path),
        # Log lines go where nothing but writing them costs anything: the page says so.
        "LOG_STREAM": "stdout",
        "LOG_LEVEL": "INFO",
    }
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless", "--users", "1"]
    command += ["--spawn-rate", "1", "--only-summary", "--loglevel", "WARNING"]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and script
        command,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        pass_fds=(progress,),
        start_new_session=True,  # Ctrl-C reaches us, and we ask it to stop
    )


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever happens inside, the process is gone afterwards: asked first, then killed."""
    try:
        yield
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    except BaseException:
        process.kill()
        raise
    finally:
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _follow(progress: int, observer: Observer, deadline: float) -> bool:
    """Pass on each line of progress until the process closes its end; false where it takes too long."""
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(progress, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if not selector.select(min(left, 1.0)):
                continue
            received = os.read(progress, 65536)
            if not received:
                return True
            *lines, pending = (pending + received).split(b"\n")
            for line in lines:
                observer(json.loads(line))
    return False


def _why(code: int | None, log: Path, *, overdue: bool) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    how = "took too long and was ended" if overdue else f"ended with code {code}"
    last = f"; the last line of {log} is: {text[-1][:300]}" if text else ""
    return f"the load generator {how} without results{last}"
