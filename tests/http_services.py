"""Tiny HTTP services that speak as the real ones do, for tests of the HTTP proxy: what they store can be looked at."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
import zlib
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Asked = tuple[str, str, dict[str, str], bytes]
"""Method, path, headers (names in lower case), body."""
Told = tuple[int, dict[str, str], bytes]


class HttpService:
    """Answers each request with what ``respond`` says, on connections that stay open."""

    def __init__(self, respond: Callable[[Asked], Told]) -> None:
        self.heard: list[Asked] = []
        self.closing = False
        """Whether each answer ends its connection."""
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = (self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                service.heard.append(asked)
                status, headers, answer = respond(asked)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                if service.closing:
                    self.send_header("Connection", "close")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = serve  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # a client that was cut off

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class Client:
    """Asks over one connection that stays open."""

    def __init__(self, port: int) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=5)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Told:
        self.connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = self.connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()

    def aws(self, target: str, **body: Any) -> tuple[int, Any]:
        status, headers, answer = self.ask("POST", "/", json.dumps(body).encode(), X_Amz_Target=target)
        if summed := headers.get("x-amz-crc32"):
            assert int(summed) == zlib.crc32(answer), "botocore would ask again"
        return status, json.loads(answer)

    def close(self) -> None:
        self.connection.close()


def amz(body: object, status: int = 200) -> Told:
    answer = json.dumps(body).encode()
    return status, {"Content-Type": "application/x-amz-json-1.0", "x-amz-crc32": str(zlib.crc32(answer))}, answer


def echo(asked: Asked) -> Told:
    method, path, headers, body = asked
    if headers.get("accept-encoding") == "gzip":
        return 200, {"Content-Encoding": "gzip", "X-Path": path}, gzip.compress(body)
    return 200, {"X-Path": path, "X-Method": method}, body


class DynamoDB:
    """Tables of items with the key ``id``, in order; at most so many items of a batch are taken."""

    def __init__(self, most: int = 25) -> None:
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.most = most

    def __call__(self, asked: Asked) -> Told:
        body = json.loads(asked[3])
        return amz(getattr(self, asked[2]["x-amz-target"].rpartition(".")[2])(**body))

    def BatchWriteItem(self, RequestItems: dict[str, Any]) -> object:  # noqa: N802, N803 - as the service names them
        left: dict[str, Any] = {}
        for table, requests in RequestItems.items():
            self.tables.setdefault(table, []).extend(each["PutRequest"]["Item"] for each in requests[: self.most])
            if requests[self.most :]:
                left[table] = requests[self.most :]
        return {"UnprocessedItems": left}

    def BatchGetItem(self, RequestItems: dict[str, Any]) -> object:  # noqa: N802, N803
        found = {
            table: [item for item in self.tables[table] if {"id": item["id"]} in wanted["Keys"]]
            for table, wanted in RequestItems.items()
        }
        return {"Responses": found, "UnprocessedKeys": {}}

    def Query(self, TableName: str, Limit: int = 1000, ExclusiveStartKey: Any = None, **_: object) -> object:  # noqa: N802, N803
        items = self.tables[TableName]
        begin = 1 + [item["id"] for item in items].index(ExclusiveStartKey["id"]) if ExclusiveStartKey else 0
        page = items[begin : begin + Limit]
        more = {"LastEvaluatedKey": {"id": page[-1]["id"]}} if begin + Limit < len(items) else {}
        return {"Items": page, "Count": len(page), "ScannedCount": len(page), **more}

    Scan = Query


class Entries:
    """Kinesis, EventBridge and CloudWatch Logs: lists of entries that are stored one by one."""

    def __init__(self) -> None:
        self.stored: list[Any] = []

    def __call__(self, asked: Asked) -> Told:
        call, body = asked[2]["x-amz-target"].rpartition(".")[2], json.loads(asked[3])
        if call == "PutRecords":
            self.stored += body["Records"]
            done = [{"SequenceNumber": str(n), "ShardId": "shardId-0"} for n in range(len(body["Records"]))]
            return amz({"FailedRecordCount": 0, "Records": done, "EncryptionType": "NONE"})
        if call == "PutEvents":
            self.stored += body["Entries"]
            return amz({"FailedEntryCount": 0, "Entries": [{"EventId": each["Detail"]} for each in body["Entries"]]})
        if call == "PutLogEvents":
            self.stored += body["logEvents"]
        return amz({})


class Bulk:
    """``_bulk`` of a search engine: documents by index and id; one whose text is "bad" is refused for good."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], Any] = {}

    def __call__(self, asked: Asked) -> Told:
        _, path, _, body = asked
        if not body:
            return 400, {}, b'{"error":{"type":"parse_exception","reason":"request body is required"},"status":400}'
        lines = iter(body.splitlines())
        items = [self._do(path, json.loads(line), lines) for line in lines]
        errors = any("error" in result for item in items for result in item.values())
        return 200, {}, json.dumps({"took": 3, "errors": errors, "items": items}).encode()

    def _do(self, path: str, action: dict[str, Any], lines: Any) -> dict[str, dict[str, Any]]:
        ((name, meta),) = action.items()
        where = (meta.get("_index") or path.strip("/").partition("/")[0], meta["_id"])
        result = {"_index": where[0], "_id": where[1]}
        if name == "delete":
            return {name: {**result, "status": 200 if self.documents.pop(where, None) else 404}}
        document = json.loads(next(lines))
        if document.get("text") == "bad":
            return {name: {**result, "status": 400, "error": {"type": "mapper_parsing_exception", "reason": "bad"}}}
        self.documents[where] = document
        return {name: {**result, "status": 201}}
