"""The rule, its target and the queue of a subscription on EventBridge: made, found and removed by their names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stackproof.adapters.aws_client import AwsClient, Effect
from stackproof.adapters.aws_errors import code_of
from stackproof.interfaces import BackendError, RejectedError, UnavailableError

from .common import logger
from .eventbridge_names import pattern_of, prefix_of, queue_arn, queue_policy

TARGET = "queue"
"""The id of the only target of each rule."""
MESSAGE_BYTES = 1024 * 1024
"""The largest message that a queue takes: since 2025 the most that SQS offers."""
_GONE = ("ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a namespace on one bus, and their queues: a rule and its queue have the same name."""

    events: AwsClient
    sqs: AwsClient
    bus: str
    namespace: str
    visibility_seconds: int
    retention_seconds: int

    def exists(self, name: str) -> bool:
        """Whether there is a rule of this name that has its target: whoever makes one sets the target last."""
        try:
            answer = self.events.call("list_targets_by_rule", Effect.NONE, EventBusName=self.bus, Rule=name)
        except BackendError as error:
            if code_of(error) in _GONE:
                return False
            raise
        return bool(answer.get("Targets"))

    def make(self, name: str, topic: str) -> str:
        """The address of the queue. What is there already, stays: making it twice is making it once."""
        pattern = pattern_of(self.namespace, topic, name)
        answer = self.events.call("put_rule", Effect.IDEMPOTENT, Name=name, EventBusName=self.bus, EventPattern=pattern)
        rule = answer["RuleArn"]
        url: str = self.sqs.call(
            "create_queue",
            Effect.IDEMPOTENT,
            QueueName=name,
            Attributes={
                "VisibilityTimeout": str(self.visibility_seconds),
                "MessageRetentionPeriod": str(self.retention_seconds),
                "MaximumMessageSize": str(MESSAGE_BYTES),
                "Policy": queue_policy(rule, name),
            },
        )["QueueUrl"]
        target = {"Id": TARGET, "Arn": queue_arn(rule, name)}
        answer = self.events.call("put_targets", Effect.IDEMPOTENT, EventBusName=self.bus, Rule=name, Targets=[target])
        if answer.get("FailedEntryCount"):
            failed = answer["FailedEntries"][0]
            raise UnavailableError(
                f"the rule {name} takes no target: {failed.get('ErrorCode')} {failed.get('ErrorMessage')}"
            )
        return url

    def url_of(self, name: str) -> str:
        """The address of the queue of a rule that exists."""
        return str(self.sqs.call("get_queue_url", Effect.NONE, QueueName=name)["QueueUrl"])

    def remove(self, name: str) -> None:
        """Remove a rule, its target and its queue, as far as they are there."""
        with_gone = (
            ("remove_targets", {"EventBusName": self.bus, "Rule": name, "Ids": [TARGET]}),
            ("delete_rule", {"EventBusName": self.bus, "Name": name}),
        )
        for operation, parameters in with_gone:
            _unless_gone(self.events, operation, **parameters)
        try:
            url = self.url_of(name)
        except BackendError as error:
            if code_of(error) in _GONE:
                return
            raise
        _unless_gone(self.sqs, "delete_queue", QueueUrl=url)

    def try_to_remove(self, name: str) -> None:
        """The same, at the end of a subscription: what cannot be removed is named, so that somebody can."""
        try:
            self.remove(name)
        except BackendError as error:
            logger.warning("the rule and the queue %s are left behind: %s", name, error)

    def names(self) -> Iterator[str]:
        """The names of all rules and queues of the namespace, a crash's leftovers included."""
        prefix = prefix_of(self.namespace)
        seen: set[str] = set()
        for name in (*self._rule_names(prefix), *self._queue_names(prefix)):
            if name not in seen:
                seen.add(name)
                yield name

    def _rule_names(self, prefix: str) -> list[str]:
        names: list[str] = []
        more: dict[str, str] = {}
        while True:
            answer = self.events.call("list_rules", Effect.NONE, EventBusName=self.bus, NamePrefix=prefix, **more)
            names += [rule["Name"] for rule in answer.get("Rules", [])]
            if not answer.get("NextToken"):
                return names
            more = {"NextToken": answer["NextToken"]}

    def _queue_names(self, prefix: str) -> list[str]:
        names: list[str] = []
        more: dict[str, str] = {}
        while True:
            answer = self.sqs.call("list_queues", Effect.NONE, QueueNamePrefix=prefix, MaxResults=1000, **more)
            names += [url.rpartition("/")[2] for url in answer.get("QueueUrls", [])]
            if not answer.get("NextToken"):
                return names
            more = {"NextToken": answer["NextToken"]}


def _unless_gone(client: AwsClient, operation: str, **parameters: object) -> None:
    try:
        answer = client.call(operation, Effect.IDEMPOTENT, **parameters)
    except BackendError as error:
        if code_of(error) not in _GONE:
            raise
        return
    if answer.get("FailedEntryCount"):
        raise RejectedError(f"{operation} was refused: {answer.get('FailedEntries')}")
