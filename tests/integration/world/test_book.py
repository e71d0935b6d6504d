"""The generated book: plausible, in lots, and broken exactly where it was broken on purpose."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.assess import assess
from engine.errors import MissingDataError, ParameterError
from engine.ids import SnapshotId
from engine.reconciliation import reconcile
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from engine.times import close_of
from infra.rules import DEFAULT_PARAMETERS, agreements_from, read_house_parameters, rule_book
from infra.simulator.world import BookMarket, BookShape, generate_book
from infra.simulator.world.breaks import BALANCE_BREAK, POSITION_BREAKS
from infra.simulator.world.venue_rules import shipped_rules
from tests.integration.world.conftest import SMALL, BuiltWorld

KEY = ["account_id", "instrument_id"]
DAY = SMALL.last_business_date


def book_market(world: BuiltWorld) -> BookMarket:
    names = ("instruments", "marks", "index_prices", "fx_rates", "liquidity", "price_history")
    return BookMarket(**{name: world.frame(name) for name in names})


def oms(world: BuiltWorld, days_back: int = 0) -> pd.DataFrame:
    """Return the positions of one date as the order management system reports them."""
    frame = world.frame("positions")
    day = pd.Timestamp(DAY - timedelta(days=days_back))
    return frame[(frame["source"] == "oms") & (frame["business_date"] == day)]


def test_the_three_books_differ_exactly_where_breaks_were_planted(small_world: BuiltWorld) -> None:
    found = reconcile(small_world.last("positions"), small_world.last("collateral")).breaks
    planted = small_world.summary.breaks
    assert sum(planted.values()) == small_world.summary.netting_sets_with_breaks
    assert found["netting_set_id"].nunique() == small_world.summary.netting_sets_with_breaks == 12
    kinds = found["kind"].value_counts()
    # A position in the wrong account is missing in one and surplus in the other.
    assert kinds["account"] == 2 * planted["wrong_account"]
    assert kinds["balance"] == planted[BALANCE_BREAK]
    assert len(found) == sum(planted.values()) + planted["wrong_account"]


def test_every_kind_of_break_is_planted(small_world: BuiltWorld) -> None:
    assert set(small_world.summary.breaks) == {*POSITION_BREAKS, BALANCE_BREAK}


def test_some_breaks_are_a_day_old_and_keep_their_name(small_world: BuiltWorld) -> None:
    before = pd.Timestamp(DAY - timedelta(days=1))
    positions, collateral = small_world.frame("positions"), small_world.frame("collateral")
    old = reconcile(
        positions[positions["business_date"] == before],
        collateral[collateral["business_date"] == before],
    ).breaks
    new = reconcile(small_world.last("positions"), small_world.last("collateral")).breaks
    assert 0 < len(old) < len(new)
    assert set(old["break_id"]) <= set(new["break_id"])


def test_without_a_share_of_breaks_the_books_agree(small_world: BuiltWorld) -> None:
    book = generate_book(book_market(small_world), 60, 5, [DAY], BookShape(break_share=0.0))
    assert book.breaks.empty
    assert reconcile(book.positions, book.collateral).breaks.empty


def test_quantities_are_whole_lots(small_world: BuiltWorld) -> None:
    instruments = small_world.frame("instruments").set_index("instrument_id")
    positions = small_world.frame("positions")
    lots = positions["quantity"] / positions["instrument_id"].map(instruments["lot_size"])
    # Binary noise of a quantity over its lot: a few units in the last place.
    assert ((lots - lots.round()).abs() < 1e-6 + 1e-14 * lots.abs()).all()
    assert (positions["quantity"] != 0.0).all()
    orders = small_world.frame("open_orders")
    lots = orders["remaining_quantity"] / orders["instrument_id"].map(instruments["lot_size"])
    assert ((lots - lots.round()).abs() < 1e-6 + 1e-14 * lots.abs()).all()
    ticks = orders["limit_price"] / orders["instrument_id"].map(instruments["tick_size"])
    # Nine digits of a price over its tick are left of a float.
    assert (ticks - ticks.round()).abs().max() < 1e-5


def test_every_netting_set_has_positions_collateral_and_terms(small_world: BuiltWorld) -> None:
    terms = set(small_world.frame("agreements")["netting_set_id"])
    assert len(terms) == SMALL.n_netting_sets
    assert set(small_world.last("positions")["netting_set_id"]) == terms
    assert set(small_world.last("collateral")["netting_set_id"]) == terms


def test_a_netting_set_spans_one_to_four_venues(small_world: BuiltWorld) -> None:
    n_venues = oms(small_world).groupby("netting_set_id")["venue"].nunique()
    assert set(n_venues) == {1, 2, 3, 4}
    one_account_one_set = oms(small_world).groupby("account_id")["netting_set_id"].nunique()
    assert (one_account_one_set == 1).all()


def test_sizes_span_orders_of_magnitude_and_respect_volumes(small_world: BuiltWorld) -> None:
    book = generate_book(book_market(small_world), 1_000, 9, [DAY])
    instruments = small_world.frame("instruments").set_index("instrument_id")
    perpetual = book.positions[book.positions["source"] == "oms"]
    names = perpetual["instrument_id"]
    linear = names.map(instruments["kind"] + instruments["payoff"]) == "perpetuallinear"
    marks = small_world.last("marks").set_index("instrument_id")["mark_price"]
    notional = (
        perpetual["quantity"] * names.map(marks) * names.map(instruments["contract_multiplier"])
    ).abs()[linear]
    by_set = notional.groupby(perpetual["netting_set_id"]).sum()
    assert np.log10(by_set.quantile(0.995) / by_set.quantile(0.005)) > 3.0
    volume = small_world.last("liquidity").set_index("asset")["average_daily_volume_usd"]
    share = notional / names.map(instruments["underlying"]).map(volume)[linear]
    assert share.max() < 0.5


def test_yesterdays_book_differs_by_a_days_trades(small_world: BuiltWorld) -> None:
    now, before = oms(small_world).set_index(KEY), oms(small_world, 1).set_index(KEY)
    both = now.join(before["quantity"].rename("before"), how="inner")
    traded = (both["quantity"] != both["before"]).mean()
    assert 0.10 < traded < 0.40
    assert 0.85 < len(both) / len(before) < 0.99
    assert 0.005 < 1.0 - len(both) / len(now) < 0.10


def test_untraded_positions_are_settled_at_the_previous_mark(small_world: BuiltWorld) -> None:
    marks = small_world.frame("marks")
    previous = marks[marks["business_date"] < pd.Timestamp(DAY)]
    previous = previous.set_index("instrument_id")["mark_price"]
    now, before = oms(small_world).set_index(KEY), oms(small_world, 1).set_index(KEY)
    both = now.join(before["quantity"].rename("before"), how="inner")
    same = both[both["quantity"] == both["before"]]
    expected = same.index.get_level_values("instrument_id").map(previous)
    assert len(same) > 500
    # Settled prices are kept to ten significant digits.
    assert np.abs(same["settled_price"] / expected - 1.0).max() < 1e-9


def test_what_expires_is_held_on_the_day_and_gone_after(small_world: BuiltWorld) -> None:
    expiry = small_world.frame("instruments").set_index("instrument_id")["expiry_utc"]
    today = oms(small_world)["instrument_id"].map(expiry).dropna().dt.date
    assert (today == DAY).sum() > 0
    assert today.min() == DAY


def test_equal_arguments_give_equal_books_and_other_seeds_other_books(
    small_world: BuiltWorld,
) -> None:
    market = book_market(small_world)
    dates = list(SMALL.business_dates)
    first, again = (generate_book(market, 40, 3, dates) for _ in range(2))
    other = generate_book(market, 40, 4, dates)
    for name in ("positions", "collateral", "open_orders", "agreements", "breaks"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(again, name))
        assert not getattr(first, name).equals(getattr(other, name))


def test_dates_out_of_order_and_empty_books_are_refused(small_world: BuiltWorld) -> None:
    market = book_market(small_world)
    with pytest.raises(ParameterError, match="ascending"):
        generate_book(market, 5, 1, [DAY, DAY - timedelta(days=1)])
    with pytest.raises(ParameterError, match="netting set"):
        generate_book(market, 0, 1, [DAY])
    with pytest.raises(MissingDataError, match="no instrument has a usable mark on 2020-01-01"):
        generate_book(market, 5, 1, [date(2020, 1, 1)])


def assessed(world: BuiltWorld, marks: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the requirements that the engine finds for the world's last date."""
    history = world.frame("price_history")
    good = history["close"].gt(0.0) & ~history.duplicated(["date", "asset"], keep=False)
    close = pd.Timestamp(close_of(DAY))
    funding = world.frame("funding")
    snapshot = Snapshot(
        snapshot_id=SnapshotId("test"),
        business_date=DAY,
        as_of=close_of(DAY),
        instruments=world.frame("instruments"),
        marks=world.last("marks") if marks is None else marks,
        index_prices=world.last("index_prices"),
        fx_rates=world.last("fx_rates"),
        funding=funding[funding["ts_utc"] > close - pd.Timedelta(days=1)],
        liquidity=world.last("liquidity"),
        price_history=history[good],
        volatility_history=world.frame("volatility_history"),
        basis_history=world.frame("basis_history"),
    )
    house, text = read_house_parameters(DEFAULT_PARAMETERS, DAY)
    rules = rule_book(house, text, agreements_from(world.frame("agreements")), shipped_rules(DAY))
    positions = PositionSet(
        world.last("positions"),
        world.last("open_orders"),
        world.frame("accounts"),
        world.last("venue_margin"),
    )
    result = assess(snapshot, positions, CollateralSet(world.last("collateral")), rules)
    assert result.unsettled.empty == (marks is None)
    return result.requirements


