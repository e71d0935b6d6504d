"""What the margins of the governing books are made of: components, cells, positions."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import Int64Array1D, ObjectArray1D
from engine.margin.scenario_cells import MOVES
from engine.venue_accounts.assuming import component_notes
from engine.venue_accounts.by_unit import GridUnits
from engine.venue_accounts.charges import Charges
from engine.venue_accounts.columns import COMPONENT_COLUMNS, SCENARIO_COLUMNS, framed
from engine.venue_accounts.explaining_derive import derive_cells, derive_parts
from engine.venue_accounts.explaining_span import span_cells, span_parts
from engine.venue_accounts.governing import MarginedAccounts

_KEY: Final = ["account", "bucket", "component", "set"]
_CONTINGENCIES: Final = (
    "roll_contingency", "futures_contingency", "option_contingency", "depeg_contingency",
    "delta_contingency", "contingency_amount",
)  # fmt: skip


def charge_table(accounts: MarginedAccounts) -> pd.DataFrame:
    """Return the charges of the governing books, one row per account and component.

    Initial margins are those of the book that governs initial margin, maintenance margins those
    of the book that governs maintenance margin; a component that only one of them has is zero in
    the other. Columns account, bucket, component, set, instrument, currency, usd_rate,
    initial_margin, maintenance_margin.
    """
    charges = accounts.found.charges
    sides = []
    for name, book in (
        ("initial_margin", accounts.initial_book),
        ("maintenance_margin", accounts.maintenance_book),
    ):
        chosen = _rows_of_books(charges, book, accounts)
        kept = charges.rows(chosen)
        sides.append(
            pd.DataFrame(
                {
                    "account": accounts.books.book_account[kept.book],
                    "bucket": kept.bucket,
                    "component": kept.name,
                    "set": kept.parameters,
                    "instrument": kept.instrument,
                    "currency": kept.currency,
                    "usd_rate": kept.usd_rate,
                    name: getattr(kept, name),
                }
            )
        )
    shared = [*_KEY, "instrument", "currency", "usd_rate"]
    table = sides[0].merge(sides[1], on=shared, how="outer", sort=True)
    margins = ["initial_margin", "maintenance_margin"]
    table[margins] = table[margins].fillna(0.0)
    return table.sort_values(_KEY, ignore_index=True)


def component_frame(accounts: MarginedAccounts, table: pd.DataFrame) -> pd.DataFrame:
    """Return the charges with model, parameters, source and evidence; see ``VenueMargins``."""
    sets = accounts.market.terms.sets
    facts = [
        (s.model, s.label, s.effective_date.isoformat(), s.source, s.evidence, s.parameters_hash)
        for s in sets
    ]
    facts.append(("offset", "", "", "", "inferred", ""))
    chosen = table["set"].to_numpy(dtype=np.int64)
    columns = list(zip(*(facts[row] for row in chosen.tolist()), strict=True)) or [()] * 6
    names = ("model", "parameters", "effective_date", "source", "evidence", "parameters_hash")
    rate = table["usd_rate"]
    parts = [_grid_parts(accounts), span_parts(accounts), *derive_parts(accounts)]
    grids = pd.concat(parts, ignore_index=True)
    keyed = table[["account", "bucket", "component", "set"]].merge(
        grids, on=["account", "bucket", "component", "set"], how="left"
    )
    return framed(
        {
            "account_id": accounts.account_id[table["account"].to_numpy(dtype=np.int64)],
            **{name: table[name].to_numpy() for name in ("bucket", "component", "currency")},
            **dict(zip(names, columns, strict=True)),
            "initial_margin": table["initial_margin"].to_numpy(),
            "maintenance_margin": table["maintenance_margin"].to_numpy(),
            "initial_margin_usd": (table["initial_margin"] * rate).to_numpy(),
            "maintenance_margin_usd": (table["maintenance_margin"] * rate).to_numpy(),
            **{
                name: keyed[name].to_numpy()
                for name in ("worst_loss", "contingencies", "minimum_charge")
            },
            "worst_cell": keyed["worst_cell"].fillna("").to_numpy(),
            "note": component_notes(accounts, table),
        },
        COMPONENT_COLUMNS,
    )


def scenario_frame(accounts: MarginedAccounts) -> pd.DataFrame:
    """Return profit and loss of each unit of the books that govern initial margin, by cell."""
    parts = []
    for units in accounts.found.units:
        rows = governing_units(accounts, units, accounts.initial_book)
        cells = units.grid.revaluation.cells
        n_cells = len(cells)
        pnl = units.requirement.scenario_pnl[rows]
        worst = units.requirement.worst_cell[rows]
        cell = np.tile(np.arange(n_cells), len(rows))
        is_inverse = units.is_inverse[rows, np.newaxis]
        weight = np.where(is_inverse, cells.inverse_weight, cells.weight)
        parts.append(
            pd.DataFrame(
                {
                    "account_id": np.repeat(_ids(accounts, units, rows), n_cells),
                    "bucket": np.repeat(units.bucket[rows], n_cells),
                    "underlying": np.repeat(units.underlying[rows], n_cells),
                    "cell": cell,
                    "price_shock": cells.price_shock[cell],
                    "volatility_move": np.array(MOVES, dtype=object)[cells.move[cell]],
                    "weight": weight.ravel(),
                    "currency": np.repeat(units.currency[rows], n_cells),
                    "pnl": pnl.ravel(),
                    "pnl_usd": (pnl * units.usd_rate[rows, np.newaxis]).ravel(),
                    "is_worst": cell == np.repeat(worst, n_cells),
                }
            )
        )
    parts += [*span_cells(accounts), *derive_cells(accounts)]
    empty: dict[str, list[object]] = {name: [] for name in SCENARIO_COLUMNS}
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(empty)
    frame = framed({name: table[name] for name in SCENARIO_COLUMNS}, SCENARIO_COLUMNS)
    keys = ["account_id", "bucket", "underlying", "currency", "cell"]
    return frame.sort_values(keys, ignore_index=True)


def governing_units(
    accounts: MarginedAccounts, units: GridUnits, book: Int64Array1D
) -> Int64Array1D:
    """Return the units that belong to the given book of an assessed account."""
    account = accounts.books.book_account[units.book]
    rows: Int64Array1D = np.flatnonzero(
        (book[account] == units.book) & accounts.is_assessed[account]
    )
    return rows


def _grid_parts(accounts: MarginedAccounts) -> pd.DataFrame:
    """Return the parts of each unit of the books that govern initial margin."""
    columns: dict[str, list[object]] = {
        name: []
        for name in (
            *_KEY, "worst_loss", "contingencies", "minimum_charge", "worst_cell",
        )
    }  # fmt: skip
    for units in accounts.found.units:
        cells, found = units.grid.revaluation.cells, units.requirement
        charged = sum(getattr(found, name) for name in _CONTINGENCIES)
        for row in governing_units(accounts, units, accounts.initial_book).tolist():
            at = int(found.worst_cell[row])
            move = MOVES[int(cells.move[at])]
            columns["account"].append(int(accounts.books.book_account[units.book[row]]))
            columns["bucket"].append(units.bucket[row])
            rate = float(units.charge_rate[row])
            columns["component"].append(units.name[row])
            columns["set"].append(units.grid.parameters)
            columns["worst_loss"].append(float(found.worst_loss[row]) * rate)
            columns["contingencies"].append(float(charged[row]) * rate)
            columns["minimum_charge"].append(float(found.minimum_charge[row]) * rate)
            columns["worst_cell"].append(
                f"price {float(cells.price_shock[at]) * 100:+.4g} %, volatility {move}"
            )
    frame = pd.DataFrame(columns)
    return frame.astype(
        {
            "account": "int64", "set": "int64", "bucket": "object", "component": "object",
            "worst_loss": "float64", "contingencies": "float64", "minimum_charge": "float64",
            "worst_cell": "object",
        }
    )  # fmt: skip


def _rows_of_books(
    charges: Charges, book: Int64Array1D, accounts: MarginedAccounts
) -> Int64Array1D:
    account = accounts.books.book_account[charges.book]
    rows: Int64Array1D = np.flatnonzero(
        (book[account] == charges.book) & accounts.is_assessed[account]
    )
    return rows


def _ids(accounts: MarginedAccounts, units: GridUnits, rows: Int64Array1D) -> ObjectArray1D:
    found: ObjectArray1D = accounts.account_id[accounts.books.book_account[units.book[rows]]]
    return found
