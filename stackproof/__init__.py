"""stackproof proves that a backend keeps the contract of its interface, and measures how much load it carries."""

from __future__ import annotations

from .adapters.settings import Settings
from .container import (
    Infra,
    ShutdownReport,
    build_infra,
    get_infra,
    reset_infra,
    shutdown_infra,
    shutdown_on_sigterm,
)

__version__ = "0.1.0"

__all__ = [
    "Infra",
    "Settings",
    "ShutdownReport",
    "__version__",
    "build_infra",
    "get_infra",
    "reset_infra",
    "shutdown_infra",
    "shutdown_on_sigterm",
]
