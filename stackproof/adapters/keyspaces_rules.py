"""What Amazon Keyspaces does not accept of CQL, as a check of statements: there is no Keyspaces outside of AWS to try them on.

Sources, as of 2026-11:

- https://docs.aws.amazon.com/keyspaces/latest/devguide/cassandra-apis.html (supported operations)
- https://docs.aws.amazon.com/keyspaces/latest/devguide/functional-differences.html (batches, definitions)
- https://docs.aws.amazon.com/keyspaces/latest/devguide/consistency.html (consistency levels)
- https://docs.aws.amazon.com/keyspaces/latest/devguide/quotas.html (sizes of keys)

Only what these pages say is refused here; that a statement passes is no proof that the service takes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cassandra import ConsistencyLevel

WRITE_LEVELS = frozenset({ConsistencyLevel.LOCAL_QUORUM})
READ_LEVELS = frozenset({ConsistencyLevel.ONE, ConsistencyLevel.LOCAL_ONE, ConsistencyLevel.LOCAL_QUORUM})

MAX_PARTITION_KEY_BYTES = 2048
MAX_CLUSTERING_KEY_BYTES = 850

_UNSUPPORTED = re.compile(
    r"^(TRUNCATE|(CREATE|DROP) (CUSTOM )?INDEX|(CREATE|ALTER|DROP) MATERIALIZED VIEW|(CREATE|DROP) TRIGGER"
    r"|(CREATE( OR REPLACE)?|DROP) (FUNCTION|AGGREGATE)|ALTER TYPE|(CREATE|ALTER|DROP) (ROLE|USER)|GRANT|REVOKE)\b"
)
_NOT_HERE = (
    (r"\bCOUNTER\b", "counters are not used for what must be counted exactly once"),
    (r"\bUSING (TTL \? AND )?TIMESTAMP\b|\bWRITETIME\b", "client-side timestamps must be enabled for each table"),
    (r"\bSELECT DISTINCT\b", "its grammar of SELECT has no DISTINCT"),
    (r"\bGROUP BY\b", "its grammar of SELECT has no GROUP BY"),
    (r"\bSYSTEM_VIEWS\b", "there are no virtual tables"),
    (r"'CLASS' *: *'(SIMPLE|NETWORKTOPOLOGY)STRATEGY'", "a keyspace of one region has the SingleRegionStrategy"),
)
_BATCH = re.compile(r"^BEGIN (UNLOGGED |COUNTER )?BATCH\b")
_MOST_IN_A_BATCH = {"": 100, "UNLOGGED ": 30, "COUNTER ": 0}


def violations(cql: str, consistency: int, serial_consistency: int | None = None) -> Iterator[str]:
    """Why Keyspaces would not accept a statement; nothing where the documentation has nothing against it."""
    text = " ".join(cql.upper().split())
    unsupported = _UNSUPPORTED.match(text)
    if unsupported:
        yield f"{unsupported[0]} is not supported"
    for pattern, reason in _NOT_HERE:
        if re.search(pattern, text):
            yield reason
    yield from _of_batches(text)
    yield from _of_levels(text, consistency, serial_consistency)


def _of_batches(text: str) -> Iterator[str]:
    begin = _BATCH.match(text)
    if begin is None:
        return
    number = len(re.findall(r"\b(INSERT INTO|UPDATE|DELETE)\b", text))
    most = _MOST_IN_A_BATCH[begin[1] or ""]
    if number > most:
        yield f"a batch of this kind has at most {most} statements, not {number}"
    if re.search(r"\bIF (NOT )?(EXISTS|\w+ *[=<>!])", text):
        # The page says that batches take INSERT, UPDATE and DELETE only; an earlier version of it: only unconditional ones.
        yield "conditions in a batch are not promised"


def _of_levels(text: str, consistency: int, serial_consistency: int | None) -> Iterator[str]:
    name = ConsistencyLevel.value_to_name.get(consistency, str(consistency))
    if text.startswith("SELECT"):
        if consistency not in READ_LEVELS:
            yield f"the consistency level {name} is not supported for reads"
    elif consistency not in WRITE_LEVELS:
        yield f"the consistency level {name} is not supported for writes"
    if serial_consistency is not None:
        yield "serial consistency levels are not supported"
