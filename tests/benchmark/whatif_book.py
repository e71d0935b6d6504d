"""One netting set of 2,000 options and what might be traded in it: the workload of a what-if."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.market import PreparedMarket, prepare
from engine.portfolio import Portfolio, portfolio
from engine.rules import RuleBook
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from engine.venue_rules import venue_rules
from engine.whatif import Candidate, Order
from tests.worlds import small, venues

N_POSITIONS = 2_000
N_EXPIRIES, N_STRIKES = 13, 40
SEED = 20261121


@dataclass(frozen=True)
class Workload:
    """A close with one large netting set, ``A``, and candidates for it."""

    snapshot: Snapshot
    rules: RuleBook
    market: PreparedMarket
    positions: PositionSet
    collateral: CollateralSet
    book: Portfolio
    candidates: list[Candidate]


def make_workload(n_candidates: int, *, with_venue: bool) -> Workload:
    """Return a book of BTC and ETH options and perpetuals at one venue, and single orders."""
    rng = np.random.default_rng(SEED)
    table = instruments()
    snapshot = small.snapshot(instruments=table)
    grid = venues.parameter_set("deribit", "scenario_grid", "ETH", venues.BTC_GRID, "inferred")
    rules = venues.rules(small.agreement("A"), venues=venue_rules([*venues.sets(), grid]))
    market = prepare(snapshot, rules)
    traded = table.loc[table["venue"] == "deribit", "instrument_id"].to_numpy(dtype=object)
    held = rng.permutation(traded)[:N_POSITIONS]
    quantity = np.round(rng.normal(scale=3.0, size=len(held)), 1) + 0.05
    rows = small.positions(
        *(("A", str(name), float(q)) for name, q in zip(held, quantity, strict=True))
    )
    known = venues.accounts(("A", "deribit", "segregated_portfolio"))
    positions = PositionSet(rows, small.no_orders(), known if with_venue else known.iloc[:0])
    collateral = small.collateral_set(("A", "USDT", 5e6), ("A", "BTC", 50.0))
    candidates = [
        Candidate(
            candidate_id=f"c{k}",
            orders=(
                Order(
                    side="buy" if rng.random() < 0.5 else "sell",
                    quantity=float(np.round(rng.uniform(0.1, 20.0), 1)),
                    instrument_id=str(traded[rng.integers(len(traded))]),
                ),
            ),
        )
        for k in range(n_candidates)
    ]
    book = portfolio(market, positions, collateral, rules)
    return Workload(snapshot, rules, market, positions, collateral, book, candidates)


def instruments() -> pd.DataFrame:
    """Return the small market's instruments with a dense chain of options on BTC and ETH."""
    table = small.instruments()
    call = table[table["instrument_id"] == "deribit:BTC-26JUN26-60000-C"]
    chain = pd.concat([call] * (2 * N_EXPIRIES * N_STRIKES * 2), ignore_index=True)
    n = np.arange(len(chain))
    is_btc, is_call = n % 2 == 0, n // 2 % 2 == 0
    strike, expiry = n // 4 % N_STRIKES, n // 4 // N_STRIKES
    price = np.where(is_btc, small.PRICES["BTC"], small.PRICES["ETH"])
    asset = np.where(is_btc, "BTC", "ETH")
    names = [
        f"deribit:{a}-E{e:02d}-S{s:02d}-{'C' if c else 'P'}"
        for a, e, s, c in zip(asset, expiry, strike, is_call, strict=True)
    ]
    chain = chain.assign(
        instrument_id=names,
        venue_symbol=[name.split(":")[1] for name in names],
        underlying=asset,
        settlement_asset=asset,
        strike=price * (0.5 + strike / (N_STRIKES - 1.0)),
        option_type=np.where(is_call, "call", "put"),
        expiry_utc=(pd.Timestamp("2026-03-20T08:00Z") + pd.to_timedelta(14 * expiry, "D")).astype(
            "datetime64[ms, UTC]"
        ),
        lot_size=0.1,
    )
    whole = pd.concat([table, chain], ignore_index=True)
    return whole.sort_values("instrument_id", ignore_index=True)
