"""The shared cache on Amazon ElastiCache in cluster mode, and on any other Redis or Valkey cluster."""

from __future__ import annotations

from typing import ClassVar

from .redis import RedisCache


class ElastiCacheCache(RedisCache):
    """A `RedisCache` whose keys are spread over the masters of a cluster.

    **Address**: ``rediss://:TOKEN@CONFIGURATION-ENDPOINT:6379``; one or more nodes (``HOST:PORT,HOST:PORT``) of which
    one must answer, the rest is asked from it. ``?cluster=false`` where cluster mode is disabled: then the primary
    endpoint is one server, and after a failover the client connects anew when it finds itself on a replica. The AUTH
    token, or the user and password of a user group, stand in the URL; IAM authentication is not offered.

    **Keys**: each operation has one key, and each script works on one, so that none needs two keys in one slot. Names
    begin with an empty hash tag (``{}``), which makes the whole name decide about the slot: braces in a namespace
    cannot put all keys on one node.

    **While slots move, or a master falls**, an operation follows the redirections, or tries again until
    ``operation_timeout`` is over, as long as nothing can have been applied; then it raises `UnavailableError`. A
    replica takes over after the node timeout of the cluster (15 s by Redis' default) and an election of one to two
    seconds: an ``operation_timeout`` that is longer hides it. A write that was sent and not answered is not repeated:
    `IndeterminateError`.

    **What a failover loses**: replication is asynchronous. The last writes that a master acknowledged before it died,
    and whatever one that is cut off from the others acknowledges until the node timeout, can be gone afterwards: an
    older value may be back, or a deleted entry, until its own ttl ends. For entries that must not come back, give a
    ttl. A mark that is lost with them costs a second fetch.

    **Consistency**: reads go to masters, never to replicas. `drop_namespace` goes through all masters; run it while
    slots do not move.
    """

    cluster: ClassVar[bool] = True
