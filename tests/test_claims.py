"""The file of claims: it holds what was published, and its reader refuses what could not be judged as it says."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields
from importlib.resources import files

import jsonschema
import pytest
from planning_samples import CLAIMS

from stackproof.adapters.registry import CONCERNS
from stackproof.interfaces import ConfigurationError
from stackproof.planning.audit_words import commands, number, says
from stackproof.planning.claims import Claim, Comparison, Dimension, Method, read_claims
from stackproof.shape import misshapen
from stackproof.targets import STACKS

SMALLEST = {
    "id": '"a"',
    "sentence": '"At most 5 writes/s"',
    "verbatim": "true",
    "where": '"here"',
    "concern": '"interactions"',
    "backend": '"interactions=postgres"',
    "dimension": '"throughput"',
    "quantity": "5",
    "unit": '"writes/s"',
    "comparison": '"at-most"',
    "reading": '"as it says"',
    "judged_by": '"rate"',
    "scenarios": '[{ name = "ingest" }]',
    "testable": "true",
    "why": '"it runs here"',
}


def a_file(*, head: str = 'schema = "stackproof-claims/1"', **changes: str | None) -> str:
    rows = {name: value for name, value in {**SMALLEST, **changes}.items() if value is not None}
    return "\n".join([head, "[[claim]]", *(f"{name} = {value}" for name, value in rows.items())])


# -- what was published ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "sentence", "quantity", "upto", "comparison", "unit"),
    [
        ("postgres-decisions", "less than 10K decisions/day", 10_000, None, "less-than", "decisions/day"),
        ("postgres-customers", "< 500K customers", 500_000, None, "less-than", "customers"),
        ("postgres-writes", "<= 1,000 writes/s sustained", 1_000, None, "at-most", "writes/s"),
        ("redis-events-throughput", "low-to-medium throughput", None, None, "unquantified", "events/s"),
        ("postgres-search-records", "Under 1M records, simple search queries", 1_000_000, None, "less-than", "records"),
        ("postgres-store-cost", "Included with your existing database", 0, None, "equals", "USD/month"),
        ("postgres-search-cost", "Included with your existing database", 0, None, "equals", "USD/month"),
        ("redis-events-cost", "Included with your Redis instance", 0, None, "equals", "USD/month"),
        ("development-cost", "$0 (local)", 0, None, "equals", "USD/month"),
        ("startup-aws-cost", "$50-100/mo", 50, 100, "between", "USD/month"),
        ("growth-aws-cost", "$500-1K/mo", 500, 1_000, "between", "USD/month"),
        ("enterprise-cost", "$2K+/mo", 2_000, None, "at-least", "USD/month"),
        ("growth-aws-throughput", "Higher throughput", None, None, "unquantified", "decisions/s"),
        ("enterprise-throughput", "Maximum throughput", None, None, "unquantified", "decisions/s"),
    ],
)
def test_each_published_number_is_a_claim(
    claim: str, sentence: str, quantity: float | None, upto: float | None, comparison: str, unit: str
) -> None:
    found = CLAIMS[claim]
    assert sentence in found.sentence
    assert (found.quantity, found.upto, found.comparison, found.unit) == (quantity, upto, comparison, unit)


def test_there_is_no_other_claim() -> None:
    assert len(CLAIMS) == 14


def test_ten_thousand_a_day_are_a_little_more_than_a_tenth_of_one_a_second() -> None:
    assert CLAIMS["postgres-decisions"].rate == pytest.approx(0.1157, abs=1e-4)
    assert CLAIMS["postgres-writes"].rate == 1_000
    assert [claim.id for claim in CLAIMS.values() if claim.rate is not None] == [
        "postgres-decisions",
        "postgres-writes",
    ]


@pytest.mark.parametrize(("unit", "rate"), [("x/s", 7_200), ("x/min", 120), ("x/hour", 2), ("x/day", 1 / 12)])
def test_a_rate_is_told_by_the_second(unit: str, rate: float) -> None:
    (claim,) = read_claims(a_file(unit=f'"{unit}"', quantity="7200"), "mine")
    assert claim.rate == pytest.approx(rate)


def test_each_stack_of_the_documentation_has_its_cost() -> None:
    costs = {claim.stack for claim in CLAIMS.values() if claim.dimension is Dimension.COST and claim.stack}
    assert costs == {stack.name for stack in STACKS if stack.name != "memory"}


def test_what_cannot_be_tested_here_says_why_and_what_would_settle_it() -> None:
    for claim in CLAIMS.values():
        assert claim.why.endswith(".")
        assert claim.settles
        if claim.comparison is Comparison.UNQUANTIFIED:
            assert not claim.testable
            assert "No number is published" in claim.why


def test_a_paraphrase_is_not_shown_as_a_quotation() -> None:
    for claim in CLAIMS.values():
        assert ("“" in says(claim)) is claim.verbatim


def test_a_claim_reads_with_its_number_and_its_rate() -> None:
    assert number(CLAIMS["postgres-decisions"]) == "less than 10,000 decisions/day, which is 0.1157/s"
    assert number(CLAIMS["postgres-writes"]) == "at most 1,000 writes/s"
    assert number(CLAIMS["startup-aws-cost"]) == "between 50 and 100 USD/month"
    assert number(CLAIMS["development-cost"]) == "0 USD/month"
    assert number(CLAIMS["redis-events-throughput"]) == "no number"


def test_what_to_type_is_a_command_line_that_is_understood() -> None:
    import click

    from stackproof.cli import cli

    bench = cli.get_command(click.Context(cli), "bench")
    assert bench is not None
    for claim in CLAIMS.values():
        for measure in claim.scenarios:
            for line in commands(claim, measure):
                program, name, *words = line.split()
                assert (program, name) == ("stackproof", "bench")
                bench.make_context(name, words)


def test_the_command_for_a_size_names_it_and_the_one_for_a_crossing_both_backends() -> None:
    (customers,) = commands(CLAIMS["postgres-customers"], CLAIMS["postgres-customers"].scenarios[0])
    assert "--set customers=500000" in customers
    lines = commands(CLAIMS["postgres-search-records"], CLAIMS["postgres-search-records"].scenarios[0])
    assert {re.findall(r"search=\w+|records=\d+|--slo \S+", line)[0] for line in lines} == {
        "search=postgres",
        "search=opensearch",
    }
    assert all("--slo" in line for line in lines)
    assert {re.findall(r"records=(\d+)", line)[0] for line in lines} == {"10000", "100000", "1000000"}


def test_the_file_keeps_its_json_schema_which_knows_the_fields_that_the_reader_knows() -> None:
    schema = json.loads((files("stackproof.planning") / "claims.schema.json").read_text(encoding="utf-8"))
    data = tomllib.loads((files("stackproof.planning") / "claims.toml").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(data, schema)
    assert misshapen(data, schema) == []
    described = schema["properties"]["claim"]["items"]["properties"]
    assert set(described) == {field.name for field in fields(Claim)}
    assert set(described["dimension"]["enum"]) == set(Dimension)
    assert set(described["comparison"]["enum"]) == set(Comparison)
    assert set(described["judged_by"]["enum"]) == set(Method)
    assert set(described["concern"]["enum"]) == set(CONCERNS)


# -- the reader -----------------------------------------------------------------------------------------------------


def test_the_smallest_claim_is_read() -> None:
    (claim,) = read_claims(a_file(), "mine")
    assert (claim.id, claim.quantity, claim.judged_by) == ("a", 5.0, Method.RATE)
    assert (claim.scenarios[0].scenario, claim.scenarios[0].per_unit) == ("ingest", 1.0)


@pytest.mark.parametrize(
    ("changes", "says_what"),
    [
        ({"id": '"A b"'}, "needs an id of small letters"),
        ({"id": None}, "needs a text as 'id'"),
        ({"sentence": '" "'}, "needs a text as 'sentence'"),
        ({"verbatim": '"yes"'}, "needs true or false as 'verbatim'"),
        ({"testable": "1"}, "needs true or false as 'testable'"),
        ({"colour": '"red"'}, "knows no field 'colour'"),
        ({"dimension": '"speed"'}, "needs as 'dimension' one of throughput, customers, records, cost, not 'speed'"),
        ({"quantity": '"many"'}, "needs a number of at least 0 as 'quantity'"),
        ({"quantity": "true"}, "needs a number of at least 0 as 'quantity'"),
        ({"quantity": "-1"}, "needs a number of at least 0 as 'quantity'"),
        ({"quantity": "nan"}, "needs a number of at least 0 as 'quantity'"),
        ({"quantity": "inf"}, "needs a number of at least 0 as 'quantity'"),
        ({"quantity": "0"}, "needs a quantity above 0"),
        ({"quantity": None}, "needs a quantity, or the comparison 'unquantified'"),
        ({"comparison": '"unquantified"'}, "needs a quantity, or the comparison 'unquantified'"),
        ({"comparison": '"between"'}, "needs an upper end 'upto'"),
        ({"upto": "7"}, "needs an upper end 'upto'"),
        ({"comparison": '"at-least"'}, "cannot be judged by rate as at-least"),
        ({"unit": '"writes"'}, "needs a rate as its unit"),
        ({"unit": '"writes/month"'}, "needs a rate as its unit"),
        ({"dimension": '"records"', "unit": '"documents"'}, "needs the unit records"),
        ({"dimension": '"records"', "unit": '"records"'}, "cannot be judged by rate: it is about records"),
        ({"backend": None, "concern": None}, "needs a backend or a stack"),
        ({"backend": None, "concern": None, "stack": '"development"'}, "needs a backend to be judged by rate"),
        ({"concern": '"storage"'}, "needs as 'concern' one of interactions"),
        ({"concern": '"cache"'}, "is about interactions=postgres, and needs its concern"),
        ({"backend": '"interactions=oracle"'}, "cannot be judged: --backend interactions='oracle' is not a known"),
        ({"stack": '"mine"'}, "cannot be judged: --stack='mine' is not a known stack"),
        ({"scenarios": None}, "needs scenarios to be judged by rate"),
        ({"scenarios": '["ingest"]'}, "needs as 'scenarios' a list of tables"),
        ({"scenarios": '[{ name = "injest" }]'}, "cannot be judged: the scenario 'injest' is unknown"),
        ({"scenarios": '[{ name = "ingest", times = 2 }]'}, "knows no field 'times' of a scenario"),
        ({"scenarios": '[{ name = "ingest", per_unit = 0 }]'}, "needs a number above 0 as 'per_unit' of ingest"),
        ({"scenarios": '[{ name = "ingest", per_unit = inf }]'}, "needs a number above 0 as 'per_unit' of ingest"),
        ({"scenarios": '[{ name = "ingest", settings = { depth = 1 } }]'}, "has no setting 'depth'"),
        ({"scenarios": '[{ name = "ingest" }, { name = "ingest" }]'}, "names a scenario twice"),
        ({"setting": '"customers"'}, "needs the setting that is its size"),
        ({"at_rate": "5"}, "needs a rate above 0 as 'at_rate'"),
        ({"against": '"search=opensearch"'}, "needs a backend as 'against'"),
        ({"binds": '"storage"'}, "needs a list of texts as 'binds'"),
        ({"binds": '["storage", 1]'}, "needs a list of texts as 'binds'"),
        (
            {
                "judged_by": '"size"',
                "dimension": '"customers"',
                "unit": '"customers"',
                "setting": '"customers"',
                "at_rate": "1",
            },
            "is about the setting 'customers', which ingest does not have",
        ),
        (
            {"judged_by": '"nothing"', "comparison": '"unquantified"', "quantity": None},
            "cannot be testable: it is judged by nothing",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_its_place(changes: dict[str, str | None], says_what: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_claims(a_file(**changes), "mine.toml")
    assert says_what in str(caught.value)
    assert str(caught.value).startswith("mine.toml, claim 1")
    assert "\n" not in str(caught.value)


def test_a_range_must_go_up() -> None:
    cost = {"judged_by": '"cost"', "dimension": '"cost"', "unit": '"USD/month"', "comparison": '"between"'}
    assert read_claims(a_file(**cost, quantity="5", upto="6"), "mine")[0].upto == 6
    with pytest.raises(ConfigurationError, match="an upper end above its lower end"):
        read_claims(a_file(**cost, quantity="5", upto="5"), "mine")


@pytest.mark.parametrize(
    ("text", "says_what"),
    [
        ("schema =", "mine is no TOML"),
        ('schema = "stackproof-claims/2"', "must begin with: schema = 'stackproof-claims/1'"),
        ("", "must begin with"),
        ('schema = "stackproof-claims/1"', "needs at least one"),
        ('schema = "stackproof-claims/1"\nclaim = 5', "needs at least one"),
        ('schema = "stackproof-claims/1"\nclaim = ["a"]', "needs at least one"),
        ('schema = "stackproof-claims/1"\nclaims = []', "knows nothing called 'claims'"),
    ],
)
def test_a_file_that_is_none_is_refused(text: str, says_what: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(says_what)):
        read_claims(text, "mine")


def test_two_claims_of_one_id_are_refused() -> None:
    doubled = a_file() + "\n" + a_file(head="")
    with pytest.raises(ConfigurationError, match="two claims with the id 'a'"):
        read_claims(doubled, "mine")
