"""The price book: its data, the user's own file, and what is said of a wrong one."""

from __future__ import annotations

import json
import tomllib
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest

import stackproof.planning
from stackproof.interfaces import ConfigurationError
from stackproof.planning.amount import Amount, Quantity
from stackproof.planning.price_book import STALE_DAYS, Confidence, PriceBook, load_prices, parse_prices

FOLDER = Path(stackproof.planning.__file__).parent
BOOK = load_prices()
TODAY = date(2026, 11, 26)
HEAD = 'schema = "stackproof-prices/1"\n'
ENTRY = """
[prices.mine]
provider = "me"
service = "mine"
dimension = "machine"
unit = "host-hour"
amount = 0.05
currency = "USD"
region = "cellar"
date = 2026-11-01
source = "my bill"
confidence = "high"
"""


def own(tmp_path: Path, text: str) -> PriceBook:
    file = tmp_path / "own.toml"
    file.write_text(text, encoding="utf-8")
    return load_prices(file)


def test_the_data_keep_their_schema() -> None:
    data = tomllib.loads((FOLDER / "prices.toml").read_text(encoding="utf-8"))
    schema = json.loads((FOLDER / "prices.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(json.dumps(data, default=str)), schema)


def test_every_price_has_its_evidence() -> None:
    assert len(BOOK.prices) > 70
    for price in BOOK.prices.values():
        assert price.currency == "USD"
        assert len(price.source) > 3
        if price.low is None:
            assert price.note, f"{price.id} is not known, and does not say why"
            assert price.confidence is Confidence.LOW
        elif price.date is None:
            assert "no date" in price.note
        if price.confidence is Confidence.LOW and price.low is not None:
            assert price.low != price.high, f"the sources of {price.id} contradict each other, and it is no range"


@pytest.mark.parametrize(
    ("id", "amount"),
    [  # read off the price table by hand, for one unit
        ("dynamodb-write-request", "0.000000625"),
        ("dynamodb-read-request", "0.000000125"),
        ("kinesis-shard", "0.015"),
        ("kinesis-put", "0.000000014"),
        ("eventbridge-event", "0.000001"),
        ("sqs-request", "0.0000004"),
        ("cloudwatch-logs-ingest", "0.5"),
        ("msk-kafka-t3-small", "0.0456"),
        ("rds-postgres-db-t3-large", "0.145"),
        ("elasticache-serverless-valkey-ecpu", "0.0000000023"),
        ("opensearch-c4-2xlarge-search", "0.587"),
        ("upstash-command", "0.000002"),
    ],
)
def test_prices_of_one_unit(id: str, amount: str) -> None:  # noqa: A002
    assert BOOK.of_one(id) == Amount.of(Decimal(amount), currency="USD")


def test_what_was_not_obtained_is_unknown_and_what_is_contradictory_a_range() -> None:
    for id_ in ("keyspaces-write-request", "msk-serverless-cluster", "rds-postgres-db-t4g-small", "opensearch-m6g"):
        assert not BOOK.of_one(id_).known
        assert not BOOK.cost(id_, Quantity.of(0)).known
    discovery = BOOK.of_one("eventbridge-schema-discovery")
    assert (discovery.low, discovery.high) == (Decimal("0.0000001"), Decimal("0.000001"))


def test_old_prices_are_told_against_the_day_that_is_given() -> None:
    listed = BOOK.price("rds-storage").date
    assert listed == date(2026, 5, 3)
    assert BOOK.warnings(listed + timedelta(days=STALE_DAYS), ["rds-storage"]) == ()
    (told,) = BOOK.warnings(listed + timedelta(days=STALE_DAYS + 1), ["rds-storage", "rds-storage"])
    assert told == "the price rds-storage is of 2026-05-03, 181 days old (more than 180)"
    (undated,) = BOOK.warnings(TODAY, ["upstash-command"])
    assert undated == "the price upstash-command has no date: its age is not known"
    (future,) = BOOK.warnings(date(2020, 1, 1), ["rds-storage"])
    assert "in the future" in future
    assert BOOK.warnings(TODAY, ["keyspaces-storage"]) == ()  # an unknown price is not old
    assert len(BOOK.warnings(TODAY)) > 50


def test_how_much_a_machine_holds_has_its_source(tmp_path: Path) -> None:
    node = BOOK.price("elasticache-cache-m4-large")
    assert node.holds_bytes == 6_892_593_152 * 3 // 4
    assert "ParameterGroups.Engine.html" in node.holds_source
    assert own(tmp_path, HEAD + ENTRY).price("mine").holds_bytes is None
    held = own(tmp_path, HEAD + ENTRY + 'holds_bytes = 8_000_000_000\nholds_source = "its label"\n').price("mine")
    assert (held.holds_bytes, held.holds_source) == (8_000_000_000, "its label")
    for extra, said in (
        ("holds_bytes = 8", "holds_source is missing"),
        ('holds_source = "its label"', "holds_source is the source of holds_bytes, which is missing"),
        ('holds_bytes = 0\nholds_source = "x"', "holds_bytes is 0; it lies between 1 and"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            own(tmp_path, HEAD + ENTRY + extra)


def test_a_file_of_ones_own_replaces_and_adds(tmp_path: Path) -> None:
    replaced = ENTRY.replace("prices.mine", "prices.self-hosted-host")
    book = own(tmp_path, HEAD + ENTRY + replaced)
    assert book.of_one("mine") == book.of_one("self-hosted-host") == Amount.of(Decimal("0.05"), currency="USD")
    assert book.price("mine").file.endswith("own.toml")
    assert book.of_one("rds-storage") == BOOK.of_one("rds-storage")
    assert not BOOK.of_one("self-hosted-host").known, "the built-in book must stay as it was"


def test_a_known_price_can_be_made_unknown(tmp_path: Path) -> None:
    text = HEAD + ENTRY.replace("prices.mine", "prices.rds-storage").replace("amount = 0.05\n", "")
    assert not own(tmp_path, text).of_one("rds-storage").known
    assert not BOOK.without("rds-storage").of_one("rds-storage").known


def test_another_currency_makes_the_rest_unknown(tmp_path: Path) -> None:
    book = own(tmp_path, HEAD + 'currency = "EUR"\n' + ENTRY.replace('currency = "USD"\n', ""))
    assert book.of_one("mine") == Amount.of(Decimal("0.05"), currency="EUR")
    (reason,) = book.of_one("rds-storage").unknown
    assert reason == "the price rds-storage is in USD, and no rate of exchange to EUR is known"


WRONG = [
    ("not toml [", "own.toml is no TOML"),
    ("", "own.toml: schema is missing"),
    ('schema = "stackproof-prices/9"', "own.toml: schema must be 'stackproof-prices/1', not 'stackproof-prices/9'"),
    (HEAD + "colour = 1", "own.toml: 'colour' is not known there; known are: currency, prices, quotas, schema"),
    (HEAD + 'currency = "dollars"', "own.toml: currency must be a code of three letters"),
    (HEAD + "prices = 3", "own.toml: prices must be a table of entries, not 3"),
    (HEAD + "[prices]\nmine = 3", "own.toml: prices.mine must be a table"),
    (HEAD + ENTRY.replace("prices.mine", 'prices."Mine!"'), "prices.'Mine!' is no id"),
    (HEAD + ENTRY.replace('unit = "host-hour"\n', ""), "own.toml, prices.mine: unit is missing"),
    (HEAD + ENTRY.replace('"my bill"', '""'), "prices.mine: source must be one line of text that is not empty"),
    (HEAD + ENTRY.replace('"my bill"', '"a\\u001b[31mb"'), "source must be one line of text"),
    (HEAD + ENTRY.replace("0.05", '"0.05"'), "own.toml, prices.mine: amount must be a number, not '0.05'"),
    (HEAD + ENTRY.replace("0.05", "true"), "prices.mine: amount must be a number, not True"),
    (HEAD + ENTRY.replace("0.05", "-0.05"), "prices.mine: amount is -0.05; a price lies between 0 and"),
    (HEAD + ENTRY.replace("0.05", "nan"), "prices.mine: amount is NaN; a price lies between"),
    (HEAD + ENTRY.replace("0.05", "inf"), "prices.mine: amount is Infinity; a price lies between"),
    (HEAD + ENTRY.replace("0.05", "1e-30"), "amount has more than 12 digits after the point"),
    (HEAD + ENTRY.replace("0.05", "0.05\nlow = 1"), "prices.mine: low cannot be given beside amount"),
    (HEAD + ENTRY.replace("amount = 0.05", "low = 2\nhigh = 1"), "prices.mine: high is 1, which is less than low, 2"),
    (HEAD + ENTRY.replace("amount = 0.05", "low = 2"), "own.toml, prices.mine: high is missing"),
    (HEAD + ENTRY.replace("0.05", "0.05\nper = 3"), "prices.mine: per must be a power of ten, not 3"),
    (HEAD + ENTRY.replace("0.05", "0.05\nper = 0"), "prices.mine: per is 0; it lies between 1 and"),
    (HEAD + ENTRY.replace("2026-11-01", '"yesterday"'), "prices.mine: date must be a date, such as 2026-05-03"),
    (HEAD + ENTRY.replace("2026-11-01", "2026-11-01T10:00:00"), "prices.mine: date must be a date without a time"),
    (HEAD + ENTRY.replace('"high"', '"sure"'), "confidence must be high, medium or low, not 'sure'"),
    (HEAD + ENTRY.replace('currency = "USD"\n', ""), "own.toml, prices.mine: currency is missing"),
    (HEAD + '[quotas.q]\nservice = "s"\nwhat = "w"\nlimit = 1.5', "own.toml, quotas.q: limit must be a whole number"),
    (
        HEAD + '[quotas.q]\nservice = "s"\nwhat = "w"\nlimit = 1\nunit = "u"\nkind = "some"',
        "kind must be hard, soft or start",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG, ids=[sentence[:50] for _, sentence in WRONG])
def test_a_wrong_file_is_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        own(tmp_path, text)
    told = str(caught.value)
    assert sentence in told
    assert "own.toml" in told
    assert "\n" not in told or "TOML" in told


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--prices .*none.toml cannot be read: No such file"):
        load_prices(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="it is not UTF-8"):
        load_prices(tmp_path / "latin.toml")


def test_an_id_that_is_in_no_file() -> None:
    with pytest.raises(ConfigurationError, match=r"there is no price 'gold' in prices.toml"):
        BOOK.of_one("gold")
    with pytest.raises(ConfigurationError, match=r"there is no quota 'gold' in prices.toml"):
        BOOK.quota("gold")


def test_amounts_are_read_without_a_float() -> None:
    text = HEAD + ENTRY.replace("0.05", "0.100000000001")  # as a float: 0.10000000000009999...
    price = parse_prices(text, "x.toml").price("mine")
    assert price.low == Decimal("0.100000000001")
