"""The environment of a verification, as names and texts: what a certificate says of where it was made."""

from __future__ import annotations

import platform

from stackproof.measurement.environment import processor_model, usable_cores, versions

DRIVERS = ("psycopg", "redis", "hiredis", "msgpack")
"""What adapters reach their servers with: another version of one may behave differently."""
_TOOLS = ("pytest", "locust", "gevent")


def describe_environment() -> dict[str, str]:
    """Interpreter, system, processor and versions of the drivers. Holds no name of the machine or of a user."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor_model() or "unknown",
        "cores": str(usable_cores()),
        **versions((*DRIVERS, *_TOOLS)),
    }
