"""What an external server says about itself: version, and the settings that a certificate depends on.

The embedded servers answer through `stackproof.servers`; an external one can only be asked with its driver, over the address that
the adapters use too: `stackproof.measurement.server_settings` does. What the server does not tell is left out.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from stackproof.adapters.settings import Settings
from stackproof.interfaces import StackproofError
from stackproof.measurement.server_settings.records import Told

_SECONDS = 5

_ASKED_BY = {"DATABASE_URL": "postgres", "REDIS_URL": "redis", "OPENSEARCH_URL": "opensearch"}
"""The variable that names a server -> who asks it."""


def ask_external(variables: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Version and settings of the server that these variables name; empty where it does not tell or its driver is not there."""
    asked_by = next((module for variable, module in _ASKED_BY.items() if variable in variables), "")
    if not asked_by:
        return "", {}
    limits = {"STACKPROOF_CONNECT_TIMEOUT": str(_SECONDS), "STACKPROOF_OPERATION_TIMEOUT": str(_SECONDS)}
    try:
        module = importlib.import_module(f"stackproof.measurement.server_settings.{asked_by}")
        told: Told = module.ask(Settings({**os.environ, **variables, **limits}), (), None)
    except ImportError:
        return "", {}
    except StackproofError as error:  # the backend will say what is wrong
        return "", {"not told": type(error).__name__}
    facts = dict(told.values)
    version = facts.pop("version", "")
    if urlsplit(variables.get("REDIS_URL", "")).scheme == "rediss":
        facts["tls"] = "yes"
    return version, facts
