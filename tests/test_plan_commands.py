"""What a plan and an audit say to type: commands that can be typed, from an origin that has the servers."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from plan_samples import NOTHING, answer, asked, known, one, plan
from rich.console import Console

from stackproof.adapters.registry import BUILT_IN, BackendEntry
from stackproof.planning.audit import judge
from stackproof.planning.audit_words import How
from stackproof.planning.claims import built_in_claims
from stackproof.planning.feasibility import Where
from stackproof.planning.origins import IMAGES, WHEELS, origin_for
from stackproof.reports import plan_page
from stackproof.reports.plan_terminal import print_plan
from stackproof.servers.containers.kinds import CONTAINERS
from stackproof.servers.embedded_aws import EmbeddedAws
from stackproof.servers.sets import EMBEDDED, servers_for


def origin(command: str) -> str:
    found = re.search(r" --origin (\w+)", command)
    assert command.count("--origin") <= 1
    return found[1] if found else "embedded"


def commands() -> dict[str, set[str]]:
    """Backend -> the origins of the commands that would settle what is not known of it."""
    found: dict[str, set[str]] = {}
    for each in answer(10_000, measured=NOTHING, about=asked(20, where=Where.ANY)).candidates:
        for text in each.settles:
            if text.startswith("stackproof bench"):
                found.setdefault(f"{each.concern}={each.name}", set()).add(origin(text))
    return found


def test_the_servers_are_those_that_can_be_started() -> None:
    emulators = {name for name, kind in CONTAINERS.items() if kind.fidelity == "emulator"} | {EmbeddedAws.name}
    assert EMBEDDED.keys() - emulators == WHEELS
    assert CONTAINERS.keys() - emulators == IMAGES


@pytest.mark.parametrize("entry", [entry for entry in BUILT_IN if entry.server], ids=lambda entry: entry.name)
def test_what_is_told_can_be_started(entry: BackendEntry) -> None:
    told = origin_for([f"{entry.concern}={entry.name}"])
    if told != "external":
        assert servers_for((entry.server, *entry.also), told, {}) is not None


def test_a_plan_says_where_the_servers_come_from() -> None:
    found = commands()
    assert found["interactions=postgres (rds)"] == {"embedded"}
    for name in ("interactions=scylla (self-hosted)", "events=kafka (self-hosted)", "search=opensearch (self-hosted)"):
        assert found[name] == {"container"}
    assert found["cache=dragonfly (self-hosted)"] == {"container"}
    assert found["interactions=dynamodb (on-demand)"] == {"external"}
    assert found["events=msk (serverless)"] == {"external"}


def test_what_was_measured_is_repeated_where_it_was_measured() -> None:
    run = one("search", "postgres", "search-term", 0.5, 2.0, records=100_000, origin="external")
    (found,) = {
        text
        for each in answer(1_000_000, measured=known(run)).candidates
        if (each.concern, each.backend, each.hosting) == ("search", "postgres", "rds")
        for text in each.settles
    }
    assert "--workers 2" in found
    assert origin(found) == "external"


def test_an_audit_says_where_the_servers_come_from() -> None:
    told = [text for claim in built_in_claims() for text in judge(claim, [], how=How(origin="embedded")).settled_by]
    benches = [text for text in told if text.startswith("stackproof bench")]
    assert {origin(text) for text in benches if "search=opensearch" in text} == {"container"}
    assert {origin(text) for text in benches if "search=postgres" in text} == {"embedded"}
    assert {origin(text) for text in benches if "scylla" in text} <= {"container"}


def test_a_plan_without_an_answer_says_what_to_type_first() -> None:
    made = plan(1_000_000, about=asked(50), measured=NOTHING)
    assert made.recommended is None
    first, command = made.statements[:2]
    assert first.text == "1 search tells whether search=postgres carries it, in about 3 minutes; then ask again:"
    assert command.text == (
        "stackproof bench --backend search=postgres --scenario search-term --set records=100000 --find-max --short --slo p99=50ms"
    )
    console = Console(file=StringIO(), width=60)
    print_plan(made, console)
    assert isinstance(console.file, StringIO)
    assert f"\n  {command.text}\n" in console.file.getvalue()
    assert f"<code>{command.text}</code>" in plan_page.render(made)


def test_what_is_at_hand_is_measured_first() -> None:
    made = plan(1_000_000, about=asked(where=Where.SELF_HOSTED), measured=NOTHING)
    text = made.statements[0].text
    assert "interactions=postgres and events=redis and search=postgres and cache=redis" in text
    assert not any("container" in one.text for one in made.statements)
