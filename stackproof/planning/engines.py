"""What must have served a backend for its runs to say something about one way of having it. Pure.

ElastiCache runs Redis or Valkey: a node of it is one, and so is a server of one's own. ElastiCache Serverless is a service around
one, and only what was measured against it says how much it carries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .ceilings import MeasuredCeiling

SERVERLESS = "elasticache-serverless"
_MUST: Mapping[tuple[str, str], str] = {
    ("elasticache", "serverless-valkey"): SERVERLESS,
    ("elasticache", "serverless-redis"): SERVERLESS,
}
"""Backend and hosting -> what the server of a measurement must be, as it tells."""
_MUST_NOT: Mapping[tuple[str, str], str] = {("elasticache", "nodes"): SERVERLESS}


def served_right(one: MeasuredCeiling, concern: str, backend: str, hosting: str) -> bool:
    """Whether a run was served by what is meant, as far as it tells."""
    engine = one.engine(f"{concern}={backend}")
    if not engine:
        return True
    return engine == _MUST.get((backend, hosting), engine) and engine != _MUST_NOT.get((backend, hosting))


def taken_for_the_service(
    ceilings: Iterable[MeasuredCeiling], concern: str, backend: str, hosting: str
) -> Iterator[str]:
    """What is assumed of runs that do not tell what served them, a sentence; nothing where it makes no difference."""
    target = f"{concern}={backend}"
    untold = [one.run for one in ceilings if target in one.backends and not one.engine(target)]
    if (backend, hosting) in _MUST and untold:
        runs = f"run {untold[0]}" if len(untold) == 1 else f"runs {', '.join(untold)}"
        yield f"that the service itself was measured is assumed: {runs} of {target} did not record what served it"
