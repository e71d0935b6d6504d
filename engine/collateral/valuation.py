"""Value of the collateral of all netting sets under the house rules.

Missing is never safe: what has no parameters, no usable price or no currency rate counts 0, and
its row says why. Collateral in transit counts 0 too, at neither side, until it has settled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.collateral.haircuts import tiered_haircuts_with_fx
from engine.errors import ModelInputError, ParameterError
from engine.rules import CollateralAsset, RuleBook

SETTLED: Final = "settled"
COLLATERAL_COLUMNS: Final = (
    "netting_set_id", "location", "asset", "state", "quantity", "market_value", "haircut",
    "fx_haircut", "eligible", "concentration_cut", "collateral_value", "reason",
)  # fmt: skip

Rates: TypeAlias = "Mapping[str, float] | pd.Series[float]"


def value_collateral(
    holdings: pd.DataFrame, prices: Rates, rules: RuleBook, currency_rates: Rates
) -> pd.DataFrame:
    """Return each holding with its value after haircuts, in its agreement's currency.

    Tiered haircuts apply to the netting set's whole settled holding of the asset, wherever it
    lies. An asset that is not the agreement's currency takes the house's currency haircut on top;
    a stablecoin is another currency. Then the concentration limit: an asset counts for at most
    its share of what the netting set's collateral is worth after haircuts and before any limit.
    That base is known beforehand, so that there is nothing to iterate and more collateral is
    never worth less. Measured on the value after limits instead, a client with bitcoin alone
    (limit below 1) would have no collateral at all.

    Parameters
    ----------
    holdings : pandas.DataFrame
        Columns netting_set_id, location, asset, state (``settled`` or ``pending``) and quantity
        (>= 0); the book that counts, where sources disagree.
    prices : mapping or pandas.Series
        Price of one unit by asset; USD itself is 1. [USD]
    rules : RuleBook
        Collateral parameters and agreements.
    currency_rates : mapping or pandas.Series
        Value of one unit of each agreement currency; USD itself is 1. [USD]

    Returns
    -------
    pandas.DataFrame
        Columns ``COLLATERAL_COLUMNS``, sorted by netting set, location, asset and state. Market
        value, concentration cut and collateral value in the agreement's currency, not rounded;
        ``collateral_value = market_value * (1 - haircut - fx_haircut) - concentration_cut`` where
        ``reason`` is empty, else 0. Without a price or currency rate the market value is 0 too.

    Raises
    ------
    ModelInputError
        If a quantity is negative or not finite.
    ParameterError
        If a netting set has no agreement.
    """
    keys = ["netting_set_id", "location", "asset", "state"]
    rows = holdings.sort_values(keys, ignore_index=True, kind="stable")
    quantity: Float64Array1D = rows["quantity"].to_numpy(dtype=np.float64)
    _require_quantities(rows, quantity)
    index = _index(rows, prices, rules, currency_rates)
    reason = _reasons(rows["state"].to_numpy(dtype=object), index)
    value_usd = quantity * index.price
    counts: BoolArray1D = reason == ""
    haircut, fx_haircut, group_value, group_counted = _group_values(
        np.where(counts, value_usd, 0.0), index, rules
    )
    market_value = np.where(index.has_rate, value_usd / index.rate, 0.0)
    weight = np.maximum(1.0 - haircut - fx_haircut, 0.0)
    before_limit = np.where(counts, market_value * weight, 0.0)
    share = np.divide(
        group_counted, group_value, out=np.ones_like(group_value), where=group_value > 0.0
    )
    collateral_value = before_limit * share[index.group]
    return pd.DataFrame(
        {
            **{key: rows[key] for key in keys},
            "quantity": quantity,
            "market_value": market_value,
            "haircut": haircut,
            "fx_haircut": fx_haircut,
            "eligible": index.eligible,
            "concentration_cut": before_limit - collateral_value,
            "collateral_value": collateral_value,
            "reason": pd.Series(reason, dtype="str"),
        }
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Index:
    """Where each holding belongs; a group is one asset of one netting set."""

    assets: tuple[str, ...]
    parameters: tuple[CollateralAsset | None, ...]
    asset: Int64Array1D
    price: Float64Array1D
    currency: ObjectArray1D
    rate: Float64Array1D
    eligible: BoolArray1D
    has_price: BoolArray1D
    has_rate: BoolArray1D
    group: Int64Array1D
    group_asset: Int64Array1D
    group_netting_set: Int64Array1D
    group_rate: Float64Array1D
    group_is_own_currency: BoolArray1D


def _index(rows: pd.DataFrame, prices: Rates, rules: RuleBook, currency_rates: Rates) -> _Index:
    asset, asset_names = pd.factorize(rows["asset"], sort=True)
    netting_set, netting_set_ids = pd.factorize(rows["netting_set_id"], sort=True)
    assets = tuple(str(name) for name in asset_names)
    parameters = tuple(rules.house.collateral.get(name) for name in assets)
    asset_price = _usd_values(assets, prices)
    currencies = _currencies(tuple(str(name) for name in netting_set_ids), rules)
    distinct = tuple(sorted(set(currencies)))
    rate_of = dict(zip(distinct, _usd_values(distinct, currency_rates).tolist(), strict=True))
    rate = np.array([rate_of[name] for name in currencies], dtype=np.float64)
    n_assets = max(len(assets), 1)
    group_key, group = np.unique(netting_set * n_assets + asset, return_inverse=True)
    group_asset, group_netting_set = (
        group_key % max(len(assets), 1),
        group_key // max(len(assets), 1),
    )
    currency = np.array(currencies, dtype=object)
    has_price = np.isfinite(asset_price)
    has_rate = np.isfinite(rate)
    safe_rate = np.where(has_rate, rate, 1.0)
    eligible = np.array([each is not None and each.eligible for each in parameters], dtype=np.bool_)
    return _Index(
        assets=assets,
        parameters=parameters,
        asset=asset,
        price=np.where(has_price, asset_price, 0.0)[asset],
        currency=currency[netting_set],
        rate=safe_rate[netting_set],
        eligible=eligible[asset],
        has_price=has_price[asset],
        has_rate=has_rate[netting_set],
        group=group,
        group_asset=group_asset,
        group_netting_set=group_netting_set,
        group_rate=safe_rate[group_netting_set],
        group_is_own_currency=np.array(assets, dtype=object)[group_asset]
        == currency[group_netting_set],
    )


def _group_values(
    value_usd: Float64Array1D, index: _Index, rules: RuleBook
) -> tuple[Float64Array1D, Float64Array1D, Float64Array1D, Float64Array1D]:
    """Return haircuts by row, and value before and after the concentration limit by group."""
    n_groups = len(index.group_asset)
    # bincount adds in row order, which is sorted: the same sums in every run.
    sums = np.bincount(index.group, weights=value_usd, minlength=n_groups)
    basis: Float64Array1D = sums.astype(np.float64)
    fx: Float64Array1D = np.where(index.group_is_own_currency, 0.0, rules.house.fx_haircut)
    haircut, fx_haircut, limit = np.ones(n_groups), np.zeros(n_groups), np.zeros(n_groups)
    for code, parameters in enumerate(index.parameters):
        if parameters is None or not parameters.eligible:
            continue
        members = np.flatnonzero(index.group_asset == code)
        haircut[members], fx_haircut[members] = tiered_haircuts_with_fx(
            basis[members], parameters.haircut_tiers, fx[members]
        )
        limit[members] = parameters.concentration_limit
    value = basis / index.group_rate * np.maximum(1.0 - haircut - fx_haircut, 0.0)
    total = np.bincount(index.group_netting_set, weights=value)
    counted = np.minimum(value, limit * total[index.group_netting_set])
    return haircut[index.group], fx_haircut[index.group], value, counted


def _reasons(state: ObjectArray1D, index: _Index) -> ObjectArray1D:
    """Return why each holding counts 0, or empty text where it counts."""
    reason: ObjectArray1D = np.full(len(state), "", dtype=object)
    asset = np.array(index.assets, dtype=object)[index.asset]
    # The last check that fails names the reason: the most basic obstacle comes last.
    for row in np.flatnonzero(state != SETTLED):
        reason[row] = f"{state[row]}: not settled"
    for row in np.flatnonzero(~index.has_rate):
        reason[row] = f"no USD rate of {index.currency[row]}"
    for row in np.flatnonzero(~index.has_price):
        reason[row] = f"no usable price of {asset[row]}"
    for row in np.flatnonzero(~index.eligible):
        is_known = index.parameters[index.asset[row]] is not None
        reason[row] = (
            f"{asset[row]} is not eligible"
            if is_known
            else f"no collateral parameters of {asset[row]}"
        )
    return reason


def _usd_values(names: tuple[str, ...], rates: Rates) -> Float64Array1D:
    """Return the USD value of each name; NaN where it is absent, not finite or not above 0."""
    given = {str(name): float(value) for name, value in rates.items()}
    given.setdefault("USD", 1.0)
    found = np.array([given.get(name, np.nan) for name in names], dtype=np.float64)
    usable: Float64Array1D = np.where(np.isfinite(found) & (found > 0.0), found, np.nan)
    return usable


def _currencies(netting_set_ids: tuple[str, ...], rules: RuleBook) -> tuple[str, ...]:
    without = [name for name in netting_set_ids if name not in rules.agreements]
    if without:
        raise ParameterError(
            f"no agreement of netting set {without[0]}, which holds collateral"
            + (f", and of {len(without) - 1} more" if len(without) > 1 else ""),
            identifier=without[0],
        )
    return tuple(rules.agreements[name].currency for name in netting_set_ids)


def _require_quantities(rows: pd.DataFrame, quantity: Float64Array1D) -> None:
    unusable = np.flatnonzero(~(np.isfinite(quantity) & (quantity >= 0.0)))
    if len(unusable):
        row = rows.iloc[int(unusable[0])]
        raise ModelInputError(
            f"collateral of {row['netting_set_id']} at {row['location']}: quantity of "
            f"{row['asset']} is {row['quantity']}, limit finite and >= 0",
            identifier=str(row["netting_set_id"]),
            value=row["quantity"],
            limit=">= 0",
        )
