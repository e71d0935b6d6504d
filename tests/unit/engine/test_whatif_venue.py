"""What the venues would demand with a candidate in the book, and which side would bind."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from engine.assess import assess
from engine.market import PreparedMarket, prepare
from engine.portfolio import portfolio
from engine.rules import RuleBook
from engine.snapshot import CollateralSet, PositionSet
from engine.whatif import (
    Candidate,
    Order,
    PreparedBook,
    Transfer,
    prepare_book,
    venue_detail,
    what_if,
)
from tests.worlds import small, venues
from tests.worlds.applied import with_orders, with_transfers

PERP, ETH, SPOT = "binance:BTCUSDT", "binance:ETHUSDT", "binance:BTCUSDT-SPOT"
INVERSE, FUTURE = "deribit:BTC-PERPETUAL", "deribit:BTC-26JUN26"
CALL, PUT = "deribit:BTC-26JUN26-60000-C", "deribit:BTC-26JUN26-60000-P"
ETH_CALL = "bybit:ETH-26JUN26-3000-C"
HELD = (
    ("A", PERP, 2.0), ("A", ETH, -30.5), ("A", INVERSE, 250.0), ("A", CALL, -3.1), ("A", PUT, 0.7),
    ("B", PERP, 1.0),
)  # fmt: skip
SAME = (
    "requirement", "venue_initial_margin", "venue_maintenance_margin", "n_venue_accounts",
    "n_venue_accounts_unknown", "binding", "owed", "excess", "margin_ratio", "call_action",
    "call_amount", "withheld_amount", "venue_amount", "owed_amount",
)  # fmt: skip


def by_venue(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows whose account is named for its netting set and venue."""
    venue = frame["instrument_id"].str.split(":").str[0]
    return frame.assign(account_id=frame["netting_set_id"] + "-" + venue)


def accounts(deribit: str = "segregated_portfolio", leverage: float = 20.0) -> pd.DataFrame:
    rows = [
        ("A", "binance", "usdm_cross", leverage), ("A", "deribit", deribit),
        ("B", "binance", "usdm_cross"),
    ]  # fmt: skip
    frame = venues.accounts(*rows)
    return frame.assign(account_id=frame["netting_set_id"] + "-" + frame["venue"])


def positions_of(
    held: tuple[tuple[str, str, float], ...] = HELD,
    known: pd.DataFrame | None = None,
    orders: pd.DataFrame | None = None,
    reported: pd.DataFrame | None = None,
) -> PositionSet:
    optional = {} if reported is None else {"venue_margin": reported}
    return PositionSet(
        positions=by_venue(small.positions(*held)),
        open_orders=by_venue(venues.no_orders() if orders is None else orders),
        accounts=accounts() if known is None else known,
        **optional,
    )


@cache
def close_of(call_basis: str = "larger") -> tuple[RuleBook, PreparedMarket]:
    rules = venues.rules(
        small.agreement("A", call_basis=call_basis), small.agreement("B", call_basis=call_basis)
    )
    return rules, prepare(small.snapshot(), rules)


def prepared(
    positions: PositionSet, collateral: CollateralSet, call_basis: str = "larger"
) -> PreparedBook:
    rules, market = close_of(call_basis)
    book = portfolio(market, positions, collateral, rules)
    return prepare_book(small.snapshot(), market, book, positions, rules, "A")


def order(side: str, quantity: float, instrument: str, **options: object) -> Order:
    return Order(side=side, quantity=quantity, instrument_id=instrument, **options)  # type: ignore[arg-type]


def one(*parts: Order | Transfer) -> Candidate:
    return Candidate(
        candidate_id="c",
        orders=tuple(part for part in parts if isinstance(part, Order)),
        transfers=tuple(part for part in parts if isinstance(part, Transfer)),
    )


