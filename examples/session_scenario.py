"""A load scenario of one's own: sessions are written to the cache, and each is read again.

stackproof bench --scenario examples.session_scenario:SESSIONS --set visitors=5000 --rate 200 --duration 5
"""

from dataclasses import dataclass

from stackproof.scenarios.distributions import Sizes, Zipf
from stackproof.scenarios.item import Item
from stackproof.scenarios.scenario import Parameter, Scenario, parametrised
from stackproof.scenarios.steps import Action, Bench, Step


@dataclass(frozen=True)
class SessionTouch(Step):
    """A session is stored, and must be read back as it is."""

    ttl: float = 60.0
    name = "session touch"
    concern = "cache"

    def bind(self, bench: Bench) -> Action:
        cache, checks = bench.cache, bench.checks

        def act(item: Item, _turn: int) -> None:
            key, session = f"session:{item.event_id}", {"visitor": item.key, "text": item.text}
            cache.set(key, session, self.ttl)
            checks.saw("sessions read again")
            if cache.get(key) != session:
                raise checks.wrong_answer(f"the session {key} was not read back as it was stored")

        return act


@parametrised(Parameter("visitors", 1_000, 1, 1_000_000, "the number of visitors"))
def SESSIONS(visitors: int) -> Scenario:  # noqa: N802 - `parametrised` makes it a value
    return Scenario("sessions", [SessionTouch()], Zipf(visitors), Sizes.p50_p99(300, 1_500), seed=3, unit="session")