def test_the_engine_assesses_every_netting_set(small_world: BuiltWorld) -> None:
    requirements = assessed(small_world)
    assert set(requirements["status"]) == {"assessed"}
    assert (requirements["requirement"] > 0.0).all()


def test_utilisation_looks_like_a_brokers(small_world: BuiltWorld) -> None:
    requirements = assessed(small_world).merge(
        small_world.frame("agreements"), on=["netting_set_id", "client_id", "currency"]
    )
    owed = requirements["owed"] + requirements["independent_amount"]
    used = (owed - requirements["threshold"]) / requirements["collateral_value"]
    # Most are within their means, some are in call, hardly anyone is far under water.
    assert 0.70 < used.between(0.35, 1.0).mean() < 0.95
    assert 0.03 < (used > 1.0).mean() < 0.25
    assert (used > 1.5).mean() < 0.08


def test_netting_sets_with_a_spoilt_mark_are_held(small_world: BuiltWorld) -> None:
    marks = small_world.last("marks")
    held = oms(small_world)
    name = held["instrument_id"].value_counts().index[0]
    requirements = assessed(small_world, marks[marks["instrument_id"] != name])
    holders = set(held.loc[held["instrument_id"] == name, "netting_set_id"])
    found = requirements.set_index("netting_set_id")["status"]
    assert set(found[found != "assessed"].index) == holders


