"""Contract ``venue_margin``: what simulated venues say they demand. None of it is a venue's word.

Each venue margins the positions that it knows by its own arithmetic (``venue_formulas.py``), at
prices of its own second. So that a drift report has something true to find, a venue's prices are
off by its skew, one account is already on a newer tier table, one is margined without a position,
venues do not know what their statements lack, and some accounts are not reported at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D
from engine.errors import ParameterError
from engine.margin.scenario_grid import ScenarioGridParameters
from engine.margin.standard_option import StandardOptionParameters
from engine.margin.tiered import NotionalTiers, SizeSlope
from engine.times import close_of
from engine.venue_rules import AccountMode, VenueRules
from infra.simulator.world.venue_formulas import (
    Contract,
    gains,
    short_option_margin,
    slope_margin,
    tier_margin,
)
from infra.simulator.world.venue_grids import Holding, UnitMargin, saved_by_offsets, unit_margin

PRICE_SKEW: Final = {"binance": 1e-4, "bybit": -8e-5, "deribit": 5e-5, "okx": 0.0}
"""Relative distance of a venue's prices from those of the close. [-]"""
UNREPORTED_SHARE: Final = 0.03
NEWER_TABLE_FACTOR: Final = 1.25
"""Maintenance rates of a newer tier table over those that the rule book knows. [-]"""
_RATES_OF_OTHERS: Final = (0.10, 0.05)
"""Initial and maintenance rate of a venue whose rules nobody has published. [-]"""
_STATEMENT_AGE: Final = pd.Timedelta(seconds=4)

Facts = Mapping[str, Any]
"""One row of a frame, by column."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeskMarket:
    """One close as the venues see it: contracts by instrument, USD rates, and rules.

    ``newer_table`` names the account whose venue has already replaced its tier table,
    ``forgotten`` the account and the position that its venue's margin run missed. ``rules_of`` and
    ``gains_of`` keep what many accounts ask for.
    """

    close: pd.Timestamp
    instruments: Mapping[str, Facts]
    contracts: Mapping[str, Contract]
    usd_rates: Mapping[str, float]
    rules: VenueRules
    newer_table: str = ""
    forgotten: tuple[str, str] = ("", "")
    rules_of: dict[tuple[str, str, str], object] = field(default_factory=dict)
    gains_of: dict[tuple[str, int, bool], Float64Array1D] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Part:
    """A part of an account's margin. [currency]"""

    bucket: str
    currency: str
    initial: float
    maintenance: float


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
        desk = _Desk(market, name, str(record["venue"]), record)
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
        desk = _Desk(market, name, str(record["venue"]), record)
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


