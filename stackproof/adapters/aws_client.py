"""A boto3 client as the AWS adapters need it: made from a snapshot of the settings, bounded in time, errors in our own words.

The SDK repeats in its *standard* mode: with jitter, a few times, and what failed for no reason of the service's own never more
often than a budget for all calls of a client allows. It does not know what a repetition may do harm to, nor how long the caller
waits. So a guard stands before it: it ends the repetition of a write that is not idempotent as soon as that may have been
applied, and of any call when its time is over. And it lets throttled calls come again sooner than after the SDK's first second.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Self, TypeVar
from weakref import WeakSet

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
)
from botocore.loaders import create_loader

from stackproof.adapters.aws_errors import THROTTLED, CutAnswerError, code_of, may_be_applied, translated, unusable
from stackproof.adapters.running_calls import RunningCalls
from stackproof.adapters.settings import Settings, hide_secrets
from stackproof.interfaces import BackendError, ConfigurationError

T = TypeVar("T")

ATTEMPTS = 6
"""How often a call is sent at most, unless ``AWS_MAX_ATTEMPTS`` says another number."""
MOST_ATTEMPTS = 10
THROTTLED_PAUSE = 0.1
"""Seconds: the longest pause before a throttled call comes again for the first time. It doubles with every time."""
CONNECTIONS = 64
"""How many connections a client keeps. More callers than that are served too, by connections that are not kept."""

_SERVICE_IDS = {
    "dynamodb": "DYNAMODB",
    "logs": "CLOUDWATCH_LOGS",
    "kinesis": "KINESIS",
    "events": "EVENTBRIDGE",
    "sqs": "SQS",
}
"""boto3's name of a service -> how ``AWS_ENDPOINT_URL_<SERVICE>`` spells it."""


class Effect(Enum):
    """What a call does, and so what may be done when nobody knows whether it was applied."""

    NONE = "it reads"
    IDEMPOTENT = "it writes, and writing it twice is writing it once"
    ONCE = "it writes, and writing it twice is an error"


@dataclass(frozen=True, slots=True)
class AwsPlace:
    """Where a service is, and how long to wait for it."""

    service: str
    region: str
    endpoint: str = ""
    connect_timeout: float = 5.0
    operation_timeout: float = 5.0
    attempts: int = ATTEMPTS
    ca_file: str = ""
    """What its certificate is verified by; the system's authorities, where none is given."""

    @classmethod
    def of(cls, service: str, settings: Settings) -> AwsPlace:
        """As the SDK's own variables say; the more special variable wins."""
        region = settings.get("AWS_REGION") or settings.get("AWS_DEFAULT_REGION")
        specific = settings.get(f"AWS_ENDPOINT_URL_{_SERVICE_IDS[service]}")
        ignored = settings.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").lower() == "true"
        endpoint = "" if ignored else specific or settings.get("AWS_ENDPOINT_URL")
        attempts = int(settings.number("AWS_MAX_ATTEMPTS", ATTEMPTS, minimum=1))
        return cls(
            service,
            region,
            endpoint,
            settings.connect_timeout,
            settings.operation_timeout,
            min(attempts, MOST_ATTEMPTS),
            settings.get("AWS_CA_BUNDLE"),
        )

    @property
    def shown(self) -> str:
        """As it may stand in a message."""
        return (
            f"{self.service} at {hide_secrets(self.endpoint)}" if self.endpoint else f"{self.service} in {self.region}"
        )


@dataclass(slots=True)
class _Course:
    """How one call goes, as the guard sees it."""

    effect: Effect
    deadline: float
    unsure: bool = False
    """Whether an attempt may have been applied."""


_clients: WeakSet[AwsClient] = WeakSet()
_loader = create_loader()
"""The descriptions of the services are read once: they are most of the time that making a client takes."""


def _after_fork() -> None:
    """A forked child has none of the threads whose calls ran, and shares no connection with its parent."""
    for client in _clients:
        client._begin_again()


os.register_at_fork(after_in_child=_after_fork)


