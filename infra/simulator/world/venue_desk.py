"""Contract ``venue_margin``: what simulated venues say they demand. None of it is a venue's word.

Each venue margins the positions that it knows by its own arithmetic (``venue_formulas.py``), at
prices of its own second. So that a drift report has something true to find, a venue's prices are
off by its skew, one account is already on a newer tier table, one is margined without a position,
venues do not know what their statements lack, and some accounts are not reported at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from engine.times import close_of
from engine.venue_rules import AccountMode, VenueRules
from infra.simulator.world.venue_account_desk import AccountDesk, DeskMarket, Facts, Part
from infra.simulator.world.venue_formulas import Contract

PRICE_SKEW: Final = {"binance": 1e-4, "bybit": -8e-5, "deribit": 5e-5, "okx": 0.0}
"""Relative distance of a venue's prices from those of the close. [-]"""
UNREPORTED_SHARE: Final = 0.03
_STATEMENT_AGE: Final = pd.Timedelta(seconds=4)


def venue_reports(
    market: DeskMarket,
    positions: pd.DataFrame,
    open_orders: pd.DataFrame,
    accounts: pd.DataFrame,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return what the venues report about every account of one business date.

    Parameters
    ----------
    positions, open_orders : pandas.DataFrame
        Of the date; of the positions those that the venues state.
    accounts : pandas.DataFrame
        Modes in force, one row per account.
    """
    known = positions[positions["source"] == "venue"]
    held = {str(name): rows for name, rows in known.groupby("account_id", sort=True)}
    resting = {str(name): rows for name, rows in open_orders.groupby("account_id", sort=True)}
    rows: list[dict[str, object]] = []
    for record in _records(accounts.sort_values("account_id")):
        name = str(record["account_id"])
        silent, cover = rng.random() < UNREPORTED_SHARE, 1.05 + 2.5 * rng.beta(1.5, 2.0)
        if silent:
            continue
        desk = AccountDesk(market, name, str(record["venue"]), record)
        parts = desk.account(held.get(name), resting.get(name))
        rows += [{"account_id": name, **row} for row in _rows(parts, desk.mode, cover, market)]
    frame = pd.DataFrame(
        rows,
        columns=[
            "account_id", "bucket", "currency", "reported_initial_margin",
            "reported_maintenance_margin", "reported_equity",
        ],
    )  # fmt: skip
    frame.insert(0, "business_date", market.close.tz_localize(None) - pd.Timedelta(days=1))
    frame["observed_utc"] = market.close - _STATEMENT_AGE
    texts = dict.fromkeys(("account_id", "bucket", "currency"), "str")
    numbers = dict.fromkeys(
        ("reported_initial_margin", "reported_maintenance_margin", "reported_equity"), "float64"
    )
    instants = {"business_date": "datetime64[ms]", "observed_utc": "datetime64[ms, UTC]"}
    return frame.astype({**texts, **numbers, **instants})


def demanded(
    market: DeskMarket,
    positions: pd.DataFrame,
    open_orders: pd.DataFrame,
    accounts: pd.DataFrame,
) -> dict[str, float]:
    """Return the initial margin of all accounts by netting set, before anybody reports it. [USD]"""
    known = positions[positions["source"] == "venue"]
    held = {str(name): rows for name, rows in known.groupby("account_id", sort=True)}
    resting = {str(name): rows for name, rows in open_orders.groupby("account_id", sort=True)}
    sums: dict[str, float] = {}
    for record in _records(accounts.sort_values("account_id")):
        name, owner = str(record["account_id"]), str(record["netting_set_id"])
        desk = AccountDesk(market, name, str(record["venue"]), record)
        worst, _ = desk.account(held.get(name), resting.get(name))
        sums[owner] = sums.get(owner, 0.0) + desk.usd(worst)
    return sums


def desk_market(
    instruments: pd.DataFrame,
    marks: pd.DataFrame,
    usd_rates: Mapping[str, float],
    rules: VenueRules,
    business_date: pd.Timestamp,
) -> DeskMarket:
    """Return the contracts of one close at each venue's own prices."""
    close = pd.Timestamp(close_of(business_date.date()))
    table = instruments.merge(
        marks[marks["business_date"] == business_date], on="instrument_id", how="inner"
    )
    alive = table["expiry_utc"].isna() | (table["expiry_utc"] > close)
    contracts = {
        str(row["instrument_id"]): _contract(row, usd_rates, close)
        for row in _records(table[alive & (table["mark_price"] > 0.0)])
    }
    return DeskMarket(
        close=close,
        instruments={str(row["instrument_id"]): row for row in _records(instruments)},
        contracts=contracts,
        usd_rates=usd_rates,
        rules=rules,
    )


def _contract(row: Facts, rates: Mapping[str, float], close: pd.Timestamp) -> Contract:
    skew = 1.0 + PRICE_SKEW.get(str(row["venue"]), 0.0)
    kind, price = str(row["kind"]), float(str(row["mark_price"]))
    index = rates.get(str(row["underlying"]), np.nan) / rates.get(str(row["quote_asset"]), np.nan)
    expiry = row["expiry_utc"]
    years = np.nan
    if isinstance(expiry, pd.Timestamp):
        years = (expiry - close).total_seconds() / (365.0 * 86_400.0)
    return Contract(
        name=str(row["instrument_id"]),
        kind=kind,
        is_inverse=row["payoff"] == "inverse",
        multiplier=float(str(row["contract_multiplier"])),
        # The premium of an option follows its own quotes, a second's move of the coin is in them.
        price=price if kind == "option" else price * skew,
        index=index * skew,
        forward=float(str(row["forward_price"])) * skew,
        strike=float(str(row["strike"])),
        is_call=row["option_type"] == "call",
        volatility=float(str(row["mark_iv"])),
        years=float(years),
    )


def _records(frame: pd.DataFrame) -> list[Facts]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _rows(
    parts: tuple[list[Part], list[Part]],
    mode: AccountMode | None,
    cover: float,
    market: DeskMarket,
) -> list[dict[str, object]]:
    """Return one row per bucket; one equity stands behind all buckets in USD."""
    initial: dict[str, float] = {}
    maintenance: dict[str, float] = {}
    currency: dict[str, str] = {}
    for part in parts[0]:
        initial[part.bucket] = initial.get(part.bucket, 0.0) + part.initial
        currency[part.bucket] = part.currency
    for part in parts[1]:
        maintenance[part.bucket] = maintenance.get(part.bucket, 0.0) + part.maintenance
        currency[part.bucket] = part.currency
    usd = sum(initial.get(b, 0.0) * market.usd_rates[c] for b, c in currency.items())
    split = mode is None or mode.bucket == "settlement_asset"
    rows: list[dict[str, object]] = []
    for bucket in sorted(currency):
        need = max(initial.get(bucket, 0.0), 0.0)
        floor = max(maintenance.get(bucket, 0.0), 0.0)
        rows.append(
            {
                "bucket": bucket,
                "currency": currency[bucket],
                "reported_initial_margin": max(need, floor),
                "reported_maintenance_margin": floor,
                "reported_equity": cover * (max(need, floor) if split else usd),
            }
        )
    return rows
