"""The reference stacks as data, stacks of the user's own, and what they cost."""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from plan_samples import MEASURED, plan
from planning_samples import decisions

import stackproof.planning
from stackproof.adapters.registry import CONCERNS
from stackproof.adapters.settings import Settings
from stackproof.cli import _run, cli
from stackproof.container import choose
from stackproof.interfaces import ConfigurationError
from stackproof.planning import measured
from stackproof.planning.cost import cost_of_stack
from stackproof.planning.demand import Demand, Workload
from stackproof.planning.price_book import load_prices
from stackproof.planning.stacks import (
    NAMES,
    PlannedStack,
    find_planned_stack,
    load_stack,
    named_stack,
    reference_stacks,
)
from stackproof.planning.typed import number
from stackproof.targets import STACKS

FOLDER = Path(stackproof.planning.__file__).parent
SCHEMA = json.loads((FOLDER / "stack.schema.json").read_text(encoding="utf-8"))
BOOK = load_prices()
MINE = """
schema = "stackproof-stack/1"
name = "mine"
title = "Kinesis on a database of our own"
[concerns.interactions]
backend = "pg"
hosting = "self-hosted"
variables = { DATABASE_URL = "postgresql://db/x" }
[concerns.events]
backend = "kinesis"
[concerns.search]
backend = "postgres"
hosting = "self-hosted"
variables = { DATABASE_URL = "postgresql://db/x" }
[concerns.cache]
backend = "acme.cache:make"
[concerns.logs]
backend = "console"
"""


def own(tmp_path: Path, text: str) -> PlannedStack:
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return load_stack(file)


def test_the_files_keep_the_schema_of_the_field() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for file in (FOLDER / "stacks").glob("*.toml"):
        jsonschema.validate(tomllib.loads(file.read_text(encoding="utf-8")), SCHEMA)
    assert {file.stem for file in (FOLDER / "stacks").glob("*.toml")} == set(NAMES)


def test_they_are_the_stacks_that_are_verified_and_measured() -> None:
    verified = {stack.name: dict(stack.backends) for stack in STACKS if stack.name != "memory"}
    assert {stack.name: dict(stack.stack.backends) for stack in reference_stacks()} == verified
    for stack in reference_stacks():
        assert [target.concern for target in stack.stack.targets()] == list(CONCERNS)


@pytest.mark.parametrize("name", NAMES)
def test_their_variables_choose_their_backends(name: str) -> None:
    stack = find_planned_stack(name)
    chosen = choose(Settings(stack.variables))
    assert {concern: entry.name for concern, entry in chosen.items()} == dict(stack.stack.backends)
    needed = {variable for entry in chosen.values() for variable in entry.variables}
    assert needed <= stack.variables.keys()


def test_what_was_published_of_them() -> None:
    costs = {s.name: s.published_cost for s in reference_stacks()}
    assert {name: (c.low, c.high) for name, c in costs.items() if c} == {
        "development": (0, 0),
        "startup-aws": (50, 100),
        "growth-aws": (500, 1_000),
        "enterprise": (2_000, None),
    }
    published = {t.id: t.below for s in reference_stacks() for t in s.thresholds}
    assert published == {
        "postgres-decisions": 10_000,
        "postgres-customers": 500_000,
        "postgres-writes": 1_000,
        "postgres-search-records": 1_000_000,
        "redis-events-throughput": None,
    }


def test_a_stack_of_ones_own(tmp_path: Path) -> None:
    stack = own(tmp_path, MINE)
    assert stack.parts["interactions"].backend == "postgres"
    assert stack.variables == {"DATABASE_URL": "postgresql://db/x"}
    cost = cost_of_stack(stack.choices(), Demand.of(Workload(10_000)), BOOK)
    assert "cache=acme.cache:make has no cost model" in cost.total.unknown
    search = next(each for each in cost.backends if each.concern == "search")
    assert [line.item for line in search.lines] == ["disks"], "the server of interactions is bought once"


WRONG = [
    ("x = [", "mine.toml is no TOML"),
    (MINE.replace("stackproof-stack/1", "stackproof-stack/2"), "schema does not keep const 'stackproof-stack/1'"),
    (MINE.replace('name = "mine"', 'name = "My Stack"'), "name does not keep pattern"),
    (MINE.replace('[concerns.events]\nbackend = "kinesis"', ""), "concerns has no 'events'"),
    (MINE.replace('"kinesis"', '"kinetic"'), "concerns.events: --backend events='kinetic' is not a known backend"),
    (
        MINE.replace('"kinesis"', '"kinesis"\nhosting = "cellar"'),
        "hosting 'cellar' of kinesis is not known; known are: provis",
    ),
    (MINE.replace('"acme.cache:make"', '"acme.cache:make"\nhosting = "nodes"'), "is not known; it has no cost model"),
    (
        MINE.replace('x" }\n[concerns.events]', 'y" }\n[concerns.events]'),
        "DATABASE_URL has another value for another concern",
    ),
    (MINE.replace('name = "mine"', 'name = "enterprise"'), "name is 'enterprise', which is a stack of stackproof"),
    (
        MINE + '[published_cost]\ntext = "x"\nlow = 2\nhigh = 1\ncurrency = "USD"',
        "published_cost.high is 1, which is less",
    ),
    (MINE + '[published_cost]\ntext = "x"\nlow = 2.5\ncurrency = "USD"', "published_cost.low is not of type integer"),
    (MINE + "colour = 1", "colour"),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG, ids=[sentence[:45] for _, sentence in WRONG])
