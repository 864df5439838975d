"""What moto's server gets wrong for concurrent clients, put right: `repair()`, before it serves. Stands alone, like a script.

It serves in threads and none of its services has a lock: between a condition and the write that it protects, another request
may come. A DynamoDB transaction begins with a copy of its whole tables and ends, where it fails, with putting the copy back: what
others wrote meanwhile is lost, and each transaction takes longer the more there is in the table. Both make a true backend
look as if it lost writes (moto 5.2.5).
"""

from __future__ import annotations

import copy
import importlib
import threading
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

WAITING = frozenset({"AmazonSQS.ReceiveMessage"})
"""Requests that wait for others: they would wait for ever for those that wait for them."""


def repair() -> None:
    """From now on this moto answers one request after the other, and a failed transaction undoes its own writes only."""
    _answer_one_after_the_other()
    _undo_what_was_done()
    _look_at_one_message_only()


def _answer_one_after_the_other() -> None:
    application: Any = importlib.import_module("moto.moto_server.werkzeug_app").DomainDispatcherApplication
    serve, turn = application.__call__, threading.Lock()

    def serve_alone(self: Any, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_X_AMZ_TARGET", "") in WAITING:
            waited: Iterable[bytes] = serve(self, environ, start_response)
            return waited
        with turn:
            answer = serve(self, environ, start_response)
            try:
                return [b"".join(answer)]
            finally:
                getattr(answer, "close", lambda: None)()

    application.__call__ = serve_alone


def _undo_what_was_done() -> None:
    from moto.dynamodb.models.dynamo_type import DynamoType
    from moto.dynamodb.models.table import Table

    models: Any = importlib.import_module("moto.dynamodb.models")
    # Of tables its transactions make no copies any more; putting one "back" then changes nothing.
    models.copy = SimpleNamespace(deepcopy=lambda thing: thing if isinstance(thing, Table) else copy.deepcopy(thing))
    transact = models.DynamoDBBackend.transact_write_items

    def transact_or_undo(self: Any, transact_items: list[dict[str, Any]]) -> None:
        before = [_as_it_is(self.tables, operation) for item in transact_items for operation in item.values()]
        try:
            transact(self, transact_items)
        except Exception:
            for held, place, item in (known for known in before if known is not None):
                if item is None:
                    held.pop(place, None)
                else:
                    held[place] = item
            raise

    def _as_it_is(tables: Any, operation: dict[str, Any]) -> tuple[dict[Any, Any], Any, Any] | None:
        """Where the item of an operation is or will be, and a copy of what is there now."""
        table, attributes = tables.get(operation.get("TableName")), operation.get("Item") or operation.get("Key") or {}
        if table is None or not all(name in attributes for name in table.table_key_attrs):
            return None
        places = [DynamoType(attributes[name]) for name in table.table_key_attrs]
        held = table.items[places[0]] if len(places) > 1 else table.items
        return held, places[-1], copy.deepcopy(held.get(places[-1]))

    models.DynamoDBBackend.transact_write_items = transact_or_undo


def _look_at_one_message_only() -> None:
    """Whether a message is too old: moto counts all in the queue for it, so that a backlog of a thousand takes minutes."""
    from moto.core.utils import unix_time

    def is_young(self: Any, queue_name: str, message: Any) -> bool:
        kept: float = self.get_queue(queue_name).message_retention_period
        return bool(kept + message.sent_timestamp / 1000 > unix_time())

    backend: Any = importlib.import_module("moto.sqs.models").SQSBackend
    backend.is_message_valid_based_on_retention_period = is_young