class _Desk:
    """One account at its venue."""

    def __init__(self, market: DeskMarket, name: str, venue: str, record: Facts) -> None:
        self._market, self._venue = market, venue
        self._forgotten = market.forgotten[1] if name == market.forgotten[0] else ""
        leverage = record["leverage"]
        self._leverage = float(str(leverage)) if leverage == leverage else None
        self._factor = NEWER_TABLE_FACTOR if name == market.newer_table else 1.0
        self.mode: AccountMode | None = None
        mode = record["account_mode"]
        self._mode_name = mode if isinstance(mode, str) else ""
        if self._mode_name:
            self.mode = market.rules.account_mode(venue, self._mode_name)

    def account(
        self, held: pd.DataFrame | None, resting: pd.DataFrame | None
    ) -> tuple[list[Part], list[Part]]:
        """Return the parts of initial margin on the worse side, and those without orders."""
        base = _book(held, "quantity")
        without = self._parts(base)
        worst, most = without, self.usd(without)
        if resting is not None:
            for side, sign in (("buy", 1.0), ("sell", -1.0)):
                filled = dict(base)
                orders = resting[resting["side"] == side]
                for name, size in _book(orders, "remaining_quantity").items():
                    filled[name] = filled.get(name, 0.0) + sign * size
                parts = self._parts(filled)
                if self.usd(parts) > most:
                    worst, most = parts, self.usd(parts)
        return worst, without

    def usd(self, parts: Sequence[Part]) -> float:
        """Return the initial margin of parts. [USD]"""
        return sum(part.initial * self._market.usd_rates[part.currency] for part in parts)

    def _parts(self, book: Mapping[str, float]) -> list[Part]:
        parts: list[Part] = []
        units: dict[tuple[str, str, str], list[Holding]] = {}
        grids: dict[tuple[str, str, str], ScenarioGridParameters] = {}
        for name in sorted(book):
            quantity, contract = book[name], self._market.contracts.get(name)
            if quantity == 0.0 or contract is None or name == self._forgotten:
                continue
            facts = self._market.instruments[name]
            bucket, currency = self._bucket(facts)
            rule = self._rule(contract, facts)
            if isinstance(rule, ScenarioGridParameters):
                key = bucket, currency, str(facts["underlying"])
                grids[key] = rule
                units.setdefault(key, []).append(self._holding(contract, quantity, facts, rule))
            elif rule is not None or contract.kind != "spot":
                parts.append(self._single(contract, quantity, facts, rule))
        return parts + self._from_units(units, grids)

    def _from_units(
        self,
        units: Mapping[tuple[str, str, str], list[Holding]],
        grids: Mapping[tuple[str, str, str], ScenarioGridParameters],
    ) -> list[Part]:
        parts, whole = [], []
        for key in sorted(units):
            bucket, currency, _ = key
            in_coin = currency == bucket and units[key][0].contract.is_inverse
            found: UnitMargin = unit_margin(units[key], grids[key], in_coin=in_coin)
            parts.append(Part(bucket=bucket, currency=currency, initial=found.initial,
                              maintenance=found.maintenance))  # fmt: skip
            whole.append((found, grids[key], self._market.usd_rates[currency]))
        if self.mode is not None and self.mode.bucket == "account":
            initial, maintenance = saved_by_offsets(whole)
            parts.append(Part(bucket="account", currency="USD", initial=-initial,
                              maintenance=-maintenance))  # fmt: skip
        return parts

    def _bucket(self, facts: Facts) -> tuple[str, str]:
        asset = str(facts["settlement_asset"])
        if self.mode is None or self.mode.bucket == "settlement_asset":
            return asset, asset
        if self.mode.bucket == "underlying":
            return str(facts["underlying"]), "USD"
        return "account", "USD"

    def _rule(self, contract: Contract, facts: Facts) -> object:
        """Return the parameters that the venue applies, None where it publishes none."""
        key = self._venue, self._mode_name, contract.name
        if key not in self._market.rules_of:
            self._market.rules_of[key] = self._published(contract, facts)
        return self._market.rules_of[key]

    def _published(self, contract: Contract, facts: Facts) -> object:
        if self.mode is None:
            return None
        model, kind = self.mode.futures_model, self.mode.futures_scope
        if contract.kind == "option":
            model, kind = self.mode.option_model, self.mode.option_scope
        if contract.kind == "spot" and model != "scenario_grid":
            return None
        column = "venue_symbol" if kind == "symbol" else kind
        try:
            return self._market.rules.find(self._venue, model, str(facts[column])).parameters
        except ParameterError:
            return None

    def _holding(
        self, contract: Contract, quantity: float, facts: Facts, rule: ScenarioGridParameters
    ) -> Holding:
        _, currency = self._bucket(facts)
        asset = str(facts["settlement_asset"])
        if currency == asset:
            return Holding(
                contract=contract,
                quantity=quantity,
                settlement_asset=asset,
                gains=quantity * self._unit_gains(contract, rule, in_coin=contract.is_inverse),
            )
        # Everything in USD at the moved price: a coin-settled contract is one on its coins.
        rates = self._market.usd_rates
        quote = str(facts["quote_asset"] if contract.is_inverse else asset)
        coins = contract.multiplier
        if contract.is_inverse and contract.kind != "option":
            coins = contract.multiplier / contract.price
        dollars = replace(
            contract,
            is_inverse=False,
            multiplier=coins * rates[quote],
            index=contract.index * rates[str(facts["quote_asset"])],
        )
        return Holding(
            contract=dollars,
            quantity=quantity,
            settlement_asset=asset,
            gains=quantity * self._unit_gains(dollars, rule, in_coin=False),
        )

    def _unit_gains(
        self, contract: Contract, rule: ScenarioGridParameters, *, in_coin: bool
    ) -> Float64Array1D:
        key = contract.name, id(rule), in_coin
        if key not in self._market.gains_of:
            self._market.gains_of[key] = gains(contract, 1.0, rule, in_coin)
        return self._market.gains_of[key]

    def _single(self, contract: Contract, quantity: float, facts: Facts, rule: object) -> Part:
        size = contract.notional(quantity)
        if isinstance(rule, NotionalTiers):
            initial, maintenance = tier_margin(size, rule, self._leverage)
            maintenance *= self._factor
        elif isinstance(rule, SizeSlope):
            initial, maintenance = slope_margin(contract, quantity, rule, self._leverage)
        elif isinstance(rule, StandardOptionParameters):
            initial, maintenance = short_option_margin(contract, quantity, rule)
        else:
            unit = 1.0 if contract.is_inverse else contract.index
            exposure = abs(quantity) * contract.multiplier * unit
            exposure = exposure if contract.kind == "option" else abs(size)
            initial, maintenance = (rate * exposure for rate in _RATES_OF_OTHERS)
        bucket, currency = self._bucket(facts)
        rates = self._market.usd_rates
        factor = rates[str(facts["settlement_asset"])] / rates[currency]
        return Part(bucket=bucket, currency=currency, initial=initial * factor,
                    maintenance=maintenance * factor)  # fmt: skip


def _records(frame: pd.DataFrame) -> list[Facts]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _book(rows: pd.DataFrame | None, column: str) -> dict[str, float]:
    book: dict[str, float] = {}
    if rows is not None:
        for name, size in zip(rows["instrument_id"].astype(str), rows[column], strict=True):
            book[name] = book.get(name, 0.0) + float(size)
    return book


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
