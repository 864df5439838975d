"""From a Redis URL to connections of redis-py that are bounded in time, verify certificates and repeat nothing by themselves.

redis-py repeats a failed command up to ten times by default (8.x). Here it never does, because only the adapter knows
whether a repetition can do harm.
"""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.exceptions import AuthenticationError, AuthorizationError, BusyLoadingError, ReadOnlyError, ResponseError
from redis.retry import Retry

from stackproof.adapters.green_waits import READ, GreenWaits
from stackproof.adapters.redis_errors import NotSentError, not_sent
from stackproof.adapters.settings import hide_secrets
from stackproof.interfaces import ConfigurationError

if sys.platform == "linux":
    import fcntl
    import termios

Address = tuple[str, int]
Command = tuple[str | bytes | int, ...]

IDLE_CHECK_SECONDS = 15.0
"""A connection that was idle for longer is pinged before it is used again: firewalls forget idle connections silently."""
DEFAULT_PORT = 6379


class _ConnectFirst:
    """Mixed into redis-py's connections: tells "not connected, so not sent" from "broke while the command ran"."""

    _sock: Any  # redis-py's
    socket_timeout: float | None
    _connecting = False
    _green: GreenWaits | None = None
    """Under gevent's patches: what waits for answers in the socket's place."""

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()  # type: ignore[misc]
        except (AuthenticationError, AuthorizationError, BusyLoadingError):
            raise
        except (redis.RedisError, OSError) as error:
            raise not_sent(error, tls=isinstance(self, SSLConnection)) from error
        finally:
            self._connecting = False

    def check_health(self) -> None:
        """The ping of an idle connection. Where it fails, nothing was sent yet, so a fresh connection is safe."""
        try:
            super().check_health()  # type: ignore[misc]
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if self._connecting:
                raise
            self.disconnect()
            if isinstance(error, redis.TimeoutError):  # another wait would exceed the operation timeout
                raise NotSentError(str(error)) from error
            self.connect()

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """By one call of the kernel, where it takes all: under gevent, `sendall` asks for the size of a buffer first."""
        whole = command[0] if len(command) == 1 else None
        if self._sock is None or not isinstance(whole, bytes):
            super().send_packed_command(command, check_health)  # type: ignore[misc]
            return
        if check_health:
            self.check_health()
        try:
            sent = self._sock.send(whole)
        except TimeoutError:
            self.disconnect()
            raise redis.TimeoutError("Timeout writing to socket") from None
        except OSError:
            sent = 0  # what follows meets the same, and says it in redis-py's words
        except BaseException:
            self.disconnect()  # nobody knows how much of it has left
            raise
        if sent < len(whole):
            super().send_packed_command([whole[sent:]], check_health=False)  # type: ignore[misc]

    def await_answer(self) -> None:
        """Wait for what was sent to be answered, at most for the socket's time limit. Nothing where the socket itself waits."""
        green = self._green_waits()
        if green is not None and not green.ready(READ):
            raise redis.TimeoutError("Timeout reading from socket")

    def _green_waits(self) -> GreenWaits | None:
        if self._green is None and self.socket_timeout and GreenWaits.wanted():
            self._green = GreenWaits(self._sock.fileno(), self.socket_timeout)
        return self._green if self._green is not None and self._green.here else None

    def disconnect(self, *args: Any, **options: Any) -> None:
        green, self._green = self._green, None
        if green is not None:
            green.close()
        super().disconnect(*args, **options)  # type: ignore[misc]


