"""opensearch-benchmark, OpenSearch's own load tool, with the requests of our adapter as its workload. It needs no network."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from stackproof.adapters.search.opensearch import OpenSearchSearchIndex
from stackproof.adapters.search.opensearch_bulk import routing_of
from stackproof.adapters.search.opensearch_mapping import alias_of
from stackproof.adapters.search.opensearch_query import search_body
from stackproof.adapters.settings import Settings
from stackproof.interfaces.words import words_of
from stackproof.scenarios.steps import corpus

from .data import TENANT
from .processes import answer_of, on_path, run_tool
from .workloads import QUERIES
from .yardstick import Load, Missing, Tool, Yardstick, YardstickError, YardstickFigures

_TODO = "pip install opensearch-benchmark"
_START_SECONDS = 120.0
"""It starts several processes, asks the cluster for its statistics before and after, and writes a report."""
_TASK = "search"
_SOURCE = """\
import json, pathlib, random

BODIES = json.loads(pathlib.Path(__file__).with_name("bodies.json").read_text())


class Bodies:
    infinite = True

    def __init__(self, workload, params, **_):
        self._params = params

    def partition(self, *_):
        return self

    def params(self):
        return {**self._params, "body": random.choice(BODIES)}


def register(registry):
    registry.register_param_source("bodies", Bodies)
"""
"""The workload's plug-in: one of the bodies, at random. A tool's own file, in the tool's own interpreter."""


class OpenSearchBenchmark(Yardstick):
    """Searches for one word among the documents of one tenant, by as many clients as operations are in flight."""

    name = "opensearch-benchmark"
    concern = "search"
    technologies = frozenset({"opensearch"})
    scenario = "SEARCH"
    operation = "search: one word, twenty hits"
    differences = (
        "opensearch-benchmark draws one of a hundred bodies that are ready; ours makes a query, cuts its text into words and"
        " builds the body",
        "opensearch-benchmark reads of an answer how many hits it has; ours makes a Hit of each, and looks whether any came",
        "opensearch-benchmark is Python as ours is: asyncio, the same client library, and a store of every sample",
        "opensearch-benchmark asks the cluster for its statistics before and after: that is not in its rate",
    )
    usual_concurrency = 8

    def find(self, variables: Mapping[str, str]) -> Tool | Missing:
        """On PATH."""
        if variables.get("OPENSEARCH_AUTH", "").lower() == "sigv4":
            return Missing(self.name, "opensearch-benchmark is compared without Amazon's signatures only", "")
        program = on_path(self.name)
        said = answer_of([program, "--version"]) if program else None
        if program and said:
            return Tool(self.name, said.split()[-1], (program,))
        return Missing(self.name, "opensearch-benchmark is not on PATH", _TODO)

    def prepare(self, variables: Mapping[str, str], load: Load) -> None:
        """Index the documents, by the adapter."""
        index = OpenSearchSearchIndex.from_settings(Settings(variables), load.namespace)
        try:
            index.index(corpus.document(number) for number in range(load.keys))
        finally:
            index.disconnect()

    def run(self, tool: Tool, variables: Mapping[str, str], load: Load) -> YardstickFigures:
        seconds = max(1, round(load.seconds))
        url = urlsplit(variables["OPENSEARCH_URL"])
        password = unquote(url.password or "")
        with tempfile.TemporaryDirectory(prefix="stackproof-osb-") as name:
            folder = Path(name)
            options = folder / "options.json"
            options.touch(mode=0o600)
            options.write_text(json.dumps({"default": client_options(variables)}), encoding="utf-8")
            write_workload(folder, load, seconds)
            arguments = [
                "run",
                "--offline",
                "--pipeline",
                "benchmark-only",
                "--workload-path",
                str(folder / "workload"),
            ]
            arguments += ["--target-hosts", f"{url.hostname}:{url.port or (443 if url.scheme == 'https' else 9200)}"]
            arguments += ["--client-options", str(options), "--results-format", "csv"]
            arguments += ["--results-file", str(folder / "results.csv"), "--on-error", "abort"]
            home = {"HOME": name, "BENCHMARK_HOME": name}  # nothing of the user's is read or written
            done = run_tool(
                tool, arguments, load, limit=seconds + _START_SECONDS, environ=home, hidden=[password], detached=True
            )
            results = folder / "results.csv"
            if not results.is_file():
                raise YardstickError(f"opensearch-benchmark wrote no results: {done.output.strip()[-300:]}")
            text = results.read_text(encoding="utf-8")
        return parse(text, seconds).with_process(done, text)


def client_options(variables: Mapping[str, str]) -> dict[str, Any]:
    """How the client of the tool signs in; in a file, since a command line is read by others."""
    url = urlsplit(variables["OPENSEARCH_URL"])
    options: dict[str, Any] = {"timeout": 60}
    if url.username:
        options |= {"basic_auth_user": unquote(url.username), "basic_auth_password": unquote(url.password or "")}
    if url.scheme == "https":
        options |= {"use_ssl": True, "verify_certs": True}
        if authority := variables.get("OPENSEARCH_CA_FILE"):
            options["ca_certs"] = authority
    return options


def write_workload(folder: Path, load: Load, seconds: int) -> None:
    """One task: the requests of our adapter for some seconds, after a second that is not counted."""
    workload = folder / "workload"
    workload.mkdir()
    bodies = []
    for number in range(QUERIES):
        query = corpus.query("term", number, load.keys).query
        bodies.append(search_body(query, words_of(query.text), query.limit))
    where = routing_of(TENANT)
    operation = {
        "name": _TASK,
        "operation-type": "search",
        "param-source": "bodies",
        "index": alias_of(load.namespace),
        "cache": None,
        "request-params": {"routing": where, "preference": where, "allow_partial_search_results": "false"},
    }
    task = {"operation": operation, "clients": load.concurrency, "warmup-time-period": 1, "time-period": seconds}
    written = {"version": 2, "description": "the searches of our adapter", "schedule": [task]}
    (workload / "workload.json").write_text(json.dumps(written), encoding="utf-8")
    (workload / "workload.py").write_text(_SOURCE, encoding="utf-8")
    (workload / "bodies.json").write_text(json.dumps(bodies), encoding="utf-8")


def parse(results: str, seconds: float) -> YardstickFigures:
    """The results file: one line a metric, with the name of the task."""
    rows = {row["Metric"]: row["Value"] for row in csv.DictReader(results.splitlines()) if row.get("Task") == _TASK}
    try:
        rate, share = float(rows["Mean Throughput"]), float(rows["error rate"]) / 100
    except (KeyError, ValueError):
        raise YardstickError("opensearch-benchmark wrote no throughput into its results") from None
    wanted = {"p50": "50th percentile service time", "p99": "99th percentile service time"}
    latency = {name: float(rows[metric]) / 1e3 for name, metric in wanted.items() if metric in rows}
    done = round(rate * seconds)
    return YardstickFigures(done, seconds, rate, latency, failed=round(done * share))
