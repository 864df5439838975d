"""What was last shown of each backend: by a run that is kept here, or else by the certificates that this release publishes.

`python -m stackproof.verification.latest RUN...` writes the published part anew, from the certificates of these runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .certificate import Certificate, from_json
from .runs import RUNS, keep

PUBLISHED = Path(__file__).with_name("published.json")
MOST_RUNS = 200
"""So many of the newest runs are looked at."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One backend in one certificate."""

    target: str
    """As ``cache=redis``."""
    level: str
    """HOLDS, BROKEN, INCONCLUSIVE or PARTIAL: what the certificate would say of this backend alone."""
    profile: str
    fidelity: str
    server: str
    """What served it, with its version; empty for none."""
    created: str
    """ISO 8601, UTC."""
    published: bool = False
    """Whether this release says so, and not a run that is kept here."""


def shown_in(certificate: Certificate) -> Iterator[Shown]:
    """What it says of each of its backends. Pure."""
    servers = {
        server.name: f"{server.technology or server.name} {server.version}".strip() for server in certificate.servers
    }
    for target in certificate.targets:
        rows = tuple(record for record in certificate.clauses if record.result.target == target.target)
        alone = replace(certificate, targets=(target,), clauses=rows)
        yield Shown(
            target.target,
            str(alone.level) if rows else "PARTIAL",
            certificate.profile,
            target.fidelity,
            servers.get(target.server, ""),
            certificate.created,
        )


def latest() -> dict[str, Shown]:
    """Target -> what was last shown of it."""
    found = {shown.target: shown for shown in _published()}
    for path in sorted(RUNS.glob("*/certificate.json"))[-MOST_RUNS:]:
        try:
            certificate = from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # cut off, or of another release: `verify --check` says what is wrong with it
        if not certificate.selected:
            found.update((shown.target, shown) for shown in shown_in(certificate))
    return found


def _published() -> list[Shown]:
    if not PUBLISHED.exists():
        return []
    rows = json.loads(PUBLISHED.read_text(encoding="utf-8"))["backends"]
    return [Shown(**row, published=True) for row in rows]


def publish(runs: Iterable[Path]) -> None:
    """Write what this release says, from the certificates of these runs; of two that name a backend, the newer one counts."""
    certificates = [from_json((run / "certificate.json").read_text(encoding="utf-8")) for run in runs]
    found: dict[str, Shown] = {}
    for certificate in sorted(certificates, key=lambda certificate: certificate.created):
        found.update((shown.target, shown) for shown in shown_in(certificate))
    rows = [asdict(found[target]) for target in sorted(found)]
    for row in rows:
        row.pop("published")
    keep(PUBLISHED, json.dumps({"backends": rows}, indent=2) + "\n")


if __name__ == "__main__":
    publish(map(Path, sys.argv[1:]))