# Real markets: no options and two venues in 2020, options alone in 2026.


def real_spot_and_perpetuals(real_data: Path, dates: list[date]) -> BookMarket:
    prices = pd.read_parquet(real_data / "prices_daily.parquet")
    window = prices[prices["date"].isin([pd.Timestamp(day) for day in dates])]
    window = window[window["asset"].isin(["BTC", "ETH", "XRP", "LTC", "LINK"])]
    window = window.drop_duplicates(["date", "asset"])
    rows = [
        {
            "instrument_id": f"{venue}:{asset}USDT{suffix}", "venue": venue,
            "venue_symbol": f"{asset}USDT", "kind": kind, "payoff": "linear",
            "underlying": asset, "quote_asset": "USDT", "settlement_asset": "USDT",
            "contract_multiplier": 1.0, "strike": np.nan, "option_type": None,
            "expiry_utc": None, "tick_size": 1e-4, "lot_size": 1e-3,
        }
        for asset in sorted(window["asset"].unique())
        for venue in ("binance", "okx")
        for kind, suffix in (("spot", "-SPOT"), ("perpetual", ""))
    ]  # fmt: skip
    instruments = pd.DataFrame(rows).astype({"expiry_utc": "datetime64[ms, UTC]"})
    closes = window.rename(columns={"date": "business_date", "close": "mark_price"})
    marks = instruments[["instrument_id", "underlying"]].merge(
        closes[["business_date", "asset", "mark_price"]], left_on="underlying", right_on="asset"
    )
    return BookMarket(
        instruments=instruments,
        marks=marks.assign(mark_iv=np.nan, forward_price=np.nan, settlement_price=np.nan),
        index_prices=closes.rename(columns={"mark_price": "index_price"}),
        fx_rates=pd.DataFrame(
            {
                "business_date": [pd.Timestamp(day) for day in dates for _ in range(2)],
                "asset": ["USD", "USDT"] * len(dates),
                "usd_rate": 1.0,
            }
        ),
        liquidity=pd.DataFrame(columns=["business_date", "asset", "average_daily_volume_usd"]),
        price_history=prices[["date", "asset", "close"]],
    )


