"""Cash settlement of a business date."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from engine.rules import RuleBook
from engine.settlement.day import SETTLEMENT_COLUMNS, UNSETTLED_COLUMNS, DaySettlement, settle_day
from engine.settlement.terms import expiry_phase
from tests.worlds import small

PERP = "binance:BTCUSDT"
INVERSE = "deribit:BTC-PERPETUAL"
FUTURE = "deribit:BTC-26JUN26"
CALL = "deribit:BTC-26JUN26-60000-C"
QUANTO = "okx:ETH-BTC-QUANTO"


def rules() -> RuleBook:
    return small.rules(small.agreement("A"))


def held(*rows: tuple[str, float, float]) -> pd.DataFrame:
    return pd.DataFrame(
        [("A", "A-a", *row) for row in rows],
        columns=["netting_set_id", "account_id", "instrument_id", "quantity", "settled_price"],
    )


def settled(*rows: tuple[str, float, float], **frames: pd.DataFrame) -> DaySettlement:
    return settle_day(small.snapshot(**frames), held(*rows), rules())


def amount_of(found: DaySettlement, kind: str) -> float:
    rows = found.settlements[found.settlements["kind"] == kind]
    assert len(rows) == 1
    return float(rows["amount"].iloc[0])


def expiring(instrument_id: str, at: str, settlement_price: float) -> dict[str, pd.DataFrame]:
    table = small.instruments()
    table.loc[table["instrument_id"] == instrument_id, "expiry_utc"] = pd.Timestamp(at)
    marks = small.marks(table)
    marks.loc[marks["instrument_id"] == instrument_id, "settlement_price"] = settlement_price
    return {"instruments": table, "marks": marks}


def test_linear_gain_is_the_price_change() -> None:
    assert amount_of(settled((PERP, 2.0, 59_000.0)), "variation") == 2_000.0


def test_inverse_gain_is_paid_in_coin() -> None:
    found = settled((INVERSE, 100.0, 50_000.0))
    expected = 100.0 * 10.0 * (1 / 50_000.0 - 1 / 60_000.0)
    assert amount_of(found, "variation") == pytest.approx(expected, rel=1e-12)
    assert found.settlements["asset"].tolist() == ["BTC"]
    assert found.settlements["amount_exact"].tolist() == [Decimal("0.00333333")]


def test_inverse_option_settles_in_its_own_coin_price() -> None:
    assert amount_of(settled((CALL, 3.0, 0.08)), "variation") == pytest.approx(3 * 0.02)


def test_quanto_settles_price_points_in_another_asset() -> None:
    found = settled((QUANTO, 5.0, 2_900.0))
    assert amount_of(found, "variation") == pytest.approx(5 * 1e-6 * 100.0)


def test_longs_pay_positive_funding_on_the_notional() -> None:
    # Rates of 0.0001 and -0.0002 that day: shorts pay on balance.
    assert amount_of(settled((PERP, 2.0, 60_000.0)), "funding") == pytest.approx(12.0)
    assert amount_of(settled((PERP, -2.0, 60_000.0)), "funding") == pytest.approx(-12.0)


def test_funding_of_the_previous_close_belongs_to_the_day_before() -> None:
    funding = small.snapshot().funding.copy()
    funding["ts_utc"] = pd.to_datetime(["2026-03-10T00:00Z", "2026-03-11T00:00Z"])
    found = settled((PERP, 1.0, 60_000.0), funding=funding)
    assert amount_of(found, "funding") == pytest.approx(60_000.0 * 0.0002)


def test_missing_funding_is_said_and_variation_settles_all_the_same() -> None:
    found = settled((INVERSE, 1.0, 60_000.0))
    assert found.settlements["kind"].tolist() == ["variation"]
    assert found.unsettled[["kind", "reason"]].values.tolist() == [
        ["funding", "no funding rate of the date"]
    ]


def test_future_that_expires_inside_the_day_settles_once_at_its_settlement_price() -> None:
    frames = expiring(FUTURE, "2026-03-10T08:00Z", 61_000.0)
    found = settled((FUTURE, 10.0, 60_000.0), **frames)
    assert found.settlements["kind"].tolist() == ["expiry"]
    expected = 10.0 * 10.0 * (1 / 60_000.0 - 1 / 61_000.0)
    assert amount_of(found, "expiry") == pytest.approx(expected)


def test_worthless_option_settles_at_zero() -> None:
    found = settled((CALL, 2.0, 0.05), **expiring(CALL, "2026-03-11T00:00Z", 0.0))
    assert amount_of(found, "expiry") == pytest.approx(-0.1)


def test_expiry_without_a_settlement_price_does_not_settle_at_the_mark() -> None:
    found = settled((CALL, 2.0, 0.05), **expiring(CALL, "2026-03-10T08:00Z", np.nan))
    assert found.settlements.empty
    assert found.unsettled["reason"].tolist() == ["no usable settlement price"]


def test_instrument_that_expired_before_the_day_does_not_settle() -> None:
    found = settled((CALL, 2.0, 0.05), **expiring(CALL, "2026-03-10T00:00Z", 0.05))
    assert found.settlements.empty
    assert "expired at 2026-03-10" in found.unsettled["reason"].iloc[0]


def test_expiry_at_the_close_belongs_to_the_day() -> None:
    table = pd.DataFrame(
        {
            "kind": ["option", "future", "option", "perpetual"],
            "expiry_utc": pd.to_datetime(
                ["2026-03-11T00:00Z", "2026-03-10T00:00Z", "2026-03-11T00:01Z", None]
            ),
        }
    )
    phase = expiry_phase(table, small.BUSINESS_DATE)
    assert phase.inside.tolist() == [True, False, False, False]
    assert phase.before.tolist() == [False, True, False, False]


def test_unknown_instrument_is_left_out_and_named() -> None:
    found = settled(("binance:GHOST", 1.0, 5.0), (PERP, 1.0, 59_000.0))
    assert found.unsettled["instrument_id"].tolist() == ["binance:GHOST"]
    assert found.unsettled["reason"].tolist() == ["unknown instrument"]
    assert amount_of(found, "variation") == 1_000.0


@pytest.mark.parametrize(
    ("mark", "reason"), [(np.nan, "no usable mark"), (0.0, "found 0.0"), (-1.0, "found -1.0")]
)
def test_unusable_mark_settles_nothing(mark: float, reason: str) -> None:
    marks = small.marks(small.instruments())
    marks.loc[marks["instrument_id"] == PERP, "mark_price"] = mark
    found = settled((PERP, 1.0, 59_000.0), marks=marks)
    assert found.settlements.empty
    assert found.unsettled["kind"].tolist() == ["funding", "variation"]
    assert all(reason in text for text in found.unsettled["reason"])


def test_stale_mark_settles_nothing() -> None:
    marks = small.marks(small.instruments())
    marks["observed_utc"] = small.OBSERVED - pd.Timedelta(days=2)
    found = settled((PERP, 1.0, 59_000.0), marks=marks)
    assert found.settlements.empty
    assert "h old, limit" in found.unsettled["reason"].iloc[0]


@pytest.mark.parametrize("settled_price", [0.0, -3.0, np.nan, np.inf])
def test_unusable_settled_price_is_named(settled_price: float) -> None:
    found = settled((CALL, 1.0, settled_price))
    assert found.settlements.empty
    assert "settled price" in found.unsettled["reason"].iloc[0]


def test_amount_beyond_all_money_settles_nothing() -> None:
    found = settled((PERP, 1e300, 59_000.0))
    assert found.settlements.empty
    assert set(found.unsettled["reason"]) == {"amount is no money: limit 1e+27"}


def test_closed_position_settles_nothing() -> None:
    found = settled((PERP, 0.0, 59_000.0))
    assert found.settlements.empty
    assert found.unsettled.empty
    assert tuple(found.settlements.columns) == SETTLEMENT_COLUMNS
    assert tuple(found.unsettled.columns) == UNSETTLED_COLUMNS


def test_amounts_carry_the_scale_of_their_asset() -> None:
    found = settled((PERP, 1 / 3, 59_999.0))
    exact = found.settlements.set_index("kind")["amount_exact"]
    assert exact["variation"] == Decimal("0.333333")


@pytest.mark.parametrize("dataset", ["funding", "marks", "instruments"])
def test_empty_dataset_settles_what_it_can(dataset: str) -> None:
    whole = small.snapshot()
    market = replace(whole, **{dataset: getattr(whole, dataset).iloc[:0]})
    found = settle_day(market, held((PERP, 1.0, 59_000.0)), rules())
    kinds = found.settlements["kind"].tolist()
    assert kinds == (["variation"] if dataset == "funding" else [])
    assert len(found.unsettled) == {"funding": 1, "marks": 2, "instruments": 1}[dataset]


def test_venues_with_the_same_symbol_have_their_own_funding() -> None:
    funding = small.snapshot().funding.assign(venue=["binance", "bybit"])
    found = settled((PERP, 1.0, 60_000.0), funding=funding)
    assert amount_of(found, "funding") == pytest.approx(-60_000.0 * 0.0001)