ASKED = [
    one(order("buy", 3.0, PERP)),
    one(order("sell", 2.0, PERP)),
    one(order("sell", 5.0, PERP)),
    one(order("buy", 30.5, ETH), order("sell", 40.0, INVERSE)),
    one(order("buy", 900.0, FUTURE)),
    one(order("sell", 25.0, CALL)),
    one(order("buy", 3.1, CALL), order("sell", 0.7, PUT), order("sell", 250.0, INVERSE)),
    one(order("sell", 0.4, SPOT)),
    one(Transfer(asset="USDT", quantity=1e5)),
]
PLEDGED = (("A", "USDT", 90_000.0), ("A", "BTC", 0.5), ("B", "USDT", 1.0))


def assert_equals_assessment(
    positions: PositionSet, asked: list[Candidate], call_basis: str = "larger"
) -> pd.DataFrame:
    rules, _ = close_of(call_basis)
    collateral = small.collateral_set(*PLEDGED)
    found = what_if(prepared(positions, collateral, call_basis), asked)
    whole = assess(small.snapshot(), positions, collateral, rules).requirements
    assert_same(found.before.iloc[0], whole)
    for each, (_, answer) in zip(asked, found.candidates.iterrows(), strict=True):
        changed = positions
        for part in each.orders:
            account = f"A-{part.instrument_id.split(':')[0]}"
            changed = with_orders(changed, "A", one(part), account)
        pledged = with_transfers(collateral, "A", each, "custodian")
        assert_same(answer, assess(small.snapshot(), changed, pledged, rules).requirements)
    return found.candidates


def assert_same(ours: pd.Series, whole: pd.DataFrame) -> None:
    theirs = whole[whole["netting_set_id"] == "A"].iloc[0]
    for name in SAME:
        assert ours[name] == theirs[name], (name, ours[name], theirs[name])


@pytest.mark.parametrize("deribit", ["segregated_portfolio", "standard"])
def test_venue_demand_and_decision_equal_a_full_assessment(deribit: str) -> None:
    found = assert_equals_assessment(positions_of(known=accounts(deribit)), ASKED)
    assert (found["n_venue_accounts_unknown"] == 0).all()


def test_worse_side_of_open_orders_is_demanded() -> None:
    orders = venues.orders(
        ("A", PERP, "buy", 1.5), ("A", ETH, "sell", 20.0), ("A", CALL, "sell", 4.0),
        ("B", PERP, "buy", 1.0),
    )  # fmt: skip
    assert_equals_assessment(positions_of(orders=orders), ASKED)


def test_venue_side_binds_where_it_is_the_larger() -> None:
    low = positions_of(known=accounts(leverage=1.0))
    found = assert_equals_assessment(low, [ASKED[0], ASKED[1]])
    assert found["binding"].tolist() == ["venue", "venue"]
    assert (found["owed"] == found["venue_initial_margin"]).all()
    house = assert_equals_assessment(low, [ASKED[0]], "house")
    assert house["binding"].tolist() == ["venue"]
    assert (house["owed"] == house["requirement"]).all()


def test_order_at_an_account_that_stands_on_the_venues_report_is_unknown() -> None:
    known = accounts()
    known.loc[known["account_id"] == "A-deribit", "account_mode"] = "unheard_of"
    reported = venues.reported(("A", "BTC", "BTC", 2.0, 1.5, 5.0)).assign(account_id="A-deribit")
    book = prepared(positions_of(known=known, reported=reported), small.collateral_set(*PLEDGED))
    assert book.before["n_venue_accounts_unknown"].iloc[0] == 0
    found = what_if(book, [one(order("buy", 1.0, CALL)), one(order("buy", 1.0, PERP))]).candidates
    assert found["n_venue_accounts_unknown"].tolist() == [1, 0]
    assert found["binding"].iloc[0] in ("unknown", "venue")
    # What nobody knows is not given back.
    assert found["call_action"].iloc[0] != "return"


def test_order_at_a_venue_without_an_account_leaves_its_demand_unknown() -> None:
    book = prepared(positions_of(), small.collateral_set(("A", "USDT", 1e7)))
    assert book.before["call_action"].iloc[0] == "return"
    (found,) = what_if(book, [one(order("buy", 1.0, ETH_CALL))]).candidates.to_dict("records")
    assert found["notes"] == "no account at bybit yet"
    assert found["n_venue_accounts_unknown"] == 1
    assert found["call_action"] == "blocked"


