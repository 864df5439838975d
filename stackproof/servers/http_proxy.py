"""A reverse proxy on the loopback address in front of an HTTP service, with rewriters that can be switched while it runs.

Where the TCP proxy (`proxy`) breaks connections, this one changes what is said on them: a rewriter (`http_faults`) may
alter a request before the service gets it, and the answer before the client does. What each one really did is counted.

An altered body no longer fits its signature (SigV4). Emulators of AWS services do not check signatures, so the proxy
stands in front of them; the real services would refuse the request, and are not what it is for.
"""

from __future__ import annotations

import gzip
import http.client
import select
import socket
import sys
import threading
import zlib
from collections import Counter
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol, Self

from .ports import LOOPBACK

SERVICE_SECONDS = 30.0
"""How long connecting to the service, or waiting for a part of its answer, may take."""
CLOSE_SECONDS = 5.0
"""How long `close` waits for the threads; each of them ends as soon as its sockets do."""
LARGEST_BODY = 64 * 1024 * 1024
"""A larger request is refused: bodies are held in memory."""
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
_WITHOUT_BODY = (http.client.NO_CONTENT, http.client.NOT_MODIFIED)

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """What requests and answers share."""

    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """The value of a header; empty where there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def without(self, *names: str) -> Self:
        """The same without these headers."""
        dropped = {name.lower() for name in names}
        return replace(self, headers=tuple(pair for pair in self.headers if pair[0].lower() not in dropped))

    def with_body(self, body: bytes) -> Self:
        """The same with another body; checksums of the old one are left out, or made anew."""
        summed = self.header("x-amz-crc32")  # clients of DynamoDB compare it, and ask again where it does not fit
        bare = self.without("content-length", "content-md5", "x-amz-crc32")
        again = (("x-amz-crc32", str(zlib.crc32(body))),) if summed else ()
        return replace(bare, headers=bare.headers + again, body=body)


@dataclass(frozen=True, slots=True)
class Request(Message):
    """What a client asks."""

    method: str
    path: str

    def plain(self) -> Self:
        """The same without compression, and asking for an answer without any."""
        bare = self.without("accept-encoding")
        if self.header("content-encoding").lower() == "gzip":
            bare = bare.with_body(gzip.decompress(self.body)).without("content-encoding")
        return bare


@dataclass(frozen=True, slots=True)
class Answer(Message):
    """What the service, or a rewriter in its place, answers."""

    status: int


class Service(Protocol):
    """What a rewriter works with: the service behind the proxy, and the proxy's counts."""

    def forward(self, request: Request) -> Answer:
        """Ask the service."""

    def count(self, what: str, number: int = 1) -> None:
        """Something happened so many more times."""

    def refusals(self, number: int) -> list[bool]:
        """Of the next so many items, which are refused: every second one that came since the rewriters were set.

        So a batch is taken in part, a single item is refused now and taken when it comes again, and whoever sends just
        what was refused again is done after a few rounds.
        """


class Rewriter(Protocol):
    """A value that says which requests it is about, and what becomes of them."""

    def applies(self, request: Request) -> bool:
        """Whether this request is one of those. Decided by its method, path and headers."""

    def answer(self, request: Request, service: Service) -> Answer:
        """The answer to it, made with or without the service."""


