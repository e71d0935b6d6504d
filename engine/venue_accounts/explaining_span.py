"""SPAN accounts explained: scenarios of each combined commodity, and the parts of its risk."""

from __future__ import annotations

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.margin.scenario_cells import ScenarioCells
from engine.margin.span import N_SCENARIOS
from engine.venue_accounts.governing import MarginedAccounts
from engine.venue_accounts.instruments import USD

# Moves of volatility by their code in the cells of SPAN.
_MOVES = ("up", "down", "unchanged")


def span_cells(accounts: MarginedAccounts) -> list[pd.DataFrame]:
    """Return profit and loss of each unit of the books that govern initial margin, by scenario."""
    units = accounts.found.span
    rows = _governing(accounts, accounts.initial_book)
    if not len(rows):
        return []
    cells = [_cells(accounts, int(row)) for row in rows]
    pnl = (0.0 - units.scenario_losses[rows]).ravel()
    worst = units.scenario_losses[rows].argmax(axis=1)
    cell = np.tile(np.arange(N_SCENARIOS), len(rows))
    return [
        pd.DataFrame(
            {
                "account_id": np.repeat(_ids(accounts, rows), N_SCENARIOS),
                "bucket": np.repeat(units.bucket[rows], N_SCENARIOS),
                "underlying": np.repeat(units.commodity[rows], N_SCENARIOS),
                "cell": cell,
                "price_shock": np.concatenate([each.price_shock for each in cells]),
                "volatility_move": [_MOVES[move] for each in cells for move in each.move.tolist()],
                "weight": np.concatenate([each.weight for each in cells]),
                "currency": USD,
                "pnl": pnl,
                "pnl_usd": pnl,
                "is_worst": cell == np.repeat(worst, N_SCENARIOS),
            }
        )
    ]


def span_parts(accounts: MarginedAccounts) -> pd.DataFrame:
    """Return the parts of each unit of the books that govern initial margin.

    ``worst_loss`` is the scan risk, ``contingencies`` the charge for spreads between months, and
    ``minimum_charge`` the short-option minimum. Credits are components of their own.
    """
    units = accounts.found.span
    rows = _governing(accounts, accounts.initial_book)
    worst = units.scenario_losses[rows].argmax(axis=1)
    texts = [
        _text(_cells(accounts, int(row)), at)
        for row, at in zip(rows.tolist(), worst.tolist(), strict=True)
    ]
    return pd.DataFrame(
        {
            "account": accounts.books.book_account[units.book[rows]],
            "bucket": units.bucket[rows],
            "component": units.commodity[rows],
            "set": units.parameters[rows],
            "worst_loss": units.scan_risk[rows],
            "contingencies": units.inter_month_charge[rows],
            "minimum_charge": units.short_option_minimum[rows],
            "worst_cell": pd.Series(texts, dtype="object"),
        }
    )


def span_worst_pnl(accounts: MarginedAccounts) -> tuple[Int64Array1D, Float64Array1D]:
    """Return placed rows of the books that govern maintenance margin, and what each gains.

    In the worst scenario of its unit. [USD]
    """
    units, placed = accounts.found.span, accounts.found.placed
    worst = units.scenario_losses.argmax(axis=1) if len(units.book) else np.zeros(0, dtype=np.int64)
    governs: BoolArray1D = np.isin(units.unit, _governing(accounts, accounts.maintenance_book))
    rows, unit = units.placed[governs], units.unit[governs]
    pnl = np.zeros(len(rows))
    for span in accounts.market.spans:
        mine = np.flatnonzero(placed.parameters[rows] == span.parameters)
        local = span.local[placed.instrument[rows[mine]]]
        by_contract = span.revaluation.unit_pnl[local, worst[unit[mine]]]
        pnl[mine] = placed.quantity[rows[mine]] * by_contract
    return rows, pnl


def _governing(accounts: MarginedAccounts, book: Int64Array1D) -> Int64Array1D:
    own = accounts.found.span.book
    account = accounts.books.book_account[own]
    rows: Int64Array1D = np.flatnonzero((book[account] == own) & accounts.is_assessed[account])
    return rows


def _cells(accounts: MarginedAccounts, unit: int) -> ScenarioCells:
    found = accounts.found.span.parameters[unit]
    return next(s.revaluation.cells for s in accounts.market.spans if s.parameters == found)


def _text(cells: ScenarioCells, at: int) -> str:
    shock, move = float(cells.price_shock[at]) * 100, _MOVES[int(cells.move[at])]
    return f"scenario {at + 1}: price {shock:+.4g} %, volatility {move}"


def _ids(accounts: MarginedAccounts, rows: Int64Array1D) -> np.ndarray:
    found = accounts.found.span
    return np.asarray(accounts.account_id[accounts.books.book_account[found.book[rows]]])
