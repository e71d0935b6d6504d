"""What collateral is worth for a netting set: what more of it adds to what is held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Final

import pandas as pd

from engine.collateral.valuation import SETTLED, value_collateral
from engine.errors import ParameterError
from engine.money import Rounding, exact, round_to_decimals
from engine.rules import RuleBook
from infra.paying.live import LiveHolding

HOLDING_COLUMNS: Final = ("netting_set_id", "location", "asset", "state", "quantity")
_DECIMALS_DEFAULT: Final = 2


@dataclass(frozen=True)
class HoldingValuation:
    """Values collateral for one netting set by what a deposit changes.

    Haircuts rise with size and one asset counts for a limited share, so a deposit is worth what
    it adds to the holding, and not what it would be worth alone.

    Attributes
    ----------
    rates : mapping
        USD price of each asset.
    holdings : pandas.DataFrame
        Columns ``HOLDING_COLUMNS``, of this netting set.
    """

    netting_set_id: str
    currency: str
    rules: RuleBook
    rates: Mapping[str, float]
    holdings: pd.DataFrame

    def value_in(self, asset: str, quantity: Decimal, place: str) -> Decimal:
        """Return what a deposit adds, rounded down. [``currency``]

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
                f"{self.netting_set_id}: {self._reason(asset, float(quantity), place)}",
                identifier=asset,
                value=quantity,
                limit="an eligible asset with a price, within its concentration limit",
            )
        return value

    @cached_property
    def _before(self) -> float:
        return self._worth(self.holdings)

    def _with(self, asset: str, quantity: float, place: str) -> pd.DataFrame:
        row = [self.netting_set_id, place, asset, SETTLED, quantity]
        added = pd.DataFrame([row], columns=list(HOLDING_COLUMNS))
        if self.holdings.empty:
            return added
        return pd.concat([self.holdings, added], ignore_index=True)

    def _worth(self, holdings: pd.DataFrame) -> float:
        if holdings.empty:
            return 0.0
        return float(self._valued(holdings)["collateral_value"].sum())

    def _valued(self, holdings: pd.DataFrame) -> pd.DataFrame:
        return value_collateral(holdings, self.rates, self.rules, self.rates)

    def _reason(self, asset: str, quantity: float, place: str) -> str:
        valued = self._valued(self._with(asset, quantity, place))
        mine = valued[(valued["asset"] == asset) & (valued["location"] == place)]
        found = [str(reason) for reason in mine["reason"] if reason]
        return found[0] if found else "it is beyond the concentration limit"

    def _rounded(self, value: float) -> Decimal:
        terms = self.rules.house.collateral.get(self.currency)
        decimals = terms.scale if terms is not None else _DECIMALS_DEFAULT
        return round_to_decimals(exact(value), min(decimals, 8), Rounding.COLLATERAL_VALUE)


def holdings_frame(netting_set_id: str, holdings: Iterable[LiveHolding]) -> pd.DataFrame:
    """Return live holdings as the valuation takes them."""
    rows = [(netting_set_id, one.location, one.asset, one.state, one.quantity) for one in holdings]
    frame = pd.DataFrame(rows, columns=list(HOLDING_COLUMNS))
    return frame.astype(dict.fromkeys(HOLDING_COLUMNS[:-1], "str") | {"quantity": "float64"})
