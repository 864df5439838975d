"""What an acknowledged write survives: each rule, from settings that are made up."""

from __future__ import annotations

from typing import Any

import pytest

from stackproof.measurement.server_settings.durability import Survival, Survives, durability, survival
from stackproof.measurement.server_settings.records import NEVER, ServerSettings, Setting
from stackproof.targets import parse_target

YES, LATEST, NO, UNKNOWN = Survives.YES, Survives.LATEST_LOST, Survives.NO, Survives.UNKNOWN

POSTGRES = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_writer_delay": "200ms",
    "synchronous_standby_names": "",
    "replicas": "0 connected, 0 synchronous",
}
REDIS = {"appendonly": "yes", "appendfsync": "always", "save": "", "replicas": "0"}
KAFKA = {
    "acks": "all",
    "flush.messages": NEVER,
    "flush.ms": NEVER,
    "topic replication factor": "3",
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
}
CQL = {
    "commitlog_sync": "periodic",
    "commitlog_sync_period": "10000ms",
    "durable_writes": "yes",
    "replication factor": "3",
}
OPENSEARCH = {"index.translog.durability": "request", "copies in place": "2 of 2", "index.translog.sync_interval": "5s"}


def row(backend: str, technology: str, usual: dict[str, str], **changes: Any) -> Survival:
    """The row of a backend on a server with these settings; a value of None is unknown. ``__`` stands for a space or a dot."""
    named = {
        next(name for name in usual if name.replace(".", "_").replace(" ", "_") == key): v for key, v in changes.items()
    }
    values = {**usual, **named}
    settings = tuple(
        Setting(name, value or "", "…", "" if value is not None else "it was refused") for name, value in values.items()
    )
    return survival(parse_target(backend), ServerSettings("s", "external", technology, "", (backend,), settings, ()))


def answers(found: Survival) -> tuple[Survives, Survives, Survives]:
    return found.process_crash.answer, found.power_loss.answer, found.node_loss.answer


class TestPostgres:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, (YES, YES, NO)),
            ({"fsync": "off"}, (YES, NO, NO)),
            ({"full_page_writes": "off"}, (YES, NO, NO)),
            ({"synchronous_commit": "off"}, (LATEST, LATEST, NO)),
            ({"replicas": "1 connected, 0 synchronous"}, (YES, YES, LATEST)),
            ({"replicas": "1 connected, 1 synchronous", "synchronous_standby_names": "*"}, (YES, YES, YES)),
            (
                {
                    "replicas": "1 connected, 1 synchronous",
                    "synchronous_standby_names": "*",
                    "synchronous_commit": "local",
                },
                (YES, YES, LATEST),
            ),
            ({"fsync": None}, (YES, UNKNOWN, NO)),
            ({"replicas": None}, (YES, YES, UNKNOWN)),
        ],
    )
    def test_rows(self, changes: dict[str, str], expected: tuple[Survives, ...]) -> None:
        assert answers(row("interactions=postgres", "postgres", POSTGRES, **changes)) == expected

    def test_the_reason_names_the_window(self) -> None:
        found = row("interactions=postgres", "postgres", POSTGRES, synchronous_commit="off")
        assert "three times wal_writer_delay, 200ms" in found.power_loss.why


class TestRedis:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, (YES, YES, NO)),
            ({"appendfsync": "everysec"}, (LATEST, LATEST, NO)),
            ({"appendfsync": "no"}, (YES, LATEST, NO)),
            ({"appendonly": "no", "save": "3600 1"}, (LATEST, LATEST, NO)),
            ({"appendonly": "no"}, (NO, NO, NO)),
            ({"appendonly": "no", "replicas": "1"}, (NO, NO, LATEST)),
            ({"appendonly": "yes on 2, no on 1"}, (UNKNOWN, UNKNOWN, NO)),
            ({"appendonly": None}, (UNKNOWN, UNKNOWN, NO)),
        ],
    )
    def test_rows(self, changes: dict[str, str], expected: tuple[Survives, ...]) -> None:
        assert answers(row("cache=redis", "redis", REDIS, **changes)) == expected

    def test_an_event_is_kept_nowhere_whatever_the_log(self) -> None:
        assert answers(row("events=redis", "redis", REDIS)) == (NO, NO, NO)

    def test_a_service_is_judged_as_what_it_is_compatible_with(self) -> None:
        assert row("cache=upstash", "upstash", REDIS) == row("cache=upstash", "redis", REDIS)
        assert row("events=msk", "msk", KAFKA) == row("events=msk", "kafka", KAFKA)
        assert row("interactions=keyspaces", "keyspaces", CQL) == row("interactions=keyspaces", "cassandra", CQL)

    def test_a_dragonfly_has_no_log(self) -> None:
        assert answers(row("cache=dragonfly", "dragonfly", REDIS))[:2] == (UNKNOWN, UNKNOWN)


