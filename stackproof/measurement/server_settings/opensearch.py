"""What an OpenSearch says of itself, and of the index of this run where there is one.

Meanings follow "Index settings" of OpenSearch's documentation (dynamic index-level settings: translog, refresh, replicas).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opensearchpy import OpenSearch

from stackproof.adapters.search.opensearch_client import Effect, OpenSearchClient
from stackproof.adapters.search.opensearch_mapping import REFRESH_SECONDS, IndexOptions, alias_of
from stackproof.adapters.search.opensearch_place import OpenSearchPlace
from stackproof.adapters.settings import Settings
from stackproof.interfaces import BackendError
from stackproof.targets import Target

from .records import Setting, Told

MEANINGS = {
    "version": "The release of the server.",
    "nodes": "How many nodes keep data.",
    "index.number_of_shards": "Into how many parts our index is cut; one tenant lives in one of them.",
    "index.number_of_replicas": "How many copies of each part there are besides the first.",
    "copies in place": "Copies of each part that are there now, of how many there should be.",
    "index.refresh_interval": "How often changes become visible by themselves.",
    "index.translog.durability": "request: each copy forces a write to disk before the answer; async: some time after it.",
    "index.translog.sync_interval": "With async: how often, and so how much can be lost.",
}
_OF_INDEX = tuple(name for name in MEANINGS if name.startswith("index."))
_NO_INDEX = "no index of this run was there when the server was asked"


def ask(settings: Settings, _targets: Sequence[Target], namespace: str | None) -> Told:
    """Errors are the `BackendError` and `ConfigurationError` of the adapter's client."""
    server = _client(settings)
    try:
        version = server.call(lambda api: api.info(), Effect.NONE)["version"]
        values, unknown = {"version": str(version["number"])}, dict.fromkeys((*_OF_INDEX, "copies in place"), _NO_INDEX)
        try:
            health = server.call(lambda api: api.cluster.health(), Effect.NONE)
            values["nodes"] = str(health["number_of_data_nodes"])
        except BackendError as error:
            unknown["nodes"] = f"the health of the cluster is not told ({type(error).__name__})"
        try:
            values |= _of_index(server, alias_of(namespace)) if namespace is not None else {}
        except BackendError as error:
            refused = f"the settings of our index are not told ({type(error).__name__})"
            unknown |= dict.fromkeys((*_OF_INDEX, "copies in place"), refused)
    finally:
        server.close()
    return Told(str(version.get("distribution", "elasticsearch")), "", values, unknown)


def client(settings: Settings, _targets: Sequence[Target]) -> tuple[Setting, ...]:
    """How the adapter connects, and what it asks for when it makes an index."""
    place, options = OpenSearchPlace.of(settings), IndexOptions.of(settings)
    connections = int(settings.number("OPENSEARCH_MAX_CONNECTIONS", 16, minimum=1))
    visible = settings.number("OPENSEARCH_VISIBLE_WITHIN", 0.0)
    refresh = f"by the server, within {visible:g} s" if visible else "at once, before each call returns"
    return (
        Setting("shards asked for", str(options.shards), "Into how many parts the adapter cuts a new index."),
        Setting("replicas asked for", options.replicas, "Further copies; a range follows the number of nodes."),
        Setting("refresh asked for", f"{REFRESH_SECONDS}s", "How often a new index shows changes by itself."),
        Setting("visible", refresh, "When a change can be found; at once costs the server a refresh for each call."),
        Setting("connect timeout", f"{settings.connect_timeout:g} s", "How long making a connection may take."),
        Setting("operation timeout", f"{settings.operation_timeout:g} s", "How long a part of an answer may take."),
        Setting("connections", str(connections), "How many connections the adapter opens at most."),
        Setting(
            "TLS", "yes, verified" if place.url.startswith("https") else "no", "Whether the connection is encrypted."
        ),
    )


def _client(settings: Settings) -> OpenSearchClient:
    return OpenSearchClient(
        OpenSearchPlace.of(settings),
        connect_timeout=settings.connect_timeout,
        operation_timeout=settings.operation_timeout,
    )


def _of_index(server: OpenSearchClient, alias: str) -> dict[str, str]:
    """Settings of the one index behind an alias, those that nobody set among them; nothing where there is none."""

    def settings_of(api: OpenSearch) -> Any:
        return api.indices.get_settings(
            index=alias, params={"include_defaults": "true", "flat_settings": "true", "ignore": 404}
        )

    answer = server.call(settings_of, Effect.NONE)
    if "error" in answer or len(answer) != 1:
        return {}
    ((name, told),) = answer.items()
    said = {**told.get("defaults", {}), **told["settings"]}
    found = {each: str(said[each]) for each in _OF_INDEX if each in said}
    return found | _copies(server, name, found)


def _copies(server: OpenSearchClient, index: str, found: dict[str, str]) -> dict[str, str]:
    health = server.call(lambda api: api.cluster.health(index=index), Effect.NONE)
    shards = int(health["active_primary_shards"]) or 1
    wanted = 1 + int(found.get("index.number_of_replicas", 0))
    return {"copies in place": f"{int(health['active_shards']) // shards} of {wanted}"}
