"""What librdkafka logs goes to the logger ``stackproof.kafka``, without its repetitions.

While a broker is away, it says the same for each of its connections and attempts, many times a second.
"""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict

QUIET_SECONDS = 60.0
"""So long what was said is not said again."""
REMEMBERED = 256
_VARYING = re.compile(r"\[(rdkafka#|thrd:)[^\]]*\]|\d+ms|\(after .*?\)|\d+ identical error\(s\).*")


class Once(logging.Filter):
    """Lets a text through once in `QUIET_SECONDS`, whoever says it; as a warning at most: our own calls raise the errors."""

    def __init__(self) -> None:
        super().__init__()
        self._said: OrderedDict[str, float] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        text, now = _VARYING.sub("", record.getMessage()), time.monotonic()
        before = self._said.pop(text, None)
        self._said[text] = now if before is None or now - before > QUIET_SECONDS else before
        while len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        if record.levelno > logging.WARNING:
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return self._said[text] == now


driver_log = logging.getLogger("stackproof.kafka")
driver_log.addFilter(Once())
