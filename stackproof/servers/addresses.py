"""Where servers that somebody else runs are, and which environment variables say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

HTTPS = "https"
HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class Place:
    """How one kind of server is given by environment variables."""

    required: tuple[str, ...]
    """One of them has to be set; the first that is says where the server is."""
    default_port: int
    others: tuple[str, ...] = ()
    """What else belongs to the address: credentials, certificates."""
    form: str = "url"
    """How the address is written: "url", or "hosts" (``host:port,host:port``)."""
    anywhere: tuple[str, ...] = ()
    """Variables that are enough too, and name no address: the driver finds the service by itself."""
    schemes: tuple[str, ...] = ("http", "https")
    """What a URL may begin with."""

    def address_variable(self, variables: Mapping[str, str]) -> str | None:
        """Return the name of the variable that says where the server is; None where the driver knows."""
        return next((name for name in self.required if variables.get(name)), None)

    def given(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return what an environment says about the server."""
        names = (*self.required, *self.anywhere, *self.others)
        return {name: environ[name] for name in names if environ.get(name)}

    def wrong_scheme(self, environ: Mapping[str, str]) -> str | None:
        """Return what is wrong with the beginning of a URL, None where it is right, or no URL at all."""
        variable = self.address_variable(environ)
        if variable is None or self.form != "url" or "://" not in environ[variable]:
            return None
        if environ[variable].strip().partition("://")[0].lower() in self.schemes:
            return None
        known = [f"{scheme}://" for scheme in self.schemes]
        return f"{variable} must begin with {', '.join(known[:-1])} or {known[-1]}."

    def wrong_form(self, environ: Mapping[str, str]) -> str | None:
        """Return the sentence for an address that cannot be one, None where it can, or where none is given."""
        variable = self.address_variable(environ)
        if variable is None:
            return None
        try:
            addresses_in(environ[variable], self)
        except ValueError:
            form = "a list host:port,host:port" if self.form == "hosts" else "a URL that names a host and a port"
            return f"{variable} is not {form}."
        return None

    def missing(self, environ: Mapping[str, str]) -> str | None:
        """Return which variable has to be set, None when nothing is missing."""
        if any(environ.get(name) for name in (*self.required, *self.anywhere)):
            return None
        return " or ".join((*self.required, *self.anywhere[:1]))


_KAFKA = tuple(
    f"KAFKA_{name}"
    for name in (
        "SECURITY_PROTOCOL",
        "SASL_MECHANISM",
        "USERNAME",
        "PASSWORD",
        "CA_FILE",
        "CERTIFICATE_FILE",
        "KEY_FILE",
    )
)
_AWS_IDENTITY = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_AWS_ANYWHERE = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE")

_MSK = ("MSK_AUTH", "MSK_USERNAME", "MSK_PASSWORD", "MSK_CA_FILE")

_POSTGRES = Place(("DATABASE_URL",), 5432, schemes=("postgresql", "postgres"))
_REDIS = Place(("REDIS_URL",), 6379, schemes=("redis", "rediss", "unix"))
_BROKERS = Place(("KAFKA_BROKERS",), 9092, _KAFKA, "hosts")
_SCYLLA = ("DATACENTER", "KEYSPACE", "REPLICATION_FACTOR", "USERNAME", "PASSWORD", "CA_FILE", "TLS", "ADDRESS_MAP")
_KEYSPACES = ("KEYSPACE", "AUTH", "USERNAME", "PASSWORD", "CA_FILE", "ADDRESS_MAP")
_CQL = Place(
    ("SCYLLA_CONTACT_POINTS", "KEYSPACES_ENDPOINT"),
    9042,
    (*(f"SCYLLA_{name}" for name in _SCYLLA), *(f"KEYSPACES_{name}" for name in _KEYSPACES), *_AWS_IDENTITY),
    "hosts",
)

PLACES: Mapping[str, Place] = {
    "postgres": _POSTGRES,
    "postgres-tls": _POSTGRES,
    "redis": _REDIS,
    "redis-tls": _REDIS,
    "redis-cluster": _REDIS,
    "valkey": _REDIS,
    "kafka": _BROKERS,
    "kafka-sasl": _BROKERS,
    "kafka-tls": _BROKERS,
    "kafka-iam": Place(("MSK_BROKERS",), 9098, (*_MSK, *_AWS_IDENTITY, *_AWS_ANYWHERE), "hosts"),
    "cassandra": _CQL,
    "cassandra-tls": _CQL,
    "opensearch": Place(("OPENSEARCH_URL",), 9200, ("OPENSEARCH_AUTH", "OPENSEARCH_CA_FILE")),
    "aws": Place(("AWS_ENDPOINT_URL",), 80, _AWS_IDENTITY, anywhere=_AWS_ANYWHERE),
    "kinesis": Place(("AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"), 80, _AWS_IDENTITY, anywhere=_AWS_ANYWHERE),
}  # fmt: skip


def addresses_in(text: str, place: Place) -> Sequence[tuple[str, int] | str]:
    """Return each host and port, or the path of a unix socket, as the drivers read them from a variable's value.

    A `ValueError` says that the value has another form; its text shows nothing of it.
    """
    if place.form == "hosts":
        hosts = [host.strip() for host in text.split(",") if host.strip()]
        if not hosts or "@" in text:
            raise ValueError("no host")
        return [_address(host, str(place.default_port)) for host in hosts]
    parts = urlsplit(text)
    if not parts.scheme:
        raise ValueError("no scheme")
    if "@" in parts.path + parts.fragment:
        raise ValueError("a password that was not encoded: the host would be a part of it")
    if parts.scheme == "unix":
        return [parts.path]
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    default = query.get("port", str(HTTPS_PORT if parts.scheme == HTTPS else place.default_port))
    named = parts.netloc.rpartition("@")[2] or query.get("host", "localhost")
    return [_address(unquote(host), default) for host in named.split(",")]


def _address(host: str, default_port: str) -> tuple[str, int] | str:
    if host.startswith("/"):
        return f"{host}/.s.PGSQL.{default_port}"
    pieces = urlsplit(f"//{host}")
    return pieces.hostname or "localhost", pieces.port or int(default_port)
