"""Laws of venue margins: order, company, emptiness, size."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.snapshot import PositionSet
from engine.venue_accounts import VenueMargins, venue_margins
from tests.examples import examples
from tests.worlds import clearing, small, venues

SETTINGS = settings(
    max_examples=examples(8, of=12), deadline=None, suppress_health_check=list(HealthCheck)
)
RULES, MARKET = clearing.rules(), clearing.snapshot()
MODES = (
    ("binance", "usdm_cross", ("binance:BTCUSDT", "binance:ETHUSDT")),
    ("binance", "portfolio", ("binance:BTCUSDT", "binance:ETHUSDT", "binance:BTCUSDT-SPOT")),
    ("deribit", "standard", ("deribit:BTC-PERPETUAL", "deribit:BTC-26JUN26",
                             "deribit:BTC-26JUN26-60000-C", "deribit:BTC-26JUN26-60000-P")),
    ("deribit", "segregated_portfolio", ("deribit:BTC-PERPETUAL", "deribit:BTC-26JUN26",
                                         "deribit:BTC-26JUN26-60000-C",
                                         "deribit:BTC-26JUN26-60000-P")),
    ("cme", "clearing", (clearing.APRIL, clearing.JUNE, clearing.MICRO, clearing.ETHER,
                         clearing.CALL, clearing.PUT)),
    ("dydx", "cross", (clearing.BTC, clearing.SOL)),
)  # fmt: skip
QUANTITIES = st.floats(-50.0, 50.0, allow_nan=False).map(lambda q: round(q, 3))


@st.composite
def worlds(draw: st.DrawFn) -> PositionSet:
    held, rows, orders = [], [], []
    for number in range(draw(st.integers(1, 4))):
        venue, mode, names = draw(st.sampled_from(MODES))
        owner = f"N{number}"
        rows.append((owner, venue, mode, draw(st.sampled_from([1.0, 5.0, 20.0]))))
        for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=4)):
            held.append((owner, name, draw(QUANTITIES)))
            if draw(st.booleans()):
                side = draw(st.sampled_from(["buy", "sell"]))
                orders.append((owner, name, side, abs(draw(QUANTITIES)) + 0.001))
    positions = small.positions(*held) if held else small.positions(("N0", "x", 1.0)).iloc[:0]
    return PositionSet(positions, venues.orders(*orders), venues.accounts(*rows))


def margins_of(positions: PositionSet) -> VenueMargins:
    return venue_margins(MARKET, positions, small.collateral_set(), RULES)


@SETTINGS
@given(positions=worlds(), seed=st.integers(0, 2**16))
def test_the_order_of_rows_moves_no_bit(positions: PositionSet, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shuffled = PositionSet(
        *(
            frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)
            for frame in (positions.positions, positions.open_orders, positions.accounts)
        )
    )
    before, after = margins_of(positions), margins_of(shuffled)
    for each in fields(VenueMargins):
        pd.testing.assert_frame_equal(
            getattr(before, each.name), getattr(after, each.name), check_exact=True
        )


@SETTINGS
@given(positions=worlds())
def test_an_account_is_the_same_alone_and_in_company(positions: PositionSet) -> None:
    together = margins_of(positions).margins.set_index("account_id")
    for name in positions.accounts["account_id"]:
        alone = PositionSet(
            *(
                frame[frame["account_id"] == name].reset_index(drop=True)
                for frame in (positions.positions, positions.open_orders, positions.accounts)
            )
        )
        found = margins_of(alone).margins.set_index("account_id").loc[name]
        for column in ("initial_margin", "maintenance_margin", "status", "book"):
            assert found[column] == together.loc[name, column] or (
                pd.isna(found[column]) and pd.isna(together.loc[name, column])
            )


@SETTINGS
@given(positions=worlds())
def test_margins_are_never_negative_and_initial_covers_maintenance(positions: PositionSet) -> None:
    found = margins_of(positions).margins
    known = found[found["status"] == "assessed"]
    assert (known["maintenance_margin"] >= 0.0).all()
    assert (known["initial_margin"] >= known["maintenance_margin"]).all()
    empty = known[~known["account_id"].isin(positions.positions["account_id"])]
    empty = empty[~empty["account_id"].isin(positions.open_orders["account_id"])]
    assert (empty["initial_margin"] == 0.0).all()


@SETTINGS
@given(positions=worlds(), lost=st.sampled_from([n for _, _, names in MODES for n in names]))
def test_a_missing_mark_fails_whoever_holds_it_and_nobody_else(
    positions: PositionSet, lost: str
) -> None:
    market = replace(MARKET, marks=MARKET.marks[MARKET.marks["instrument_id"] != lost])
    found = venue_margins(market, positions, small.collateral_set(), RULES).margins
    whole = margins_of(positions).margins
    held = pd.concat([positions.positions, positions.open_orders])
    held = held[held["instrument_id"] == lost]
    amounts = held["quantity"].fillna(held.get("remaining_quantity", 0.0))
    holders = set(held.loc[amounts != 0.0, "account_id"])
    for before, after in zip(whole.to_dict("records"), found.to_dict("records"), strict=True):
        if after["account_id"] in holders:
            assert after["status"] == "failed"
            assert np.isnan(after["initial_margin"])
        else:
            assert after["initial_margin"] == before["initial_margin"] or np.isnan(
                before["initial_margin"]
            )


@SETTINGS
@given(positions=worlds(), factor=st.sampled_from([2.0, 5.0]))
def test_a_larger_book_never_needs_less(positions: PositionSet, factor: float) -> None:
    grown = replace(
        positions,
        positions=positions.positions.assign(quantity=positions.positions["quantity"] * factor),
        open_orders=positions.open_orders.assign(
            remaining_quantity=positions.open_orders["remaining_quantity"] * factor
        ),
    )
    before, after = margins_of(positions).margins, margins_of(grown).margins
    larger = after["initial_margin"] >= before["initial_margin"] * (1.0 - 1e-12)
    assert (larger | before["initial_margin"].isna()).all()


@SETTINGS
@given(
    quantity=QUANTITIES.filter(bool),
    small_market=st.floats(0.0, 1e6),
    large_market=st.floats(0.0, 1e6),
)
def test_margin_rises_with_open_interest_and_none_known_is_the_most(
    quantity: float, small_market: float, large_market: float
) -> None:
    low, high = sorted((small_market, large_market))
    positions = PositionSet(
        small.positions(("N0", clearing.SOL, quantity)),
        venues.no_orders(),
        venues.accounts(("N0", "dydx", "cross")),
    )
    found = [
        venue_margins(clearing.snapshot(each), positions, small.collateral_set(), RULES).margins
        for each in (low, high, float("nan"))
    ]
    margins = [float(each["initial_margin"].iloc[0]) for each in found]
    assert margins == sorted(margins)
