"""The operating-system processes of a session: Locust alone, or its master and workers. None outlives the command."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from stackproof.servers.ports import LOOPBACK, free_port

from .orders import ANSWERS_VARIABLE, SETUP_VARIABLE, Setup

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
JOIN_SECONDS = 300.0
"""How long workers of other machines are waited for."""
STOP_SECONDS = 10.0
"""How long a process may take to end when it is asked to."""


UNPATCHED = {"LOCUST_SKIP_MONKEY_PATCH": "1"}
"""What keeps gevent from replacing the threads of a process of Locust."""


def locust_command() -> list[str]:
    """Locust with our locustfile."""
    return [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--loglevel", "WARNING"]


def worker_options(host: str, port: int) -> list[str]:
    """What makes a process of Locust a worker of this master."""
    return ["--worker", "--master-host", host, "--master-port", str(port)]


class Processes:
    """Started together, ended together. Orders go to the first one, and answers come from it."""

    def __init__(
        self,
        setup: Setup,
        variables: Mapping[str, str],
        directory: Path,
        workers: int,
        bind: tuple[str, int] | None = None,
    ) -> None:
        self._setup = setup
        self._variables = variables
        self._directory = directory
        self._workers = workers
        self._bind = bind
        self._started: list[subprocess.Popen[bytes]] = []
        self._logs: list[Path] = []
        self.answers = -1
        """The descriptor that answers and progress are read from."""

    @property
    def running(self) -> bool:
        """Whether the process that takes orders lives."""
        return bool(self._started) and self._started[0].poll() is None

    def start(self) -> None:
        self.answers, writing = os.pipe()
        try:
            if self._bind is not None:
                self._start_master(*self._bind, writing)
            elif self._workers == 1:
                self._start("generator", ["--users", "1"], writing)
            else:
                port = free_port()
                self._start_master(LOOPBACK, port, writing)
                for number in range(self._workers):
                    self._start(f"worker-{number}", worker_options(LOOPBACK, port), None)
        except BaseException:
            self.end()
            raise
        finally:
            os.close(writing)

    def _start_master(self, host: str, port: int, answers: int) -> None:
        whole, patience = str(self._workers), str(round(JOIN_SECONDS))
        bind = ["--master-bind-host", host, "--master-bind-port", str(port)]
        expect = ["--expect-workers", whole, "--expect-workers-max-wait", patience]
        self._start("master", ["--master", *bind, *expect, "--users", whole], answers)

    def _start(self, name: str, options: list[str], answers: int | None) -> None:
        log = self._directory / f"{name}.log"
        self._logs.append(log)
        command = [*locust_command(), *options]
        if "--worker" not in options:
            command += ["--headless", "--spawn-rate", "100", "--only-summary"]
        with log.open("wb") as errors:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and script
                command,
                env=self._environ(answers, master="--master" in options),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=() if answers is None else (answers,),
                start_new_session=True,  # Ctrl-C reaches us, and we ask it to stop
            )
        self._started.append(process)

    def _environ(self, answers: int | None, *, master: bool) -> dict[str, str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
        environ |= self._variables
        environ |= {
            SETUP_VARIABLE: json.dumps(self._setup.to_data()),
            "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path),
            # Log lines go where nothing but writing them costs anything: the page says so.
            "LOG_STREAM": "stdout",
            "LOG_LEVEL": "INFO",
        }
        if answers is not None:
            environ[ANSWERS_VARIABLE] = str(answers)
        # Locust's master offers no load, and waits for its workers by sleeping: unpatched, it would never hear of them.
        if self._setup.engine == "native" and not master:
            environ |= UNPATCHED
        return environ

    def tell(self, line: str) -> None:
        """Hand a line to the process that takes orders. One that has ended is noticed when its answer is read."""
        stdin = self._stdin(self._started[0])
        with contextlib.suppress(BrokenPipeError):
            stdin.write(line.encode() + b"\n")
            stdin.flush()

    @staticmethod
    def _stdin(process: subprocess.Popen[bytes]) -> IO[bytes]:
        assert process.stdin is not None
        return process.stdin

    def end(self, *, kept: bool = False) -> None:
        """Whatever happened, no process is there afterwards: asked first, then killed. ``kept``: also their logs."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                for process in self._started:
                    process.wait(STOP_SECONDS)
        finally:
            for process in self._started:
                if process.poll() is None:
                    process.kill()
                process.wait()
                self._close(process)
        if self.answers >= 0:
            os.close(self.answers)
            self.answers = -1
        if not kept and not any(process.returncode for process in self._started):
            for log in self._logs:
                log.unlink(missing_ok=True)  # holds Locust's own summary and nothing else

    def _close(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(BrokenPipeError):  # an order that nobody took
            self._stdin(process).close()

    def why_ended(self) -> str:
        """Why the process that takes orders is gone, as far as can be told."""
        first = self._started[0]
        try:
            first.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return self._with_log("the load generator closed its end without a word")
        return self._with_log(f"the load generator ended with code {first.returncode} without results")

    def why_silent(self, seconds: float) -> str:
        return self._with_log(f"the load generator did not answer within {seconds:.0f} s and was ended")

    def _with_log(self, sentence: str) -> str:
        for log in self._logs:
            text = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
            if text:
                return f"{sentence}; the last line of {log} is: {text[-1][:300]}"
        return sentence
