"""Margins of any number of books at once: rows in, one initial and maintenance margin per book.

This is the part that a what-if calls by itself: a candidate is a book whose rows are those of the
account and those of the candidate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.kernels.exact_sums import grouped_sums, rounded
from engine.venue_accounts.by_commodity import SpanUnits, span_charges
from engine.venue_accounts.by_derive_portfolio import DerivePortfolioUnits, portfolio_charges
from engine.venue_accounts.by_derive_standard import DeriveExpiryUnits, standard_charges
from engine.venue_accounts.by_position import loan_charges, option_charges, tier_charges
from engine.venue_accounts.by_unit import GridUnits, grid_charges
from engine.venue_accounts.charges import Charges, PlacedRows, joined_charges
from engine.venue_accounts.market import VenueMarket

REASONS_MAX: Final = 5


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BookRows:
    """Books of venue accounts.

    Attributes
    ----------
    mode : Int64Array1D, shape (n_books,)
        Row of each book's margin mode in ``VenueMarket.terms.modes``.
    leverage : Float64Array1D, shape (n_books,)
        Leverage that the account has chosen; NaN where none. [-]
    book : Int64Array1D, shape (n_rows,)
        Book of each row, in any order; an instrument that occurs twice in a book is added up.
    instrument : Int64Array1D, shape (n_rows,)
        Row of ``VenueMarket.instruments``.
    quantity : Float64Array1D, shape (n_rows,)
        Signed contracts, long > 0.
    """

    mode: Int64Array1D
    leverage: Float64Array1D
    book: Int64Array1D
    instrument: Int64Array1D
    quantity: Float64Array1D

    @property
    def n_books(self) -> int:
        """Number of books."""
        return len(self.mode)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BookMargins:
    """Margins of books and what they are made of.

    Attributes
    ----------
    initial_margin, maintenance_margin : Float64Array1D, shape (n_books,)
        Not rounded beyond what the venue's parameters say; NaN where ``failure`` is set. [USD]
    failure : ObjectArray1D of str, shape (n_books,)
        Why a book cannot be margined (at most five reasons), or empty text.
    charges : Charges
        Every part of the margins: one row per position or per unit of a grid.
    units : tuple of GridUnits
        Units of scenario grids with their profit and loss by cell.
    placed : PlacedRows
        Rows that need margin, summed by book and instrument, with their terms.
    span : SpanUnits
        What books hold of combined commodities, with the losses by scenario.
    derive_portfolio : tuple of DerivePortfolioUnits
        Units of Derive's portfolio manager with their profit and loss by scenario.
    derive_standard : tuple of DeriveExpiryUnits
        Expiries under Derive's standard manager.
    """

    initial_margin: Float64Array1D
    maintenance_margin: Float64Array1D
    failure: ObjectArray1D
    charges: Charges
    units: tuple[GridUnits, ...]
    placed: PlacedRows
    span: SpanUnits
    derive_portfolio: tuple[DerivePortfolioUnits, ...]
    derive_standard: tuple[DeriveExpiryUnits, ...]


def margin_books(market: VenueMarket, rows: BookRows) -> BookMargins:
    """Return the margin of every book by the rules of its margin mode.

    A book's figures are the same bytes whatever else is in the table, and in any order of rows.
    What cannot be margined (no mark, no parameters, no model) fails its book by name and is never
    a margin of zero; a book without rows needs none.
    """
    placed = _placed(market, rows)
    parts = [
        tier_charges(market, placed),
        option_charges(market, placed),
        loan_charges(market, placed),
    ]
    units, unit_charges = grid_charges(market, placed)
    span, commodity_charges = span_charges(market, placed)
    portfolios, portfolio_parts = portfolio_charges(market, placed)
    expiries, standard_parts = standard_charges(market, placed)
    parts += [*unit_charges, *commodity_charges, *portfolio_parts, *standard_parts]
    charges = joined_charges(parts)
    failure = _failures(market, rows, placed, charges)
    n_books = rows.n_books
    usd = charges.usd_rate
    initial = rounded(grouped_sums(_finite(charges.initial_margin * usd), charges.book, n_books))
    maintenance = rounded(
        grouped_sums(_finite(charges.maintenance_margin * usd), charges.book, n_books)
    )
    is_failed = failure != ""
    # Initial margin is what a venue asks before a position is opened: never below maintenance.
    return BookMargins(
        initial_margin=np.where(is_failed, np.nan, np.maximum(initial, maintenance)),
        maintenance_margin=np.where(is_failed, np.nan, maintenance),
        failure=failure,
        charges=charges,
        units=units,
        placed=placed,
        span=span,
        derive_portfolio=portfolios,
        derive_standard=expiries,
    )


def _placed(market: VenueMarket, rows: BookRows) -> PlacedRows:
    """Return the rows that need margin, summed by book and instrument, with their terms."""
    n_instruments = len(market.instruments)
    known = rows.instrument >= 0
    key = rows.book[known] * n_instruments + rows.instrument[known]
    distinct, place = np.unique(key, return_inverse=True)
    total = rounded(grouped_sums(rows.quantity[known], place, len(distinct)))
    book, instrument = distinct // n_instruments, distinct % n_instruments
    mode = rows.mode[book]
    alive = (total != 0.0) & ~market.instruments.settles[instrument]
    book, instrument, mode, total = book[alive], instrument[alive], mode[alive], total[alive]
    modes = market.terms.modes
    by_mode = [
        np.stack([getattr(each, name) for each in modes])
        if modes
        else np.zeros((0, n_instruments), dtype=object)
        for name in ("model", "parameters", "bucket", "currency", "fault", "loan", "loan_fault")
    ]
    model, parameters, bucket, currency, fault, loan, loan_fault = (
        values[mode, instrument] for values in by_mode
    )
    is_loan = market.instruments.is_spot[instrument] & (total < 0.0) & (model == "")
    return PlacedRows(
        book=book,
        instrument=instrument,
        quantity=total,
        leverage=rows.leverage[book],
        model=np.where(is_loan, "collateral_rates", model),
        parameters=np.where(is_loan, loan, parameters).astype(np.int64),
        bucket=bucket,
        currency=currency,
        fault=np.where(is_loan, loan_fault, fault),
        spreads=np.array([each.spreads for each in modes], dtype=np.int64)[mode],
    )


def _failures(
    market: VenueMarket, rows: BookRows, placed: PlacedRows, charges: Charges
) -> ObjectArray1D:
    reasons: dict[int, list[str]] = {}

    def add(book: Int64Array1D, texts: ObjectArray1D, where: BoolArray1D) -> None:
        for at in np.flatnonzero(where).tolist():
            reasons.setdefault(int(book[at]), []).append(str(texts[at]))

    instruments = market.instruments
    unknown = np.full(len(rows.book), "an instrument that nobody lists", dtype=object)
    add(rows.book, unknown, (rows.instrument < 0) & (rows.quantity != 0.0))
    # A position that is faulty may be in any mode; one that the venue does not list has no terms.
    faults = instruments.fault[placed.instrument]
    add(placed.book, faults, faults != "")
    venues = np.array([each.venue for each in market.terms.modes], dtype=object)
    if len(venues):
        elsewhere = instruments.venue[placed.instrument] != venues[rows.mode[placed.book]]
        names = instruments.instrument_id[placed.instrument] + " is listed at another venue"
        add(placed.book, names, elsewhere)
    add(placed.book, placed.fault, placed.fault != "")
    add(charges.book, charges.fault, charges.fault != "")
    failure = np.full(rows.n_books, "", dtype=object)
    for book, texts in reasons.items():
        distinct = sorted(set(texts))
        more = len(distinct) - REASONS_MAX
        failure[book] = "; ".join(distinct[:REASONS_MAX]) + (
            f"; and {more} more" if more > 0 else ""
        )
    # A book that holds nothing needs nothing, whatever its mode.
    for book in np.unique(rows.book[rows.quantity != 0.0]).tolist():
        problem = market.terms.modes[int(rows.mode[book])].problem
        if problem:
            failure[book] = problem
    return failure


def _finite(values: Float64Array1D) -> Float64Array1D:
    # What is not finite has a fault, and its book no margin.
    finite: Float64Array1D = np.where(np.isfinite(values), values, 0.0)
    return finite
