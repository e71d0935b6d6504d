"""Value of all holdings under the house rules."""

from __future__ import annotations

import pandas as pd
import pytest

from engine.collateral.valuation import COLLATERAL_COLUMNS, value_collateral
from engine.errors import ModelInputError, ParameterError
from engine.rules import RuleBook
from tests.worlds import small

PRICES = {"BTC": 60_000.0, "ETH": 3_000.0, "USDT": 1.0, "EUR": 1.1, "SOL": 150.0, "FTT": 2.0}


def rules() -> RuleBook:
    return small.rules(small.agreement("A"), small.agreement("B", currency="EUR"))


def held(*rows: tuple[str, str, str, str, float]) -> pd.DataFrame:
    columns = ["netting_set_id", "location", "asset", "state", "quantity"]
    return pd.DataFrame(rows, columns=columns)


def valued(
    *rows: tuple[str, str, str, str, float], prices: dict[str, float] | None = None
) -> pd.DataFrame:
    given = PRICES if prices is None else prices
    return value_collateral(held(*rows), given, rules(), {"EUR": 1.1})


def test_cash_of_the_agreement_counts_in_full() -> None:
    row = valued(("A", "bank", "USD", "settled", 1_000.0)).iloc[0]
    assert row["collateral_value"] == 1_000.0
    assert (row["haircut"], row["fx_haircut"]) == (0.0, 0.0)


def test_stablecoin_is_another_currency() -> None:
    row = valued(("A", "bank", "USD", "settled", 9e6), ("A", "x", "USDT", "settled", 1_000.0))
    usdt = row[row["asset"] == "USDT"].iloc[0]
    assert usdt["collateral_value"] == pytest.approx(1_000.0 * (1 - 0.02 - 0.08))


def test_value_is_in_the_currency_of_the_agreement() -> None:
    row = valued(("B", "bank", "EUR", "settled", 500.0)).iloc[0]
    assert row["market_value"] == pytest.approx(500.0)
    assert row["collateral_value"] == pytest.approx(500.0)


def test_tiers_apply_to_the_holding_of_all_locations() -> None:
    split = valued(
        ("A", "x", "BTC", "settled", 250.0),
        ("A", "y", "BTC", "settled", 250.0),
        ("A", "bank", "USD", "settled", 1e9),
    )
    bitcoin = split[split["asset"] == "BTC"]
    expected = (20e6 * 0.10 + 10e6 * 0.15) / 30e6
    assert bitcoin["haircut"].tolist() == pytest.approx([expected, expected])


def test_collateral_in_transit_counts_at_neither_side() -> None:
    rows = valued(("A", "x", "USD", "pending", 1_000.0), ("A", "x", "USD", "settled", 10.0))
    assert rows["collateral_value"].tolist() == [0.0, 10.0]
    assert "not settled" in rows["reason"].iloc[0]


@pytest.mark.parametrize(
    ("asset", "reason"),
    [("DOGE", "no collateral parameters of DOGE"), ("FTT", "FTT is not eligible")],
)
def test_asset_that_does_not_count_says_why(asset: str, reason: str) -> None:
    row = valued(("A", "x", asset, "settled", 1_000.0)).iloc[0]
    assert row["collateral_value"] == 0.0
    assert row["reason"] == reason
    assert not row["eligible"]


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 0.0, -1.0])
def test_unusable_price_makes_collateral_worthless_and_says_so(price: float) -> None:
    row = valued(("A", "x", "BTC", "settled", 1.0), prices={"BTC": price}).iloc[0]
    assert (row["market_value"], row["collateral_value"]) == (0.0, 0.0)
    assert row["reason"] == "no usable price of BTC"


def test_missing_currency_rate_makes_collateral_worthless_and_says_so() -> None:
    frame = value_collateral(held(("B", "x", "USD", "settled", 1.0)), PRICES, rules(), {})
    assert frame["collateral_value"].tolist() == [0.0]
    assert frame["reason"].tolist() == ["no USD rate of EUR"]


def test_asset_counts_for_at_most_its_share() -> None:
    rows = valued(("A", "x", "SOL", "settled", 1_000.0), ("A", "bank", "USD", "settled", 100_000.0))
    solana = rows[rows["asset"] == "SOL"].iloc[0]
    before = 150_000.0 * (1 - 0.25 - 0.08)
    assert solana["collateral_value"] == pytest.approx(0.30 * (before + 100_000.0))
    assert solana["concentration_cut"] == pytest.approx(before - solana["collateral_value"])


def test_one_coin_alone_still_counts_up_to_its_limit() -> None:
    row = valued(("A", "x", "BTC", "settled", 1.0)).iloc[0]
    assert row["collateral_value"] == pytest.approx(0.80 * 60_000.0 * (1 - 0.10 - 0.08))


def test_concentration_of_one_netting_set_does_not_touch_another() -> None:
    alone = valued(("A", "x", "BTC", "settled", 1.0))
    both = valued(("A", "x", "BTC", "settled", 1.0), ("B", "x", "BTC", "settled", 99.0))
    assert both[both["netting_set_id"] == "A"].iloc[0].equals(alone.iloc[0])


def test_order_of_holdings_changes_nothing() -> None:
    rows = [
        ("A", "x", "BTC", "settled", 1.1),
        ("A", "y", "BTC", "settled", 2.3),
        ("A", "x", "ETH", "pending", 3.0),
        ("B", "x", "USDT", "settled", 1e8),
    ]
    pd.testing.assert_frame_equal(valued(*rows), valued(*reversed(rows)))


def test_no_holdings_give_an_empty_table() -> None:
    frame = valued()
    assert tuple(frame.columns) == COLLATERAL_COLUMNS
    assert frame.empty


@pytest.mark.parametrize("quantity", [-1.0, float("nan")])
def test_unusable_quantity_is_refused(quantity: float) -> None:
    with pytest.raises(ModelInputError, match="quantity of BTC"):
        valued(("A", "x", "BTC", "settled", quantity))


def test_holder_without_an_agreement_is_refused_by_name() -> None:
    with pytest.raises(ParameterError, match="netting set Z"):
        valued(("Z", "x", "BTC", "settled", 1.0))
