"""Every server that can run in a container, by its name."""

from __future__ import annotations

from collections.abc import Mapping

from .cassandra import CassandraContainer, CassandraTlsContainer
from .container import ContainerServer
from .kafka import KafkaContainer, KafkaIamContainer, KafkaSaslContainer, KafkaTlsContainer
from .kinesis import KinesisContainer
from .opensearch import OpenSearchContainer
from .postgres import PostgresContainer, PostgresTlsContainer
from .redis import RedisContainer, RedisTlsContainer, ValkeyContainer
from .redis_cluster import RedisClusterContainer

CONTAINERS: Mapping[str, type[ContainerServer]] = {
    kind.name: kind
    for kind in (
        PostgresContainer,
        PostgresTlsContainer,
        RedisContainer,
        RedisTlsContainer,
        RedisClusterContainer,
        ValkeyContainer,
        KafkaContainer,
        KafkaSaslContainer,
        KafkaTlsContainer,
        KafkaIamContainer,
        CassandraContainer,
        CassandraTlsContainer,
        OpenSearchContainer,
        KinesisContainer,
    )
}
