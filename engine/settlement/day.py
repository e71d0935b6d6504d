"""Cash settlement of one business date: variation margin, funding and expiry.

Each position settles from the price at which it was last settled: to the day's mark, or, if its
instrument expired inside the day, once and for all to its settlement price. Spot held in the
book is financed by the house and marked like a linear contract.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
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
POSITION_COLUMNS: Final = (
    "netting_set_id", "account_id", "instrument_id", "quantity", "settled_price",
)  # fmt: skip
UNSETTLED_COLUMNS: Final = ("netting_set_id", "account_id", "instrument_id", "kind", "reason")
# Of an asset without collateral parameters, hence without a ledger scale of its own.
SCALE_DEFAULT: Final = 8
# Far above any amount, and exact in the 50 digits of money at every scale.
AMOUNT_MAX: Final = 1e27

_TOO_LARGE: Final = f"amount is no money: limit {AMOUNT_MAX:g}"
_KEYS: Final = ["netting_set_id", "account_id", "instrument_id"]
# In order of their names, so that a place in it sorts as the name does.
_KINDS: Final = (EXPIRY, FUNDING, VARIATION)
# What has to hold of each position, and what to say of one that fails it.
_Check: TypeAlias = tuple[BoolArray1D, Callable[[int], str]]


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
        Columns ``POSITION_COLUMNS``: quantity [contracts, long > 0], settled_price where the
        position was last settled. Quantities of 0 settle nothing.
    rules : RuleBook
        Scales of the settlement assets and the age beyond which a mark is stale.

    Returns
    -------
    DaySettlement
        A perpetual settles twice: variation, and funding at the day's mark for the sum of the
        day's rates. Nothing is settled on a missing, stale or unusable price.
    """
    held = _held(positions)
    table = settlement_terms(snapshot, rules.house)
    # One more for an instrument that has no name.
    known = np.append(pd.Index(table.instrument_id).get_indexer(held.instruments), -1)
    row = known[held.instrument]
    parts = (_by_price(held, table, row), _by_funding(held, table, row))
    return DaySettlement(
        settlements=_settlements(held, parts, table, row, rules),
        unsettled=_unsettled(held, parts),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """Positions that are not 0, in the order of their keys; equal keys share a rank."""

    keys: pd.DataFrame
    """Of all positions, as they were given."""
    origin: Int64Array1D
    """Row of each held position in ``keys``."""
    rank: Int64Array1D
    instruments: pd.Index
    instrument: Int64Array1D
    """Place of each position's instrument in ``instruments``."""
    quantity: Float64Array1D
    settled_price: Float64Array1D

    def keys_of(self, position: Int64Array1D) -> pd.DataFrame:
        """Return the keys of the positions, numbered afresh."""
        return self.keys.take(self.origin[position]).reset_index(drop=True)


def _held(positions: pd.DataFrame) -> _Held:
    """Return positions sorted by their keys, each distinct name compared once."""
    quantity = positions["quantity"].to_numpy(dtype=np.float64)
    kept = np.flatnonzero(quantity != 0.0)
    codes, names = zip(*(pd.factorize(positions[key], sort=True) for key in _KEYS), strict=True)
    # A netting set and an account in one number: neither count exceeds the number of rows.
    account = (codes[0] * max(len(names[1]), 1) + codes[1])[kept]
    instrument = codes[2][kept]
    order = np.lexsort((instrument, account))
    account, instrument, kept = account[order], instrument[order], kept[order]
    is_new = np.ones(len(kept), dtype=np.bool_)
    is_new[1:] = (account[1:] != account[:-1]) | (instrument[1:] != instrument[:-1])
    return _Held(
        keys=positions[_KEYS],
        origin=kept,
        rank=np.cumsum(is_new),
        instruments=pd.Index(names[2]),
        instrument=instrument,
        quantity=quantity[kept],
        settled_price=positions["settled_price"].to_numpy(dtype=np.float64)[kept],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Settlements of some kinds: the held positions to which they apply, and which fail.

    ``kind`` is a place in ``_KINDS``; ``failing`` holds places in this part, each with a reason.
    """

    position: Int64Array1D
    kind: Int64Array1D
    amount: Float64Array1D
    failing: Int64Array1D
    reason: tuple[str, ...]

    def settling(self) -> BoolArray1D:
        """Return which of the part settle."""
        settles = np.ones(len(self.position), dtype=np.bool_)
        settles[self.failing] = False
        return settles


def _by_price(held: _Held, table: SettlementTerms, row: Int64Array1D) -> _Part:
    """Return variation margin, or the final settlement of what has expired."""
    quantity, settled = held.quantity, held.settled_price
    is_number: BoolArray1D = np.isfinite(quantity)
    is_usable: BoolArray1D = np.isfinite(settled) & (settled > 0.0)
    amount = variation_margin(
        np.where(is_number, quantity, 0.0),
        table.multiplier[row],
        np.where(is_usable, settled, 1.0),
        table.price[row],
        table.is_reciprocal[row],
    )
    checks: tuple[_Check, ...] = (
        (is_number, lambda _: "quantity is not finite"),
        ((table.fault == "")[row], lambda place: str(table.fault[row[place]])),
        (is_usable, lambda place: f"settled price is {settled[place]}, limit > 0"),
        (np.abs(amount) < AMOUNT_MAX, lambda _: _TOO_LARGE),
    )
    kind = np.where(table.is_expired, _KINDS.index(EXPIRY), _KINDS.index(VARIATION))[row]
    return _Part(np.arange(len(row)), kind, amount, *_failures(checks))


def _by_funding(held: _Held, table: SettlementTerms, row: Int64Array1D) -> _Part:
    """Return what perpetuals receive for the day's funding."""
    position = np.flatnonzero(table.is_perpetual[row])
    row, quantity = row[position], held.quantity[position]
    rate: Float64Array1D = table.funding_rate[row]
    is_number: BoolArray1D = np.isfinite(quantity)
    has_rate: BoolArray1D = np.isfinite(rate)
    amount = funding_received(
        np.where(is_number, quantity, 0.0),
        table.multiplier[row],
        table.price[row],
        np.where(has_rate, rate, 0.0),
        table.is_reciprocal[row],
    )
    checks: tuple[_Check, ...] = (
        (is_number, lambda _: "quantity is not finite"),
        ((table.fault == "")[row], lambda place: str(table.fault[row[place]])),
        (has_rate, lambda _: "no funding rate of the date"),
        (np.abs(amount) < AMOUNT_MAX, lambda _: _TOO_LARGE),
    )
    kind = np.full(len(position), _KINDS.index(FUNDING))
    return _Part(position, kind, amount, *_failures(checks))


def _failures(checks: tuple[_Check, ...]) -> tuple[Int64Array1D, tuple[str, ...]]:
    """Return the places at which a check fails, and what the first such check says of each."""
    passes = np.logical_and.reduce([holds for holds, _ in checks])
    failing = np.flatnonzero(~passes)
    reasons = tuple(
        next(say(place) for holds, say in checks if not holds[place]) for place in failing.tolist()
    )
    return failing, reasons


def _settlements(
    held: _Held,
    parts: tuple[_Part, ...],
    table: SettlementTerms,
    row: Int64Array1D,
    rules: RuleBook,
) -> pd.DataFrame:
    settles = [part.settling() for part in parts]
    pairs = list(zip(parts, settles, strict=True))
    position = np.concatenate([part.position[chosen] for part, chosen in pairs])
    kind = np.concatenate([part.kind[chosen] for part, chosen in pairs])
    order = np.lexsort((kind, held.rank[position]))
    amount = np.concatenate([part.amount[chosen] for part, chosen in pairs])[order]
    position, kind = position[order], kind[order]
    instrument = row[position]
    scales = [
        rules.house.collateral[asset].scale if asset in rules.house.collateral else SCALE_DEFAULT
        for asset in table.asset
    ]
    decimals: Int64Array1D = np.array(scales, dtype=np.int64)[instrument]
    exact_amount = round_amounts(amount, decimals, Rounding.SETTLEMENT)
    return held.keys_of(position).assign(
        kind=pd.Series(pd.array(_KINDS, dtype="str").take(kind)),
        asset=pd.Series(pd.array(table.asset[:-1], dtype="str").take(instrument)),
        amount=amount,
        amount_exact=pd.Series(exact_amount, dtype="object"),
    )


def _unsettled(held: _Held, parts: tuple[_Part, ...]) -> pd.DataFrame:
    position = np.concatenate([part.position[part.failing] for part in parts])
    kind = np.concatenate([part.kind[part.failing] for part in parts])
    order = np.lexsort((kind, held.rank[position]))
    reason = np.array([text for part in parts for text in part.reason], dtype=object)
    return held.keys_of(position[order]).assign(
        kind=pd.Series(pd.array(_KINDS, dtype="str").take(kind[order])),
        reason=pd.Series(reason[order], dtype="str"),
    )
