"""Where an OpenSearch server is and who asks it: read from the settings, checked, and never shown with its secrets."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from opensearchpy import Urllib3AWSV4SignerAuth

from stackproof.adapters.settings import Settings, hide_secrets
from stackproof.interfaces import ConfigurationError

AUTHS = ("none", "basic", "sigv4")
SERVICES = ("es", "aoss")
"""Amazon's two services: domains, and Serverless."""
_PORTS = {"http": 9200, "https": 443}
_EXAMPLE = "https://user:password@localhost:9200"


@dataclass(frozen=True, slots=True)
class OpenSearchPlace:
    """An address, and how to sign in there."""

    url: str = field(repr=False)
    ca_file: str = ""
    signer: Any = field(default=None, repr=False)
    """Signs requests for Amazon's service; without it, user and password of the URL are sent, where it has them."""

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in _PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            usable = False
        if not usable or "@" in urlsplit(self.url).path or parts.query or parts.fragment:
            # The text can have a password: the cause is left out on purpose.
            raise ConfigurationError(
                f"{self.shown} is no usable OpenSearch URL; write http://HOST:PORT or https://USER:PASSWORD@HOST:PORT, "
                "and in a password / as %2F, @ as %40, # as %23 and ? as %3F"
            ) from None

    @classmethod
    def of(cls, settings: Settings) -> OpenSearchPlace:
        """As ``OPENSEARCH_URL``, ``OPENSEARCH_CA_FILE`` and ``OPENSEARCH_AUTH`` say."""
        url = settings.require("OPENSEARCH_URL", "the OpenSearch search index", _EXAMPLE)
        has_user = "@" in urlsplit(url).netloc
        auth = settings.get("OPENSEARCH_AUTH", "basic" if has_user else "none").lower()
        if auth not in AUTHS:
            raise ConfigurationError(f"OPENSEARCH_AUTH={auth!r} is not known; known are: {', '.join(AUTHS)}")
        if has_user is not (auth == "basic"):
            lacks = "names a user" if has_user else "names no user"
            raise ConfigurationError(f"OPENSEARCH_AUTH={auth} does not fit OPENSEARCH_URL, which {lacks}")
        signer = _signer(settings) if auth == "sigv4" else None
        return cls(url, settings.get("OPENSEARCH_CA_FILE"), signer)

    @property
    def shown(self) -> str:
        """As it may stand in a message."""
        return hide_secrets(self.url)

    def host_options(self) -> dict[str, Any]:
        """What opensearch-py wants to know of a host. Certificates are verified, always."""
        parts = urlsplit(self.url)
        options: dict[str, Any] = {"host": parts.hostname, "port": parts.port or _PORTS[parts.scheme]}
        if parts.path.strip("/"):
            options["url_prefix"] = parts.path.strip("/")
        if self.signer is not None:
            options["http_auth"] = self.signer
        elif parts.username is not None:
            options["http_auth"] = (unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "https":
            options |= {"use_ssl": True, "ssl_context": self._tls()}
        return options

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:  # also what the file says, where it is no certificate
            raise ConfigurationError(
                f"OPENSEARCH_CA_FILE={self.ca_file} is no file with certificates: {error}"
            ) from error


def service_of(settings: Settings) -> str:
    """Which of Amazon's services is meant: ``OPENSEARCH_SERVICE``."""
    service = settings.get("OPENSEARCH_SERVICE", "es").lower()
    if service not in SERVICES:
        raise ConfigurationError(f"OPENSEARCH_SERVICE={service!r} is not known; known are: {', '.join(SERVICES)}")
    return service


def _signer(settings: Settings) -> Any:
    """Signs with what the snapshot of the settings, or else the SDK's own chain of providers, gives."""
    try:
        from stackproof.adapters.aws_client import configuration_errors, session_of
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"OPENSEARCH_AUTH=sigv4 needs the package {error.name!r}; type: pip install 'stackproof[opensearch,aws]'"
        ) from error
    service = service_of(settings)
    with configuration_errors(service):
        session = session_of(settings.variables)
        region = settings.get("AWS_REGION") or settings.get("AWS_DEFAULT_REGION")
        region = region or str(session.get_scoped_config().get("region", ""))
        if not region:
            raise ConfigurationError(
                "AWS_REGION is not set; OPENSEARCH_AUTH=sigv4 needs it, for example: export AWS_REGION=eu-central-1"
            )
        return Urllib3AWSV4SignerAuth(session.get_credentials(), region, service)
