"""Missing history of a peg is not safety: how far one is taken to move that nobody saw break."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from engine.assess import assess
from engine.rules import MPOR_DAYS_MAX, RuleBook
from engine.scenarios.pegs import floored_peg_moves
from engine.scenarios.risk_factors import factor_moves
from engine.scenarios.scenario_set import scenario_set
from tests.worlds import small

SPOT = "binance:BTCUSDT-SPOT"


def rules(peg_move_min: float | None = None) -> RuleBook:
    book = small.rules(small.agreement("A"))
    if peg_move_min is None:
        return book
    proxy = replace(book.house.proxy, peg_move_min=peg_move_min)
    return replace(book, house=replace(book.house, proxy=proxy))


def without_pegs(days: int = 0) -> pd.DataFrame:
    """Return price history in which stablecoins have but their last ``days``."""
    history = small.price_history()
    is_stable = history["asset"].isin(["USDT", "USDC"])
    recent = history["date"] > history["date"].max() - pd.Timedelta(days=days)
    return history[~is_stable | recent].reset_index(drop=True)


def requirement(history: pd.DataFrame, book: RuleBook, asset: str, quantity: float) -> float:
    """Return the requirement of a holding of one stablecoin, bought with dollars."""
    table = small.instruments()
    is_spot = table["instrument_id"] == SPOT
    table.loc[is_spot, ["underlying", "quote_asset", "settlement_asset"]] = [asset, "USD", "USD"]
    marks = small.snapshot().marks
    marks.loc[marks["instrument_id"] == SPOT, "mark_price"] = 1.0
    snapshot = small.snapshot(instruments=table, marks=marks, price_history=history)
    positions = small.position_set(("A", SPOT, quantity))
    found = assess(snapshot, positions, small.collateral_set(), book).requirements.iloc[0]
    return float(found["core_margin"])


@pytest.mark.parametrize("quantity", [1e6, -1e6])
@pytest.mark.parametrize("days", [0, 1, 2, 100])
def test_the_first_days_of_a_stablecoin_are_margined_as_if_it_could_break(
    quantity: float, days: int
) -> None:
    book = rules()
    found = requirement(without_pegs(days), book, "USDT", quantity)
    assumed = book.house.proxy.return_multiplier * book.house.proxy.peg_move_min
    floor = 1e6 * (1.0 - np.exp(-assumed)) if quantity > 0.0 else 1e6 * np.expm1(assumed)
    assert found >= 0.97 * floor
    assert found <= 1.1 * floor


def test_without_the_floor_missing_history_reads_as_safe() -> None:
    assert requirement(without_pegs(), rules(0.0), "USDT", 1e6) == 0.0


def test_a_coin_with_history_of_its_own_keeps_its_figure() -> None:
    history = small.price_history()
    with_floor, without = rules(), rules(0.0)
    assert requirement(history, with_floor, "USDT", 1e6) == requirement(
        history, without, "USDT", 1e6
    )


def test_where_another_peg_was_seen_to_break_that_is_what_stands_in() -> None:
    history = without_pegs()
    other = small.price_history()
    other = other[other["asset"] == "USDC"].copy()
    broken = other["date"] == other["date"].max() - pd.Timedelta(days=100)
    other.loc[broken, "close"] = 0.90
    history = pd.concat([history, other], ignore_index=True)
    assert requirement(history, rules(), "USDT", 1e6) == requirement(
        history, rules(0.0), "USDT", 1e6
    )


def test_the_proxy_note_names_the_floor() -> None:
    book = rules()
    moves = factor_moves(
        small.snapshot(price_history=without_pegs()), ("BTC", "USD", "USDT"), book.house
    )
    note = next(note for note in moves.notes if note.factor == "index:USDT")
    assert "at least 0.04" in note.proxy


def test_holes_in_a_known_history_are_filled_as_before() -> None:
    history = small.price_history()
    is_hole = (history["asset"] == "USDT") & history["date"].isin(
        history["date"].drop_duplicates().nlargest(40).iloc[20:23]
    )
    history = history[~is_hole]
    assert requirement(history, rules(), "USDT", 1e6) == requirement(
        history, rules(0.0), "USDT", 1e6
    )


@pytest.mark.parametrize("mpor_days", range(1, MPOR_DAYS_MAX + 1))
def test_the_assumed_move_reaches_every_margin_period_of_risk_undiminished(mpor_days: int) -> None:
    book = rules()
    snapshot = small.snapshot(price_history=without_pegs())
    assets = ("BTC", "USD", "USDC", "USDT")
    scenarios = scenario_set(factor_moves(snapshot, assets, book.house), book.house)
    row = assets.index("USDT")
    moves = scenarios.by_mpor[mpor_days].index[row, scenarios.historical]
    assumed = book.house.proxy.return_multiplier * book.house.proxy.peg_move_min
    for sign in (-1.0, 1.0):
        worst = np.sort(sign * moves)[::-1][: moves.size // 40]
        assert worst.mean() == pytest.approx(assumed, rel=0.02)


def test_no_floor_is_no_assumption() -> None:
    quiet = np.zeros(12)
    assert floored_peg_moves(quiet, 12, 0.0) is quiet
