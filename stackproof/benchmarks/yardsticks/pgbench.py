"""pgbench, PostgreSQL's own load tool, with the statement of our adapter as its script."""

from __future__ import annotations

import re
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from psycopg import conninfo

from stackproof.adapters.interactions import postgres
from stackproof.adapters.postgres_schema import schema_name
from stackproof.adapters.postgres_tls import postgres_tls
from stackproof.adapters.settings import Settings
from stackproof.interfaces.records import MAX_SUMMARIES
from stackproof.scenarios.steps.interactions import history
from stackproof.servers.server import MissingWheelError
from stackproof.servers.wheels import POSTGRES_PACKAGE, package_folder

from .data import OFFERS, TENANT, interaction
from .processes import answer_of, on_path, run_tool
from .yardstick import Load, Missing, Tool, Yardstick, YardstickError, YardstickFigures

_LIBPQ = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
}
"""A part of DATABASE_URL -> the variable that says it to pgbench, on whose command line nothing of it stands."""

_START_SECONDS = 30.0
_BATCH = 1000
_SHARED = (
    "pgbench sends everything from one thread in C; ours works in Python, with a greenlet for each operation in flight",
    "pgbench keeps sums of latencies and tells no percentile; ours records each latency in histograms, and by the second",
)


class Pgbench(Yardstick):
    """What both operations share: where pgbench is, how it is called, and what it prints."""

    name = "pgbench"
    concern = "interactions"
    technologies = frozenset({"postgres"})

    def find(self, _variables: Mapping[str, str]) -> Tool | Missing:
        """The wheel's pgbench, which is of the embedded server's version, or else the one on PATH."""
        for program in (*_of_the_wheel(), on_path("pgbench")):
            said = answer_of([program, "--version"]) if program else None
            if program and said:
                version = said.split("(Debian")[0].replace("(PostgreSQL)", "").removeprefix("pgbench")
                return Tool(self.name, version.strip(), (program,))
        return Missing(self.name, "pgbench is neither on PATH nor in a wheel", "pip install 'stackproof[embedded]'")

    @abstractmethod
    def script(self, load: Load) -> str:
        """What pgbench does over and over."""

    def run(self, tool: Tool, variables: Mapping[str, str], load: Load) -> YardstickFigures:
        seconds = max(1, round(load.seconds))
        environ = environment(variables, load)
        with tempfile.TemporaryDirectory(prefix="stackproof-pgbench-") as folder:
            file = Path(folder) / f"{self.scenario.lower()}.sql"
            file.write_text(self.script(load), encoding="utf-8")
            arguments = ["--no-vacuum", "--protocol", "prepared", "--file", str(file), "--time", str(seconds)]
            arguments += ["--client", str(load.concurrency), "--jobs", "1"]
            password = environ.get("PGPASSWORD", "")
            limit = seconds + _START_SECONDS
            done = run_tool(tool, arguments, load, limit=limit, environ=environ, hidden=[password])
        return parse(done.output).with_process(done)


class PgbenchRecords(Pgbench):
    """One interaction and its four summaries, by the statement of `PostgresInteractionStore`, prepared."""

    scenario = "RECORD_EVENT"
    operation = "record_event: one interaction, its four summaries, one commit"
    differences = (
        "pgbench draws four numbers and lets the server make texts of them; ours makes an Interaction, holds it to the"
        " limits of the interface, computes its periods and encodes eighteen parameters",
        *_SHARED,
    )

    def prepare(self, variables: Mapping[str, str], load: Load) -> None:
        """Make the tables, by the adapter."""
        with _store(variables, load) as store:
            store.record_event(interaction("prepared", 1, 1))

    def script(self, load: Load) -> str:
        event = interaction("drawn", 0, 0)
        values = [_literal(value) for value in postgres._columns(event)]
        values[1] = ":high::text || '-' || :low::text"
        values[2] = "'c' || :customer::text"
        values[3] = "'o' || :offer::text"
        values[6] = "now()"
        draws = {"high": (0, 2**62), "low": (0, 2**62), "customer": (1, load.keys), "offer": (1, OFFERS)}
        return _script(draws, postgres._RECORD_ONE, values)