class AwsClient:
    """A client of one AWS service, safe in threads. After a fork the child makes its own connections.

    Region, endpoint, keys, profile and CA file come from the snapshot of the settings; what it does not name (shared files,
    roles, the container's or machine's identity) the SDK's own chain finds. The region and credentials must be found when
    it is made. Certificates are verified, always.

    One call takes at most the operation timeout, and one attempt more that began before it ended. (The SDK's timeout is for each
    wait: a server that drips its answer is not noticed.)
    """

    def __init__(self, place: AwsPlace, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)
        self._here = threading.local()
        self._making = threading.Lock()
        self._client: Any = None
        with configuration_errors(place.service):
            session = session_of(self._variables)
            if not place.region:
                place = _with_region(place, session)
            self.place = place
            self._client = self._made(session)
        self._running = RunningCalls(self.place.shown)
        _clients.add(self)

    @classmethod
    def from_settings(cls, service: str, settings: Settings) -> Self:
        """A client of the service (boto3's name of it) where the settings say it is."""
        return cls(AwsPlace.of(service, settings), settings.variables)

    def call(self, operation: str, effect: Effect, /, **parameters: Any) -> dict[str, Any]:
        """Run one operation (boto3's name of it) and return its answer; errors are ours.

        Which error of the service it was, says `aws_errors.code_of`.
        """
        return self._while_open(lambda: self._sent(operation, effect, parameters))

    def answers(self, operation: str, /, **parameters: Any) -> bool:
        """Whether this (reading) operation succeeds now: what a ping is made of."""
        try:
            self.call(operation, Effect.NONE, **parameters)
        except BackendError:
            return False
        return True

    def check_open(self) -> None:
        """Raise `ClosedError` after `close`."""
        self._running.check_open()

    def close(self) -> None:
        """Wait for the running calls, each of which is bounded in time, then close every socket. Again: does nothing."""
        self._running.close(self.place.connect_timeout + self.place.operation_timeout)
        self._close_idle()

    def _while_open(self, work: Callable[[], T]) -> T:
        return self._running.run(work, self._close_idle)

    def _sent(self, operation: str, effect: Effect, parameters: dict[str, Any]) -> dict[str, Any]:
        course = _Course(effect, time.monotonic() + self.place.operation_timeout)
        self._here.course = course
        client = self._client or self._of_this_process()
        try:
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
        except (ClientError, BotoCoreError) as error:
            writes = effect is not Effect.NONE
            raise translated(error, self.place.shown, self.place.operation_timeout, writes, course.unsure) from error
        return answer

    def _of_this_process(self) -> Any:
        with self._making:
            if self._client is None:
                self._client = self._made(session_of(self._variables))
            return self._client

    def _made(self, session: botocore.session.Session) -> Any:
        place = self.place
        client = boto3.Session(botocore_session=session).client(
            place.service,
            region_name=place.region,
            endpoint_url=place.endpoint or None,
            verify=place.ca_file or None,
            config=Config(
                connect_timeout=place.connect_timeout,
                read_timeout=place.operation_timeout,
                retries={"mode": "standard", "total_max_attempts": place.attempts},
                max_pool_connections=CONNECTIONS,
                tcp_keepalive=True,
                ignore_configured_endpoint_urls=True,
            ),
        )
        # As special as the SDK's own handler is registered: of less special ones it hears first.
        event = f"needs-retry.{client.meta.service_model.service_id.hyphenize()}"
        client.meta.events.register_first(event, self._guard)
        _share_endpoint_rules(client)
        return client

    def _guard(
        self,
        response: tuple[Any, dict[str, Any]] | None,
        caught_exception: Exception | None,
        operation: Any,
        attempts: int,
        **_: Any,
    ) -> float | None:
        """After each attempt, before the SDK decides whether to repeat it.

        What it raises ends the call; what it returns is the pause until the next attempt, in place of the SDK's decision.
        """
        course: _Course = self._here.course
        cut = _cut(response)
        failed = cut or caught_exception or _refusal(response, operation.name)
        if failed is None:
            return None
        course.unsure = course.unsure or may_be_applied(failed)
        over = time.monotonic() > course.deadline or (course.unsure and course.effect is Effect.ONCE)
        if cut or over:
            raise failed
        if code_of(failed) in THROTTLED and attempts < self.place.attempts:
            return random.uniform(0.0, THROTTLED_PAUSE * 2.0 ** (attempts - 1))  # noqa: S311 - jitter
        return None

    def _close_idle(self) -> None:
        if self._client is not None:
            self._client.close()

    def _begin_again(self) -> None:
        """In a forked child. No lock of the parent's is taken: who held it is not there to give it back."""
        inherited, self._client = self._client, None
        self._making = threading.Lock()
        self._here = threading.local()
        self._running.forget()
        for connection in _idle_connections(inherited):
            connection.close()


