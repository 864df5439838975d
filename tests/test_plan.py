"""`stackproof plan` as somebody types it: terminal, record, page, environment file, and what is wrong with input."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path

import click
import jsonschema
import pytest
from click.testing import CliRunner
from plan_samples import MEASURED, asked, known, plan
from planning_samples import ceiling
from rich.console import Console

import stackproof.planning
from stackproof.adapters.settings import Settings
from stackproof.cli import cli
from stackproof.commands.plan import _INPUTS
from stackproof.commands.plan import plan as command
from stackproof.container import build_infra
from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError
from stackproof.planning import measured
from stackproof.planning.capabilities import DECLARED
from stackproof.planning.demand import Workload
from stackproof.planning.environment_file import PLACEHOLDER, VARIABLES, environment_file, parse_environment
from stackproof.planning.feasibility import Where
from stackproof.planning.plan_record import Basis, Statement, from_json, to_json
from stackproof.planning.stacks import find_planned_stack
from stackproof.planning.typed import number, whole
from stackproof.reports import plan_page
from stackproof.reports.plan_charts import cost_by_month
from stackproof.reports.plan_terminal import print_plan
from stackproof.reports.plan_text import machines, why_not_first
from stackproof.targets import STACKS
from stackproof.verification.runs import StorageError

SCHEMA = json.loads((Path(stackproof.planning.__file__).parent / "plan.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of its own, with the sample ceilings as those that come with the package."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(measured, "_shipped", lambda: MEASURED)
    return tmp_path


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli, ["plan", *arguments], standalone_mode=False)
    if isinstance(done.exception, ConfigurationError):
        return Exit.USAGE, done.stdout, str(done.exception)
    assert done.exception is None, done.exception
    return int(done.return_value), done.stdout, done.stderr


def record(directory: Path) -> Path:
    return next((directory / ".stackproof" / "runs").glob("*/plan.json"))


# -- as typed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [("10K", 10_000), ("1m", 10**6), ("2.5M", 2_500_000), ("1B", 10**9), ("10000", 10_000), ("1_000", 1_000)],
)
def test_numbers_as_people_type_them(text: str, value: int) -> None:
    assert whole("--n", text) == value


@pytest.mark.parametrize("text", ["", "ten", "1,00", "1,5", "1e3", "nan", "0x10", "1KK", "2.0001K", "1" * 41, "٣"])
def test_what_is_no_number_is_one_sentence(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^--n .*looks like 10000, 10K") as caught:
        whole("--n", text)
    assert "\n" not in str(caught.value)


def test_a_number_may_be_typed_as_it_is_shown() -> None:
    assert whole("--n", "1,234,000") == whole("--n", "1_234_000") == whole("--n", "1,234K") == 1_234_000


def test_on_a_desk_log_lines_are_not_kept_unless_it_is_asked_for(here: Path) -> None:
    code, out, _ = run("--decisions-per-day", "10K", "--hosting", "local", "--out", "a")
    assert code == Exit.HOLDS
    assert "log lines, 0 days: 0 bytes" in " ".join(out.split())
    code, out, _ = run("--decisions-per-day", "10K", "--hosting", "local", "--log-retention-days", "30", "--out", "b")
    assert code == Exit.INCONCLUSIVE
    assert "lines on the console are not kept, and --log-retention-days is 30" in " ".join(out.split())
    code, out, _ = run("--decisions-per-day", "10K", "--stack", "development", "--out", "c")
    assert "lacks a capability" in " ".join(out.split()), "the same stack, by the same rule"


def test_every_stack_that_is_listed_can_be_judged(here: Path) -> None:
    for stack in STACKS:
        code, _, err = run("--decisions-per-day", "10K", "--stack", stack.name, "--out", stack.name)
        assert code == Exit.HOLDS, err


def test_shares_may_be_percent() -> None:
    assert number("--n", "10%") == number("--n", "0.1")
    assert number("--n", "-5 %") == number("--n", "-0.05")


def test_there_is_an_option_for_each_field_of_a_workload() -> None:
    names = [field.name for field in fields(Workload)]
    assert list(_INPUTS) == names
    options = {
        option for parameter in command.params if isinstance(parameter, click.Option) for option in parameter.opts
    }
    assert {"--" + name.replace("_", "-") for name in names} <= options


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--decisions-per-day", "ten"], "--decisions-per-day 'ten' is no number"),
        (["--decisions-per-day", "0"], "--decisions-per-day is 0; it lies between 1 and"),
        (["--decisions-per-day", "-5"], "--decisions-per-day is -5; it lies between 1 and"),
        (["--decisions-per-day", "100000B"], "--decisions-per-day is 100000000000000; it lies"),
        (["--decisions-per-day", "1K", "--records", "0"], "while --records is 0: there is nothing to be searched"),
        (["--decisions-per-day", "1K", "--cache-hit-ratio", "1.1"], "--cache-hit-ratio is 1.1"),
        (["--decisions-per-day", "1K", "--p99-ms", "0"], "--p99-ms is 0; it lies above 0"),
        (["--decisions-per-day", "1K", "--headroom", "0.5"], "--headroom is 0.5; it lies between 1 and 100"),
        (["--decisions-per-day", "1K", "--require", "fast"], "--require 'fast' is no capability"),
        (["--decisions-per-day", "1K", "--stack", "none"], "'none' is not a known stack, and no file of one"),
        (["--decisions-per-day", "1K", "--prices", "none.toml"], "--prices none.toml cannot be read"),
        (["--decisions-per-day", "1K", "--runs", "nowhere"], "--runs nowhere is no directory"),
    ],
)
def test_absurd_input_is_one_clear_sentence(here: Path, arguments: list[str], sentence: str) -> None:
    code, out, err = run(*arguments)
    assert code == Exit.USAGE
    assert sentence in err
    assert "\n" not in err.strip()
    assert out == ""
    assert not (here / ".stackproof").exists(), "nothing is kept of what was not answered"


# -- what it leaves ---------------------------------------------------------------------------------------------------


def test_the_answer_is_kept_and_told(here: Path) -> None:
    code, out, _ = run(
        "--decisions-per-day", "1M", "--growth-per-month", "10%", "--months", "3", "--stack", "startup-aws"
    )
    assert code == Exit.HOLDS
    assert out.startswith("For 1,000,000 decisions a day: interactions=postgres (rds), events=kinesis (provisioned)")
    for heading in (
        "Until when",
        "What it rests on",
        "Not known",
        "Read with care",
        "The stack that was named: Startup on AWS",
    ):
        assert heading in out
    kept = from_json(record(here).read_text(encoding="utf-8"))
    assert (
        kept.command == "stackproof plan --decisions-per-day 1M --growth-per-month 10% --months 3 --stack startup-aws"
    )
    assert [row.month for row in kept.months] == [0, 1, 2, 3]
    assert (record(here).parent / "plan.html").is_file()
    assert (record(here).parent / "stack.env").read_text(encoding="utf-8") == kept.environment


def test_json_keeps_its_schema_and_comes_back(here: Path) -> None:
    code, out, _ = run("--decisions-per-day", "10K", "--p99-ms", "20", "--json", "-")
    assert code == Exit.HOLDS
    data = json.loads(out)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(data, SCHEMA)
    assert to_json(from_json(out)) == out
    data["candidates"][0]["status"] = "splendid"
    with pytest.raises(ValueError, match="status"):
        from_json(json.dumps(data))
    with pytest.raises(ValueError, match="no plan of schema"):
        from_json('{"schema": "stackproof-plan/2"}')


def test_the_page_is_written_again_from_the_record(here: Path) -> None:
    run("--decisions-per-day", "10K")
    page = record(here).parent / "plan.html"
    first = page.read_text(encoding="utf-8")
    page.unlink()
    done = CliRunner().invoke(cli, ["report", str(page.parent)])
    assert done.exit_code == 0, done.output
    assert page.read_text(encoding="utf-8") == first


def test_nothing_that_is_known_to_carry_it_is_exit_code_3(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_shipped", lambda: ())
    code, out, _ = run("--decisions-per-day", "10K")
    assert code == Exit.INCONCLUSIVE
    assert out.startswith("Not known: no backend for search is known to carry 10,000 decisions a day.")


def test_what_cannot_be_kept_is_an_error_and_costs_no_answer(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = here / "other"
    other.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(other))
    (here / "a" / "plan.json").mkdir(parents=True)
    done = CliRunner().invoke(cli, ["plan", "--decisions-per-day", "10K", "--out", "a"], standalone_mode=False)
    (kept,) = other.glob("stackproof-run-*/plan.json")
    assert isinstance(done.exception, StorageError)
    assert str(done.exception) == f"a/plan.json cannot be written: Is a directory; it is kept as {kept}"
    assert "What it rests on" in done.stdout
    assert "Kept in" not in done.stdout
    assert from_json(kept.read_text(encoding="utf-8")).recommended is not None


def test_a_file_that_cannot_be_written_costs_no_answer(here: Path) -> None:
    asked_for = ("--json", "/dev/full", "--env-file", "my.env", "--out", "a")
    done = CliRunner().invoke(cli, ["plan", "--decisions-per-day", "10K", *asked_for], standalone_mode=False)
    assert isinstance(done.exception, StorageError)
    assert str(done.exception) == "/dev/full cannot be written: No space left on device"
    assert "What it rests on" in done.stdout
    assert (here / "my.env").is_file()
    assert (here / "a" / "plan.json").is_file()


def test_where_nothing_is_recommended_no_earlier_environment_file_looks_like_the_answer(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, _ = run("--decisions-per-day", "10K", "--env-file", "my.env", "--out", "a")
    earlier = (here / "my.env").read_text(encoding="utf-8")
    assert code == Exit.HOLDS
    monkeypatch.setattr(measured, "_shipped", lambda: ())
    code, out, _ = run("--decisions-per-day", "10K", "--env-file", "my.env", "--out", "b")
    assert code == Exit.INCONCLUSIVE
    assert "No stack is recommended: my.env, which is of an earlier plan, is called my.env.old now." in out
    assert not (here / "my.env").exists()
    assert (here / "my.env.old").read_text(encoding="utf-8") == earlier, "it may have been filled in by hand"
    _, out, _ = run("--decisions-per-day", "10K", "--env-file", "my.env", "--out", "c")
    assert "earlier plan" not in out


def test_a_damaged_run_hides_nothing(here: Path) -> None:
    bad = here / ".stackproof" / "runs" / "bad"
    bad.mkdir(parents=True)
    (bad / "run.json").write_text("{", encoding="utf-8")
    code, out, _ = run("--decisions-per-day", "10K")
    assert code == Exit.HOLDS
    assert "bad cannot be read as a run of load" in " ".join(out.split())


# -- the environment file ---------------------------------------------------------------------------------------------


def test_the_container_takes_the_environment_file_as_it_is(here: Path) -> None:
    code, _, _ = run("--decisions-per-day", "1M", "--env-file", "my.env")
    assert code == Exit.HOLDS
    text = (here / "my.env").read_text(encoding="utf-8")
    filled = PLACEHOLDER.sub("x", text)
    infra = build_infra(Settings(parse_environment(filled)))
    assert {concern: entry.name for concern, entry in infra.chosen.items()} == {
        "interactions": "postgres",
        "events": "kinesis",
        "search": "postgres",
        "cache": "elasticache",
        "logs": "cloudwatch",
    }
    assert type(infra.interactions).__name__ == "PostgresInteractionStore"
    assert type(infra.cache).__name__ == "ElastiCacheCache"
    infra.shutdown()


def test_every_line_of_the_environment_file_is_a_comment_or_a_variable_and_no_secret() -> None:
    text = plan(10_000).environment
    assert all(re.fullmatch(r"#.*|[A-Z_]+=\S*", line) for line in text.splitlines())
    assert "REPLACE_DATABASE_PASSWORD" in text
    assert "#   REPLACE_UPSTASH_TOKEN" in text
    variables = parse_environment(text)
    assert variables["STACKPROOF_ENV"] == "production"
    with pytest.raises(ValueError, match="line 1 is no KEY=value"):
        parse_environment("nonsense")


@pytest.mark.parametrize(("concern", "backend"), sorted(DECLARED))
def test_every_backend_can_be_configured_by_such_a_file(concern: str, backend: str) -> None:
    backends = {"interactions": "memory", "events": "memory", "search": "memory", "cache": "memory", "logs": "memory"}
    text = environment_file({**backends, concern: backend}, "one of them", production=False)
    variables = parse_environment(PLACEHOLDER.sub("127.0.0.1", text))
    infra = build_infra(Settings({**variables, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}))
    assert infra.chosen[concern].name == backend
    if backend in ("scylla", "cassandra", "keyspaces", "kafka", "redpanda", "msk"):
        assert (
            concern,
            backend,
        ) in VARIABLES  # their adapters look up names, or begin threads: what they need is there
        return
    adapter = getattr(infra, concern)
    assert adapter is not None
    infra.shutdown()


# -- the page ---------------------------------------------------------------------------------------------------------


def page_of(**changes: object) -> str:
    return plan_page.render(plan(10_000, about=asked(p99_ms=20), judged=find_planned_stack("enterprise"), **changes))  # type: ignore[arg-type]


def test_the_page_has_every_statement_with_its_numbers_and_asks_nobody() -> None:
    text = page_of(growth_per_month=1)
    found = plan(10_000, about=asked(p99_ms=20), judged=find_planned_stack("enterprise"), growth_per_month=1)
    for section in (
        "Recommended",
        "Alternatives",
        "Until when",
        "Every backend, and why",
        "Not known",
        "Environment file",
    ):
        assert section in text
    assert text.count('id="basis-') == len(found.basis)
    targets = set(re.findall(r'href="#(basis-\d+)"', text))
    assert targets
    assert all(f'id="{target}"' in text for target in targets)
    assert not re.search(r'(?:src|href)="(?!#|data:)', text)
    assert "<script" not in text
    assert 'class="chart ' in text


def test_how_many_machines_of_which_type_are_bought_stands_beside_each_item(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = plan(2_000_000, about=asked(where=Where.AWS), records=900_000)
    assert found.recommended is not None
    bought = {part.concern: machines(part, found) for part in found.recommended.chosen}
    assert bought == {
        "interactions": "1 x PostgreSQL on db.t3.large",
        "events": "1 x provisioned shard",
        "search": "2 x instance c4.2xlarge.search",
        "cache": "",
        "logs": "",
    }
    print_plan(found, Console(width=200))
    shown = capsys.readouterr().out
    page = plan_page.render(found)
    answer = page.partition('<h2 id="recommended">')[2].partition("</table>")[0]
    for text in filter(None, bought.values()):
        assert text in shown
        assert text in answer


@pytest.mark.parametrize(
    ("quantity", "told"), [("at least 1,460", "at least 2 x"), ("730 to 2,190", "1 to 3 x"), ("365", "0.5 x")]
)
def test_the_number_of_machines_is_as_certain_as_the_line_of_the_bill(quantity: str, told: str) -> None:
    found = plan(2_000_000, about=asked(where=Where.AWS), records=900_000)
    assert found.recommended is not None
    part = found.recommended.chosen[0]
    lines = tuple(replace(line, quantity=quantity) for line in part.lines if line.unit == "instance-hour")
    assert machines(replace(part, lines=lines), found) == f"{told} PostgreSQL on db.t3.large"


def test_the_page_says_of_how_many_decisions_the_cost_is() -> None:
    page = plan_page.render(plan(2_000_000, growth_per_month=Decimal("0.1")))
    assert "2,000,000 a day cost a month" in page
    assert "the cost beside it is that of 2,000,000" in page


def test_the_axis_of_the_chart_names_its_unit() -> None:
    chart = cost_by_month(plan(100_000, growth_per_month=Decimal("0.1")).months)
    assert "USD a month" in chart


def test_where_a_stack_ends_no_digits_of_the_search_are_told() -> None:
    """It ends a thousandth above what holds, which is where the halving stopped and nothing that was measured."""
    found = plan(1_000_000, about=asked(where=Where.AWS), searches_per_day=0).outgrown
    assert found is not None
    (stops,) = [each.text for each in found.statements if each.text.startswith("What stops it there")]
    assert "the peak is just above what was measured to hold" in stops, stops
    assert "1.00" not in stops


def test_names_of_others_are_escaped_on_the_page() -> None:
    hostile = "<script>alert(1)</script>\u202e"
    bad = ceiling(1, 2, run=hostile, refused=(hostile,))
    stack = find_planned_stack("enterprise")
    text = plan_page.render(plan(10_000, measured=known(bad, shipped=MEASURED), judged=stack))
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "\u202e" not in text


def test_a_plan_without_a_recommendation_has_a_page_too() -> None:
    text = plan_page.render(plan(10_000, measured=known()))
    assert "NOT KNOWN" in text
    assert "Recommended" not in text.split("<h2")[1]


def test_what_a_statement_rests_on_can_be_looked_up() -> None:
    found = plan(10_000)
    some = found.of(("price:rds-storage", "nothing"))
    assert [basis.id for basis in some] == ["price:rds-storage"]
    assert isinstance(some[0], Basis)
    assert all(isinstance(statement, Statement) for statement in found.statements)


def test_what_is_moved_to_is_another_stack_and_the_limit_is_told_in_three_digits() -> None:
    grown = plan(1_000_000).outgrown
    assert grown is not None
    assert grown.most_decisions_per_day is not None
    told = " ".join(statement.text for statement in grown.statements)
    assert "12,500,000 decisions a day" in told
    assert "To move to: " in told
    assert "the same backends" not in told


def test_the_page_says_why_an_alternative_is_not_first_and_folds_what_is_long() -> None:
    text = page_of()
    assert "Why it is not first" in text
    assert re.search(r"<strong>interactions</strong>: \d+ feasible, \d+ ", text)
    assert "That is no rule" not in text
    assert text.index('id="recommended"') < text.index("<details>")


def test_each_alternative_has_a_reason_by_the_rules_of_ranking() -> None:
    found = plan(10_000, about=asked(p99_ms=20))
    assert found.recommended is not None
    assert found.alternatives
    reasons = [why_not_first(row, found.recommended) for row in found.alternatives]
    assert all(reasons)
    assert "it ranks after it" not in reasons
    unknown = replace(found.alternatives[0], cost=replace(found.recommended.cost, unknown=("a price",)))
    assert "a part of its cost is unknown" in why_not_first(
        unknown, replace(found.recommended, cost=replace(found.recommended.cost, unknown=()))
    )
