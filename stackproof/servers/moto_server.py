"""Runs the emulator of the AWS services in a process of its own: `python -P moto_server.py PORT PATH...`.

A script, since the keeper gives its children a clean environment: where the packages are is said in the arguments. moto's
own command would write a line for every request.
"""

from __future__ import annotations

import logging
import runpy
import sys
from pathlib import Path

REPAIRS = Path(__file__).with_name("moto_repairs.py")


def main(port: str, *paths: str) -> None:
    """Serve on a port of the loopback address until a signal ends the process."""
    sys.path.extend(path for path in paths if path not in sys.path)
    runpy.run_path(str(REPAIRS))["repair"]()  # by its path, since the package itself need not be readable here
    from moto.server import main as serve

    logging.getLogger("werkzeug").addFilter(_is_worth_a_line)
    serve(["-H", "127.0.0.1", "-p", port])


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO or "Running on" in record.getMessage()


if __name__ == "__main__":
    main(*sys.argv[1:])
