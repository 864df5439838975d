"""Log handlers that nobody here wrote, unchanged: `logging.StreamHandler` with the JSON formatters of two libraries.

    stackproof verify --backend logs=examples.third_party_backends.logs:make_python_json_logger
    stackproof verify --backend logs=examples.third_party_backends.logs:make_structlog

What the contract found, each repeated by hand in a few lines without stackproof (CPython 3.11, python-json-logger 4.2.0,
structlog 26.1.0). "Lost" means that no line is written; `logging` prints a traceback to standard error instead, which
is not where the log goes.

Both, because of `logging.StreamHandler` and `logging.Formatter`:

- LOG-11: a record whose ``%`` arguments do not fit is lost: ``log.error("%s and %s", 1)`` raises TypeError while it is formatted.
- LOG-02: ``log.error("m", extra={"odd": deep})``, with lists nested 50,000 deep, raises RecursionError into the
  application: `StreamHandler.emit` passes on this one error on purpose (bpo-36272).

Both, because their JSON is made by `json.dumps`:

- LOG-08: an extra with a dict whose keys are tuples loses the record (TypeError), an integer of more than 4300 digits too
  (ValueError), and so does a dict subclass whose ``items()`` raises. ``float("nan")`` is written as ``NaN``, which is not
  JSON: strict readers refuse the line.
- LOG-10: an extra that contains itself loses the record (ValueError: Circular reference detected).

structlog's `ProcessorFormatter` only:

- LOG-08: an extra whose ``repr`` raises loses the record (python-json-logger writes ``__could_not_encode__`` instead).
- LOG-09: an extra that is called ``event`` replaces the message, and ``level``, ``logger`` or ``timestamp`` meet the
  formatter's own fields; of each two only one arrives. (With a processor chain in another order, the other one.)

Both keep everything else: whole lines from many threads, no forged lines, exceptions with their causes, text of every
script, a destination that fails for a while, and the lifecycle.
"""

from __future__ import annotations

import logging

import structlog
from pythonjsonlogger.json import JsonFormatter


def make_python_json_logger(namespace: str) -> logging.Handler:  # noqa: ARG001 - a stream has no namespaces
    """The formatter of python-json-logger, with the fields that its manual names first."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    return handler


def make_structlog(namespace: str) -> logging.Handler:  # noqa: ARG001 - a stream has no namespaces
    """The formatter of structlog for records of the standard library, set up as its manual does."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso"),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    return handler