class PgbenchSummaries(Pgbench):
    """The first page of a customer's all-time summaries, by the statement of `PostgresInteractionStore`, prepared."""

    scenario = "SUMMARIES"
    operation = "get_summaries: one page of one customer, all time"
    differences = (
        "pgbench throws the rows away; ours makes a Summary of each, with exact decimals and times",
        "pgbench draws one number; ours makes a query, holds it to the limits of the interface and encodes four parameters",
        *_SHARED,
    )

    def prepare(self, variables: Mapping[str, str], load: Load) -> None:
        """One interaction of each customer, the same that our scenario fills in: so a page has one row."""
        with _store(variables, load) as store:
            for first in range(1, load.keys + 1, _BATCH):
                customers = range(first, min(first + _BATCH, load.keys + 1))
                store.record_events([event for customer in customers for event in history(customer, 1)])

    def script(self, load: Load) -> str:
        statement = postgres._page_sql(("period_type",), False)
        values = [_literal(TENANT), "'c' || :customer::text", "'alltime'", str(MAX_SUMMARIES + 1)]
        return _script({"customer": (1, load.keys)}, statement, values)


@contextmanager
def _store(variables: Mapping[str, str], load: Load) -> Iterator[postgres.PostgresInteractionStore]:
    store = postgres.PostgresInteractionStore.from_settings(Settings(variables), load.namespace)
    try:
        yield store
    finally:
        store.disconnect()


def _script(draws: Mapping[str, tuple[int, int]], statement: bytes, values: Sequence[str]) -> str:
    """The adapter's statement with literals and pgbench's variables where the adapter has its parameters."""
    lines = [f"\\set {name} random({least}, {most})" for name, (least, most) in draws.items()]
    text = statement.decode().strip() % tuple(values)
    return "\n".join([*lines, " ".join(text.split()) + ";", ""])


def _literal(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else "'" + str(value).replace("'", "''") + "'"


def environment(variables: Mapping[str, str], load: Load) -> dict[str, str]:
    """What libpq is told by variables: the address, the password, and the session that the adapter makes."""
    settings = Settings(variables)
    given = conninfo.conninfo_to_dict(variables["DATABASE_URL"])
    given |= postgres_tls(settings).options(given)
    said = {_LIBPQ[name]: str(value) for name, value in given.items() if name in _LIBPQ and value is not None}
    session = {"search_path": schema_name("interactions", load.namespace), **postgres._SESSION}
    return {**said, "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in session.items())}


def parse(output: str) -> YardstickFigures:
    """The summary that pgbench 13 to 18 prints."""
    done = re.search(r"^number of transactions actually processed: (\d+)", output, re.MULTILINE)
    rate = re.search(r"^tps = ([\d.]+)", output, re.MULTILINE)
    if done is None or rate is None:
        raise YardstickError("pgbench said no number of transactions and no tps")
    failed = re.search(r"^number of failed transactions: (\d+)", output, re.MULTILINE)
    latency = {
        name: float(found[1]) / 1e3
        for name, pattern in (("mean", r"latency average = ([\d.]+) ms"), ("stddev", r"latency stddev = ([\d.]+) ms"))
        if (found := re.search(pattern, output)) is not None
    }
    operations, tps = int(done[1]), float(rate[1])
    if not operations:
        raise YardstickError("pgbench processed no transaction")
    return YardstickFigures(operations, operations / tps, tps, latency, int(failed[1]) if failed else 0)


def _of_the_wheel() -> list[str]:
    try:
        found = package_folder(POSTGRES_PACKAGE).glob("pginstall*/bin/pgbench")
    except MissingWheelError:
        return []
    return [str(path) for path in sorted(found, key=lambda path: path.parent.parent.name, reverse=True)]