def test_a_book_over_real_history_trades_what_there_is(real_data: Path) -> None:
    dates = [date(2020, 3, 11), date(2020, 3, 12)]
    market = real_spot_and_perpetuals(real_data, dates)
    book = generate_book(market, 80, 2, dates)
    assert set(book.styles["style"]) <= {
        "directional", "carry", "market_maker", "concentrated", "hedged",
    }  # fmt: skip
    assert "option_seller" not in set(book.styles["style"])
    assert book.positions["business_date"].nunique() == 2
    assert set(book.agreements["currency"]) == {"USD", "USDT"}
    assert set(book.collateral["asset"]) == {"USD", "USDT", "BTC", "ETH"}
    # Spot is never short.
    spot = book.positions["instrument_id"].str.endswith("-SPOT")
    off = set(book.breaks["netting_set_id"])
    clean = ~book.positions["netting_set_id"].isin(off)
    assert (book.positions.loc[spot & clean, "quantity"] > 0.0).all()


def test_a_book_over_a_real_option_chain_sells_and_makes_options(real_data: Path) -> None:
    chains = pd.read_parquet(real_data / "options_deribit_snapshots.parquet")
    chain = chains[chains["ts_utc"].dt.date == date(2026, 2, 5)]
    chain = chain[chain["ts_utc"] >= chain["ts_utc"].max() - pd.Timedelta(seconds=20)]
    day = pd.Timestamp(2026, 2, 5)
    instruments = pd.DataFrame(
        {
            "instrument_id": "deribit:" + chain["instrument_name"], "venue": "deribit",
            "venue_symbol": chain["instrument_name"], "kind": "option", "payoff": "inverse",
            "underlying": chain["currency"], "quote_asset": "USD",
            "settlement_asset": chain["currency"], "contract_multiplier": 1.0,
            "strike": chain["strike"], "option_type": chain["option_type"].map(
                {"C": "call", "P": "put"}), "expiry_utc": chain["expiry_utc"],
            "tick_size": 1e-4, "lot_size": 0.1,
        }
    )  # fmt: skip
    index = chain.groupby("currency")["index_price"].median()
    market = BookMarket(
        instruments=instruments,
        marks=pd.DataFrame(
            {
                "business_date": day,
                "instrument_id": instruments["instrument_id"],
                "mark_price": chain["mark_price"],
                "mark_iv": chain["mark_iv"],
                "forward_price": chain["underlying_price"],
                "settlement_price": np.nan,
            }
        ),
        index_prices=pd.DataFrame(
            {"business_date": day, "asset": list(index.index), "index_price": list(index)}
        ),
        fx_rates=pd.DataFrame({"business_date": [day], "asset": ["USD"], "usd_rate": [1.0]}),
        liquidity=pd.DataFrame(columns=["business_date", "asset", "average_daily_volume_usd"]),
        price_history=pd.read_parquet(real_data / "prices_daily.parquet"),
    )
    book = generate_book(market, 50, 2, [day.date()])
    assert set(book.styles["style"]) == {"market_maker", "option_seller"}
    assert book.positions["instrument_id"].isin(instruments["instrument_id"]).all()
    assert set(book.agreements["currency"]) == {"USD"}