def test_a_wrong_file_is_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        own(tmp_path, text)
    assert sentence in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_a_stack_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_stack(tmp_path / "none.toml")
    with pytest.raises(ConfigurationError, match="known are: development, startup-aws"):
        find_planned_stack("none")


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["stacks", *arguments])
    return done.exit_code, done.output


def test_the_command_shows_costs_and_what_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, text = run("--decisions-per-day", "100000000")
    assert code == 0
    row = next(line for line in text.splitlines() if line.startswith("enterprise") and "$2K+" in line)
    assert "unknown" in row
    assert "at least" in row
    assert "self-hosted-host (self-hosted, a machine that runs a server) is not known" in text
    assert "growth-aws, interactions: write units of a table: 57,870 of 40,000 units/s (soft)" in text
    assert "Not counted: data transfer" in text


def test_the_command_as_json_and_with_prices_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measured, "_shipped", tuple)
    schema = json.loads((FOLDER.parent / "verification" / "stacks.schema.json").read_text(encoding="utf-8"))
    prices = tmp_path / "own.toml"
    words = "".join(f'{name} = "x"\n' for name in ("provider", "service", "dimension", "unit", "region", "source"))
    entry = "[prices.{}]\namount = {}\nconfidence = 'high'\n" + words
    prices.write_text(
        'schema = "stackproof-prices/1"\ncurrency = "USD"\n'
        + entry.format("self-hosted-host", "0.1")
        + entry.format("self-hosted-disk", "0.05")
    )
    code, text = run("--decisions-per-day", "10000", "--prices", str(prices), "--json", "-")
    assert code == 0
    data = json.loads(text)
    jsonschema.validate(data, schema)
    costed = {row["name"]: row.get("cost") for row in data["stacks"]}
    assert costed["memory"] is None
    scylla = costed["enterprise"]["concerns"][0]
    # 3 hosts x 730 h x 0.10 = 219; disks: 3.65 GB x 2 rows x 3 copies = 21.9 GB x 0.05 = 1.095
    assert [Decimal(line["amount"]["low"]) for line in scylla["lines"]] == [Decimal("219.0"), Decimal("1.095")]
    assert scylla["total"]["unknown"] == ["how many nodes carry 1.16/s at the peak is not measured"]


def test_machines_are_counted_from_what_was_measured_as_a_plan_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measured, "_shipped", lambda: MEASURED)
    code, text = run("--decisions-per-day", "1M", "--json", "-")
    assert code == 0
    rows = json.loads(text)["stacks"]
    for name in NAMES:
        made = plan(1_000_000, judged=find_planned_stack(name))
        assert made.judged is not None
        cost = next(row["cost"] for row in rows if row["name"] == name)
        judged = made.judged.cost
        assert (cost["total"]["low"], cost["total"]["high"]) == (judged.low, judged.high)
        assert tuple(cost["total"]["unknown"]) == judged.unknown
        assert cost["headroom"] == 1.5
    monkeypatch.setenv("COLUMNS", "200")
    code, text = run("--decisions-per-day", "1M")
    assert "339.85 to 365.69 USD" in text
    assert "machines that were measured, carry 1.5 times the peak" in text
    assert "how many shards" not in text
    assert "enterprise, interactions=scylla: measured on a compatible engine" in text


def test_what_is_bought_beforehand_has_the_head_room_of_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = MINE.replace('backend = "pg"\nhosting = "self-hosted"', 'backend = "dynamodb"\nhosting = "provisioned"')
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    code, shown = run("--stack", "mine.toml", "--decisions-per-day", "1M", "--json", "-")
    assert code == 0
    cost = json.loads(shown)["stacks"][-1]["cost"]["concerns"][0]
    # 57.87/s x 10 units x 1.5 = 869 units written, 57.87/s x 7 units x 1.5 = 608 read, for 730 h; 365.6 GB, and 100 bytes for
    # each of 365 M + 2 M items: 402.3 GB x 0.25
    assert Decimal(cost["total"]["low"]) == 869 * 730 * Decimal("0.00065") + 608 * 730 * Decimal("0.00013") + Decimal(
        "100.575"
    )