class TestKafka:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, (YES, LATEST, YES)),
            ({"flush_messages": "1"}, (YES, YES, YES)),
            ({"flush_ms": "1000"}, (YES, LATEST, YES)),
            ({"topic_replication_factor": "1"}, (YES, LATEST, NO)),
            ({"min_insync_replicas": "1"}, (YES, LATEST, LATEST)),
            ({"unclean_leader_election_enable": "true"}, (YES, LATEST, LATEST)),
            ({"topic_replication_factor": "3 on 1, 1 on 1"}, (YES, LATEST, UNKNOWN)),
            ({"flush_ms": None}, (YES, UNKNOWN, YES)),
            ({"acks": "1"}, (UNKNOWN, UNKNOWN, UNKNOWN)),
        ],
    )
    def test_rows(self, changes: dict[str, str], expected: tuple[Survives, ...]) -> None:
        assert answers(row("events=kafka", "kafka", KAFKA, **changes)) == expected

    def test_the_reason_names_the_period(self) -> None:
        assert "up to 1 s" in row("events=kafka", "kafka", KAFKA, flush_ms="1000").power_loss.why


class TestCql:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, (YES, LATEST, YES)),
            ({"commitlog_sync": "batch"}, (YES, YES, YES)),
            ({"commitlog_sync": "group"}, (YES, YES, YES)),
            ({"replication_factor": "1"}, (LATEST, LATEST, NO)),
            ({"replication_factor": "1", "commitlog_sync": "batch"}, (YES, YES, NO)),
            ({"durable_writes": "no", "replication_factor": "1"}, (NO, NO, NO)),
            ({"replication_factor": None}, (UNKNOWN, UNKNOWN, UNKNOWN)),
            ({"commitlog_sync": "other"}, (YES, UNKNOWN, YES)),
        ],
    )
    def test_rows(self, changes: dict[str, str], expected: tuple[Survives, ...]) -> None:
        assert answers(row("interactions=cassandra", "cassandra", CQL, **changes)) == expected


class TestOpenSearch:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, (YES, YES, YES)),
            ({"copies_in_place": "1 of 2"}, (YES, YES, NO)),
            ({"index_translog_durability": "ASYNC"}, (LATEST, LATEST, YES)),
            ({"index_translog_durability": None}, (UNKNOWN, UNKNOWN, YES)),
        ],
    )
    def test_rows(self, changes: dict[str, str], expected: tuple[Survives, ...]) -> None:
        assert answers(row("search=opensearch", "opensearch", OPENSEARCH, **changes)) == expected


class TestOthers:
    def test_what_lives_in_the_client_is_lost_with_it(self) -> None:
        assert answers(survival(parse_target("search=memory"), None)) == (NO, NO, NO)

    @pytest.mark.parametrize("backend", ["cache=mine.cache:make", "logs=console", "interactions=dynamodb"])
    def test_what_nobody_told_is_unknown(self, backend: str) -> None:
        assert answers(survival(parse_target(backend), None)) == (UNKNOWN, UNKNOWN, UNKNOWN)

    def test_rows_stand_in_the_order_of_the_targets(self) -> None:
        targets = [parse_target(name) for name in ("search=memory", "cache=local")]
        assert [found.backend for found in durability(targets, [])] == ["search=memory", "cache=local"]

    def test_a_row_goes_through_json_and_back(self) -> None:
        found = row("events=kafka", "kafka", KAFKA)
        assert Survival.from_data(found.to_data()) == found
