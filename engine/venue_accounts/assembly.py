"""Margins of every venue account of a close, with what they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D, ObjectArray1D
from engine.reconciliation import reporting_quantities, smallest_confirmed
from engine.rules import RuleBook
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from engine.venue_accounts.accounts import VenueBooks, venue_books
from engine.venue_accounts.assuming import account_notes
from engine.venue_accounts.columns import BUCKET_COLUMNS, MARGIN_COLUMNS, framed
from engine.venue_accounts.drifting import account_drift
from engine.venue_accounts.equity import EquityInputs, account_equity
from engine.venue_accounts.evidence import GRADES
from engine.venue_accounts.explaining import charge_table, component_frame, scenario_frame
from engine.venue_accounts.governing import MarginedAccounts, with_governing
from engine.venue_accounts.instruments import usd_rates
from engine.venue_accounts.margins import BookRows, margin_books
from engine.venue_accounts.market import VenueMarket, prepare_venues
from engine.venue_accounts.positions import position_frame
from engine.venue_accounts.ratios import BucketEquity, bucket_equity, margin_ratios
from engine.venue_rules import ACCOUNT_MODE

FROM_REPLICA: Final = "replica"
FROM_REPORT: Final = "venue report"


@dataclass(frozen=True, slots=True, eq=False)
class VenueMargins:
    """What the venues demand, account by account.

    Attributes
    ----------
    margins : pandas.DataFrame
        One row per account, sorted; columns ``MARGIN_COLUMNS``. ``status`` is ``assessed``,
        ``failed`` (data or parameters are missing) or ``unmodelled`` (no margin mode, or one whose
        models are not replicated here); ``reason`` says why. Margins are of the worst book, in
        USD; NaN unless assessed. ``demand`` is what is held against the house's requirement: the
        replica, else what the venue reports, else NaN (unknown), as ``demand_source`` says.
        ``margin_ratio`` is the venue's own: with ``ratio_kind`` ``margin_balance`` maintenance
        over equity, with ``adjusted_equity`` equity over maintenance; both liquidate at 1. NaN
        where equity is unknown. ``evidence`` is the weakest grade among the parameters used,
        ``note`` says what was assumed where the market or the rule book says nothing.
    buckets : pandas.DataFrame
        What is margined together: columns ``BUCKET_COLUMNS``, in the bucket's currency.
    components : pandas.DataFrame
        Every part of a margin with its parameters: columns ``COMPONENT_COLUMNS``.
    positions : pandas.DataFrame
        Positions of the governing book: columns ``POSITION_COLUMNS``; notional, margins and
        profit and loss in USD.
    scenarios : pandas.DataFrame
        Profit and loss of every unit in every cell: columns ``SCENARIO_COLUMNS``.
    drift : pandas.DataFrame
        Columns ``engine.drift.DRIFT_COLUMNS``.
    """

    margins: pd.DataFrame
    buckets: pd.DataFrame
    components: pd.DataFrame
    positions: pd.DataFrame
    scenarios: pd.DataFrame
    drift: pd.DataFrame


def venue_margins(
    snapshot: Snapshot, positions: PositionSet, collateral: CollateralSet, rules: RuleBook
) -> VenueMargins:
    """Return the margin of every venue account by the account's mode.

    Which models and parameters apply is the rule book's to say (``AccountMode``), never the
    venue's name. An account whose data, parameters or model is missing is failed or unmodelled by
    name; it is never taken to need nothing.

    Parameters
    ----------
    snapshot : Snapshot
        The market at the close.
    positions : PositionSet
        Positions by source, open orders, accounts, and what the venues report.
    collateral : CollateralSet
        Holdings; those whose location is an account are equity at the venue.
    rules : RuleBook
        ``rules.venues`` holds modes and parameters.
    """
    accounts = margined_accounts(snapshot, positions, rules)
    rates = usd_rates(snapshot)
    table = charge_table(accounts)
    buckets = _buckets(accounts, table)
    confirmed = smallest_confirmed(
        reporting_quantities(collateral.holdings, ["netting_set_id", "location", "asset", "state"])
    )
    own = account_equity(
        EquityInputs(
            market=accounts.market,
            accounts=accounts.books.accounts,
            mode=accounts.mode,
            positions=positions.positions,
            holdings=confirmed,
            usd_rates=rates,
            rules=rules.venues,
        )
    )
    equity = bucket_equity(accounts, buckets, own, positions.venue_margin, rates)
    components = component_frame(accounts, table)
    margins = _margins(accounts, buckets, equity, components, rules).assign(
        note=account_notes(accounts, components, own.note)
    )
    return VenueMargins(
        margins=_with_demand(margins, positions.venue_margin, rates),
        buckets=framed(
            {str(name): buckets[name] for name in buckets} | {"equity": equity.by_bucket},
            BUCKET_COLUMNS,
        ),
        components=components,
        positions=position_frame(accounts, table, buckets, equity),
        scenarios=scenario_frame(accounts),
        drift=account_drift(accounts, buckets, components, positions.venue_margin, rates),
    )


def margined_accounts(
    snapshot: Snapshot, positions: PositionSet, rules: RuleBook
) -> MarginedAccounts:
    """Return every account with the margins of all its books: the core of ``venue_margins``."""
    books = venue_books(positions)
    pairs = sorted(
        {
            (str(venue), str(name))
            for venue, name in zip(
                books.accounts["venue"], books.accounts["account_mode"], strict=True
            )
        }
    )
    market = prepare_venues(snapshot, rules, pairs)
    rows = _book_rows(market, books, pairs)
    found = margin_books(market, rows)
    return with_governing(market, books, rows, found, snapshot.faults)


def _book_rows(market: VenueMarket, books: VenueBooks, pairs: list[tuple[str, str]]) -> BookRows:
    place = {pair: row for row, pair in enumerate(pairs)}
    mode = np.array(
        [
            place[str(venue), str(name)]
            for venue, name in zip(
                books.accounts["venue"], books.accounts["account_mode"], strict=True
            )
        ],
        dtype=np.int64,
    )
    known = market.instruments.instrument_id
    at = np.minimum(np.searchsorted(known, books.instrument_id), len(known) - 1)
    instrument = np.where(known[at] == books.instrument_id, at, -1)
    leverage = books.accounts["leverage"].to_numpy(dtype=np.float64)
    return BookRows(
        mode=mode[books.book_account],
        leverage=leverage[books.book_account],
        book=books.book,
        instrument=instrument.astype(np.int64),
        quantity=books.quantity,
    )


def _buckets(accounts: MarginedAccounts, table: pd.DataFrame) -> pd.DataFrame:
    """Return the sums of the charges by account and bucket, in the bucket's currency."""
    by_bucket = table.groupby(["account", "bucket"], sort=True)
    margins = by_bucket[["initial_margin", "maintenance_margin"]].sum()
    facts = by_bucket[["currency", "usd_rate"]].first()
    frame = pd.concat([facts, margins], axis=1).reset_index()
    # An offset may not turn a bucket's margin into a credit; initial is never below maintenance.
    frame["maintenance_margin"] = frame["maintenance_margin"].clip(lower=0.0)
    frame["initial_margin"] = np.maximum(frame["initial_margin"], frame["maintenance_margin"])
    frame["account_id"] = accounts.account_id[frame["account"].to_numpy(dtype=np.int64)]
    return frame


