"""Positions made ready for margining: netting sets → books → legs → positions.

A netting set has one *book*, unless its sources disagree or it has open orders: then it has one
per possible truth, all are margined, and the worst one is owed. Books are the groups of
``LegRows``; a leg is what a book holds on one underlying.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.books import Books, books_of
from engine.errors import MissingDataError, ParameterError
from engine.kernels.compensated import grouped_in_order
from engine.kernels.tail import COLLATERAL, NETTED, STANDALONE, LegRows
from engine.market import PreparedMarket
from engine.reconciliation import Reconciliation, reconcile
from engine.rules import Agreement, RuleBook
from engine.snapshot import CollateralSet, PositionSet

HOLDINGS_THAT_ADD_RISK: Final = ("positions", "open_orders")
HOLDINGS: Final = (*HOLDINGS_THAT_ADD_RISK, "collateral")


@dataclass(frozen=True, slots=True, eq=False)
class Portfolio:
    """All netting sets of a run, with their books as nested rows.

    Attributes
    ----------
    netting_sets : pandas.DataFrame
        One row per netting set, sorted: netting_set_id, client_id, currency, confidence, fx_rate
        [USD per unit], failure (why it cannot be margined, or empty), hold (why its inputs are
        not fresh, or empty), n_positions, has_break (a difference between sources, or a holding in
        quarantine: nothing is returned).
    group_netting_set : Int64Array1D, shape (n_groups,)
        Row of the netting set of each book; ascending.
    group_book : tuple of str, length n_groups
        ``agreed``, a source's name, and ``+ buys`` or ``+ sells`` for filled open orders.
    rows : LegRows
        The books; ``index`` points into the matrices of ``PreparedMarket``.
    leg_asset : Int64Array1D, shape (n_legs,)
        Row of each leg's underlying in the market's assets; -1 for the collateral leg.
    reconciliation : Reconciliation
    """

    netting_sets: pd.DataFrame
    group_netting_set: Int64Array1D
    group_book: tuple[str, ...]
    rows: LegRows
    leg_asset: Int64Array1D
    reconciliation: Reconciliation

    @property
    def n_netting_sets(self) -> int:
        """Number of netting sets."""
        return len(self.netting_sets)


def portfolio(
    market: PreparedMarket, positions: PositionSet, collateral: CollateralSet, rules: RuleBook
) -> Portfolio:
    """Return the netting sets of ``positions``, reconciled and ready to be margined.

    Raises
    ------
    MissingDataError
        If there is no position at all.
    ParameterError
        If a netting set has no agreement.
    """
    if positions.positions.empty:
        raise MissingDataError("the book is empty: no position of any source")
    found = reconcile(positions.positions, collateral.holdings)
    names = _netting_set_names(positions, collateral, market.faults, rules)
    agreements = _agreements_of(names, rules)
    row_of = {name: row for row, name in enumerate(names)}
    books = books_of(found, positions.open_orders, row_of)
    located = _located(books, market)
    hold = _with_quarantine(located.hold, market.faults, row_of)
    located = replace(located, hold=hold)
    netting_sets = _netting_set_frame(names, agreements, located, market, found)
    held = _with_collateral(located.positions, found.collateral, market, row_of)
    nested = _nested(held, books, market)
    return Portfolio(
        netting_sets=netting_sets,
        group_netting_set=nested.group_netting_set,
        group_book=nested.group_book,
        rows=nested.rows,
        leg_asset=nested.leg_asset,
        reconciliation=found,
    )


def _netting_set_names(
    positions: PositionSet, collateral: CollateralSet, faults: pd.DataFrame, rules: RuleBook
) -> tuple[str, ...]:
    frames = (positions.positions, positions.open_orders, collateral.holdings)
    names = {str(name) for frame in frames for name in frame["netting_set_id"].unique()}
    # One that has lost all it holds is held, not absent; what nobody has agreed on is no name.
    lost = faults.loc[faults["dataset"].isin(HOLDINGS_THAT_ADD_RISK), "identifier"]
    return tuple(sorted(names | (set(lost.astype(str)) & set(rules.agreements))))


def _agreements_of(names: tuple[str, ...], rules: RuleBook) -> list[Agreement]:
    missing = [name for name in names if name not in rules.agreements]
    if missing:
        shown = ", ".join(missing[:5])
        raise ParameterError(
            f"{len(missing)} netting sets have no agreement: {shown}"
            + (" and more" if len(missing) > 5 else "")
            + "; add them to the agreements dataset",
            identifier=missing[0],
        )
    return [rules.agreements[name] for name in names]


@dataclass(frozen=True, slots=True, eq=False)
class _Located:
    """Positions found in the market, and why the others were not."""

    positions: pd.DataFrame
    """Columns group, row, quantity: usable, unexpired, non-zero."""
    failure: dict[int, str]
    hold: dict[int, str]
    """By netting set."""
    n_positions: Int64Array1D
    """Instruments held by each netting set in its largest book."""


def _located(books: Books, market: PreparedMarket) -> _Located:
    contents = books.contents[books.contents["quantity"] != 0.0]
    # Each distinct name is looked up once.
    code, names = pd.factorize(contents["instrument_id"], use_na_sentinel=False)
    wanted: ObjectArray1D = np.asarray(names, dtype=object)
    place = np.searchsorted(market.instrument_id, wanted)
    place = np.minimum(place, market.n_instruments - 1)
    row, known = place[code], (market.instrument_id[place] == wanted)[code]
    netting_set = books.netting_set[contents["group"].to_numpy()]
    expired = known & market.has_expired[row]
    faulty = np.array([bool(fault) for fault in market.fault], dtype=np.bool_)[row]
    unusable = known & faulty & ~market.settles[row] & ~expired
    failure = _reasons(netting_set, why_unknown(wanted, market)[code], ~known, "unknown instrument")
    for key, text in _reasons(netting_set, wanted[code], expired, "expired instrument").items():
        failure[key] = "; ".join(part for part in (failure.get(key, ""), text) if part)
    faults = np.array(market.fault, dtype=object)[row]
    usable = known & ~faulty
    located = pd.DataFrame(
        {
            "group": contents["group"].to_numpy()[usable],
            "row": row[usable],
            "quantity": contents["quantity"].to_numpy(dtype=np.float64)[usable],
        }
    )
    # A netting set may hold an instrument in several books.
    distinct = pd.unique(netting_set * np.int64(len(wanted)) + code)
    n_netting_sets = int(books.netting_set.max()) + 1
    return _Located(
        positions=located,
        failure=failure,
        hold=_reasons(netting_set, faults, unusable, ""),
        n_positions=np.bincount(distinct // max(len(wanted), 1), minlength=n_netting_sets),
    )


def why_unknown(instruments: np.ndarray, market: PreparedMarket) -> np.ndarray:
    """Return the identifiers, with the reason of those whose row is in quarantine."""
    lost = market.faults[market.faults["dataset"] == "instruments"]
    reasons = dict(zip(lost["identifier"].astype(str), lost["reason"].astype(str), strict=True))
    texts = [f"{i} ({reasons[i]})" if i in reasons else i for i in instruments.tolist()]
    return np.array(texts, dtype=object)


def _with_quarantine(
    hold: dict[int, str], faults: pd.DataFrame, row_of: dict[str, int]
) -> dict[int, str]:
    """Return ``hold`` with the netting sets that lost a position or an order to quarantine.

    What such a row would have added is unknown, so the netting set is not margined as if it were
    nothing.
    """
    lost = faults[faults["dataset"].isin(HOLDINGS_THAT_ADD_RISK)]
    held = dict(hold)
    for dataset, name, reason in zip(
        lost["dataset"].astype(str),
        lost["identifier"].astype(str),
        lost["reason"].astype(str),
        strict=True,
    ):
        if name in row_of:
            text = f"row of {dataset} in quarantine ({reason})"
            before = held.get(row_of[name], "")
            held[row_of[name]] = f"{before}; {text}" if before else text
    return held


def _reasons(
    netting_set: Int64Array1D, texts: np.ndarray, chosen: BoolArray1D, lead: str
) -> dict[int, str]:
    """Return, by netting set, the distinct texts of the chosen rows (at most five)."""
    by_set: dict[int, list[str]] = {}
    pairs = sorted(
        {(int(a), str(b)) for a, b in zip(netting_set[chosen], texts[chosen], strict=True)}
    )
    for key, text in pairs:
        by_set.setdefault(key, []).append(text)
    return {
        key: (f"{lead} " if lead else "")
        + ", ".join(names[:5])
        + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        for key, names in by_set.items()
    }


def _netting_set_frame(
    names: tuple[str, ...],
    agreements: list[Agreement],
    located: _Located,
    market: PreparedMarket,
    found: Reconciliation,
) -> pd.DataFrame:
    rate_of = dict(zip(market.assets, market.usd_rate.tolist(), strict=True))
    rates = [rate_of.get(agreement.currency, float("nan")) for agreement in agreements]
    failure = [located.failure.get(row, "") for row in range(len(names))]
    for row, (rate, agreement) in enumerate(zip(rates, agreements, strict=True)):
        if not np.isfinite(rate):
            text = f"no USD rate of {agreement.currency}, currency of the agreement"
            failure[row] = "; ".join(part for part in (failure[row], text) if part)
    with_break = set(found.breaks["netting_set_id"].astype(str))
    # A quarantined holding whose netting set cannot be read may be anybody's: nothing is returned.
    quarantined = market.faults["dataset"].isin(HOLDINGS)
    lost = set(market.faults.loc[quarantined, "identifier"].astype(str))
    of_nobody = not lost <= set(names)
    with_break |= lost
    return pd.DataFrame(
        {
            "netting_set_id": pd.Series(names, dtype="str"),
            "client_id": pd.Series([a.client_id for a in agreements], dtype="str"),
            "currency": pd.Series([a.currency for a in agreements], dtype="str"),
            "confidence": [a.confidence for a in agreements],
            "fx_rate": rates,
            "failure": pd.Series(failure, dtype="str"),
            "hold": pd.Series(
                [located.hold.get(row, "") for row in range(len(names))], dtype="str"
            ),
            "n_positions": located.n_positions,
            "has_break": [of_nobody or name in with_break for name in names],
        }
    )


def _with_collateral(
    positions: pd.DataFrame,
    collateral: pd.DataFrame,
    market: PreparedMarket,
    row_of: dict[str, int],
) -> pd.DataFrame:
    """Return positions and settled collateral in one table, keyed by netting set or by book."""
    asset_of = {asset: row for row, asset in enumerate(market.assets)}
    settled = collateral[(collateral["state"] == "settled") & collateral["asset"].isin(asset_of)]
    held = pd.DataFrame(
        {
            "netting_set": settled["netting_set_id"].map(row_of).to_numpy(dtype=np.int64),
            "row": settled["asset"].map(asset_of).to_numpy(dtype=np.int64) + market.n_instruments,
            "quantity": settled["quantity"].to_numpy(dtype=np.float64),
        }
    )
    grouped = held.groupby(["netting_set", "row"], sort=True)
    keys, group = grouped.size().index, grouped.ngroup().to_numpy().astype(np.int64)
    quantity: Float64Array1D = held["quantity"].to_numpy(dtype=np.float64)
    # Locations are added in their order, whoever else is in the frame.
    sums = grouped_in_order(quantity, group, len(keys))
    summed = pd.Series(sums, index=keys, name="quantity").reset_index()
    # Rows of assets that lose nothing beyond their haircut would only cost time.
    loses = losing_assets(market)
    summed = summed[loses[summed["row"].to_numpy() - market.n_instruments]]
    together: pd.DataFrame = pd.concat([positions, summed], ignore_index=True)
    return together


def losing_assets(market: PreparedMarket) -> BoolArray1D:
    """Return which assets lose more than their haircut in some scenario, as collateral."""
    loses: BoolArray1D = (market.historical[market.n_instruments :] != 0.0).any(axis=1)
    return loses


@dataclass(frozen=True, slots=True, eq=False)
class _Nested:
    group_netting_set: Int64Array1D
    group_book: tuple[str, ...]
    rows: LegRows
    leg_asset: Int64Array1D


def _nested(held: pd.DataFrame, books: Books, market: PreparedMarket) -> _Nested:
    """Return books as legs by underlying, collateral last, instruments in order inside a leg."""
    is_collateral = held["group"].isna()
    positions = held[~is_collateral]
    groups = pd.DataFrame(
        {"netting_set": books.netting_set, "group": np.arange(len(books.label), dtype=np.float64)}
    )
    spread = held[is_collateral].drop(columns="group").merge(groups, on="netting_set")
    table = pd.concat([positions, spread], ignore_index=True)
    group = table["group"].to_numpy(dtype=np.int64)
    row = table["row"].to_numpy(dtype=np.int64)
    is_asset_row = row >= market.n_instruments
    underlying = market.underlying[np.minimum(row, market.n_instruments - 1)]
    # The collateral leg sorts behind every underlying.
    asset = np.where(is_asset_row, len(market.assets), underlying)
    order = np.lexsort((row, asset, group))
    group, row, asset = group[order], row[order], asset[order]
    weight: Float64Array1D = table["quantity"].to_numpy(dtype=np.float64)[order]
    starts_leg = np.ones(group.size, dtype=np.bool_)
    starts_leg[1:] = (group[1:] != group[:-1]) | (asset[1:] != asset[:-1])
    first = np.flatnonzero(starts_leg)
    leg_group, leg_asset = group[first], asset[first]
    is_collateral_leg = leg_asset == len(market.assets)
    standalone = market.is_standalone[np.minimum(leg_asset, len(market.assets) - 1)]
    role = np.where(is_collateral_leg, COLLATERAL, np.where(standalone, STANDALONE, NETTED))
    n_groups = len(books.label)
    return _Nested(
        group_netting_set=books.netting_set,
        group_book=books.label,
        rows=LegRows(
            group_ptr=np.searchsorted(leg_group, np.arange(n_groups + 1)).astype(np.int64),
            leg_ptr=np.append(first, group.size).astype(np.int64),
            leg_role=role.astype(np.int8),
            index=row.astype(np.int32),
            weight=weight,
        ),
        leg_asset=np.where(is_collateral_leg, -1, leg_asset).astype(np.int64),
    )
