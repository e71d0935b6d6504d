"""From requirement and collateral to the call: here float64 becomes money."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, ObjectArray1D
from engine.binding import withholds_returns
from engine.calls.margin_call import Holdings, decide_calls
from engine.kernels.compensated import grouped_in_order
from engine.money import REQUIREMENT_DECIMALS_MAX, Rounding, round_amounts
from engine.requirements import ASSESSED, FAILED
from engine.rules import RuleBook

# Of a currency without collateral parameters, hence without a ledger scale of its own.
DECIMALS_DEFAULT = 2


def with_calls(
    requirements: pd.DataFrame,
    collateral: pd.DataFrame,
    has_break: pd.Series,
    rules: RuleBook,
    venue: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return ``requirements`` with collateral value, excess, ratio and call decision.

    Requirements round up and collateral rounds down to the currency's decimals before they are
    compared. A failed netting set has no requirement: nothing is called and nothing returned.
    Where venue margins are known, collateral is compared with what is owed, the larger of both.

    Parameters
    ----------
    requirements : pandas.DataFrame
        From ``engine.requirements.requirement_frame``.
    collateral : pandas.DataFrame
        From ``engine.collateral.valuation.value_collateral``.
    has_break : pandas.Series of bool
        Whether reconciliation found a difference, in the order of ``requirements``.
    venue : pandas.DataFrame, optional
        From ``engine.binding.venue_columns``, in the order of ``requirements``; joins the result
        with the exact ``venue_amount`` and ``owed_amount``. Without it, the house's requirement
        is owed.
    """
    frame = requirements.copy()
    frame["collateral_value"] = _by_set(collateral, frame["netting_set_id"])
    owed: Float64Array1D = (frame if venue is None else venue)[
        "requirement" if venue is None else "owed"
    ].to_numpy(dtype=np.float64)
    frame["excess"] = frame["collateral_value"] - owed
    frame["margin_ratio"] = _ratio(owed, frame["collateral_value"].to_numpy(dtype=np.float64))
    scale = {asset: terms.scale for asset, terms in rules.house.collateral.items()}
    decimals = np.array(
        [
            min(scale.get(currency, DECIMALS_DEFAULT), REQUIREMENT_DECIMALS_MAX)
            for currency in frame["currency"].to_numpy(dtype=object)
        ],
        dtype=np.int64,
    )
    # Failed netting sets carry NaN, which is no amount; what is rounded for them is not used.
    need = np.nan_to_num(frame["requirement"].to_numpy(dtype=np.float64))
    value_held = np.nan_to_num(frame["collateral_value"].to_numpy(dtype=np.float64))
    required = round_amounts(need, decimals, Rounding.REQUIREMENT)
    held = round_amounts(value_held, decimals, Rounding.COLLATERAL_VALUE)
    is_failed = (frame["status"] == FAILED).to_numpy()
    releasable = (frame["status"] == ASSESSED).to_numpy() & ~has_break.to_numpy()
    called_for = required
    if venue is not None:
        releasable &= ~withholds_returns(venue, frame["netting_set_id"], rules)
        frame = pd.concat([frame, venue], axis=1)
        called_for = round_amounts(np.nan_to_num(owed), decimals, Rounding.REQUIREMENT)
        demanded: Float64Array1D = venue["venue_initial_margin"].to_numpy(dtype=np.float64)
        unrated = ~np.isfinite(demanded)
        exact = round_amounts(np.nan_to_num(demanded), decimals, Rounding.REQUIREMENT)
        frame["venue_amount"] = _replaced(exact, unrated, None)
        frame["owed_amount"] = _replaced(called_for, is_failed, None)
    names = frame["netting_set_id"].to_numpy(dtype=object)
    agreements = [rules.agreements[name] for name in names]
    decided = decide_calls(
        Holdings(
            agreements=agreements,
            requirement=_replaced(called_for, is_failed, Decimal(0)),
            collateral=_replaced(held, is_failed, Decimal(0)),
            pending=np.full(len(frame), Decimal(0), dtype=object),
            is_releasable=releasable,
        )
    )
    frame["requirement_amount"] = _replaced(required, is_failed, None)
    frame["collateral_amount"] = held
    frame["call_amount"] = _replaced(decided.amount, is_failed, Decimal(0))
    frame["withheld_amount"] = _replaced(decided.withheld, is_failed, Decimal(0))
    frame["call_action"] = _replaced(decided.action, is_failed, "none")
    return frame.astype({"call_action": "str"})


def _by_set(collateral: pd.DataFrame, names: pd.Series) -> Float64Array1D:
    """Return the collateral value of each netting set, its holdings added in their order."""
    at = pd.Index(names).get_indexer(pd.Index(collateral["netting_set_id"]))
    value: Float64Array1D = collateral["collateral_value"].to_numpy(dtype=np.float64)
    return grouped_in_order(value[at >= 0], at[at >= 0].astype(np.int64), len(names))


def _replaced(values: ObjectArray1D, where: BoolArray1D, value: object) -> ObjectArray1D:
    replaced = values.copy()
    replaced[where] = value
    return replaced


def _ratio(owed: Float64Array1D, held: Float64Array1D) -> Float64Array1D:
    """Return what is owed over collateral value; infinite without collateral, 0 for no need."""
    ratio: Float64Array1D = np.divide(owed, held, out=np.full(owed.size, np.inf), where=held > 0.0)
    ratio[owed == 0.0] = 0.0
    ratio[np.isnan(owed)] = np.nan
    return ratio
