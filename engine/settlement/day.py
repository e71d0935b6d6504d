"""Cash settlement of one business date: variation margin, funding and expiry.

Each position settles from the price at which it was last settled: to the day's mark, or, if its
instrument expired inside the day, once and for all to its settlement price. Spot held in the
book is financed by the house and marked like a linear contract.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.money import Rounding, round_amounts
from engine.rules import RuleBook
from engine.settlement.terms import SettlementTerms, settlement_terms
from engine.settlement.variation import funding_received, variation_margin
from engine.snapshot import Snapshot

VARIATION: Final = "variation"
FUNDING: Final = "funding"
EXPIRY: Final = "expiry"
SETTLEMENT_COLUMNS: Final = (
    "netting_set_id", "account_id", "instrument_id", "kind", "asset", "amount", "amount_exact",
)  # fmt: skip
UNSETTLED_COLUMNS: Final = ("netting_set_id", "account_id", "instrument_id", "kind", "reason")
# Of an asset without collateral parameters, hence without a ledger scale of its own.
SCALE_DEFAULT: Final = 8
# Far above any amount, and exact in the 50 digits of money at every scale.
AMOUNT_MAX: Final = 1e27

_TOO_LARGE: Final = f"amount is no money: limit {AMOUNT_MAX:g}"
_KEYS: Final = ["netting_set_id", "account_id", "instrument_id"]


@dataclass(frozen=True, slots=True, eq=False)
class DaySettlement:
    """What settles, and what cannot.

    Attributes
    ----------
    settlements : pandas.DataFrame
        Columns ``SETTLEMENT_COLUMNS``, sorted by netting set, account, instrument and kind.
        ``amount`` is float64, gains of the client > 0; ``amount_exact`` the same as a ``Decimal``
        rounded half even to the asset's scale. [asset]
    unsettled : pandas.DataFrame
        Columns ``UNSETTLED_COLUMNS``: positions left out, the kind of settlement that is missing,
        and why.
    """

    settlements: pd.DataFrame
    unsettled: pd.DataFrame


def settle_day(snapshot: Snapshot, positions: pd.DataFrame, rules: RuleBook) -> DaySettlement:
    """Return the cash settlements of the business date for all positions.

    Parameters
    ----------
    snapshot : Snapshot
        Instruments, marks and funding rates; the day runs from the previous close (exclusive) to
        the close of its business date.
    positions : pandas.DataFrame
        Columns netting_set_id, account_id, instrument_id, quantity [contracts, long > 0] and
        settled_price: where the position was last settled. Quantities of 0 settle nothing.
    rules : RuleBook
        Scales of the settlement assets and the age beyond which a mark is stale.

    Returns
    -------
    DaySettlement
        A perpetual settles twice: variation, and funding at the day's mark for the sum of the
        day's rates. Nothing is settled on a missing, stale or unusable price.
    """
    held = positions[positions["quantity"] != 0.0].sort_values(
        _KEYS, ignore_index=True, kind="stable"
    )
    table = settlement_terms(snapshot, rules.house)
    row = pd.Index(table.instrument_id).get_indexer(pd.Index(held["instrument_id"]))
    by_price = _by_price(held, table, row)
    by_funding = _by_funding(held, table, row)
    parts = [_settled(held, table, row, part, rules) for part in (by_price, by_funding)]
    missing = [_unsettled(held, part) for part in (by_price, by_funding)]
    order = [*_KEYS, "kind"]
    return DaySettlement(
        settlements=pd.concat(parts, ignore_index=True).sort_values(order, ignore_index=True),
        unsettled=pd.concat(missing, ignore_index=True).sort_values(order, ignore_index=True),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Settlements of some kinds, one element per position; those with a reason do not count."""

    kind: ObjectArray1D
    amount: Float64Array1D
    reason: ObjectArray1D
    applies: BoolArray1D


def _by_price(held: pd.DataFrame, table: SettlementTerms, row: Int64Array1D) -> _Part:
    """Return variation margin, or the final settlement of what has expired."""
    quantity: Float64Array1D = held["quantity"].to_numpy(dtype=np.float64)
    settled: Float64Array1D = held["settled_price"].to_numpy(dtype=np.float64)
    is_settled_usable = np.isfinite(settled) & (settled > 0.0)
    reason: ObjectArray1D = table.fault[row]
    reason[~np.isfinite(quantity)] = "quantity is not finite"
    for position in np.flatnonzero((reason == "") & ~is_settled_usable):
        reason[position] = f"settled price is {settled[position]}, limit > 0"
    amount = variation_margin(
        np.where(np.isfinite(quantity), quantity, 0.0),
        table.multiplier[row],
        np.where(is_settled_usable, settled, 1.0),
        table.price[row],
        table.is_reciprocal[row],
    )
    reason[(reason == "") & ~(np.abs(amount) < AMOUNT_MAX)] = _TOO_LARGE
    kind = np.where(table.is_expired[row], EXPIRY, VARIATION).astype(object)
    return _Part(kind, amount, reason, np.ones(len(held), dtype=np.bool_))


def _by_funding(held: pd.DataFrame, table: SettlementTerms, row: Int64Array1D) -> _Part:
    rate: Float64Array1D = table.funding_rate[row]
    has_rate = np.isfinite(rate)
    quantity: Float64Array1D = held["quantity"].to_numpy(dtype=np.float64)
    amount = funding_received(
        np.where(np.isfinite(quantity), quantity, 0.0),
        table.multiplier[row],
        table.price[row],
        np.where(has_rate, rate, 0.0),
        table.is_reciprocal[row],
    )
    reason: ObjectArray1D = table.fault[row]
    reason[~np.isfinite(quantity)] = "quantity is not finite"
    reason[(reason == "") & ~has_rate] = "no funding rate of the date"
    reason[(reason == "") & ~(np.abs(amount) < AMOUNT_MAX)] = _TOO_LARGE
    kind = np.full(len(held), FUNDING, dtype=object)
    return _Part(kind, amount, reason, table.is_perpetual[row])


def _settled(
    held: pd.DataFrame, table: SettlementTerms, row: Int64Array1D, part: _Part, rules: RuleBook
) -> pd.DataFrame:
    chosen = np.flatnonzero(part.applies & (part.reason == ""))
    amount = part.amount[chosen]
    instrument = row[chosen]
    assets = table.asset[instrument]
    scales = {
        asset: rules.house.collateral[asset].scale
        if asset in rules.house.collateral
        else SCALE_DEFAULT
        for asset in sorted(set(assets.tolist()))
    }
    decimals: Int64Array1D = np.array([scales[asset] for asset in assets], dtype=np.int64)
    frame = held[_KEYS].iloc[chosen].reset_index(drop=True)
    return frame.assign(
        kind=pd.Series(part.kind[chosen], dtype="str"),
        asset=pd.Series(assets, dtype="str"),
        amount=amount,
        amount_exact=pd.Series(
            round_amounts(amount, decimals, Rounding.SETTLEMENT), dtype="object"
        ),
    )


def _unsettled(held: pd.DataFrame, part: _Part) -> pd.DataFrame:
    chosen = np.flatnonzero(part.applies & (part.reason != ""))
    frame = held[_KEYS].iloc[chosen].reset_index(drop=True)
    return frame.assign(
        kind=pd.Series(part.kind[chosen], dtype="str"),
        reason=pd.Series(part.reason[chosen], dtype="str"),
    )
