"""What-if at a clearing house and at a venue scaled by open interest: a full assessment's bits."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from engine.assess import assess
from engine.market import PreparedMarket, prepare
from engine.portfolio import portfolio
from engine.rules import RuleBook
from engine.snapshot import PositionSet, Snapshot
from engine.whatif import Candidate, Order, PreparedBook, prepare_book, venue_detail, what_if
from tests.worlds import clearing, small, venues
from tests.worlds.applied import with_orders
from tests.worlds.clearing import APRIL, BTC, CALL, ETHER, JUNE, PUT, SOL

HELD = (
    ("A", APRIL, 2.0), ("A", JUNE, -3.0), ("A", CALL, -4.0), ("A", ETHER, 6.0),
    ("A", SOL, 500.0), ("A", BTC, -1.0),
)  # fmt: skip
ORDERS = (("A", JUNE, "buy", 2.0), ("A", PUT, "sell", 1.0), ("A", SOL, "sell", 700.0))
SAME = (
    "requirement", "venue_initial_margin", "venue_maintenance_margin", "n_venue_accounts_unknown",
    "binding", "owed",
)  # fmt: skip


def at_venue(frame: pd.DataFrame) -> pd.DataFrame:
    venue = frame["instrument_id"].str.split(":").str[0]
    return frame.assign(account_id=frame["netting_set_id"] + "-" + venue)


def positions(*orders: tuple[str, str, str, float]) -> PositionSet:
    known = venues.accounts(("A", "cme", "clearing"), ("A", "dydx", "cross"))
    prices = clearing.marks().set_index("instrument_id")["mark_price"]
    held = at_venue(small.positions(*HELD))
    return PositionSet(
        positions=held.assign(settled_price=prices.reindex(held["instrument_id"]).to_numpy()),
        open_orders=at_venue(venues.orders(*orders)),
        accounts=known.assign(account_id=known["netting_set_id"] + "-" + known["venue"]),
    )


@cache
def close(open_interest: float) -> tuple[RuleBook, Snapshot, PreparedMarket]:
    rules = clearing.rules(small.agreement("A", call_basis="larger"))
    snapshot = clearing.snapshot(open_interest)
    return rules, snapshot, prepare(snapshot, rules)


def prepared(held: PositionSet, open_interest: float) -> PreparedBook:
    rules, snapshot, market = close(open_interest)
    book = portfolio(market, held, small.collateral_set(), rules)
    return prepare_book(snapshot, market, book, held, rules, "A")


def one(*parts: tuple[str, float, str]) -> Candidate:
    orders = tuple(Order(side=s, quantity=q, instrument_id=n) for s, q, n in parts)
    return Candidate(candidate_id="c", orders=orders)


ASKED = [
    one(("buy", 3.0, JUNE)),
    one(("sell", 2.0, APRIL)),
    one(("buy", 4.0, CALL), ("sell", 5.0, PUT)),
    one(("sell", 12.0, ETHER), ("buy", 1_500.0, SOL)),
    one(("buy", 3.0, BTC)),
]


@pytest.mark.parametrize("open_interest", [clearing.OPEN_INTEREST, np.nan])
@pytest.mark.parametrize("orders", [(), ORDERS])
def test_answers_equal_a_full_assessment(
    orders: tuple[tuple[str, str, str, float], ...], open_interest: float
) -> None:
    held = positions(*orders)
    rules, snapshot, _ = close(open_interest)
    found = what_if(prepared(held, open_interest), ASKED)
    assert (found.candidates["answer"] == "answered").all()
    for asked, (_, answer) in zip(ASKED, found.candidates.iterrows(), strict=True):
        changed = held
        for part in asked.orders:
            account = f"A-{part.instrument_id.split(':')[0]}"
            changed = with_orders(
                changed, "A", Candidate(candidate_id="c", orders=(part,)), account
            )
        whole = assess(snapshot, changed, small.collateral_set(), rules).requirements.iloc[0]
        assert answer["n_venue_accounts_unknown"] == 0
        for name in SAME:
            assert answer[name] == whole[name], (name, answer[name], whole[name])


def test_one_candidate_is_shown_before_and_after() -> None:
    detail = venue_detail(prepared(positions(), np.nan), ASKED[1])
    assert detail is not None
    (account,) = detail.accounts.to_dict("records")
    assert account["account_id"] == "A-cme"
    assert account["maintenance_margin_before"] != account["maintenance_margin_after"]
