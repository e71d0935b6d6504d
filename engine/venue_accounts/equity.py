"""Equity behind venue accounts, by asset: what lies at the venue and what is not settled yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D, Int64Array1D
from engine.collateral.haircuts import tiered_haircuts
from engine.errors import ParameterError
from engine.settlement.variation import variation_margin
from engine.venue_accounts.instruments import USD
from engine.venue_accounts.market import VenueMarket
from engine.venue_accounts.terms import DERIVE_PORTFOLIO, LOAN, SCENARIO_GRID
from engine.venue_rules import CollateralRates, VenueRules

FROM_COLLATERAL: Final = "collateral"
FROM_REPORT: Final = "venue report"
_SOURCES: Final = ("venue", "clearing", "oms")
# They charge the change of what options are worth alone.
_REVALUING: Final = (SCENARIO_GRID, DERIVE_PORTFOLIO)


@dataclass(frozen=True, slots=True, eq=False)
class Equity:
    """Equity of accounts that have collateral at their venue.

    Attributes
    ----------
    by_asset : pandas.DataFrame
        account (row), asset, quantity, usd_value, counted: of value, what the venue counts by its
        collateral rates. [USD]
    note : dict of int to str
        By account: assets without a collateral rate, which count nothing.
    """

    by_asset: pd.DataFrame
    note: dict[int, str]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EquityInputs:
    """What equity is counted from.

    Attributes
    ----------
    market : VenueMarket
    accounts : pandas.DataFrame
        ``VenueBooks.accounts``.
    mode : Int64Array1D, shape (n_accounts,)
        Row of each account's mode.
    positions : pandas.DataFrame
        Contract ``positions``.
    holdings : pandas.DataFrame
        Confirmed collateral: location, asset, state, quantity.
    usd_rates : dict of str to float
        USD per unit.
    rules : VenueRules
    """

    market: VenueMarket
    accounts: pd.DataFrame
    mode: Int64Array1D
    positions: pd.DataFrame
    holdings: pd.DataFrame
    usd_rates: dict[str, float]
    rules: VenueRules


def account_equity(inputs: EquityInputs) -> Equity:
    """Return the equity of each account by asset.

    Settled collateral whose location is the account; profit of futures and perpetuals since they
    were last settled; spot holdings; and, where options are margined by their revaluation, as in a
    scenario grid, their value, because it charges the change of it alone. A venue that nets equity
    over assets counts each by its ``collateral_rates``: an asset without one counts nothing.
    """
    row_of = {str(name): row for row, name in enumerate(inputs.accounts["account_id"])}
    holdings = inputs.holdings
    at_venue = holdings[(holdings["state"] == "settled") & holdings["location"].isin(row_of)]
    wallets = pd.DataFrame(
        {
            "account": [row_of[str(name)] for name in at_venue["location"]],
            "asset": at_venue["asset"].astype(str).to_numpy(),
            "quantity": at_venue["quantity"].to_numpy(dtype=np.float64),
        }
    )
    funded = set(wallets["account"])
    open_profit = _open_profit(inputs, row_of)
    open_profit = open_profit[open_profit["account"].isin(funded)]
    both = pd.concat([wallets, open_profit], ignore_index=True)
    summed = both.groupby(["account", "asset"], sort=True)["quantity"].sum().reset_index()
    price = np.array([inputs.usd_rates.get(str(asset), np.nan) for asset in summed["asset"]])
    summed["usd_value"] = summed["quantity"].to_numpy(dtype=np.float64) * price
    counted, note = _counted(inputs, summed)
    return Equity(summed.assign(counted=counted), note)


def _open_profit(inputs: EquityInputs, row_of: dict[str, int]) -> pd.DataFrame:
    market, positions, mode = inputs.market, inputs.positions, inputs.mode
    held = market.instruments
    reporting = [name for name in _SOURCES if (positions["source"] == name).any()]
    rows = positions[positions["source"] == reporting[0]] if reporting else positions
    rows = rows[rows["account_id"].isin(row_of)]
    names = rows["instrument_id"].to_numpy(dtype=object)
    at = np.minimum(np.searchsorted(held.instrument_id, names), len(held) - 1)
    usable = (held.instrument_id[at] == names) & (held.fault[at] == "") & ~held.settles[at]
    rows, at = rows[usable], at[usable]
    account = np.array([row_of[str(name)] for name in rows["account_id"]], dtype=np.int64)
    quantity = rows["quantity"].to_numpy(dtype=np.float64)
    is_option, is_spot = held.is_option[at], held.is_spot[at]
    profit = variation_margin(
        quantity,
        held.contract_multiplier[at],
        rows["settled_price"].to_numpy(dtype=np.float64),
        held.mark_price[at],
        held.is_inverse[at] & ~is_option,
    )
    by_grid = np.array(
        [
            market.terms.modes[m].model[i] in _REVALUING
            for m, i in zip(mode[account].tolist(), at.tolist(), strict=True)
        ],
        dtype=np.bool_,
    )
    worth = quantity * held.contract_multiplier[at]
    value = np.where(is_option, np.where(by_grid, worth * held.mark_price[at], 0.0), profit)
    asset = np.where(is_spot, held.underlying[at], held.settlement_asset[at])
    return pd.DataFrame(
        {"account": account, "asset": asset, "quantity": np.where(is_spot, worth, value)}
    )


def _counted(inputs: EquityInputs, balances: pd.DataFrame) -> tuple[Float64Array1D, dict[int, str]]:
    counted: Float64Array1D = balances["usd_value"].to_numpy(dtype=np.float64).copy()
    note: dict[int, list[str]] = {}
    venue = inputs.accounts["venue"].to_numpy(dtype=object)
    for at, (account, asset, quantity, value) in enumerate(
        zip(
            balances["account"].tolist(),
            balances["asset"].tolist(),
            balances["quantity"].tolist(),
            counted.tolist(),
            strict=True,
        )
    ):
        terms = inputs.market.terms.modes[int(inputs.mode[account])].mode
        if terms is None or terms.ratio != "adjusted_equity" or not value > 0.0 or asset == USD:
            continue
        try:
            found = inputs.rules.parameters(str(venue[account]), LOAN, asset, CollateralRates)
        except ParameterError:
            counted[at] = 0.0
            note.setdefault(account, []).append(asset)
            continue
        basis = np.array([quantity if found.tier_basis == "quantity" else value])
        counted[at] = value * (1.0 - float(tiered_haircuts(basis, found.haircut_tiers)[0]))
    return counted, {key: ", ".join(names) for key, names in note.items()}
