"""`stackproof worker`: offer a share of the load that `stackproof bench --bind` directs from another machine."""

from __future__ import annotations

import json
import os
import subprocess

import click

from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError

from .options import address, json_option, write_result

SCHEMA = "stackproof-worker/1"


@click.command()
@click.option("--master", required=True, metavar="HOST:PORT", help="Where `stackproof bench --bind` waits.")
@click.option(
    "--native", is_flag=True, help="For Kafka and CQL, whose drivers need threads that gevent has not replaced."
)
@json_option
def worker(master: str, native: bool, json_file: str | None) -> int:
    """Offer a share of the load that another machine directs.

    Started before or after `stackproof bench --workers N --bind HOST:PORT`; it ends when that does. The backends are reached
    by this machine's own environment variables. Locust's messages are neither encrypted nor authenticated: keep them in a
    network of your own.
    """
    from .bench import require_packages

    require_packages("worker")
    from stackproof.measurement.environment import read_environment
    from stackproof.scenarios.orders import SETUP_VARIABLE, WORKER_VARIABLE
    from stackproof.scenarios.processes import UNPATCHED, locust_command, worker_options
    from stackproof.verification.digests import package_digest

    host, port = address("--master", master)
    if SETUP_VARIABLE in os.environ:
        raise ConfigurationError(f"{SETUP_VARIABLE} belongs to a process that `stackproof bench` has started; unset it")
    command = [*locust_command(), *worker_options(host, port)]
    about = {"build": package_digest(), "environment": read_environment().to_data()}
    environ = {
        **os.environ,
        WORKER_VARIABLE: json.dumps(about),
        "LOG_STREAM": "stdout",
        "LOG_LEVEL": "INFO",
        **(UNPATCHED if native else {}),
    }
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own interpreter
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.terminate()
            raise
    if json_file is not None:
        write_result(json_file, json.dumps({"schema": SCHEMA, "master": f"{host}:{port}", "served": code == 0}) + "\n")
    return Exit.HOLDS if code == 0 else Exit.ENVIRONMENT
