"""The environment file of a stack: the variables that the container takes, with placeholders for what only its owner knows. Pure.

No secret is ever in it: where one belongs stands a word that begins with ``REPLACE_``, and the head of the file lists them all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from stackproof.adapters.registry import CONCERNS
from stackproof.container import CHOSEN_BY

PLACEHOLDER = re.compile(r"REPLACE_[A-Z0-9_]+")
FILE = "stack.env"

_POSTGRES = {
    "DATABASE_URL": (
        "postgresql://REPLACE_DATABASE_USER:REPLACE_DATABASE_PASSWORD@REPLACE_DATABASE_HOST:5432/REPLACE_DATABASE_NAME"
    )
}
_SCYLLA = {"SCYLLA_CONTACT_POINTS": "REPLACE_SCYLLA_HOST_1:9042,REPLACE_SCYLLA_HOST_2:9042,REPLACE_SCYLLA_HOST_3:9042"}
_KAFKA = {"KAFKA_BROKERS": "REPLACE_KAFKA_HOST_1:9092,REPLACE_KAFKA_HOST_2:9092,REPLACE_KAFKA_HOST_3:9092"}
_REDIS = {"REDIS_URL": "redis://:REPLACE_REDIS_PASSWORD@REPLACE_REDIS_HOST:6379/0"}
_AWS = {"AWS_REGION": "us-east-1"}
"""Where the prices of the book are from."""

VARIABLES: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("interactions", "postgres"): _POSTGRES,
    ("interactions", "dynamodb"): _AWS,
    ("interactions", "scylla"): _SCYLLA,
    ("interactions", "cassandra"): _SCYLLA,
    ("interactions", "keyspaces"): {**_AWS, "KEYSPACES_ENDPOINT": "cassandra.us-east-1.amazonaws.com:9142"},
    ("events", "redis"): _REDIS,
    ("events", "kafka"): _KAFKA,
    ("events", "redpanda"): _KAFKA,
    ("events", "msk"): {**_AWS, "MSK_BROKERS": "REPLACE_MSK_BROKER_1:9098,REPLACE_MSK_BROKER_2:9098"},
    ("events", "eventbridge"): _AWS,
    ("events", "kinesis"): _AWS,
    ("search", "postgres"): _POSTGRES,
    ("search", "opensearch"): {
        "OPENSEARCH_URL": "https://REPLACE_OPENSEARCH_USER:REPLACE_OPENSEARCH_PASSWORD@REPLACE_OPENSEARCH_HOST:9200"
    },
    ("cache", "redis"): _REDIS,
    ("cache", "elasticache"): {"REDIS_URL": "rediss://REPLACE_ELASTICACHE_ENDPOINT:6379"},
    ("cache", "upstash"): {"REDIS_URL": "rediss://default:REPLACE_UPSTASH_TOKEN@REPLACE_UPSTASH_NAME.upstash.io:6379"},
    ("cache", "dragonfly"): {"REDIS_URL": "redis://:REPLACE_REDIS_PASSWORD@REPLACE_REDIS_HOST:6379/0"},
    ("logs", "cloudwatch"): _AWS,
}
"""Concern and backend -> what reaches it. Credentials of AWS come from where its tools look for them."""


def environment_file(backends: Mapping[str, str], title: str, *, production: bool) -> str:
    """The file of a stack: ``backends`` by concern. A backend of somebody else is chosen by its name, if it has one.

    A concern without a backend keeps the container's default, which is made on first use; only a cache has to be chosen.
    """
    unused = [concern for concern in CONCERNS if concern not in backends]
    chosen = {**backends, "cache": "local"} if "cache" in unused else dict(backends)
    variables: dict[str, str] = {"STACKPROOF_ENV": "production"} if production else {}
    for concern in CONCERNS:
        if concern in chosen:
            variables[CHOSEN_BY[concern][0]] = chosen[concern]
    for concern in CONCERNS:
        variables.update(VARIABLES.get((concern, chosen.get(concern, "")), {}))
    names = sorted({name for value in variables.values() for name in PLACEHOLDER.findall(value)})
    head = [f"# {title}", "# Made by stackproof plan, from the price book and the measurements that its page names."]
    head += [f"# Nothing is asked of {concern}: no backend is planned for it." for concern in unused]
    if names:
        head += ["# To be filled in (passwords and tokens are never written here):", *(f"#   {name}" for name in names)]
    if "AWS_REGION" in variables:
        head.append("# AWS credentials are taken from the usual places (role, profile, variables).")
    return "\n".join([*head, *(f"{name}={value}" for name, value in variables.items())]) + "\n"


def parse_environment(text: str) -> dict[str, str]:
    """The variables of such a file; ValueError for a line that is none."""
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"line {number} is no KEY=value")
        found[name] = value
    return found