@contextmanager
def configuration_errors(service: str) -> Iterator[None]:
    """What the SDK says about wrong settings, when a client is made, as `ConfigurationError`."""
    try:
        yield
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(unusable(service, error)) from error


def session_of(variables: Mapping[str, str]) -> botocore.session.Session:
    """A session that takes from the snapshot what is there, and nothing of it from the process's own environment."""

    def given(name: str) -> str | None:
        return variables.get(name, "").strip() or None

    session = botocore.session.Session(profile=given("AWS_PROFILE"))
    session.register_component("data_loader", _loader)
    for variable, name in (("AWS_CONFIG_FILE", "config_file"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials_file")):
        if given(variable):
            session.set_config_variable(name, given(variable))
    key, secret = given("AWS_ACCESS_KEY_ID"), given("AWS_SECRET_ACCESS_KEY")
    if bool(key) != bool(secret):
        raise ConfigurationError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set together or not at all")
    if key and secret:
        session.set_credentials(key, secret, given("AWS_SESSION_TOKEN"))
        return session
    session.get_component("credential_provider").remove("env")
    if session.get_credentials() is None:
        raise ConfigurationError(
            "no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, "
            "or run where a role is given"
        )
    return session


def _with_region(place: AwsPlace, session: botocore.session.Session) -> AwsPlace:
    region = session.get_scoped_config().get("region", "")
    if not region:
        raise ConfigurationError(
            f"AWS_REGION is not set; {place.service} needs it, for example: export AWS_REGION=eu-central-1"
        )
    return replace(place, region=region)


def _refusal(response: tuple[Any, dict[str, Any]] | None, operation: str) -> ClientError | None:
    """The answer as an error, if it is one."""
    return ClientError(response[1], operation) if response is not None and response[0].status_code >= 300 else None


def _cut(response: tuple[Any, dict[str, Any]] | None) -> CutAnswerError | None:
    """An answer that is shorter than it said. The SDK takes it for a whole one, and what is no JSON for an empty one."""
    if response is None:
        return None
    http = response[0]
    said = http.headers.get("content-length", "")
    if not said.isdigit() or len(http.content) == int(said):
        return None
    return CutAnswerError(got=len(http.content), said=int(said))


_endpoint_rules: dict[tuple[str, ...], Any] = {}


def _share_endpoint_rules(client: Any) -> None:
    """Let all clients of a service ask one provider of endpoints: it keeps answers for each client, also after its end.

    Nothing public names it; where it has another name, clients merely leave some answers in its (bounded) memory.
    """
    resolver = getattr(client, "_ruleset_resolver", None)
    if resolver is not None and getattr(resolver, "_provider", None) is not None:
        place = (client.meta.service_model.service_name, client.meta.partition)
        resolver._provider = _endpoint_rules.setdefault(place, resolver._provider)


def _idle_connections(client: Any) -> list[Any]:
    """The open connections that no call uses. Nothing public names them."""
    session = getattr(getattr(client, "_endpoint", None), "http_session", None)
    managers = [getattr(session, "_manager", None), *getattr(session, "_proxy_managers", {}).values()]
    pools = [pool for manager in managers if manager is not None for pool in manager.pools._container.values()]
    return [connection for pool in pools for connection in pool.pool.queue if connection is not None]