class HttpProxy:
    """Forwards each request to ``host:port``; those that a rewriter is about go through it.

    ``counts`` says what happened: "requests", "unreachable" (the service did not answer; then the client's connection is
    closed without an answer, as the service's was), and what the rewriters count.
    """

    def __init__(self, host: str, port: int) -> None:
        self.service = (host, port)
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._rewriters: tuple[Rewriter, ...] = ()
        self._left: int | None = None
        self._items = 0
        self._server = _Server(self)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="stackproof-http-accept", daemon=True
        )
        self._thread.start()

    def rewrite(self, *rewriters: Rewriter, times: int | None = None) -> None:
        """From now on the first of these that applies answers; only so many ``times``, where that is given."""
        with self._lock:
            self._rewriters, self._left, self._items = rewriters, times, 0

    def heal(self) -> None:
        """From now on everything is forwarded as it is."""
        self.rewrite()

    @property
    def counts(self) -> dict[str, int]:
        """What happened since the proxy was made."""
        with self._lock:
            return dict(self._counts)

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        return self._server.connections

    def close(self) -> None:
        """End every connection and every thread. Again: does nothing."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(CLOSE_SECONDS)
        self._server.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # For the rewriters and the connections

    def count(self, what: str, number: int = 1) -> None:
        if number:
            with self._lock:
                self._counts[what] += number

    def refusals(self, number: int) -> list[bool]:
        with self._lock:
            first, self._items = self._items, self._items + number
        return [place % 2 == 0 for place in range(first, first + number)]

    def rewriter_for(self, request: Request) -> Rewriter | None:
        """The rewriter that answers this request, if any; takes one of its times."""
        with self._lock:
            found = next((each for each in self._rewriters if each.applies(request)), None)
            if found is None or self._left == 0:
                return None
            if self._left is not None:
                self._left -= 1
            return found


class _Server(ThreadingHTTPServer):
    """One thread a connection. It knows what is open, so that closing can wake the threads that read it."""

    request_queue_size = 64

    def __init__(self, proxy: HttpProxy) -> None:
        self.proxy = proxy
        self._guard = threading.Lock()
        self._open: set[socket.socket] = set()
        self._serving: set[threading.Thread] = set()
        self._over = False
        super().__init__((LOOPBACK, 0), _Connection)

    @property
    def connections(self) -> int:
        with self._guard:
            return len(self._serving)

    def process_request(self, request: Any, client_address: Any) -> None:
        name, work = "stackproof-http-connection", (request, client_address)
        thread = threading.Thread(target=self.process_request_thread, args=work, name=name, daemon=True)
        with self._guard:
            self._serving.add(thread)
        self.hold(request)
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._guard:
                self._serving.discard(threading.current_thread())

    def shutdown_request(self, request: Any) -> None:
        self.release(request)
        super().shutdown_request(request)

    def hold(self, side: socket.socket) -> None:
        """Remember an open socket; one that comes too late is woken at once."""
        with self._guard:
            self._open.add(side)
            if self._over:
                _shut(side)

    def release(self, side: socket.socket) -> None:
        """Forget a socket, before it is closed: nobody touches a descriptor that is given back."""
        with self._guard:
            self._open.discard(side)

    def end(self) -> None:
        """Stop listening, wake every thread, and wait for all of them."""
        with self._guard:
            self._over = True
            threads = list(self._serving)
            for side in self._open:
                _shut(side)
        self.server_close()
        for thread in threads:
            thread.join(CLOSE_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is counted; anything else is a defect of ours, and is shown."""
        if isinstance(sys.exception(), OSError):
            self.proxy.count("broken")
        else:
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    """One connection of a client, and the one to the service that belongs to it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._upstream: http.client.HTTPConnection | None = None
        self._held: socket.socket | None = None

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self._hang_up()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name that the base gives it
        """Nothing on standard error: the counts say what happened."""

    def handle_expect_100(self) -> bool:
        go_on = super().handle_expect_100()
        self.wfile.flush()
        return go_on

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            self.close_connection = True
            self.send_error(http.client.REQUEST_ENTITY_TOO_LARGE)
            return
        proxy = self.server.proxy
        proxy.count("requests")
        request = Request(tuple(self.headers.items()), body, self.command, self.path)
        rewriter = proxy.rewriter_for(request)
        try:
            answer = self.forward(request) if rewriter is None else rewriter.answer(request.plain(), self)
        except (OSError, http.client.HTTPException):
            # As without the proxy: the service broke its connection, so the client's breaks too.
            proxy.count("unreachable")
            self._hang_up()
            self.close_connection = True
            return
        self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815 - as the base asks for

    def _body(self) -> bytes | None:
        """The body of the request; None where it is too large."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        length = int(self.headers.get("Content-Length") or 0)
        return None if length > LARGEST_BODY else self.rfile.read(length)

    def _chunks(self) -> bytes | None:
        body = b""
        while size := int(self.rfile.readline(1024).partition(b";")[0], 16):
            if len(body) + size > LARGEST_BODY:
                return None
            body += self.rfile.read(size)
            self.rfile.readline(1024)
        while self.rfile.readline(65536).strip():
            continue  # trailers
        return body

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in _HOP_BY_HOP and name.lower() != "content-length":
                self.send_header(name, value)
        if self.command == "HEAD":
            self.send_header("Content-Length", answer.header("content-length") or "0")
        elif answer.status not in _WITHOUT_BODY:
            self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    # What rewriters see as the service

    def count(self, what: str, number: int = 1) -> None:
        self.server.proxy.count(what, number)

    def refusals(self, number: int) -> list[bool]:
        return self.server.proxy.refusals(number)

    def forward(self, request: Request) -> Answer:
        upstream = self._connected()
        upstream.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers:
            if name.lower() not in _HOP_BY_HOP | {"content-length", "expect"}:
                upstream.putheader(name, value)
        if request.body or request.method not in ("GET", "HEAD", "OPTIONS"):
            upstream.putheader("Content-Length", str(len(request.body)))
        upstream.endheaders(request.body)
        response = upstream.getresponse()
        answer = Answer(tuple(response.getheaders()), response.read(), response.status)
        if response.will_close:
            self._hang_up()
            self.close_connection = True
        return answer

    def _connected(self) -> http.client.HTTPConnection:
        """The connection to the service; a new one where it closed the old one meanwhile."""
        if self._upstream is not None and self._upstream.sock is not None:
            if not select.select([self._upstream.sock], [], [], 0)[0]:
                return self._upstream
            self._hang_up()
        self._upstream = http.client.HTTPConnection(*self.server.proxy.service, timeout=SERVICE_SECONDS)
        self._upstream.connect()
        self._held = self._upstream.sock
        self.server.hold(self._held)
        return self._upstream

    def _hang_up(self) -> None:
        upstream, self._upstream = self._upstream, None
        held, self._held = self._held, None
        if held is not None:  # the connection itself forgets it as soon as the service says that it will close
            self.server.release(held)
        if upstream is not None:
            upstream.close()


def _shut(side: socket.socket) -> None:
    try:
        side.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it was not connected any more, which is what is wanted
