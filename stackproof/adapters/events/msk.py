"""The event bus on Amazon MSK: Kafka, with a login by IAM or by SCRAM."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Self

from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.credentials import CredentialProvider, Credentials
from botocore.session import Session

from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError

from .kafka import KafkaEventPublisher
from .kafka_settings import KafkaConnection, connection, login, tls

WAYS = ("iam", "scram")
_HERE = ("127.0.0.1:", "[::1]:", "localhost:")
_REGION_OF_A_BROKER = re.compile(r"\.kafka(?:-serverless)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?:")


class _Chain(CredentialProvider):  # type: ignore[misc] # botocore has no types
    """The credentials of a `Settings`; where it has none, those of the provider's chain (profile, container, instance)."""

    METHOD = "stackproof"

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._get = settings.get

    def load(self) -> Any:
        key, secret, token = map(self._get, ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"))
        if key and secret:
            return Credentials(key, secret, token or None)
        session = Session(profile=self._get("AWS_PROFILE") or None)
        chain = session.get_component("credential_provider")
        chain.remove("env")  # the environment was read once, by the settings
        found = chain.load_credentials()
        if found is None:
            raise ConfigurationError("no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        return found


def msk_connection(settings: Settings) -> KafkaConnection:
    """The connection that the variables ``MSK_*`` describe. It is always encrypted, but for a proxy on this machine."""
    brokers = settings.require("MSK_BROKERS", "the event bus on MSK", "b-1.NAME.kafka.eu-west-1.amazonaws.com:9098")
    way = settings.get("MSK_AUTH", "iam").lower()
    if way not in WAYS:
        raise ConfigurationError(f"MSK_AUTH={way!r} is not known; known are: {', '.join(WAYS)}")
    if way == "scram":
        access = login(settings, "MSK", "SCRAM-SHA-512")
    else:
        source = token_source(settings, region_of(settings, brokers))
        source("")  # credentials that are not there are missed now, not by a thread of the driver
        access = {"sasl.mechanism": "OAUTHBEARER", "oauth_cb": source}
    if _is_plain(settings, brokers):
        return connection(settings, brokers, {"security.protocol": "SASL_PLAINTEXT", **access})
    return connection(settings, brokers, {"security.protocol": "SASL_SSL", **access, **tls(settings, "MSK")})


def _is_plain(settings: Settings, brokers: str) -> bool:
    protocol = settings.get("MSK_SECURITY_PROTOCOL", "SASL_SSL").upper()
    here = all(each.strip().startswith(_HERE) for each in brokers.split(","))
    if protocol == "SASL_SSL" or (protocol == "SASL_PLAINTEXT" and here):
        return protocol == "SASL_PLAINTEXT"
    raise ConfigurationError(
        f"MSK_SECURITY_PROTOCOL={protocol!r}: brokers of MSK are reached by SASL_SSL; only a proxy on the loopback address, "
        "which encrypts in its turn, may be reached by SASL_PLAINTEXT"
    )


def region_of(settings: Settings, brokers: str) -> str:
    """As given; otherwise the one in the names of the brokers."""
    found = _REGION_OF_A_BROKER.search(brokers)
    region = settings.get("AWS_REGION") or settings.get("AWS_DEFAULT_REGION") or (found.group(1) if found else "")
    if not region:
        raise ConfigurationError("AWS_REGION is not set; a login to MSK with IAM needs it, for example: eu-west-1")
    return region


def token_source(settings: Settings, region: str) -> Callable[[str], tuple[str, float]]:
    """What librdkafka calls for a token and the time when it expires: credentials as given, else from the provider's chain."""

    chain = _Chain(settings)

    def token(_: str) -> tuple[str, float]:
        made, expires = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(region, chain)
        return made, expires / 1000

    return token


class MskEventPublisher(KafkaEventPublisher):
    """The same log as a service of AWS; everything that `KafkaEventPublisher` says holds.

    ``MSK_AUTH=iam`` (as unless set) signs a token with the credentials of the environment, anew before it expires;
    ``scram`` logs in with ``MSK_USERNAME`` and ``MSK_PASSWORD``. Both are encrypted, and certificates are verified. Brokers of
    MSK make three replicas unless they are configured otherwise. An IAM policy needs `kafka-cluster:` Connect,
    CreateTopic, DescribeTopic, ReadData, WriteData, WriteDataIdempotently, DescribeGroup and AlterGroup.
    """

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        return cls(msk_connection(settings), namespace=namespace)
