"""What collateral is worth for a call: after haircut, at the prices of the call's own close."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import pandas as pd

from engine.collateral.valuation import SETTLED, value_collateral
from engine.errors import ParameterError
from engine.market import known_rates
from engine.money import Rounding, exact, round_to_decimals
from engine.rules import RuleBook
from tasks.assessments import assessment_path
from tasks.closes import load_basis
from tasks.records import facts_of
from tasks.workplace import Workplace

_DECIMALS_DEFAULT = 2
_COLUMNS = ["netting_set_id", "location", "asset", "state", "quantity"]


@dataclass(frozen=True)
class CallValuation:
    """Values collateral for one call: what more, or less, of it changes in what is held.

    Haircuts rise with size and one asset counts for a limited share, so a deposit is worth what
    it adds to the holding, and not what it would be worth alone.
    """

    place: Workplace
    call: Mapping[str, Any]

    def value_in(self, asset: str, quantity: Decimal, place: str) -> Decimal:
        """Return what a deposit adds, rounded down. [currency of the call]

        Raises
        ------
        ParameterError
            If it adds nothing: not eligible, without a price, or beyond its concentration limit.
        """
        added = self._worth(self._with(asset, float(quantity), place))
        value = self._rounded(added - self._before)
        if value <= 0:
            raise ParameterError(
                f"{quantity} {asset} adds nothing to the collateral of "
                f"{self.call['netting_set_id']}: {self._reason(asset, float(quantity), place)}",
                identifier=asset,
                value=quantity,
                limit="an eligible asset with a price, within its concentration limit",
            )
        return value

    @property
    def rates(self) -> Mapping[str, float]:
        """Return the USD price of each asset at the call's close."""
        return self._basis[1]

    @cached_property
    def _basis(self) -> tuple[RuleBook, dict[str, float], pd.DataFrame]:
        close = load_basis(self.place, str(self.call["run_id"])).close
        run_id = str(self.call["run_id"])
        hashes = facts_of(run_id, "require")["hashes"]
        path = assessment_path(run_id, "collateral")
        held = self.place.store.read_frame(path, content_hash=hashes["collateral"])
        mine = held[held["netting_set_id"].astype(str) == self.call["netting_set_id"]]
        return close.rules, known_rates(close.snapshot, close.rules), mine[_COLUMNS]

    @cached_property
    def _before(self) -> float:
        return self._worth(self._basis[2])

    def _with(self, asset: str, quantity: float, place: str) -> pd.DataFrame:
        held = self._basis[2]
        row = [self.call["netting_set_id"], place, asset, SETTLED, quantity]
        return pd.concat([held, pd.DataFrame([row], columns=_COLUMNS)], ignore_index=True)

    def _worth(self, holdings: pd.DataFrame) -> float:
        if holdings.empty:
            return 0.0
        return float(self._valued(holdings)["collateral_value"].sum())

    def _valued(self, holdings: pd.DataFrame) -> pd.DataFrame:
        rules, rates, _ = self._basis
        return value_collateral(holdings, rates, rules, rates)

    def _reason(self, asset: str, quantity: float, place: str) -> str:
        valued = self._valued(self._with(asset, quantity, place))
        mine = valued[(valued["asset"] == asset) & (valued["location"] == place)]
        found = [str(reason) for reason in mine["reason"] if reason]
        return found[0] if found else "it is beyond the concentration limit"

    def _rounded(self, value: float) -> Decimal:
        terms = self._basis[0].house.collateral.get(str(self.call["currency"]))
        decimals = terms.scale if terms is not None else _DECIMALS_DEFAULT
        return round_to_decimals(exact(value), min(decimals, 8), Rounding.COLLATERAL_VALUE)
