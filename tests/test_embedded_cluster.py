"""The embedded Redis cluster: it forms, serves, survives a node, and leaves nothing behind."""

from __future__ import annotations

import pytest
import redis
from shared_servers import redis_url

from stackproof.contracts.expectations import eventually
from stackproof.servers.embedded_cluster import BUS_DISTANCE, EmbeddedRedisCluster
from stackproof.servers.ports import free_port
from stackproof.servers.runs import Run
from stackproof.servers.server import ServerError
from stackproof.servers.sets import servers_for


def driver(cluster: EmbeddedRedisCluster) -> redis.RedisCluster:
    """redis-py's own client, as an independent witness."""
    first, _, _ = cluster.variables()["REDIS_URL"].partition(",")
    return redis.RedisCluster.from_url(first)


def test_its_life() -> None:
    with EmbeddedRedisCluster() as cluster:
        ports = cluster.ports
        assert len(set(ports)) == 6
        facts = cluster.facts()
        assert (facts["masters"], facts["replicas"], facts["cluster-node-timeout"]) == ("3", "3", "2000")
        assert cluster.version().startswith("6.2")
        with driver(cluster) as client:
            assert client.set("k", "v")
            assert client.get("k") == b"v"
        cluster.kill()
        cluster.start()
        cluster.restart()
        assert cluster.ports == ports, "addresses stay"
        with driver(cluster) as client:
            assert client.get("k") is None, "nothing is on disk"
        cluster.start()
        folder = cluster._run.path  # type: ignore[union-attr]
        assert folder.exists()
    assert not folder.exists()
    assert cluster.ports == ()
    cluster.stop()


def test_a_node_that_comes_back_serves_the_one_that_took_its_place() -> None:
    run = Run()
    try:
        cluster = EmbeddedRedisCluster(run)
        cluster.start()
        fallen = cluster.master_of(0)
        cluster.kill_node(fallen)
        eventually(lambda: cluster.master_of(0) != fallen, "a replica takes over", 40.0)
        cluster.start()
        assert cluster.master_of(0) != fallen
        assert str(cluster.ask_node(fallen, "ROLE")).startswith("['slave'")
        cluster.stop()
        assert run.ours, "the run is somebody else's"
    finally:
        run.close()


def test_ports_leave_room_for_the_bus() -> None:
    for _ in range(50):
        assert free_port(also=BUS_DISTANCE) + BUS_DISTANCE < 32_768


def test_the_sets_of_servers_know_it() -> None:
    with servers_for(["redis-cluster"], "embedded", {}) as servers:
        assert "cluster=true" in servers.variables()["REDIS_URL"]
    with pytest.raises(ServerError, match="one after the other"):
        servers_for(["redis", "redis-cluster"], "embedded", {})
    with pytest.raises(ServerError, match=r"No wheel carries valkey"):
        servers_for(["valkey"], "embedded", {})
    with servers_for(["valkey"], "external", {"REDIS_URL": redis_url()}) as servers:
        assert servers.variables() == {"REDIS_URL": redis_url()}
