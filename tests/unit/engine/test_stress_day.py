"""A stress day takes from each netting set what its positions and collateral lose at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from engine.assess import assess
from engine.attribution import Close
from engine.errors import MissingDataError, ParameterError
from engine.market import prepare
from engine.portfolio import portfolio
from engine.rules import StressScenario
from engine.whatif import STRESS_DAY_COLUMNS, day_of_history, own_day, stress_day
from tests.worlds import small


@pytest.fixture(scope="module")
def ready():
    close = Close(
        small.snapshot(),
        small.position_set(
            ("L", "binance:BTCUSDT", 2.0),
            ("S", "binance:BTCUSDT", -2.0),
            ("C", "binance:ETHUSDT", 1.0),
            ("I", "deribit:BTC-PERPETUAL", 6_000.0),
        ),
        small.collateral_set(
            ("L", "USDC", 120_000.0), ("S", "USDC", 200_000.0), ("C", "BTC", 1.0),
            ("I", "USDC", 200_000.0),
        ),
        small.rules(*(small.agreement(name) for name in "LSCI")),
    )  # fmt: skip
    market = prepare(close.snapshot, close.rules)
    book = portfolio(market, close.positions, close.collateral, close.rules)
    found = assess(close.snapshot, close.positions, close.collateral, close.rules)
    return close, market, book, found


def lived(ready, scenario: StressScenario):
    close, market, book, found = ready
    frame = stress_day(close, market, book, found.requirements, found.collateral, scenario)
    assert tuple(frame.columns) == STRESS_DAY_COLUMNS
    return frame.set_index("netting_set_id")


def still() -> StressScenario:
    return StressScenario(name="still", source="test", index={}, volatility=0.0, basis=0.0)


def test_a_day_on_which_nothing_moves_takes_nothing_and_calls_as_the_close_did(ready) -> None:
    frame, close = lived(ready, still()), ready[3].requirements.set_index("netting_set_id")
    assert (frame["pnl"] == 0.0).all()
    assert (frame["collateral_after"] == close["collateral_amount"]).all()
    expected = close["call_action"].where(close["call_action"] == "call", "none")
    assert (frame["call_action"] == expected).all()


def test_linear_gains_and_losses_are_quantity_times_the_move(ready) -> None:
    frame = lived(ready, own_day({"BTC": -0.25}, {}, 0.0, 0.0))
    assert frame.loc["L", "pnl"] == pytest.approx(-2.0 * 60_000.0 * 0.25)
    assert frame.loc["S", "pnl"] == pytest.approx(+2.0 * 60_000.0 * 0.25)
    assert frame.loc["C", "pnl"] == 0.0
    # Coin-settled: contracts of 10 USD gain 1/before - 1/after coins, worth the price after.
    coins = 6_000.0 * 10.0 * (1.0 / 60_000.0 - 1.0 / 45_000.0)
    assert frame.loc["I", "pnl"] == pytest.approx(coins * 45_000.0)


def test_collateral_is_valued_at_the_prices_of_that_day(ready) -> None:
    frame = lived(ready, own_day({"BTC": -0.5}, {}, 0.0, 0.0))
    before, after = (frame.loc["C", name] for name in ("collateral_before", "collateral_after"))
    assert after == pytest.approx(before / 2, abs=Decimal("0.01"))


def test_what_is_owed_stays_and_what_is_lost_is_called_for(ready) -> None:
    frame, close = lived(ready, own_day({"BTC": -0.9}, {}, 0.0, 0.0)), ready[3].requirements
    owed = close.set_index("netting_set_id")["requirement_amount"]
    assert (frame["owed"] == owed).all()
    missing = frame.loc["L", "owed"] - frame.loc["L", "collateral_after"]
    # Rounded up to the agreement's 100.
    assert frame.loc["L", "call_action"] == "call"
    assert missing <= frame.loc["L", "call_amount"] < missing + 100
    assert frame.loc["S", "call_amount"] == 0


def test_a_falling_stablecoin_takes_from_who_holds_it(ready) -> None:
    frame = lived(ready, own_day({}, {"USDC": -0.1}, 0.0, 0.0))
    before, after = (frame.loc["L", name] for name in ("collateral_before", "collateral_after"))
    assert after == pytest.approx(before * Decimal("0.9"), abs=Decimal("0.02"))


def test_a_day_of_the_history_moves_as_it_did(ready) -> None:
    history = ready[0].snapshot.price_history
    day = small.BUSINESS_DATE - timedelta(days=9)
    frame = lived(ready, day_of_history(history, day))
    closes = history.pivot(index="date", columns="asset", values="close").loc[: str(day)]
    moved = closes.iloc[-1] / closes.iloc[-2]
    # The contract is quoted and settled in USDT, which moves as well.
    expected = 2.0 * 60_000.0 * (moved["BTC"] - moved["USDT"])
    assert abs(expected) > 100.0
    assert frame.loc["L", "pnl"] == pytest.approx(expected)
    with pytest.raises(MissingDataError, match="2009-01-03"):
        day_of_history(history, date(2009, 1, 3))


def test_own_moves_have_limits() -> None:
    for moves in ({}, {"BTC": -1.0}, {"BTC": float("nan")}):
        with pytest.raises(ParameterError):
            own_day(moves, {}, 0.0, 0.0)


def test_the_library_is_taken_as_it_stands(ready) -> None:
    days = ready[0].rules.house.stress
    frames = [lived(ready, day) for day in days]
    assert all(frame["pnl"].notna().all() for frame in frames)
    crash = replace(days[0], volatility=0.0, basis=0.0)
    assert lived(ready, crash).loc["L", "pnl"] < -30_000.0
