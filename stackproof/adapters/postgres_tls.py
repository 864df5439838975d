"""How a connection to PostgreSQL is protected: where libpq would not verify a certificate, it does here, unless told not to.

libpq's own default (``sslmode=prefer``) takes any certificate, and no TLS at all; ``require`` takes any certificate, too.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from psycopg import conninfo

from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError

_TRUST = "name the file of its CA by DATABASE_CA_FILE or sslrootcert=, and the host as its certificate does"
_HINTS = {
    "certificate": _TRUST,
    "SSL error": _TRUST,  # a CA of the same name with another key is a "provider signature failure"
    "does not support SSL": "where no TLS is meant, write sslmode=disable",
    "no encryption": "it wants TLS: write sslmode=verify-full",
}
"""Part of a refusal -> what to type."""


@dataclass(frozen=True, slots=True)
class PostgresTls:
    """What is said about TLS beside the URL."""

    ca_file: str = ""
    """Where the URL has no ``sslrootcert``."""
    verify: bool = True
    """False: what the URL and libpq say holds as it is."""

    def options(self, given: Mapping[str, Any]) -> dict[str, str]:
        """The connection options that are added to (or replace) those that were given.

        * Nothing said, and a server that is not on this machine: ``verify-full``.
        * ``require``, which says that TLS is wanted and not how: ``verify-full``.
        * Anything else, ``disable`` and ``prefer`` too, is what the user wants, and stays.

        The environment of libpq (PGSSLMODE and so on) counts as said; a service file is left to libpq.
        """
        if not self.verify or given.get("service") or os.environ.get("PGSERVICE"):
            return {}
        mode = given.get("sslmode") or os.environ.get("PGSSLMODE")
        if mode == "require" or (mode is None and not _is_local(given)):
            mode = "verify-full"
        if mode not in ("verify-full", "verify-ca"):
            return {}
        named = given.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")
        return {"sslmode": mode, **({} if named else {"sslrootcert": self._trusted()})}

    def _trusted(self) -> str:
        """The file of CAs: ours, libpq's usual one, or the system's."""
        if self.ca_file:
            if not Path(self.ca_file).is_file():
                raise ConfigurationError(f"the CA file {self.ca_file} of PostgreSQL (DATABASE_CA_FILE) is not there")
            return self.ca_file
        usual = Path("~/.postgresql/root.crt").expanduser()
        return str(usual) if usual.is_file() else ssl.get_default_verify_paths().cafile or "system"


VERIFIED = PostgresTls()
"""What holds where nothing is said."""


class PostgresOptions(TypedDict):
    """Arguments that the adapters on PostgreSQL share."""

    url: str
    tls: PostgresTls
    connect_timeout: float
    operation_timeout: float
    max_connections: int


def postgres_options(settings: Settings, purpose: str) -> PostgresOptions:
    """What DATABASE_URL and its companions say; ``purpose`` is who needs it."""
    return PostgresOptions(
        url=settings.require("DATABASE_URL", purpose, "postgresql://user:password@host:5432/database"),
        tls=postgres_tls(settings),
        connect_timeout=settings.connect_timeout,
        operation_timeout=settings.operation_timeout,
        max_connections=settings.database_connections,
    )


def postgres_tls(settings: Settings) -> PostgresTls:
    """What DATABASE_CA_FILE and DATABASE_TLS_VERIFY say."""
    answer = settings.get("DATABASE_TLS_VERIFY", "yes").lower()
    if answer not in ("yes", "no"):
        raise ConfigurationError(f"DATABASE_TLS_VERIFY={answer!r} is neither yes nor no")
    return PostgresTls(settings.get("DATABASE_CA_FILE"), verify=answer == "yes")


def protected(settings: Settings) -> str:
    """DATABASE_URL for libpq itself, with the protection that the adapters have."""
    url = settings.variables["DATABASE_URL"]
    return conninfo.make_conninfo(url, **postgres_tls(settings).options(conninfo.conninfo_to_dict(url)))


def hint(refusal: str) -> str:
    """What to type where a server refused a connection for want of TLS or of trust; nothing for other refusals."""
    return next((f"; {advice}" for sign, advice in _HINTS.items() if sign in refusal), "")


def _is_local(given: Mapping[str, Any]) -> bool:
    """Whether every server that may be meant is on this machine.

    libpq goes to ``hostaddr`` where there is one, whatever ``host`` is, and takes each of the two from the environment by itself.
    """
    host = given.get("host") or os.environ.get("PGHOST") or ""
    address = given.get("hostaddr") or os.environ.get("PGHOSTADDR") or ""
    return all(_is_this_machine(each) for named in (host, address) for each in str(named).split(","))


def _is_this_machine(host: str) -> bool:
    if host in ("", "localhost") or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