class _Mapped(Connection):
    """Goes to another address than the one it is made for, where a map says so; certificates are of the latter."""

    def __init__(self, *, address_map: Mapping[Address, Address] | None = None, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._address_map = address_map or {}

    def _connect(self) -> Any:
        named = self.host, self.port
        self.host, self.port = self._address_map.get(named, named)
        try:
            return super()._connect()  # type: ignore[no-untyped-call]
        finally:
            self.host, self.port = named


class _TcpConnection(_ConnectFirst, _Mapped):
    pass


class _TlsConnection(_ConnectFirst, SSLConnection, _Mapped):
    """One context for all connections. redis-py makes one for each, which reads all authorities of the system (20 to 100 ms),
    and trusts those beside the CA that is named."""

    def __init__(self, *, tls_context: ssl.SSLContext | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._tls_context = tls_context

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> Any:
        if self._tls_context is None:
            return super()._wrap_socket_with_ssl(sock)  # type: ignore[no-untyped-call]
        return self._tls_context.wrap_socket(sock, server_hostname=self.host)


class _UnixConnection(_ConnectFirst, UnixDomainSocketConnection):
    pass


class ShortPool(redis.ConnectionPool):
    """redis-py's pool without the statistics that it keeps for each use, which cost as much as the command itself.

    A connection is looked at before it is used, as in redis-py: one that the server has closed meanwhile is made anew, so
    that the command which would have met it is not lost.
    """

    def get_connection(self, *_command: Any, **_options: Any) -> Any:
        self._checkpid()
        with self._lock:
            idle = self._available_connections
            connection: Any = idle.pop() if idle else self.make_connection()
            self._in_use_connections.add(connection)
        try:
            if connection._sock is None:
                connection.connect()
            elif _closed_by_the_server(connection):
                connection.disconnect()
                connection.connect()
        except BaseException:
            self.release(connection)
            raise
        return connection

    def release(self, connection: Any) -> None:
        self._checkpid()
        with self._lock:
            if connection not in self._in_use_connections:
                return
            self._in_use_connections.remove(connection)
            if self.owns_connection(connection):
                self._available_connections.append(connection)
                return
            self._created_connections -= 1
        connection.disconnect()


_NOTHING = bytes(4)
"""What FIONREAD answers where no byte waits to be read."""
_ESTABLISHED = 1
"""The first byte of the kernel's ``struct tcp_info`` for a connection that neither side has closed."""


def _closed_by_the_server(connection: Any) -> bool:
    """Whether an idle connection is of no more use. Asks the kernel: a poll costs ten times as much under gevent.

    Closed by the other side, it has another state; told so by TLS only, or left with an answer to nobody's question, it has
    something to read.
    """
    sock = connection._sock
    if sys.platform == "linux" and sock.family != socket.AF_UNIX:
        state: bytes = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        return state[0] != _ESTABLISHED or fcntl.ioctl(sock.fileno(), termios.FIONREAD, _NOTHING) != _NOTHING
    try:
        return bool(connection.can_read())
    except (redis.RedisError, OSError):
        return True


_CONNECTIONS: dict[str, type[Any]] = {"redis": _TcpConnection, "rediss": _TlsConnection, "unix": _UnixConnection}


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """What a URL says: where to connect, how, and whether a cluster is there."""

    shown: str
    """The URL without secrets."""
    cluster: bool
    nodes: tuple[Address, ...]
    """Hosts and ports; none for a unix socket."""
    connection_class: type[Any]
    options: Mapping[str, Any] = field(repr=False)
    """Of a connection, without host and port."""
    max_connections: int = 2**31
    """Of one pool, that is to one node."""

    def reached_at(self, node: Address) -> Address:
        """Where a node really is, if the map of addresses says so."""
        reached: Address = self.options.get("address_map", {}).get(node, node)
        return reached

    def pool(self, node: Address | None = None) -> ShortPool:
        """Connections to one node; without one, to the first of the URL (or its socket)."""
        where = node or (self.nodes[0] if self.nodes else None)
        place: dict[str, Any] = {} if where is None else {"host": where[0], "port": where[1]}
        return ShortPool(
            connection_class=self.connection_class, max_connections=self.max_connections, **self.options, **place
        )

    def connection(self, node: Address, seconds: float) -> Any:
        """A new connection that is in no pool, not yet connected, with one limit for each of its waits."""
        limits = {"socket_connect_timeout": seconds, "socket_timeout": seconds}
        return self.connection_class(**{**self.options, **limits, "host": node[0], "port": node[1]})


def read_address(
    url: str,
    *,
    connect_timeout: float,
    operation_timeout: float,
    ca_file: str = "",
    address_map: str = "",
    cluster: bool = False,
) -> RedisAddress:
    """What the URL means, or `ConfigurationError`. ``cluster`` is what holds where the URL has no ``?cluster=``."""
    shown = hide_secrets(url)
    try:
        parts = urlsplit(url)
        if "@" in parts.path + parts.fragment:
            raise ValueError("a password that was not encoded: a part of it would be taken for the host")
        connection_class = _CONNECTIONS[parts.scheme]
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        cluster = _yes(query.pop("cluster", "yes" if cluster else "no"))
        user, at, hosts = parts.netloc.rpartition("@")
        nodes = () if parts.scheme == "unix" else tuple(_node(host) for host in hosts.split(","))
        if len(nodes) > 1 and not cluster:
            raise ValueError("several hosts are for a cluster")
        if nodes:  # of a socket nothing is taken away, and its URL does not survive the round trip
            url = urlunsplit(parts._replace(netloc=user + at + hosts.partition(",")[0], query=urlencode(query)))
        options = _options(url, connection_class, connect_timeout, operation_timeout)
        if connection_class is not _UnixConnection:
            options["address_map"] = _mapped(address_map)
        if connection_class is _TlsConnection:
            _verify(options, ca_file)
        if cluster and (connection_class is _UnixConnection or options.get("db")):
            raise ValueError("a cluster has neither a socket nor databases")
        limit = options.pop("max_connections", 2**31)
        address = RedisAddress(shown, cluster, nodes, connection_class, options, limit)
        address.pool().make_connection()
    except (KeyError, ValueError, TypeError, redis.RedisError):
        # The driver's text can quote parts of the URL, and so a password: the cause is left out on purpose.
        raise ConfigurationError(
            f"{shown} is no usable Redis URL; write redis://HOST:PORT/DB, rediss://... for TLS, "
            "redis(s)://HOST:PORT,HOST:PORT?cluster=true for a cluster (which has no DB) or unix:///PATH.sock, "
            "and in a password / as %2F, @ as %40 and # as %23"
        ) from None
    if ca_file and connection_class is _TcpConnection:
        raise ConfigurationError(f"REDIS_CA_FILE is for TLS, but {shown} is without; write rediss://")
    return address


def _options(url: str, connection_class: type[Any], connect_timeout: float, operation_timeout: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_connect_timeout": connect_timeout,
        "socket_timeout": operation_timeout,
        "socket_keepalive": True,
        **parse_url(url),  # type: ignore[no-untyped-call]
        # What the query of the URL does not change. Protocol 2 needs no greeting round trip.
        "retry": Retry(NoBackoff(), 0),
        "retry_on_timeout": False,
        "retry_on_error": [],
        "protocol": 2,
        "decode_responses": False,
        "health_check_interval": IDLE_CHECK_SECONDS,
    }
    if connection_class is _UnixConnection:
        options.pop("socket_keepalive")
    return {name: value for name, value in options.items() if name not in ("connection_class", "host", "port")}


def _verify(options: dict[str, Any], ca_file: str) -> None:
    """Certificates and host names are verified unless the URL says otherwise. A file that cannot be used is told at once."""
    required = options.setdefault("ssl_cert_reqs", "required")
    options.setdefault("ssl_check_hostname", required != "none")
    if ca_file:
        options.setdefault("ssl_ca_certs", ca_file)
    if options.get("ssl_validate_ocsp") or options.get("ssl_validate_ocsp_stapled"):
        return  # redis-py's own context can do that
    try:
        options["tls_context"] = _tls_context(options)
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(
            str(options[name]) for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile") if name in options
        )
        raise ConfigurationError(
            f"the CA (REDIS_CA_FILE or ?ssl_ca_certs=) or certificate of Redis in {files} cannot be used: {error}"
        ) from error


def _tls_context(options: Mapping[str, Any]) -> ssl.SSLContext:
    """What redis-py would make of the same options, except that a CA which is named is the only one."""
    said = {name.removeprefix("ssl_"): value for name, value in options.items() if name.startswith("ssl_")}
    context = ssl.create_default_context(
        cafile=said.get("ca_certs"), capath=said.get("ca_path"), cadata=said.get("ca_data")
    )
    modes = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
    mode = modes[said["cert_reqs"]]
    context.check_hostname = bool(said["check_hostname"]) and mode != ssl.CERT_NONE
    context.verify_mode = mode
    for flag in said.get("include_verify_flags", ()):
        context.verify_flags |= flag
    for flag in said.get("exclude_verify_flags", ()):
        context.verify_flags &= ~flag
    if "certfile" in said or "keyfile" in said:
        context.load_cert_chain(said.get("certfile", ""), said.get("keyfile"), said.get("password"))
    if "min_version" in said:
        context.minimum_version = ssl.TLSVersion(said["min_version"])
    if "ciphers" in said:
        context.set_ciphers(said["ciphers"])
    return context


def _node(host: str) -> Address:
    pieces = urlsplit(f"//{host}")
    return pieces.hostname or "localhost", pieces.port or DEFAULT_PORT


def _mapped(text: str) -> dict[Address, Address]:
    """``a:1=b:2,c:3=d:4``: what is announced as a:1 is reached at b:2."""
    pairs = [entry.split("=") for entry in text.split(",") if entry.strip()]
    return {_node(announced.strip()): _node(reached.strip()) for announced, reached in pairs}


def map_text(address_map: Mapping[Address, Address]) -> str:
    """The text that `read_address` takes for this map."""
    return ",".join(f"{_shown(named)}={_shown(reached)}" for named, reached in address_map.items())


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _yes(text: str) -> bool:
    answers = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return answers[text.lower()]


def exchange(pool: ShortPool, command: Command, *, asking: bool = False) -> Any:
    """Send one command and return the server's plain answer.

    The short way to the wire: without redis-py's retries and conversions, which nothing here uses, it costs less than
    ``redis.Redis`` itself, and that pays for the checks of an adapter. ``asking`` is what a cluster wants to hear first from
    a client that it sent on for this once.
    """
    connection = _taken(pool)
    try:
        if asking:
            connection.send_command("ASKING")
            connection.read_response()
        connection.send_command(*command)
        connection.await_answer()
        return connection.read_response()
    except ReadOnlyError:
        # What was the primary is a replica now: only a new connection asks again which address the name stands for.
        connection.disconnect()
        pool.disconnect(inuse_connections=False)
        raise
    except ResponseError:
        raise  # an answer like any other: the connection is fine
    except BaseException:
        # Interrupted in between, say: an answer that is still to come must not meet the next command.
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def _taken(pool: ShortPool) -> Any:
    try:
        return pool.get_connection()
    except (NotSentError, AuthenticationError, AuthorizationError, BusyLoadingError):
        raise
    except redis.ConnectionError as error:  # no more connections are allowed by the URL
        raise NotSentError(str(error)) from error
