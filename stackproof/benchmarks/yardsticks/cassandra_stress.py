"""cassandra-stress, Cassandra's own load tool, with the two statements of our adapter as its queries.

No package that can be had carries the one of Cassandra 4 and 5; the binary distribution of 3.11 on Maven Central does, and
it speaks to newer servers (protocol V4).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stackproof.adapters.interactions.cql import CqlInteractionStore, Statements
from stackproof.adapters.interactions.scylla import ScyllaInteractionStore
from stackproof.adapters.settings import Settings

from .data import interaction
from .docker import container_of, local_port, says
from .processes import answer_of, on_path, run_tool
from .yardstick import Load, Missing, Tool, Yardstick, YardstickError, YardstickFigures

_VERSION = "3.11.4"
_ARTEFACT = f"org.apache.cassandra:apache-cassandra:{_VERSION}:tar.gz:bin"
_JAR = f"~/.m2/repository/org/apache/cassandra/apache-cassandra/{_VERSION}/apache-cassandra-{_VERSION}-bin.tar.gz"
TODO = (
    f"mvn dependency:get -Dtransitive=false -Dartifact={_ARTEFACT} && tar xzf {_JAR} &&"
    f" export PATH=$PATH:$PWD/apache-cassandra-{_VERSION}/tools/bin"
)
_PLACES = ("cassandra-stress", "/opt/cassandra/tools/bin/cassandra-stress")
_START_SECONDS = 60.0
WARM_UP_SECONDS = 5
"""Of the JVM, at least. It is a part of the tool's run that is not counted."""
_TIME = 11
"""The column of the seconds."""
_PAIR = 2
"""Statements of one operation of ours: the claim of an id, and the contact."""


class CassandraStress(Yardstick):
    """Claims (lightweight transactions) and contacts in equal parts; a pair of them is one `record_event`."""

    name = "cassandra-stress"
    concern = "interactions"
    technologies = frozenset({"cassandra", "scylla"})
    scenario = "RECORD_EVENT"
    operation = "record_event: an id is claimed by a lightweight transaction, then a contact is written"
    differences = (
        "cassandra-stress draws claims and contacts at random, in equal parts and at the same time; ours writes the contact of an"
        " interaction when its claim was answered: two of the tool's operations are one of ours",
        "cassandra-stress throws the answer of a claim away; ours reads whether it was applied",
        "cassandra-stress draws values from tables; ours makes an Interaction and holds it to the limits of the interface",
        "cassandra-stress waits in a thread for each operation in flight, on a JVM; its start and warm-up are in its CPU, not in"
        " its rate",
    )
    native = True
    costly_start = True

    def find(self, variables: Mapping[str, str]) -> Tool | Missing:
        """On PATH, or in the server's container."""
        if variables.get("SCYLLA_USERNAME"):
            return Missing(
                self.name, "cassandra-stress takes a password only on its command line, where others read it", ""
            )
        if (program := on_path(self.name)) and (said := answer_of([program, "version"])):
            return Tool(self.name, _version_of(said), (program,))
        port = local_port(variables.get("SCYLLA_CONTACT_POINTS", "").split(",")[0], 9042)
        place = container_of(port) if port else None
        for path in _PLACES if place else ():
            assert place is not None
            if said := says(place, path, "version"):
                return Tool(self.name, _version_of(said), (path,), place)
        return Missing(self.name, "cassandra-stress is neither on PATH nor in the server's container", TODO)

    def surroundings(self, _variables: Mapping[str, str], load: Load) -> Mapping[str, str]:
        """A keyspace of this run: the tool's rows have no namespace of ours, so they go away with the keyspace."""
        return {"SCYLLA_KEYSPACE": keyspace_of(load)}

    def prepare(self, variables: Mapping[str, str], load: Load) -> None:
        """Make keyspace and tables, by the adapter."""
        store = _store(variables, load)
        try:
            store.record_event(interaction("prepared", 1, 1))
        finally:
            store.disconnect()

    def clean_up(self, variables: Mapping[str, str], load: Load) -> None:
        store = _store(variables, load)
        try:
            store._client.define(f"DROP KEYSPACE IF EXISTS {keyspace_of(load)}")
        finally:
            store.disconnect()

    def run(self, tool: Tool, variables: Mapping[str, str], load: Load) -> YardstickFigures:
        host, _, port = variables["SCYLLA_CONTACT_POINTS"].split(",")[0].strip().rpartition(":")
        warm_up = max(WARM_UP_SECONDS, round(load.seconds))
        seconds = warm_up + max(2, round(load.seconds))
        if not tool.place.on_host:
            raise YardstickError("cassandra-stress in a container is given no profile; put it on PATH of this machine")
        with tempfile.TemporaryDirectory(prefix="stackproof-stress-") as folder:
            file = Path(folder) / "profile.yaml"
            file.write_text(profile(keyspace_of(load), load.keys), encoding="utf-8")
            arguments = ["user", f"profile={file}", "ops(claim=1,contact=1)", f"duration={seconds}s", "no-warmup"]
            arguments += ["cl=LOCAL_QUORUM", "-rate", f"threads={load.concurrency}", "-mode", "native", "cql3"]
            arguments += ["-node", host or port, "-port", f"native={port if host else 9042}"]
            done = run_tool(tool, arguments, load, limit=seconds + _START_SECONDS)
        return parse(done.output, warm_up).with_process(done)


