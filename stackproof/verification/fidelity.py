"""How true what was shown is to the technology that a backend is for: itself, something compatible, or an emulator. Pure."""

from __future__ import annotations

from collections.abc import Mapping

NATIVE, COMPATIBLE, EMULATOR = "native", "compatible-engine", "emulator"

_ALSO: Mapping[str, tuple[str, ...]] = {
    "elasticache": ("redis", "valkey", "elasticache-serverless"),
    "kafka": ("msk",),
}
"""Technology -> what it is under another name: ElastiCache runs Redis or Valkey, and says which, or is serverless, which its
address tells; Amazon MSK runs Apache Kafka.
Not the other way round: brokers of one's own are not MSK."""


def fidelity(wanted: str, runs: str, of_server: str) -> str:
    """``wanted`` is the technology that the backend is for, ``runs`` the one that served it; empty where there is nobody to ask:
    then the server is what its address says."""
    if of_server != NATIVE:
        return of_server
    return COMPATIBLE if wanted and runs and runs not in (wanted, *_ALSO.get(wanted, ())) else NATIVE
