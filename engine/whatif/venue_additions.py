"""Margins of touched accounts as additions: what changes is taken out of the sums and put in anew.

Venue margins are exact sums of charges by position and by unit of a grid. So a candidate needs
the charges that it changes, and the figures are the bytes of the whole account. What cannot be
taken apart so (offsets between buckets, grids over several currencies, several changes in one
unit, models that margin positions jointly) is left to ``engine.whatif.venue``, which margins the
account in whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D
from engine.kernels.exact_sums import Floats, carried, grouped_sums, rounded, split
from engine.margin.scenario_book import Buckets, Holdings
from engine.margin.scenario_candidates import HeldBucket, candidate_margins, held_bucket
from engine.venue_accounts.by_unit import OFFSET, GridUnits
from engine.venue_accounts.governing import MarginedAccounts
from engine.venue_accounts.margins import BookRows, margin_books
from engine.venue_accounts.terms import LOAN, SCENARIO_GRID, STANDARD_OPTION, TIERED, ModeTerms

# Models that charge every position by itself.
_BY_POSITION: Final = (TIERED, STANDARD_OPTION, LOAN, "")

UnitKey: TypeAlias = tuple[int, int, str, str, str]
"""Book, parameters, underlying, bucket and currency."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldUnit:
    """One unit of a grid as it stands. [USD]"""

    held: HeldBucket
    local: np.ndarray
    usd_rate: float
    charged: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class HeldCharges:
    """Charges of all books of the accounts, ready to be exchanged.

    Attributes
    ----------
    parts : tuple of array, shape (3, n_books)
        Exact sums of initial and of maintenance margin. [USD]
    positions : dict
        By (book, instrument row), what a position is charged by itself. [USD]
    units : dict
        By book and what is margined together.
    can_add : BoolArray1D, shape (n_books,)
        Whether the book's charges can be exchanged one by one.
    """

    parts: tuple[Floats, Floats]
    positions: dict[tuple[int, int], tuple[float, float]]
    units: dict[UnitKey, HeldUnit]
    can_add: BoolArray1D


@dataclass(frozen=True, slots=True)
class BookChange:
    """New quantities of instrument rows in one book, and what the book holds of them now."""

    book: int
    changed: dict[int, float]
    held: dict[int, float]


def held_charges(accounts: MarginedAccounts) -> HeldCharges:
    """Return the charges of the accounts as they stand."""
    found, n_books = accounts.found, accounts.books.n_books
    charges = found.charges
    usd = [
        np.where(np.isfinite(margin), margin, 0.0) * charges.usd_rate
        for margin in (charges.initial_margin, charges.maintenance_margin)
    ]
    single = np.flatnonzero(charges.instrument >= 0)
    positions = {
        (int(charges.book[at]), int(charges.instrument[at])): (
            float(usd[0][at]), float(usd[1][at]),
        )
        for at in single.tolist()
    }  # fmt: skip
    can_add: BoolArray1D = found.failure == ""
    can_add[charges.book[charges.name == OFFSET]] = False
    units: dict[UnitKey, HeldUnit] = {}
    for each in found.units:
        if each.grid.is_usd:
            can_add[each.book] = False
        else:
            units.update(_units(accounts, each))
    return HeldCharges(
        parts=(
            grouped_sums(usd[0], charges.book, n_books),
            grouped_sums(usd[1], charges.book, n_books),
        ),
        positions=positions,
        units=units,
        can_add=can_add,
    )


def _units(accounts: MarginedAccounts, units: GridUnits) -> dict[UnitKey, HeldUnit]:
    held, index = accounts.market.instruments, units.holdings
    found: dict[UnitKey, HeldUnit] = {}
    for unit, book in enumerate(units.book.tolist()):
        rows = np.flatnonzero(index.bucket == unit)
        lead = accounts.found.placed.instrument[units.placed[rows[:1]]]
        bucket = held_bucket(
            units.grid.revaluation,
            Holdings(
                bucket=np.zeros(len(rows), dtype=np.int64),
                instrument=index.instrument[rows],
                quantity=index.quantity[rows],
            ),
            Buckets(
                index_price=held.index_price[lead], is_inverse=units.is_inverse[unit : unit + 1]
            ),
        )
        rate = float(units.usd_rate[unit])
        key = (
            int(book), units.grid.parameters, str(units.underlying[unit]),
            str(units.bucket[unit]), str(units.currency[unit]),
        )  # fmt: skip
        found[key] = HeldUnit(
            held=bucket,
            local=units.grid.local,
            usd_rate=rate,
            charged=(
                float(units.requirement.initial_margin[unit]) * rate,
                float(units.requirement.maintenance_margin[unit]) * rate,
            ),
        )
    return found


