"""Some drivers have threads of their own, which have to be threads: under gevent's patches they would be greenlets, and hang.

scylla-driver's event loop and librdkafka's poll block in C without giving way; as greenlets, they block everything else with
them, for ever, so that no time limit could end it. It is therefore refused before it begins.
"""

from __future__ import annotations

import sys

from stackproof.interfaces import ConfigurationError


def require_native_threads(driver: str) -> None:
    """Raise `ConfigurationError` in a process whose threads gevent or eventlet has replaced."""
    patcher = _patcher()
    if patcher:
        raise ConfigurationError(
            f"{driver} needs threads of its own and would hang for ever in this process, whose threads {patcher} has replaced (as"
            " `import locust` does): use the native engine, and for a locustfile of your own LOCUST_SKIP_MONKEY_PATCH=1"
        )


def _patcher() -> str:
    """Who has replaced the threads of this process, if anybody has."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return ""
