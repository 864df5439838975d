"""Where a backend's server comes from: embedded, container, or external. Stands alone: imports nothing else of the package."""

from .server import MissingWheelError, Server, ServerError

__all__ = ["MissingWheelError", "Server", "ServerError"]