def keyspace_of(load: Load) -> str:
    """The keyspace of a run."""
    return f"stackproof_{load.namespace}".lower()


def _store(variables: Mapping[str, str], load: Load) -> CqlInteractionStore:
    return ScyllaInteractionStore.from_settings(Settings(variables), load.namespace)


def profile(keyspace: str, customers: int) -> str:
    """The adapter's tables and statements in the words of cassandra-stress."""
    statements = Statements(keyspace, named=True)
    table = next(iter(statements.tables))
    columns = {
        "namespace": ("fixed(16)", "fixed(1)"),
        "tenant": ("fixed(5)", "fixed(1)"),
        "event_id": ("fixed(32)", "uniform(1..1000000000)"),
        "customer": ("fixed(6)", f"uniform(1..{customers})"),
        "happened_at": ("fixed(8)", "uniform(1..1000000000)"),
        "offer": ("fixed(3)", "uniform(1..50)"),
        "creative": ("fixed(1)", "fixed(1)"),
        "channel": ("fixed(3)", "fixed(1)"),
        "interaction_type": ("fixed(10)", "fixed(1)"),
        "direction": ("fixed(7)", "fixed(1)"),
        "value": ("fixed(4)", "fixed(1)"),
        "outcome": ("fixed(1)", "fixed(1)"),
        "campaign": ("fixed(1)", "fixed(1)"),
        "recommendation_id": ("fixed(1)", "fixed(1)"),
        "placement": ("fixed(1)", "fixed(1)"),
    }
    lines = [f"keyspace: {keyspace}", f"table: {table}", "columnspec:"]
    for name, (size, population) in columns.items():
        lines += [f"  - name: {name}", f"    size: {size}", f"    population: {population}"]
    lines += ["insert:", "  partitions: fixed(1)", "  batchtype: UNLOGGED", "queries:"]
    for name, statement in (("claim", statements.claim), ("contact", statements.contact)):
        lines += [f"  {name}:", f"    cql: {statement.cql}", "    fields: samerow"]
    return "\n".join([*lines, ""])


def parse(output: str, warm_up: float) -> YardstickFigures:
    """From the table by the second: what was done after the warm-up. Two statements are one operation.

    Its columns are: name, operations so far, and (the twelfth) seconds so far. The percentiles of its summary are those of
    single statements, the warm-up included, and are left out.
    """
    rows = [[cell.strip() for cell in line.split(",")] for line in output.splitlines() if line.startswith("total,")]
    seen = [(float(cells[_TIME]), int(cells[1])) for cells in rows if len(cells) > _TIME]
    later = [each for each in seen if each[0] >= warm_up]
    if len(later) < 2 or later[-1][1] <= later[0][1]:
        raise YardstickError(f"cassandra-stress did nothing after its warm-up of {warm_up:g} s")
    seconds = later[-1][0] - later[0][0]
    operations = (later[-1][1] - later[0][1]) // _PAIR
    errors = re.search(r"^Total errors\s*:\s*([\d,]+)", output, re.MULTILINE)
    failed = int(errors[1].replace(",", "")) if errors else 0
    return YardstickFigures(operations, seconds, operations / seconds, failed=failed)


def _version_of(said: str) -> str:
    found = re.search(r"\d+\.\d+[\w.]*", said)
    return found[0] if found else ""
