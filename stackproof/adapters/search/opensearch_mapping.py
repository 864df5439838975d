"""The index behind an OpenSearch search index: its name, settings and mapping, and how these are made, checked and replaced.

An index cannot change the mapping that it has. So nobody uses it by its own name: the alias ``NAME`` leads to the index
``NAME-v1``, and a change of the mapping is a new index ``NAME-v2``, filled from the old one, to which the alias is moved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch

from stackproof.adapters.names import name_of
from stackproof.adapters.settings import Settings
from stackproof.interfaces import BackendError, ConfigurationError, UnavailableError

from .opensearch_client import Effect, OpenSearchClient

MAPPING_VERSION = 1
"""Of `mapping`. Whoever changes that counts up, and `rebuild` moves the documents."""

REFRESH_SECONDS = 1
"""How often the server makes changes visible by itself. Set for each index: where it is not, an index that nobody searches
for half a minute is not refreshed at all until somebody does."""

_LONGEST_ALIAS = 200
_LONGEST_WORD = 1024
"""Of the tokenizer, in UTF-16 units. Its own default, 255, would cut words outside of the basic plane in two."""
_NOT_FOUND = 404
_EXISTS = 400
_MIGRATION_SECONDS = 24 * 60 * 60.0


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """What an operator may choose for a new index."""

    shards: int = 1
    replicas: str = "0-1"
    """A number, or a range that follows the number of nodes."""

    @classmethod
    def of(cls, settings: Settings) -> IndexOptions:
        """As ``OPENSEARCH_SHARDS`` and ``OPENSEARCH_REPLICAS`` say."""
        usual = cls()
        return cls(
            shards=int(settings.number("OPENSEARCH_SHARDS", usual.shards, minimum=1)),
            replicas=settings.get("OPENSEARCH_REPLICAS", usual.replicas),
        )


def alias_of(namespace: str) -> str:
    """The alias of a namespace: one to one, in the characters that a name may have."""
    return name_of("search", namespace, _LONGEST_ALIAS) if namespace else "stackproof_search"


def index_name(alias: str, generation: int) -> str:
    """An index behind an alias. The names of aliases have no ``-``: so it is of no other one."""
    return f"{alias}-v{generation}"


def generation_of(alias: str, index: str) -> int:
    """The number in the name of an index; 0 where the name is not one of ours."""
    found = re.fullmatch(re.escape(alias) + r"-v([1-9][0-9]*)", index)
    return int(found[1]) if found else 0


def mapping() -> dict[str, Any]:
    """Strict: a field that is not here is refused. Words are whole terms, as they are given: no analyzer changes them."""
    unsearched = {"type": "keyword", "index": False, "doc_values": False}
    return {
        "dynamic": "strict",
        "_meta": {"stackproof": MAPPING_VERSION},
        "properties": {
            "tenant": {"type": "keyword"},
            "id": {"type": "keyword"},
            "kind": {"type": "keyword"},
            "title": unsearched,
            "words": {"type": "text", "analyzer": "words", "index_options": "positions"},
        },
    }


def settings(options: IndexOptions) -> dict[str, Any]:
    replicas: dict[str, Any] = (
        {"auto_expand_replicas": options.replicas}
        if "-" in options.replicas
        else {"number_of_replicas": int(options.replicas)}
    )
    return {
        "index": {"number_of_shards": options.shards, "refresh_interval": f"{REFRESH_SECONDS}s", **replicas},
        "analysis": {
            "tokenizer": {"words": {"type": "whitespace", "max_token_length": _LONGEST_WORD}},
            "analyzer": {"words": {"type": "custom", "tokenizer": "words"}},
        },
    }


def ensure(client: OpenSearchClient, alias: str, options: IndexOptions) -> str:
    """The name of the index behind the alias, which is made where it is not there. Safe from many processes at once.

    What cannot work (an index of another shape, or of a newer release) is a `ConfigurationError`.
    """
    found = behind(client, alias)
    if not found:
        _create(client, alias, index_name(alias, 1), options, with_alias=True)
        found = behind(client, alias)
        if not found:
            raise UnavailableError(
                f"{client.where}: the index {index_name(alias, 1)} is there, and no alias {alias} leads to it; "
                "move the alias to the index that has the documents, by POST /_aliases"
            )
    return check(client, alias, found)


def check(client: OpenSearchClient, alias: str, found: Mapping[str, Any]) -> str:
    """The one index behind the alias, if it is as this release needs it."""
    if alias in found:
        raise ConfigurationError(
            f"{client.where}: {alias} is an index and not an alias, as something else has written to it; "
            "remove it, and it is made anew"
        )
    if len(found) > 1:
        raise ConfigurationError(
            f"{client.where}: the alias {alias} leads to several indexes ({', '.join(sorted(found))}); leave it one"
        )
    (name,) = found
    version = found[name].get("mappings", {}).get("_meta", {}).get("stackproof")
    if version == MAPPING_VERSION:
        return name
    if isinstance(version, int) and version < MAPPING_VERSION:
        raise ConfigurationError(
            f"{client.where}: the mapping of {name} has version {version}, this release needs {MAPPING_VERSION}; "
            "rebuild() of the adapter moves the documents to a new index"
        )
    raise ConfigurationError(
        f"{client.where}: the index {name} was not made by this release (its mapping has version {version})"
    )


def rebuild(client: OpenSearchClient, alias: str, options: IndexOptions) -> str:
    """Put a new index with the mapping and options of now behind the alias; its name.

    The documents and their versions are copied by the server. Meanwhile searches go on, and writes are refused
    (`UnavailableError` in the adapter): none is lost in between. Where it fails, the old index is as it was.
    """
    found = behind(client, alias)
    if len(found) != 1 or alias in found:
        raise ConfigurationError(f"{client.where}: exactly one index must be behind the alias {alias} to be rebuilt")
    (old,) = found
    new = index_name(alias, generation_of(alias, old) + 1)
    _create(client, alias, new, options, with_alias=False)
    try:
        _block_writes(client, old, blocked=True)
        _copy(client, old, new)
        moves = [{"add": {"index": new, "alias": alias}}, {"remove_index": {"index": old}}]
        client.call(lambda api: api.indices.update_aliases(body={"actions": moves}), Effect.IDEMPOTENT)
    except BaseException:
        if new not in behind(client, alias):  # else it was done, and only the answer was lost
            _block_writes(client, old, blocked=False)
            drop(client, [new])
        raise
    return new


def behind(client: OpenSearchClient, name: str) -> dict[str, Any]:
    """The indexes behind an alias (or a pattern of indexes), with their mappings; none where it is not there."""

    def look(api: OpenSearch) -> Any:
        # Closed ones too: a pattern alone means the open ones.
        params = {"ignore": _NOT_FOUND, "flat_settings": "true", "expand_wildcards": "all"}
        return api.indices.get(index=name, params=params)

    found: dict[str, Any] = client.call(look, Effect.NONE)
    return {} if "error" in found else found


def must_be_there(client: OpenSearchClient, alias: str) -> None:
    """Raise `UnavailableError` where the alias has vanished.

    For a bulk request that only removes: with versions given, the server makes the index where it is missing, whatever
    ``require_alias`` says. That one would have the name of the alias, and a mapping of nobody's.
    """
    if not client.call(lambda api: api.indices.exists_alias(name=alias), Effect.NONE):
        raise UnavailableError(f"{client.where}: the alias {alias} is not there any more")


def drop(client: OpenSearchClient, indexes: list[str]) -> None:
    """Remove indexes by their exact names."""

    def remove(api: OpenSearch, index: str) -> Any:
        return api.indices.delete(index=index, params={"ignore": _NOT_FOUND})

    for index in indexes:
        client.call(lambda api, index=index: remove(api, index), Effect.IDEMPOTENT)  # type: ignore[misc]


def _create(client: OpenSearchClient, alias: str, name: str, options: IndexOptions, *, with_alias: bool) -> None:
    """Make an index; with its alias in the same step, so that nobody sees one without the other."""
    body: dict[str, Any] = {"settings": settings(options), "mappings": mapping()}
    if with_alias:
        body["aliases"] = {alias: {}}

    def create(api: OpenSearch) -> Any:
        return api.indices.create(index=name, body=body, params={"ignore": _EXISTS})

    answer = client.call(create, Effect.IDEMPOTENT)
    error = answer.get("error")
    if error is None:
        return
    if error.get("type") != "resource_already_exists_exception":
        raise ConfigurationError(f"{client.where}: the index {name} cannot be made: {error.get('reason', error)}")
    if not with_alias:
        raise ConfigurationError(
            f"{client.where}: the index {name} is there already, from a rebuild that did not end; remove it first"
        )


def _block_writes(client: OpenSearchClient, index: str, *, blocked: bool) -> None:
    body = {"index.blocks.write": blocked}
    client.call(lambda api: api.indices.put_settings(index=index, body=body), Effect.IDEMPOTENT)


def _copy(client: OpenSearchClient, old: str, new: str) -> None:
    """All documents with their versions, so that a late request with an older version is refused by the new index, too."""
    body = {"source": {"index": old}, "dest": {"index": new, "version_type": "external"}}
    copying: dict[str, str] = client.call(
        lambda api: api.reindex(body=body, params={"wait_for_completion": "false", "refresh": "true"}), Effect.ONCE
    )
    task = client.wait_for_task(copying["task"], _MIGRATION_SECONDS)
    failures = task.get("error") or task.get("response", {}).get("failures")
    if failures:
        raise BackendError(f"{client.where}: copying {old} to {new} failed: {str(failures)[:500]}")
