"""Authentication at Amazon Keyspaces with AWS credentials (SigV4): no password, and nothing that can be used twice, is sent.

The protocol is that of Amazon's own plug-ins for the drivers
(https://docs.aws.amazon.com/keyspaces/latest/devguide/programmatic.credentials.SigV4_KEYSPACES.html): the server sends a
nonce, the client signs a made-up request ``PUT /authenticate`` with the nonce's digest as that of its payload.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

from botocore.credentials import ReadOnlyCredentials
from cassandra.auth import Authenticator, AuthProvider

from stackproof.interfaces import ConfigurationError

_SERVICE = "cassandra"
_ALGORITHM = "AWS4-HMAC-SHA256"
_NONCE = b"nonce="
_NONCE_BYTES = 32


class SigV4AuthProvider(AuthProvider):  # type: ignore[misc]
    """Signs each new connection with the credentials of that moment: those of roles expire."""

    def __init__(self, credentials: Callable[[], ReadOnlyCredentials | None], region: str) -> None:
        self._credentials = credentials
        self._region = region

    def new_authenticator(self, host: str) -> Authenticator:  # noqa: ARG002 - the driver's signature
        """What answers the challenge of one connection."""
        return _SigV4Authenticator(self._credentials, self._region)


class _SigV4Authenticator(Authenticator):  # type: ignore[misc]
    def __init__(self, credentials: Callable[[], ReadOnlyCredentials | None], region: str) -> None:
        self._credentials = credentials
        self._region = region

    def initial_response(self) -> bytes:
        return b"SigV4\0\0"

    def evaluate_challenge(self, challenge: bytes) -> bytes:
        credentials = self._credentials()
        if credentials is None:
            raise ConfigurationError("no AWS credentials were found; set AWS_ACCESS_KEY_ID or what else boto3 looks at")
        return signed(challenge, credentials, self._region, datetime.now(UTC)).encode()


def signed(challenge: bytes, credentials: Any, region: str, now: datetime) -> str:
    """The answer to a challenge. Pure, so that it can be held to what Amazon's plug-ins answer."""
    start = challenge.find(_NONCE)
    if start < 0:
        raise ValueError("the challenge of the server holds no nonce")
    nonce = challenge[start + len(_NONCE) :][:_NONCE_BYTES]
    moment = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z"
    scope = f"{now:%Y%m%d}/{region}/{_SERVICE}/aws4_request"
    fields = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": "900",
    }
    query = "&".join(f"{name}={quote_plus(value)}" for name, value in sorted(fields.items()))
    request = f"PUT\n/authenticate\n{query}\nhost:{_SERVICE}\n\nhost\n{hashlib.sha256(nonce).hexdigest()}"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}".encode(), "sha256").hexdigest()
    token = f",session_token={credentials.token}" if credentials.token else ""
    return f"signature={signature},access_key={credentials.access_key},amzdate={moment}{token}"