def test_set_whose_own_accounts_nobody_knows_has_no_known_side() -> None:
    known = accounts()
    book = prepared(
        positions_of(known=known[known["netting_set_id"] == "B"]), small.collateral_set()
    )
    assert book.before["binding"].iloc[0] == "unknown"
    found = what_if(book, [ASKED[0]]).candidates
    assert found["binding"].iloc[0] == "unknown"


def test_without_any_known_account_the_house_alone_answers() -> None:
    positions = replace(positions_of(), accounts=accounts().iloc[:0])
    found = what_if(prepared(positions, small.collateral_set()), [ASKED[0]]).candidates
    assert found["binding"].isna().all()
    assert np.isfinite(found["requirement"].iloc[0])


def test_answers_do_not_depend_on_how_many_are_asked() -> None:
    book = prepared(positions_of(), small.collateral_set(*PLEDGED))
    together = what_if(book, ASKED * 40).candidates
    alone = pd.concat([what_if(book, [each]).candidates for each in ASKED], ignore_index=True)
    n = len(ASKED)
    for start in (0, len(together) - n):
        part = together.iloc[start : start + n].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, alone, check_exact=True)


def funded() -> CollateralSet:
    rows = small.collateral_set(("A", "USDT", 40_000.0), ("A", "BTC", 2.0), ("B", "USDT", 1.0))
    place = rows.holdings["asset"].map({"USDT": "A-binance", "BTC": "A-deribit"})
    return CollateralSet(rows.holdings.assign(location=place))


def test_one_candidate_is_shown_at_its_venue_before_and_after() -> None:
    book = prepared(positions_of(known=accounts("standard")), funded())
    detail = venue_detail(book, one(order("buy", 3.0, PERP)))
    assert detail is not None
    (account,) = detail.accounts.to_dict("records")
    assert account["account_id"] == "A-binance"
    assert account["maintenance_margin_after"] > account["maintenance_margin_before"]
    # At the mark, a fill of a perpetual moves no cash.
    assert account["equity_after"] == account["equity_before"]
    assert account["margin_ratio_after"] > account["margin_ratio_before"]
    (position,) = detail.positions.to_dict("records")
    assert (position["quantity_before"], position["quantity_after"]) == (2.0, 5.0)
    assert position["liquidation_price_before"] < position["liquidation_price_after"] < 60_000.0


def test_demand_of_the_detail_is_that_of_the_answer() -> None:
    book = prepared(positions_of(known=accounts("standard")), funded())
    for asked in ASKED[:7]:
        detail = venue_detail(book, asked)
        assert detail is not None
        before = book.venue.before.margins.set_index("account_id")["demand"]  # type: ignore[union-attr]
        after = detail.accounts.set_index("account_id")["initial_margin_after"]
        whole = after.reindex(before.index).fillna(before).sum()
        found = what_if(book, [asked]).candidates["venue_initial_margin"].iloc[0]
        assert whole == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize(
    ("asked", "change"),
    [
        (one(order("buy", 1.0, PERP, price=59_000.0)), 1_000.0),
        (one(order("sell", 1.0, ETH, price=3_100.0)), 100.0),
        (one(order("sell", 1.0, SPOT, price=60_000.0)), 0.0),
        (one(Transfer(asset="USDT", quantity=5_000.0, destination="A-binance")), 5_000.0),
    ],
)
def test_equity_moves_by_the_cash_of_the_candidate(asked: Candidate, change: float) -> None:
    detail = venue_detail(prepared(positions_of(), funded()), asked)
    assert detail is not None
    (account,) = detail.accounts.to_dict("records")
    assert account["equity_after"] - account["equity_before"] == pytest.approx(change, abs=1e-6)