def test_a_stack_by_its_name_or_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def names(*arguments: str) -> list[str]:
        code, text = run(*arguments, "--json", "-")
        assert code == 0, text
        return [row["name"] for row in json.loads(text)["stacks"]]

    (tmp_path / "mine.toml").write_text(MINE, encoding="utf-8")
    known = [stack.name for stack in STACKS]
    assert names() == known, "one list, for all commands"
    assert names("--stack", "Development") == ["development"]
    assert names("--stack", "mine.toml") == [*known, "mine"]
    assert names("--stack", "mine.toml", "--stack", "memory") == ["memory", "mine"]
    assert [named_stack(name).name for name in known] == known
    code, text = run("--stack", "memory", "--decisions-per-day", "10K")
    assert (code, "interactions=memory has no cost model" in text) == (0, True)
    code, text = run("--stack", "none")
    assert code != 0


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
def test_no_word_is_broken_in_a_narrow_terminal(columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = set(run("--decisions-per-day", "1M")[1].split())
    monkeypatch.setenv("COLUMNS", str(columns))
    code, text = run("--decisions-per-day", "1M")
    assert code == 0
    assert max(map(len, text.splitlines())) <= columns
    assert set(text.split()) <= words | {"backend", "variables", "verified", "measured"}


def test_numbers_as_a_plan_takes_them() -> None:
    wanted = run("--decisions-per-day", "1M", "--json", "-")
    for text in ("1000000", "1,000,000", "1_000_000"):
        assert run("--decisions-per-day", text, "--json", "-") == wanted
    for text in ("1,5", "1,00", ",100", "1,000,00", "1,0000"):
        with pytest.raises(ConfigurationError, match="is no number"):
            number("--decisions-per-day", text)
    assert number("--records", "-1,234,567.5K") == Decimal("-1234567500")


def test_wrong_options(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run("--prices", "own.toml")
    assert (code, "--prices is of use with --decisions-per-day only" in text) == (2, True)
    for volume, said in (("0", "--decisions-per-day is 0; it lies between 1 and"), ("ten", "'ten' is no number")):
        assert _run(["stacks", "--decisions-per-day", volume]) == 2
        assert said in capsys.readouterr().err


def test_a_price_says_that_it_judges_nothing_and_what_does() -> None:
    code, text = run("--decisions-per-day", "2M")
    assert code == 0
    assert "Whether a stack carries so many is not judged here" in text
    assert "stackproof plan --decisions-per-day 2000000 --stack NAME" in text
    assert "is not judged here" not in run()[1]


def test_what_was_verified_and_measured_stands_beside_each_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "220")
    whole = decisions(300, 330, limiter="server", run="whole")
    monkeypatch.setattr(measured, "_shipped", lambda: (*MEASURED, whole))
    code, text = run()
    assert code == 0
    assert "ingest: 1,500 to 1,600 items/s (p99 within 20 ms, native, embedded, 2026-01-02)" in text
    assert "search-term records=100000: 300 to 330 items/s" in text
    assert "DATABASE_URL" in text
    assert "As a whole: decision on cache=redis" in text
    code, text = run("--json", "-")
    data = json.loads(text)
    schema = json.loads((FOLDER.parent / "verification" / "stacks.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(data, schema)
    development = data["stacks"][0]
    assert [one["run"] for one in development["measured"]] == ["whole"]
    assert {one["scenario"] for one in development["concerns"][0]["measured"]} == {"ingest", "summaries"}
    assert data["stacks"][3]["concerns"][0]["measured"][0]["fidelity"] == "compatible-engine"


def test_stacks_of_ones_own_are_listed_and_costed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.toml"
    file.write_text(MINE, encoding="utf-8")
    code, text = run("--stack", str(file), "--decisions-per-day", "10000", "--json", "-")
    assert code == 0
    mine = json.loads(text)["stacks"][-1]
    assert (mine["name"], mine["backends"]["cache"]) == ("mine", "acme.cache:make")
    assert "cache=acme.cache:make has no cost model" in mine["cost"]["total"]["unknown"]
    assert mine["concerns"][3]["measured"] == []
    assert run("--stack", str(file), "--stack", str(file))[0] != 0


def test_a_password_in_a_stack_of_ones_own_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    concerns = {"events": "redis", "search": "postgres", "cache": "redis", "logs": "console"}
    text = 'schema = "stackproof-stack/1"\nname = "mine"\ntitle = "mine"\n'
    text += '[concerns.interactions]\nbackend = "postgres"\n[concerns.interactions.variables]\n'
    text += 'DATABASE_URL = "postgresql://me:hunter2secret@db/prod"\nPGPASSWORD = "hunter2secret"\nPGHOST = "db"\n'
    text += "".join(f'[concerns.{concern}]\nbackend = "{backend}"\n' for concern, backend in concerns.items())
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    code, shown = run("--stack", "mine.toml", "--json", "-")
    assert code == 0
    assert "hunter2secret" not in shown
    mine = next(row for row in json.loads(shown)["stacks"] if row["name"] == "mine")
    assert mine["variables"]["PGHOST"] == "db"
    assert mine["variables"]["DATABASE_URL"] == "postgresql://***@db/prod"
