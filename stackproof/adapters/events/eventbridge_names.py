"""How events and subscriptions are called on EventBridge and SQS, and what an entry looks like: pure functions.

All names are injective up to digests of 96 bits (a rule's name has at most 64 characters): what differs in namespace, topic or
group has another name. Patterns are lists of whole texts, which EventBridge compares character by character: a topic is never a
prefix or a wildcard.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

PREFIX = "stackproof-"
_PLAIN_NAMESPACE = re.compile(r"[a-z0-9_]{1,24}")
_PLAIN_TOPIC = re.compile(r"[A-Za-z0-9._:/-]{1,96}")
PROBE = "~probe "
WAKE = json.dumps({"detail-type": PROBE, "detail": {"probe": "wake up"}})
"""A message that means nothing: it only ends the wait for one."""


def _digest(*parts: str) -> str:
    """Of each part with its length: no two lists of parts have the same."""
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()[:24]


def namespace_name(namespace: str) -> str:
    """A namespace in letters, digits and underscores. Shortened ones have a capital letter, others have none."""
    if not namespace or _PLAIN_NAMESPACE.fullmatch(namespace):
        return namespace
    return f"{re.sub(r'[^a-z0-9_]', '', namespace)[:12]}X{_digest(namespace)[:12]}"


def prefix_of(namespace: str) -> str:
    """What the names of all rules and queues of a namespace begin with, and those of no other one."""
    return f"{PREFIX}{namespace_name(namespace)}-"


def source_of(namespace: str) -> str:
    """The ``source`` of all events of a namespace."""
    return f"stackproof.{namespace_name(namespace)}" if namespace else "stackproof"


def detail_type_of(topic: str) -> str:
    """The ``detail-type`` of a topic: itself, or where that is long or has unusual characters its beginning and a digest."""
    if _PLAIN_TOPIC.fullmatch(topic):
        return topic
    return f"{re.sub(r'[^A-Za-z0-9._-]', '', topic)[:40]}~{_digest(topic)}"


def group_name(namespace: str, topic: str, group: str) -> str:
    """The rule and the queue that the members of a group share."""
    return f"{prefix_of(namespace)}g{_digest(topic, group)}"


def single_name(namespace: str, token: str) -> str:
    """The rule and the queue of one subscription without a group."""
    return f"{prefix_of(namespace)}s{token}"


def pattern_of(namespace: str, topic: str, name: str) -> str:
    """What a rule matches: the topic, and its own probe."""
    return json.dumps({"source": [source_of(namespace)], "detail-type": [detail_type_of(topic), PROBE + name]})


def queue_arn(rule_arn: str, name: str) -> str:
    """The queue of this name in the account and region of a rule."""
    _, partition, _, region, account, _ = rule_arn.split(":", 5)
    return f"arn:{partition}:sqs:{region}:{account}:{name}"


def queue_policy(rule_arn: str, name: str) -> str:
    """EventBridge may send to this queue, on behalf of this rule only."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn(rule_arn, name),
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass(frozen=True, slots=True)
class BridgeEntry:
    """One entry of PutEvents. Entries have no lane: EventBridge keeps no order."""

    source: str
    detail_type: str
    detail: str
    lane: str = ""

    @property
    def size(self) -> int:
        """As AWS counts it: the UTF-8 forms of source, detail-type and detail (a time would be 14, and is not sent)."""
        return len(self.source.encode()) + len(self.detail_type.encode()) + len(self.detail.encode())

    def request(self, bus: str) -> dict[str, str]:
        return {
            "EventBusName": bus,
            "Source": self.source,
            "DetailType": self.detail_type,
            "Detail": self.detail,
        }


def detail_of(envelope: bytes) -> str:
    """The detail that carries an envelope.

    As base64, not as JSON: EventBridge parses the detail and writes it anew, and knows numbers of 64 bits and 1,000 levels only.
    """
    return json.dumps({"envelope": base64.b64encode(envelope).decode()})


@dataclass(frozen=True, slots=True)
class Received:
    """What a message in a queue holds."""

    envelope: bytes = b""
    probe: str = ""
    """The text of a probe; then there is no envelope."""


def received(body: str) -> Received:
    """Raises ValueError, KeyError or TypeError for what is none of ours."""
    message: dict[str, Any] = json.loads(body)
    detail = message["detail"]
    if message["detail-type"].startswith(PROBE):
        return Received(probe=detail["probe"])
    return Received(base64.b64decode(detail["envelope"], validate=True))