def test_premium_is_paid_out_of_equity_where_options_do_not_count_in_it() -> None:
    book = prepared(positions_of(known=accounts("standard")), funded())
    detail = venue_detail(book, one(order("sell", 1.0, CALL)))
    assert detail is not None
    (account,) = detail.accounts.to_dict("records")
    assert account["equity_after"] - account["equity_before"] == pytest.approx(0.10 * 60_000.0)
    grid = venue_detail(prepared(positions_of(), funded()), one(order("sell", 1.0, CALL)))
    assert grid is not None
    (account,) = grid.accounts.to_dict("records")
    assert account["equity_after"] == pytest.approx(account["equity_before"])


def test_refused_candidate_has_no_detail() -> None:
    book = prepared(positions_of(), funded())
    assert venue_detail(book, one(order("buy", 0.0, PERP))) is None


@pytest.mark.parametrize(
    ("asked", "change"),
    [
        (one(Transfer(asset="USDT", quantity=5_000.0, destination="A-binance")), 5_000.0),
        (one(order("buy", 1.0, PERP, price=59_000.0)), 1_000.0),
        (one(Transfer(asset="BTC", quantity=0.5, destination="A-binance")), 0.0),
    ],
)
def test_equity_that_the_venue_reports_moves_by_the_cash_too(
    asked: Candidate, change: float
) -> None:
    """The account's buckets are its settlement assets: bitcoin does not stand behind USDT."""
    told = venues.reported(("A", "USDT", "USDT", 9_000.0, 5_000.0, 70_000.0))
    book = prepared(positions_of(reported=told.assign(account_id="A-binance")), funded())
    detail = venue_detail(book, asked)
    assert detail is not None
    (account,) = detail.accounts.to_dict("records")
    assert account["equity_before"] == pytest.approx(70_000.0)
    assert account["equity_after"] - account["equity_before"] == pytest.approx(change, abs=1e-6)


def test_account_that_counts_collateral_by_rates_counts_what_arrives_by_them() -> None:
    known = accounts()
    known.loc[known["account_id"] == "A-binance", "account_mode"] = "portfolio"
    told = venues.reported(("A", "account", "USD", 9_000.0, 5_000.0, 70_000.0))
    book = prepared(
        positions_of(known=known, reported=told.assign(account_id="A-binance")), funded()
    )
    for quantity, change in ((1.0, 0.95 * 60_000.0), (3.0, 0.95 * 100_000.0 + 0.90 * 80_000.0)):
        asked = one(Transfer(asset="BTC", quantity=quantity, destination="A-binance"))
        detail = venue_detail(book, asked)
        assert detail is not None
        account = detail.accounts.iloc[0]
        moved = account["equity_after"] - account["equity_before"]
        assert moved == pytest.approx(change)


@pytest.mark.parametrize("deribit", ["segregated_portfolio", "standard"])
def test_exchanged_charges_give_the_bits_of_the_account_margined_in_whole(deribit: str) -> None:
    orders = venues.orders(("A", PERP, "buy", 1.5), ("A", CALL, "sell", 4.0))
    book = prepared(
        positions_of(known=accounts(deribit), orders=orders), small.collateral_set(*PLEDGED)
    )
    assert book.venue is not None
    charges = book.venue.charges
    assert charges.can_add.all()
    in_whole = replace(charges, can_add=np.zeros_like(charges.can_add))
    slow = replace(book, venue=replace(book.venue, charges=in_whole))
    ours, theirs = what_if(book, ASKED).candidates, what_if(slow, ASKED).candidates
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_account_that_holds_nothing_yet_is_found_and_margined() -> None:
    known = pd.concat([accounts(), venues.accounts(("A", "bybit", "auction"))], ignore_index=True)
    known.loc[known["venue"] == "bybit", ["account_id", "account_mode"]] = ["A-bybit", "usdm"]
    book = prepared(positions_of(known=known), small.collateral_set(*PLEDGED))
    found = what_if(book, [one(order("buy", 1.0, ETH_CALL))]).candidates
    assert found["notes"].iloc[0] == ""
    # Its mode has no parameters, so what it would demand is unknown, and said to be.
    assert found["n_venue_accounts_unknown"].iloc[0] == 1
