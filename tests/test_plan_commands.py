"""What a plan and an audit say to type: commands that can be typed, from an origin that has the servers."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from plan_samples import MEASURED, NOTHING, answer, asked, known, one, plan
from rich.console import Console

from stackproof.adapters.registry import BUILT_IN, BackendEntry
from stackproof.planning.audit import judge
from stackproof.planning.audit_words import How
from stackproof.planning.claims import built_in_claims
from stackproof.planning.feasibility import Where
from stackproof.planning.origins import IMAGES, WHEELS, origin_for
from stackproof.planning.plan_record import Plan
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


def test_every_kind_of_search_that_shows_nothing_for_so_many_records_is_asked_for_at_once() -> None:
    """After one of them, the answer would be the same."""
    fewer = [one("search", "postgres", f"search-{kind}", 90, 99, 100_000) for kind in ("term", "or", "prefix")]
    others = [one_ for one_ in MEASURED if "search=opensearch" not in one_.backends and one_.scenario[:6] != "search"]
    made = plan(10_000, measured=known(*others, *fewer), records=200_000)
    first, command = made.statements[:2]
    assert first.text == "3 searches tell whether search=postgres carries it, in about 6 minutes; then ask again:"
    assert command.text.count(" --scenario ") == 3
    made = plan(10_000, about=asked(where=Where.AWS), measured=known(*others, *fewer), records=200_000)
    texts = {
        text for row in made.candidates if row.backend == "postgres" and row.concern == "search" for text in row.settles
    }
    kinds = " --scenario search-term --scenario search-or --scenario search-prefix"
    assert texts == {f"stackproof bench --backend search=postgres{kinds} --set records=200000 --find-max"}
    done = [one("search", "postgres", f"search-{kind}", 90, 99, 200_000) for kind in ("term", "or", "prefix")]
    assert plan(10_000, measured=known(*others, *done), records=200_000).recommended is not None


def test_what_was_measured_as_asked_and_shows_nothing_is_not_asked_for_once_more() -> None:
    nothing = one("search", "postgres", "search-term", 0, 46, 200_000, limiter="slo")
    others = [one_ for one_ in MEASURED if one_.scenario[:6] != "search"]
    (found,) = (
        each
        for each in answer(10_000, about=asked(20), measured=known(*others, nothing), records=200_000).candidates
        if (each.concern, each.backend, each.hosting) == ("search", "postgres", "rds")
    )
    assert found.tried
    assert found.reasons == (
        "not shown: no rate of search-term was shown to hold with 200,000 records (p99 within 20 ms): whether it carries the "
        "peak is not known",
    )
    made = plan(10_000, about=asked(20), measured=known(*others, nothing), records=200_000)
    assert "search=opensearch" in made.statements[0].text
    loose = answer(10_000, measured=known(*others, nothing), records=200_000).candidates
    assert not any(each.tried for each in loose), "who asks for no latency asks for something else"


def test_what_was_measured_is_told_with_its_promise_and_what_it_takes_to_apply_it() -> None:
    made = plan(10_000)
    text = shown(made)
    assert "of what holds (4,000/s, p99 within 20 ms)" in text
    assert "No latency is asked for (--p99-ms)" in text
    assert "Assumed: that another machine carries what the one carried on which it was measured." in text
    assert "No latency is asked for" not in shown(plan(10_000, about=asked(50)))


def shown(made: Plan) -> str:
    console = Console(file=StringIO(), width=400)
    print_plan(made, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_how_far_a_stack_goes_says_where_several_machines_are_assumed() -> None:
    servers = asked(where=Where.SELF_HOSTED)
    scylla = [one("interactions", "scylla", name, 300, 330) for name in ("ingest", "summaries")]
    several = plan(
        1_000_000,
        about=servers,
        measured=known(*(m for m in MEASURED if "interactions" not in str(m.backends)), *scylla),
    )
    assert several.outgrown is not None
    first = several.outgrown.statements[0]
    assert first.text.endswith("as far as several machines carry as much more as they are more: assumed, not measured.")
    assert "assumption:machines" in first.basis
    assert "assumed" in plan_page.render(several)
    single = plan(10_000).outgrown
    assert single is not None
    assert single.statements[0].text.endswith("all else being equal.")
    assert not single.statements[1].basis, "it stands under the sentence before"


def test_what_would_settle_it_is_told_under_the_name_of_what_it_settles() -> None:
    text = "\n".join(line.rstrip() for line in shown(plan(10_000, measured=NOTHING)).splitlines())
    assert "\n  events=kafka (self-hosted):\n    stackproof bench --backend events=kafka" in text
    assert "a quota of msk (serverless) in --prices: its requests a second" in text


def test_what_is_at_hand_is_measured_first() -> None:
    made = plan(1_000_000, about=asked(where=Where.SELF_HOSTED), measured=NOTHING)
    text = made.statements[0].text
    assert "interactions=postgres and events=redis and search=postgres and cache=redis" in text
    assert not any("container" in one.text for one in made.statements)
