"""What an acknowledged write survives, backend by backend, from the settings that its server told. Pure.

Three accidents: the server's process ends at once (the machine stays up), the power of all its machines fails at once (the
disks stay), one machine is lost with its disk. Each rule names what it rests on. An answer is *unknown* as soon as a setting
that it depends on is: nothing here is taken for granted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from stackproof.targets import Target

from .records import NEVER, ServerSettings


class Survives(StrEnum):
    """The answer to one accident."""

    YES = "yes"
    LATEST_LOST = "all but the latest"
    """What was acknowledged in the last moments can be gone; the reason says how much."""
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer and its reason, in a sentence."""

    answer: Survives
    why: str


@dataclass(frozen=True, slots=True)
class Survival:
    """One row: what a write that one backend acknowledged survives."""

    backend: str
    acknowledged: str
    """What the acknowledgement of this backend means."""
    process_crash: Outcome
    power_loss: Outcome
    node_loss: Outcome

    def to_data(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Self:
        """The row whose `to_data` this is; ValueError, TypeError or KeyError where it is none."""
        outcomes = {
            name: Outcome(Survives(data[name]["answer"]), data[name]["why"])
            for name in ("process_crash", "power_loss", "node_loss")
        }
        return cls(**{**data, **outcomes})


def durability(targets: Sequence[Target], servers: Sequence[ServerSettings]) -> tuple[Survival, ...]:
    """A row for each target, in their order."""
    by_backend = {backend: server for server in servers for backend in server.backends}
    return tuple(survival(target, by_backend.get(target.name)) for target in targets)


def survival(target: Target, server: ServerSettings | None) -> Survival:
    """The row of one target. ``server``: what its server told; None where it has none."""
    if target.entry is None or not target.entry.adapter.startswith("stackproof."):
        return _row(
            target, "whatever its author promises", *[_unknown("an adapter of a third party is not known here")] * 3
        )
    if target.concern == "logs":
        return _row(target, "nothing: a log line is handed over", *[_unknown("log lines have no acknowledgement")] * 3)
    if not target.server:
        lost = Outcome(Survives.NO, "it lives in the memory of the client's process")
        return _row(target, "it is in the memory of the client's process", *[lost] * 3)
    rule = _RULES.get((target.concern, server.technology)) or _RULES.get(("", server.technology)) if server else None
    if server is None or rule is None:
        why = server.settings[0].unknown if server and server.settings else ""
        return _row(target, "not known", *[_unknown(why or "its server was not asked")] * 3)
    return rule(target, server)


def _row(target: Target, acknowledged: str, process: Outcome, power: Outcome, node: Outcome) -> Survival:
    return Survival(target.name, acknowledged, process, power, node)


def _yes(why: str) -> Outcome:
    return Outcome(Survives.YES, why)


def _latest(why: str) -> Outcome:
    return Outcome(Survives.LATEST_LOST, why)


def _no(why: str) -> Outcome:
    return Outcome(Survives.NO, why)


def _unknown(why: str) -> Outcome:
    return Outcome(Survives.UNKNOWN, why)


def _missing(server: ServerSettings, *names: str) -> Outcome | None:
    """*Unknown*, with the reason, where one of these settings has no value."""
    for name in names:
        if server.value(name) is None:
            return _unknown(f"{name} is not known: {server.why_unknown(name)}")
    return None


def _postgres(target: Target, server: ServerSettings) -> Survival:
    """PostgreSQL's manual on ``fsync``, ``synchronous_commit``, ``full_page_writes``, ``wal_writer_delay`` (asynchronous commit
    risks three times that) and ``synchronous_standby_names``. Before it acknowledges, a commit that is not asynchronous has
    handed its log to the operating system at least, so that the end of the process alone loses nothing."""
    commit = server.value("synchronous_commit") or ""
    window = f"commits of the last moments (three times wal_writer_delay, {server.value('wal_writer_delay')})"
    unknown = _missing(server, "synchronous_commit")
    process = unknown or (
        _latest(window) if commit == "off" else _yes("a commit is in the log before it is acknowledged")
    )
    power = _missing(server, "fsync", "synchronous_commit", "full_page_writes") or _postgres_power(
        server, commit, window
    )
    node = _missing(server, "replicas", "synchronous_standby_names") or _postgres_node(server, commit)
    meaning = {"off": "the commit is in memory", "local": "the commit is in the log on the server's disk"}
    return _row(
        target,
        meaning.get(commit, "the commit is in the log on disk") if not unknown else "not known",
        process,
        power,
        node,
    )


def _postgres_power(server: ServerSettings, commit: str, window: str) -> Outcome:
    if server.value("fsync") != "on":
        return _no("fsync is off: the log may not be on disk, and the whole database can be damaged")
    if server.value("full_page_writes") != "on":
        return _no("full_page_writes is off: a page that was torn cannot be repaired")
    if commit == "off":
        return _latest(window)
    return _yes("the log is forced to disk before a commit is acknowledged")


def _postgres_node(server: ServerSettings, commit: str) -> Outcome:
    found = re.fullmatch(r"(\d+) connected, (\d+) synchronous", server.value("replicas") or "")
    connected, synchronous = (int(found[1]), int(found[2])) if found else (0, 0)
    waits = commit in ("on", "remote_apply") and server.value("synchronous_standby_names") and synchronous
    if waits:
        return _yes("a commit waits until a synchronous replica has it on disk")
    if commit == "remote_write" and synchronous:
        return _yes("a commit waits until a synchronous replica has it, though not on disk yet")
    if connected:
        return _latest("replicas get a commit after it was acknowledged")
    return _no("no replica is connected (storage that copies itself is not seen by the server)")


def _redis(target: Target, server: ServerSettings) -> Survival:
    """Redis' manual on persistence: with ``always`` the log is on disk before the answer; with ``everysec`` a second is lost,
    two where the disk is behind; with ``no`` what the system had not written (about 30 s on Linux). The log is written, not
    forced, before the answer, so that the end of the process alone loses nothing that was written. On replication: it is
    asynchronous, ``min-replicas-to-write`` does not change that, and a master without persistence that restarts by itself empties
    its replicas ("Safety of replication when master has persistence turned off")."""
    unknown = _missing(server, "appendonly")
    node = _missing(server, "replicas") or _redis_node(server)
    if unknown is not None:
        return _row(target, "the server has it in memory", unknown, unknown, node)
    if server.value("appendonly") == "yes":
        process, power = _redis_log(server)
    elif server.value("appendonly") == "no":
        process = power = _missing(server, "save") or _redis_snapshots(server)
    else:
        process = power = _unknown(f"the nodes differ in appendonly: {server.value('appendonly')}")
    logged = server.value("appendonly") == "yes"
    return _row(target, "the server has it in memory" + (" and in its log" if logged else ""), process, power, node)


def _redis_log(server: ServerSettings) -> tuple[Outcome, Outcome]:
    written = _yes("a write is in the log, which the system keeps, before it is acknowledged")
    rules = {
        "always": (written, _yes("the log is forced to disk before the answer")),
        "everysec": (
            _latest("nothing as a rule; up to two seconds where the disk is slower than the log"),
            _latest("one second, two where the disk is slower than the log"),
        ),
        "no": (written, _latest("what the system had not written to disk yet: half a minute, say")),
    }
    sync = server.value("appendfsync") or ""
    unknown = _missing(server, "appendfsync") or _unknown(f"appendfsync is {sync}")
    return rules.get(sync, (unknown, unknown))


def _redis_snapshots(server: ServerSettings) -> Outcome:
    if server.value("save"):
        return _latest(f"everything since the last snapshot (save {server.value('save')}), minutes as a rule")
    if server.value("replicas") not in (None, "0"):
        return _no("it is kept in memory only: a master that comes back is empty, and its replicas follow it")
    return _no("it is kept in memory only: no log, no snapshot")


def _redis_node(server: ServerSettings) -> Outcome:
    if (server.value("replicas") or "0") == "0":
        return _no("a master has no replica")
    return _latest("a replica gets a write after it was acknowledged")


def _dragonfly(target: Target, server: ServerSettings) -> Survival:
    """Dragonfly's documentation: no append-only file, but snapshots on a schedule (``snapshot_cron``), which is not asked."""
    kept = _unknown("Dragonfly keeps snapshots only, and their schedule was not asked")
    return _row(target, "the server has it in memory", kept, kept, _missing(server, "replicas") or _redis_node(server))


def _pubsub(target: Target, _server: ServerSettings) -> Survival:
    """Redis' manual on publish and subscribe: at most once, and kept nowhere."""
    lost = _no("an event is handed to whoever listens at this moment, and kept nowhere")
    return _row(target, "the server has passed it on to who listens now", lost, lost, lost)


def _kafka(target: Target, server: ServerSettings) -> Survival:
    """Kafka's documentation on ``acks``, ``min.insync.replicas``, ``flush.messages``, ``unclean.leader.election.enable``: brokers
    answer when the event is in the page cache of the replicas in sync; durability comes from replicas, not from the disk."""
    if server.value("acks") not in ("all", "-1"):
        loose = _unknown(f"the client waits for acks={server.value('acks')} only")
        return _row(target, f"acks={server.value('acks')}", loose, loose, loose)
    process = _yes("the event is in the broker's log, which the system keeps, before it is acknowledged")
    power = _missing(server, "flush.messages", "flush.ms") or _kafka_power(server)
    node = _missing(server, "topic replication factor", "min.insync.replicas") or _kafka_node(server)
    copies = server.value("min.insync.replicas")
    meaning = f"every replica in sync has it, at least {copies}" if copies else "every replica in sync has it"
    return _row(target, f"{meaning}; in memory of the system", process, power, node)


def _kafka_power(server: ServerSettings) -> Outcome:
    messages, after = server.value("flush.messages") or "", server.value("flush.ms") or ""
    if messages == "1":
        return _yes("each event is forced to disk before the answer")
    if after.isdecimal() and after != NEVER:
        return _latest(f"up to {int(after) / 1000:g} s, after which the log is forced to disk")
    return _latest("what the system had not written to disk yet: half a minute, say, where all replicas fail together")


def _kafka_node(server: ServerSettings) -> Outcome:
    factor, least = server.value("topic replication factor") or "", server.value("min.insync.replicas") or ""
    if not (factor.isdecimal() and least.isdecimal()):
        return _unknown(f"topics or brokers differ: replication factor {factor}, min.insync.replicas {least}")
    if factor == "1":
        return _no("each event is on one broker only")
    if server.value("unclean.leader.election.enable") == "true":
        return _latest("a broker that lacks acknowledged events may take over")
    if least == "1":
        return _latest("while only one broker is in sync, it acknowledges alone")
    return _yes(f"at least {least} brokers have an event before it is acknowledged")


def _cql(target: Target, server: ServerSettings) -> Survival:
    """Cassandra's documentation on ``commitlog_sync`` (batch and group answer after the log is on disk, periodic before) and on
    consistency: a write at quorum is on a majority of the replicas. ``durable_writes`` off skips the log. Since Cassandra 4.0
    the log is marked ten times a second, so that the end of the process alone loses less than a whole period."""
    unknown = _missing(server, "commitlog_sync", "durable_writes", "replication factor")
    factor_text = server.value("replication factor") or ""
    factor = int(factor_text) if factor_text.isdecimal() else 0
    node = _missing(server, "replication factor") or _cql_node(factor)
    majority = factor // 2 + 1
    meaning = f"{majority} of {factor} replicas have it" if factor else "a majority of the replicas has it"
    if unknown is not None:
        return _row(target, meaning, unknown, unknown, node)
    power = _cql_power(server)
    process = power
    if power.answer is not Survives.YES and majority > 1:
        process = _yes("another replica that acknowledged it still has it")
    return _row(target, meaning, process, power, node)


def _cql_power(server: ServerSettings) -> Outcome:
    if server.value("durable_writes") != "yes":
        return _no("durable_writes is off: writes skip the log")
    sync = server.value("commitlog_sync")
    if sync in ("batch", "group"):
        return _yes(f"the log is forced to disk before the answer (commitlog_sync {sync})")
    if sync == "periodic":
        return _latest(
            f"up to {server.value('commitlog_sync_period') or 'one period'}, after which the log is forced to disk"
        )
    return _unknown(f"commitlog_sync is {sync}")


def _cql_node(factor: int) -> Outcome:
    if factor == 0:
        return _unknown("the replication factor is no number")
    if factor == 1:
        return _no("each row is on one node only")
    return _yes(f"a quorum of {factor} replicas has acknowledged it, and at least one other is left")


def _opensearch(target: Target, server: ServerSettings) -> Survival:
    """OpenSearch's documentation on ``index.translog.durability``: with request the log of each copy is on disk before the
    answer; with async it is in memory until ``sync_interval``, and the end of the process loses it, too. A write waits for the
    copies that are in place, which may be the first alone (``wait_for_active_shards``)."""
    node = _missing(server, "copies in place") or _opensearch_node(server)
    unknown = _missing(server, "index.translog.durability")
    if unknown is not None:
        return _row(target, "not known", unknown, unknown, node)
    kind = (server.value("index.translog.durability") or "").lower()
    if kind == "request":
        kept = _yes("the log is forced to disk before the answer")
        return _row(target, "every copy in place has it in its log on disk", kept, kept, node)
    if kind == "async":
        lost = _latest(
            f"up to {server.value('index.translog.sync_interval') or 'some seconds'}, after which the log is on disk"
        )
        return _row(target, "every copy in place has it in memory", lost, lost, node)
    other = _unknown(f"index.translog.durability is {kind}")
    return _row(target, "not known", other, other, node)


def _opensearch_node(server: ServerSettings) -> Outcome:
    found = re.fullmatch(r"(\d+) of (\d+)", server.value("copies in place") or "")
    if found is None:
        return _unknown("how many copies there are is not known")
    if int(found[1]) >= 2:
        return _yes(f"{found[1]} copies of each shard are in place")
    return _no("there is one copy of each shard")


_RULES: dict[tuple[str, str], Callable[[Target, ServerSettings], Survival]] = {
    ("", "postgres"): _postgres,
    ("events", "redis"): _pubsub,
    ("events", "valkey"): _pubsub,
    ("events", "dragonfly"): _pubsub,
    ("events", "upstash"): _pubsub,
    ("events", "elasticache-serverless"): _pubsub,
    ("", "redis"): _redis,
    ("", "valkey"): _redis,
    ("", "upstash"): _redis,
    ("", "elasticache-serverless"): _redis,
    ("", "dragonfly"): _dragonfly,
    ("", "kafka"): _kafka,
    ("", "redpanda"): _kafka,
    ("", "msk"): _kafka,
    ("", "cassandra"): _cql,
    ("", "scylla"): _cql,
    ("", "keyspaces"): _cql,
    ("", "opensearch"): _opensearch,
    ("", "elasticsearch"): _opensearch,
}
"""(concern, or "" for any; technology) -> its rule."""
