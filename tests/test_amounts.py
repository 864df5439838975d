"""Money and quantities: exact, and an unknown stays one."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackproof.planning.amount import Amount, Quantity, cents, plain

MONEY = st.decimals(min_value=0, max_value=10**9, places=6, allow_nan=False, allow_infinity=False)
REASONS = st.lists(st.sampled_from(["no price", "no size", "not measured"]), max_size=2).map(tuple)


@st.composite
def amounts(draw: st.DrawFn) -> Amount:
    low, high = sorted((draw(MONEY), draw(MONEY)))
    return Amount(low, high, "USD", draw(REASONS))


@given(amounts(), amounts(), amounts())
def test_a_sum_is_exact_in_any_order_and_keeps_every_reason(a: Amount, b: Amount, c: Amount) -> None:
    one, other = (a + b) + c, c + (b + a)
    assert (one.low, one.high) == (other.low, other.high)
    assert Fraction(one.low) == sum(map(Fraction, (a.low, b.low, c.low)))
    assert Fraction(one.high) == sum(map(Fraction, (a.high, b.high, c.high)))
    assert set(one.unknown) == {*a.unknown, *b.unknown, *c.unknown} == set(other.unknown)
    assert one.known == (a.known and b.known and c.known)


@given(amounts(), st.integers(0, 10**15), st.integers(0, 10**15))
def test_a_product_is_exact_and_spans_both_ranges(amount: Amount, one: int, other: int) -> None:
    low, high = sorted((one, other))
    product = amount * Quantity.of(low, high)
    assert Fraction(product.low) == Fraction(amount.low) * low
    assert Fraction(product.high) == Fraction(amount.high) * high
    assert product.unknown == tuple(dict.fromkeys(amount.unknown))


def test_tenths_are_tenths() -> None:
    dime = Amount.of(Decimal("0.1"), currency="USD")
    assert (dime + dime + dime).low == Decimal("0.3")  # 0.1 + 0.1 + 0.1 as floats is 0.30000000000000004
    assert (dime * 3).high == Decimal("0.3")


def test_nothing_bought_of_an_unknown_price_is_still_unknown() -> None:
    price = Amount.not_known("no price", currency="USD")
    assert (price * 0).unknown == ("no price",)
    assert not (price * 0 + Amount.of(5, currency="USD")).known


def test_a_quantity_that_is_not_known_makes_the_amount_unknown() -> None:
    cost = Amount.of(2, currency="USD") * Quantity.of(3, unknown=["not measured"])
    assert (cost.low, cost.unknown) == (6, ("not measured",))
    assert str(cost) == "at least 6.00 USD"


@pytest.mark.parametrize("wrong", [0.1, True, "1", None])
def test_what_is_no_exact_number_is_refused(wrong: object) -> None:
    for make in (
        lambda: Amount.of(wrong, currency="USD"),  # type: ignore[arg-type]
        lambda: Quantity.of(wrong),  # type: ignore[arg-type]
        lambda: Amount.of(1, currency="USD") * wrong,  # type: ignore[operator]
    ):
        with pytest.raises(TypeError, match="a Decimal or an int"):
            make()


@pytest.mark.parametrize("wrong", [-1, Decimal("-0.01"), Decimal("NaN"), Decimal("Infinity")])
def test_what_is_no_sum_of_money_is_refused(wrong: Decimal | int) -> None:
    with pytest.raises(ValueError, match="finite number from 0 on"):
        Amount.of(wrong, currency="USD")
    with pytest.raises(ValueError, match="finite number from 0 on"):
        Amount.of(1, currency="USD") * wrong


def test_a_range_has_two_ends() -> None:
    for kind in (Amount(Decimal(1), Decimal(2), "USD"), Quantity(Decimal(1), Decimal(2))):
        assert kind.low < kind.high
    with pytest.raises(ValueError, match="which is nothing"):
        Amount(Decimal(2), Decimal(1), "USD")
    with pytest.raises(ValueError, match="which is nothing"):
        Quantity(Decimal(2), Decimal(1))


def test_currencies_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="USD and EUR cannot be added"):
        Amount.of(1, currency="USD") + Amount.of(1, currency="EUR")
    with pytest.raises(ValueError, match="cannot be compared"):
        Amount.of(1, currency="USD").below(Amount.of(2, currency="EUR"))


def test_a_price_of_many_is_one_of_one_only_without_a_loss() -> None:
    assert Amount.of(Decimal("0.625"), currency="USD").per(1_000_000).low == Decimal("0.000000625")
    with pytest.raises(ValueError, match="no exact price of one"):
        Amount.of(1, currency="USD").per(3)


@pytest.mark.parametrize(
    ("amount", "limit", "below"),
    [
        (Amount.of(1, 2, currency="USD"), Amount.of(3, currency="USD"), True),
        (Amount.of(4, currency="USD"), Amount.of(3, currency="USD"), False),
        (Amount.of(3, currency="USD"), Amount.of(3, currency="USD"), False),
        (Amount.of(1, 4, currency="USD"), Amount.of(3, currency="USD"), None),
        # a lower bound says only that it is more
        (Amount(Decimal(1), Decimal(1), "USD", ("no price",)), Amount.of(3, currency="USD"), None),
        (Amount(Decimal(4), Decimal(4), "USD", ("no price",)), Amount.of(3, currency="USD"), False),
        (Amount.of(1, currency="USD"), Amount(Decimal(3), Decimal(3), "USD", ("no price",)), True),
        (Amount.of(5, currency="USD"), Amount(Decimal(3), Decimal(3), "USD", ("no price",)), None),
    ],
)
def test_a_comparison_says_when_it_does_not_know(amount: Amount, limit: Amount, below: bool | None) -> None:
    assert amount.below(limit) is below


def test_how_it_reads() -> None:
    assert str(Amount.of(Decimal("1234.5"), currency="USD")) == "1,234.50 USD"
    assert str(Amount.of(1, 2, currency="EUR")) == "1.00 to 2.00 EUR"
    assert str(Amount.not_known("no price", currency="USD")) == "unknown"
    assert (cents(Decimal("0.0042")), cents(Decimal("1.15e-7")), cents(Decimal(0))) == ("<0.01", "<0.01", "0.00")
    assert str(Amount.of(Decimal("0.005"), Decimal("0.01"), currency="USD")) == "<0.01 to 0.01 USD"
    assert str(Amount(Decimal("0.005"), Decimal(1), "USD", ("no price",))) == "more than 0 USD"
    assert plain(Decimal("1200.50")) == "1,200.5"
    assert str(Quantity.of(1, 2)) == "1 to 2"
