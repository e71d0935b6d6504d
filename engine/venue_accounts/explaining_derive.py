"""Accounts at Derive explained: scenarios by underlying, and how an expiry's margin is found."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D, Int64Array1D
from engine.margin.derive_book import holding_pnl
from engine.venue_accounts.by_derive_portfolio import DerivePortfolioUnits
from engine.venue_accounts.governing import MarginedAccounts

FORWARDS: Final = "forward contingency"


def derive_cells(accounts: MarginedAccounts) -> list[pd.DataFrame]:
    """Return profit and loss of each unit of the books that govern initial margin, by scenario."""
    return [
        _cells(accounts, units, rows)
        for units in accounts.found.derive_portfolio
        if len(rows := _governing(accounts, units.book, accounts.initial_book))
    ]


def derive_parts(accounts: MarginedAccounts) -> list[pd.DataFrame]:
    """Return the parts of each unit of the books that govern initial margin.

    Under the portfolio manager ``worst_loss`` is before its factor and ``contingencies`` are the
    static charges; under the standard manager there is only the way that the margin is found.
    """
    parts = []
    for units in accounts.found.derive_portfolio:
        rows = _governing(accounts, units.book, accounts.initial_book)
        charge = units.requirement.maintenance_charge + units.requirement.initial_charge
        parts.append(
            _parts(
                accounts.books.book_account[units.book[rows]],
                {
                    "bucket": units.bucket[rows],
                    "component": units.underlying[rows],
                    "set": np.full(len(rows), units.table.parameters),
                    "worst_loss": (0.0 - units.losses.worst_pnl / units.usd_rate)[rows],
                    "contingencies": (charge / units.usd_rate)[rows],
                    "worst_cell": np.array(
                        [_worst_text(units, row) for row in rows.tolist()], dtype=object
                    ),
                },
            )
        )
    for expiries in accounts.found.derive_standard:
        rows = _governing(accounts, expiries.book, accounts.initial_book)
        parts.append(
            _parts(
                accounts.books.book_account[expiries.book[rows]],
                {
                    "bucket": expiries.bucket[rows],
                    "component": expiries.name[rows],
                    "set": np.full(len(rows), expiries.parameters),
                    "worst_loss": np.full(len(rows), np.nan),
                    "contingencies": (expiries.depeg_charge / expiries.usd_rate)[rows],
                    "worst_cell": expiries.ground[rows],
                },
            )
        )
    return parts


def derive_worst_pnl(accounts: MarginedAccounts) -> list[tuple[Int64Array1D, Float64Array1D]]:
    """Return placed rows of the books that govern maintenance margin, and what each gains.

    In the worst scenario of its unit; unknown where the forward contingency is worse. [USD]
    """
    found = []
    for units in accounts.found.derive_portfolio:
        governs = np.isin(units.unit, _governing(accounts, units.book, accounts.maintenance_book))
        worst = units.losses.scenario_pnl.argmin(axis=1)
        is_scenario = units.losses.scenario_pnl.min(axis=1) <= units.losses.forward_contingency
        pnl = holding_pnl(units.table.revaluation, units.holdings, worst)
        scenarios = units.table.revaluation.scenarios
        shock = np.array([each.price_shock * each.weight for each in scenarios])
        moved = units.delta_one * shock[worst[units.unit]]
        moved[units.is_option] = pnl
        moved[~is_scenario[units.unit]] = np.nan
        found.append((units.placed[governs], moved[governs]))
    return found


def _cells(
    accounts: MarginedAccounts, units: DerivePortfolioUnits, rows: Int64Array1D
) -> pd.DataFrame:
    scenarios = units.table.revaluation.scenarios
    n_cells, losses = len(scenarios), units.losses
    pnl = losses.scenario_pnl[rows]
    lowest = pnl.argmin(axis=1)
    worst = np.where(pnl.min(axis=1) <= losses.forward_contingency[rows], lowest, -1)
    cell = np.tile(np.arange(n_cells), len(rows))
    rate = units.usd_rate[rows, np.newaxis]
    account = accounts.books.book_account[units.book[rows]]
    return pd.DataFrame(
        {
            "account_id": np.repeat(accounts.account_id[account], n_cells),
            "bucket": np.repeat(units.bucket[rows], n_cells),
            "underlying": np.repeat(units.underlying[rows], n_cells),
            "cell": cell,
            "price_shock": np.tile([each.price_shock for each in scenarios], len(rows)),
            "volatility_move": [
                each.volatility_move.replace("_", " ") for _ in rows for each in scenarios
            ],
            "weight": np.tile([each.weight for each in scenarios], len(rows)),
            "currency": np.repeat(units.currency[rows], n_cells),
            "pnl": (pnl / rate).ravel(),
            "pnl_usd": pnl.ravel(),
            "is_worst": cell == np.repeat(worst, n_cells),
        }
    )


def _worst_text(units: DerivePortfolioUnits, row: int) -> str:
    pnl = units.losses.scenario_pnl[row]
    at = int(pnl.argmin())
    if pnl[at] > units.losses.forward_contingency[row]:
        return FORWARDS
    worst = units.table.revaluation.scenarios[at]
    move = worst.volatility_move.replace("_", " ")
    return f"price {worst.price_shock * 100:+.4g} %, volatility {move}"


def _parts(account: Int64Array1D, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    table = pd.DataFrame({"account": account, **columns, "minimum_charge": 0.0})
    texts = dict.fromkeys(("bucket", "component", "worst_cell"), "object")
    numbers = dict.fromkeys(("worst_loss", "contingencies", "minimum_charge"), "float64")
    return table.astype({"account": "int64", "set": "int64", **texts, **numbers})


def _governing(accounts: MarginedAccounts, own: Int64Array1D, book: Int64Array1D) -> Int64Array1D:
    account = accounts.books.book_account[own]
    rows: Int64Array1D = np.flatnonzero((book[account] == own) & accounts.is_assessed[account])
    return rows
