"""One account at its venue: the parts of its margin as the venue's own arithmetic has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pandas as pd

from engine.arrays import Float64Array1D
from engine.errors import ParameterError
from engine.margin.scenario_grid import ScenarioGridParameters
from engine.margin.standard_option import StandardOptionParameters
from engine.margin.tiered import NotionalTiers, SizeSlope
from engine.venue_rules import COLLATERAL_RATES, AccountMode, CollateralRates, VenueRules
from infra.simulator.world.venue_formulas import (
    Contract,
    gains,
    short_option_margin,
    slope_margin,
    tier_margin,
)
from infra.simulator.world.venue_grids import Holding, UnitMargin, saved_by_offsets, unit_margin

NEWER_TABLE_FACTOR: Final = 1.25
"""Maintenance rates of a newer tier table over those that the rule book knows. [-]"""
_RATES_OF_OTHERS: Final = (0.10, 0.05)
"""Initial and maintenance rate of a venue whose rules nobody has published. [-]"""

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


class AccountDesk:
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
            rule = self._rule(contract, facts)
            if isinstance(rule, ScenarioGridParameters):
                key = *self._unit(facts), str(facts["underlying"])
                grids[key] = rule
                units.setdefault(key, []).append(self._holding(contract, quantity, facts, rule))
            elif contract.kind != "spot":
                parts.append(self._single(contract, quantity, facts, rule))
            elif quantity < 0.0:
                parts.append(self._loan(contract, quantity, facts))
        return parts + self._from_units(units, grids)

    def _from_units(
        self,
        units: Mapping[tuple[str, str, str], list[Holding]],
        grids: Mapping[tuple[str, str, str], ScenarioGridParameters],
    ) -> list[Part]:
        parts, whole = [], []
        for key in sorted(units):
            bucket, currency, _ = key
            in_coin = units[key][0].contract.is_inverse
            found: UnitMargin = unit_margin(units[key], grids[key], in_coin=in_coin)
            rate = self._market.usd_rates[currency]
            joins = bucket == "account"
            parts.append(
                Part(
                    bucket=bucket,
                    currency="USD" if joins else currency,
                    initial=found.initial * (rate if joins else 1.0),
                    maintenance=found.maintenance * (rate if joins else 1.0),
                )
            )
            whole.append((found, grids[key], rate))
        if self.mode is not None and self.mode.bucket == "account":
            initial, maintenance = saved_by_offsets(whole)
            parts.append(Part(bucket="account", currency="USD", initial=-initial,
                              maintenance=-maintenance))  # fmt: skip
        return parts

    def _unit(self, facts: Facts) -> tuple[str, str]:
        """Return bucket and currency of a grid's unit: its asset, but where assets are joined."""
        bucket, currency = self._bucket(facts)
        return bucket, str(facts["settlement_asset"]) if bucket == "account" else currency

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
        bucket, currency = self._unit(facts)
        asset = str(facts["settlement_asset"])
        if currency == asset and bucket in (asset, "account"):
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

    def _loan(self, contract: Contract, quantity: float, facts: Facts) -> Part:
        """Return the margin of coins sold that the account does not have."""
        rate = 0.0
        try:
            found = self._market.rules.find(
                self._venue, COLLATERAL_RATES, str(facts["underlying"])
            ).parameters
        except ParameterError:
            found = None
        if isinstance(found, CollateralRates):
            rate = found.loan_maintenance_margin_rate
        margin = rate * abs(contract.notional(quantity))
        return self._part(facts, margin, margin)

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
        return self._part(facts, initial, maintenance)

    def _part(self, facts: Facts, initial: float, maintenance: float) -> Part:
        """Return amounts in settlement currency as a part of their bucket."""
        bucket, currency = self._bucket(facts)
        rates = self._market.usd_rates
        factor = rates[str(facts["settlement_asset"])] / rates[currency]
        return Part(bucket=bucket, currency=currency, initial=initial * factor,
                    maintenance=maintenance * factor)  # fmt: skip


def _book(rows: pd.DataFrame | None, column: str) -> dict[str, float]:
    book: dict[str, float] = {}
    if rows is not None:
        for name, size in zip(rows["instrument_id"].astype(str), rows[column], strict=True):
            book[name] = book.get(name, 0.0) + float(size)
    return book
