"""Equity that a venue has reported, after cash that it does not know of yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.collateral.haircuts import tiered_haircuts
from engine.errors import ParameterError
from engine.venue_rules import COLLATERAL_RATES, CollateralRates, VenueRules
from engine.whatif.venue import VenueSide


@dataclass(frozen=True, slots=True)
class Flow:
    """What arrives (> 0) at a location or leaves it, in units of the asset."""

    place: str
    asset: str
    amount: float
    is_transfer: bool = False


def with_reported_equity(
    side: VenueSide,
    reported: pd.DataFrame,
    flows: Sequence[Flow],
    rates: Mapping[str, float],
    rules: VenueRules,
) -> pd.DataFrame:
    """Return the venues' reports with the flows in them.

    Where buckets are assets, a flow moves the equity of its own; elsewhere that of the whole
    account. A venue that counts collateral by its rates counts what arrives by them, an asset
    without a rate not at all, and what leaves in full: the flow alone is known, not the tier that
    the whole holding is in.

    Parameters
    ----------
    reported : pandas.DataFrame
        Contract ``venue_margin``.
    rates : mapping
        USD per unit of each asset.
    """
    equity = reported["reported_equity"].to_numpy(dtype=np.float64).copy()
    account = reported["account_id"].astype(str).to_numpy(dtype=object)
    bucket = reported["bucket"].astype(str).to_numpy(dtype=object)
    currency = reported["currency"].astype(str).to_numpy(dtype=object)
    for flow in flows:
        row = side.account_row.get(flow.place)
        if row is None:
            continue
        terms = side.accounts.market.terms.modes[int(side.accounts.mode[row])]
        usd = flow.amount * rates[flow.asset]
        if terms.mode is not None and terms.mode.ratio == "adjusted_equity" and usd > 0.0:
            usd = _counted(usd, flow, terms.venue, rules)
        is_split = terms.mode is not None and terms.mode.bucket == "settlement_asset"
        moved = account == flow.place
        moved &= (bucket == flow.asset) if is_split else True
        for at in np.flatnonzero(moved):
            equity[at] += usd / rates.get(currency[at], np.nan)
    return reported.assign(reported_equity=equity)


def _counted(usd: float, flow: Flow, venue: str, rules: VenueRules) -> float:
    try:
        found = rules.parameters(venue, COLLATERAL_RATES, flow.asset, CollateralRates)
    except ParameterError:
        return 0.0
    basis = np.array([flow.amount if found.tier_basis == "quantity" else usd])
    return usd * (1.0 - float(tiered_haircuts(basis, found.haircut_tiers)[0]))