@dataclass(slots=True)
class Exchange:
    """What one book loses and gains: charges taken out, positions charged anew, units changed."""

    taken: list[tuple[float, float]] = field(default_factory=list)
    rows: list[tuple[int, float]] = field(default_factory=list)
    units: dict[UnitKey, tuple[int, float]] = field(default_factory=dict)


def exchange_of(
    accounts: MarginedAccounts, charges: HeldCharges, change: BookChange
) -> Exchange | None:
    """Return what ``change`` exchanges in its book; None where it has to be margined in whole."""
    if not charges.can_add[change.book]:
        return None
    mode = accounts.market.terms.modes[int(accounts.rows.mode[change.book])]
    found = Exchange()
    for row, quantity in change.changed.items():
        if mode.model[row] in _BY_POSITION or mode.parameters[row] < 0:
            found.rows.append((row, quantity))
            found.taken.append(charges.positions.get((change.book, row), (0.0, 0.0)))
            continue
        if mode.model[row] != SCENARIO_GRID:
            return None
        key = _key(accounts, mode, change.book, row)
        unit, held = charges.units.get(key), change.held.get(row, 0.0)
        moved = quantity - held
        is_one = key not in found.units and unit is not None and unit.local[row] >= 0
        # The kept quantity plus a rounded difference has to be the new quantity itself.
        if not is_one or unit is None or held + moved != quantity:
            return None
        found.units[key] = (row, moved)
        found.taken.append(unit.charged)
    return found


def _key(accounts: MarginedAccounts, mode: ModeTerms, book: int, row: int) -> UnitKey:
    underlying = str(accounts.market.instruments.underlying[row])
    parameters = int(mode.parameters[row])
    return book, parameters, underlying, str(mode.bucket[row]), str(mode.currency[row])


def added_margins(
    accounts: MarginedAccounts,
    charges: HeldCharges,
    changes: Sequence[BookChange],
    exchanges: Sequence[Exchange],
) -> tuple[Float64Array1D, Float64Array1D]:
    """Return initial and maintenance margin of each changed book; NaN where it fails. [USD]"""
    book = np.array([change.book for change in changes], dtype=np.int64)
    sums = [parts[:, book].copy() for parts in charges.parts]
    for i, exchange in enumerate(exchanges):
        for initial, maintenance in exchange.taken:
            sums[0][:, i] -= split(np.array(initial))
            sums[1][:, i] -= split(np.array(maintenance))
    fails = _add_positions(accounts, book, exchanges, sums)
    _add_units(charges, exchanges, sums)
    needed = [rounded(carried(each)) for each in sums]
    # Initial margin is what a venue asks before a position is opened: never below maintenance.
    return (
        np.where(fails, np.nan, np.maximum(needed[0], needed[1])),
        np.where(fails, np.nan, needed[1]),
    )


def _add_positions(
    accounts: MarginedAccounts,
    book: np.ndarray,
    exchanges: Sequence[Exchange],
    sums: list[Floats],
) -> BoolArray1D:
    """Add the new charges of single positions; return which books fail by them."""
    rows = [(i, row, q) for i, each in enumerate(exchanges) for row, q in each.rows]
    if not rows:
        return np.zeros(len(exchanges), dtype=np.bool_)
    place, instrument, quantity = (np.array(column) for column in zip(*rows, strict=True))
    found = margin_books(
        accounts.market,
        BookRows(
            mode=accounts.rows.mode[book],
            leverage=accounts.rows.leverage[book],
            book=place.astype(np.int64),
            instrument=instrument.astype(np.int64),
            quantity=quantity.astype(np.float64),
        ),
    )
    charged = found.charges
    for at, margin in enumerate((charged.initial_margin, charged.maintenance_margin)):
        usd = np.where(np.isfinite(margin), margin, 0.0) * charged.usd_rate
        sums[at] += grouped_sums(usd, charged.book, len(exchanges))
    fails: BoolArray1D = found.failure != ""
    return fails


def _add_units(charges: HeldCharges, exchanges: Sequence[Exchange], sums: list[Floats]) -> None:
    by_unit: dict[UnitKey, list[tuple[int, int, float]]] = {}
    for i, exchange in enumerate(exchanges):
        for key, (row, moved) in exchange.units.items():
            by_unit.setdefault(key, []).append((i, row, moved))
    for key, asked in by_unit.items():
        unit = charges.units[key]
        place = np.array([i for i, _, _ in asked], dtype=np.int64)
        local = unit.local[[row for _, row, _ in asked]]
        change = np.array([moved for _, _, moved in asked], dtype=np.float64)
        found = candidate_margins(unit.held, local, change)
        for at, margin in enumerate((found.initial_margin, found.maintenance_margin)):
            sums[at][:, place] += split(margin * unit.usd_rate)
