"""What has arrived in a log group of CloudWatch Logs, read around the handler."""

from __future__ import annotations

from typing import Any

from stackproof.adapters.settings import Settings

DELIVERY_SECONDS = 10.0
"""How long a record may take until it is there."""


def delivered_lines(settings: Settings, namespace: str) -> list[str]:
    """The messages of all streams of the namespace's group; nothing, where there is no group yet."""
    from stackproof.adapters.aws_client import AwsClient, Effect
    from stackproof.adapters.aws_errors import code_of
    from stackproof.adapters.logs.cloudwatch import CloudWatchHandler
    from stackproof.interfaces import BackendError

    client = AwsClient.from_settings("logs", settings)
    asked: dict[str, Any] = {"logGroupName": CloudWatchHandler.group_name(settings, namespace)}
    lines: list[str] = []
    try:
        while True:
            page = client.call("filter_log_events", Effect.NONE, **asked)
            lines += [event["message"] for event in page.get("events", [])]
            if not page.get("nextToken"):
                return lines
            asked["nextToken"] = page["nextToken"]
    except BackendError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        return lines
    finally:
        client.close()