def _margins(
    accounts: MarginedAccounts,
    buckets: pd.DataFrame,
    equity: BucketEquity,
    components: pd.DataFrame,
    rules: RuleBook,
) -> pd.DataFrame:
    found, facts = accounts.found, accounts.books.accounts
    initial = np.where(accounts.is_assessed, found.initial_margin[accounts.initial_book], np.nan)
    maintenance = np.where(
        accounts.is_assessed, found.maintenance_margin[accounts.maintenance_book], np.nan
    )
    ratio, kind = margin_ratios(accounts, buckets, equity, maintenance)
    return facts[["account_id", "venue", "client_id", "netting_set_id", "account_mode"]].assign(
        status=accounts.status,
        reason=accounts.reason,
        book=[accounts.books.book_label[book] for book in accounts.initial_book.tolist()],
        n_positions=facts["n_positions"],
        currency="USD",
        initial_margin=initial,
        maintenance_margin=maintenance,
        house_share=np.nan,
        equity=equity.by_account,
        equity_source=equity.source,
        margin_ratio=ratio,
        ratio_kind=kind,
        evidence=_evidence(accounts, components, rules),
    )


def _evidence(
    accounts: MarginedAccounts, components: pd.DataFrame, rules: RuleBook
) -> ObjectArray1D:
    """Return the weakest grade among the sets that each account's margin rests on."""
    rank = {grade: place for place, grade in enumerate(GRADES)}
    weakest: dict[str, int] = {}
    for name, grade in zip(components["account_id"], components["evidence"], strict=True):
        weakest[str(name)] = max(weakest.get(str(name), 0), rank[grade])
    texts = np.full(accounts.books.n_accounts, "", dtype=object)
    is_assessed = accounts.is_assessed
    for row, name in enumerate(accounts.account_id.tolist()):
        terms = accounts.market.terms.modes[int(accounts.mode[row])]
        if not is_assessed[row] or terms.mode is None:
            continue
        own = rules.venues.find(terms.venue, ACCOUNT_MODE, terms.name).evidence
        texts[row] = GRADES[max(weakest.get(str(name), 0), rank[own])]
    return texts


def _with_demand(
    margins: pd.DataFrame, reported: pd.DataFrame, rates: dict[str, float]
) -> pd.DataFrame:
    """Add what is held against the house's requirement: the replica, else the venue's report."""
    rate = np.array([rates.get(str(name), np.nan) for name in reported["currency"]])
    told = reported.assign(
        initial=reported["reported_initial_margin"].to_numpy() * rate,
        maintenance=reported["reported_maintenance_margin"].to_numpy() * rate,
    )
    # A bucket in a currency without a rate leaves the whole account's report unknown.
    sums = told.groupby("account_id", sort=True)[["initial", "maintenance"]].sum(min_count=1)
    lost = set(told.loc[told["initial"].isna(), "account_id"])
    sums = sums[~sums.index.isin(list(lost))]
    names = margins["account_id"]
    initial: Float64Array1D = margins["initial_margin"].to_numpy(dtype=np.float64)
    maintenance: Float64Array1D = margins["maintenance_margin"].to_numpy(dtype=np.float64)
    is_ours = np.isfinite(initial)
    said: Float64Array1D = sums["initial"].reindex(names).to_numpy(dtype=np.float64)
    said_maintenance = sums["maintenance"].reindex(names).to_numpy(dtype=np.float64)
    source = np.where(is_ours, FROM_REPLICA, np.where(np.isfinite(said), FROM_REPORT, ""))
    return framed(
        {
            **{str(name): margins[name] for name in margins},
            "demand": np.where(is_ours, initial, said),
            "maintenance_demand": np.where(is_ours, maintenance, said_maintenance),
            "demand_source": source,
        },
        MARGIN_COLUMNS,
    )
