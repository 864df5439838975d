"""Passes the orders of the command on to every worker, and their answers back: in Locust's master, or its only process.

Orders arrive as lines of JSON (`lifeline.py` reads them); answers and progress leave as lines of JSON.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

import gevent

from .histogram import Histogram
from .orders import Setup
from .recorder import OUTCOMES

LEAD_SECONDS = 0.3
"""Time for an order to reach every worker before its window begins, where there are several."""
POLL_SECONDS = 0.25


class Conductor:
    """One session, as seen from the process that the command talks to."""

    def __init__(self, runner: Any, setup: Setup, answers: int, expected: int) -> None:
        self._setup = setup.to_data()
        self._runner = runner
        self._answers = answers
        self._expected = expected
        self._waiting: dict[int, dict[str, Mapping[str, Any]]] = {}
        self._progress: dict[int, Mapping[str, Any]] = {}
        self._told = 0.0

    def ready(self) -> None:
        """Every worker is there."""
        self._write({"ready": len(self._workers())})

    def order(self, message: dict[str, Any]) -> None:
        """Pass on one order; its answer is written when every worker has given its own, or is gone."""
        workers = self._workers()
        if message["do"] == "stop":
            for client in workers:
                self._runner.send_message("order", message, client)
            return
        self._progress.clear()
        self._waiting[message["id"]] = {}
        chosen = workers if message.get("only") is None else workers[message["only"] :][:1]
        begin = time.time() + (LEAD_SECONDS if len(chosen) > 1 else 0.0)
        for number, client in enumerate(chosen):
            part = {**message, "worker": number, "workers": len(chosen), "begin": begin, "setup": self._setup}
            self._runner.send_message("order", part, client)
        gevent.spawn(self._answer, message["id"], chosen, self._expected if chosen is workers else 1)

    def _answer(self, number: int, workers: list[str], expected: int) -> None:
        """Wait for all; a worker that is gone is not waited for, and its absence is said."""
        answers = self._waiting[number]
        while missing := [client for client in workers if client not in answers]:
            there = self._workers()
            if not [client for client in missing if client in there]:
                break
            gevent.sleep(POLL_SECONDS if len(workers) > 1 else 0.002)
        del self._waiting[number]
        lost = expected - len(workers) + len(missing)
        trouble = f"{lost} of {self._expected} workers were lost" if lost else ""
        self._write({"id": number, "answers": list(answers.values()), "trouble": trouble})

    def take_answer(self, client: str, data: Mapping[str, Any]) -> None:
        """What a worker says at the end of an order."""
        if data["id"] in self._waiting:
            self._waiting[data["id"]][client] = data

    def take_progress(self, data: Mapping[str, Any]) -> None:
        """What a worker says each second; put together, it is passed on as often."""
        if "phase" in data:  # no window yet: a worker says what it prepares
            self._write({"progress": {"phase": data["phase"]}})
            return
        self._progress[data["worker"]] = data
        if time.monotonic() - self._told < 0.9 and len(self._progress) > 1:
            return
        self._told = time.monotonic()
        told = list(self._progress.values())
        latency = Histogram(digits=2)
        for row in told:
            if row["latency"]:
                latency.add(Histogram.decoded(row["latency"], 2))
        total = {name: sum(row[name] for row in told) for name in ("offered", *OUTCOMES)}
        p99 = latency.percentiles([99.0])[99.0] if latency.count else None
        shown = {name: told[0][name] for name in ("target", "rate", "left", "seconds")}
        self._write({"progress": {**shown, **total, "p99": p99}})

    def _workers(self) -> list[str]:
        """The workers that are there, in a fixed order."""
        clients = getattr(self._runner, "clients", None)
        if clients is None:
            return ["local"]
        return sorted(client.id for client in [*clients.ready, *clients.spawning, *clients.running])

    def _write(self, message: Mapping[str, Any]) -> None:
        text = memoryview((json.dumps(message) + "\n").encode())
        while text:
            text = text[os.write(self._answers, text) :]
