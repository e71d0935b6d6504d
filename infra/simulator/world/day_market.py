"""The state of the whole market at one close, from which every mark follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from engine.arrays import Float64Array1D
from engine.times import close_of
from infra.simulator.world.assets import OPTION_UNDERLYINGS, AssetProfile
from infra.simulator.world.expiries import EXPIRY_HOUR
from infra.simulator.world.factors import Factors
from infra.simulator.world.history import History
from infra.simulator.world.smiles import Smile

_BASIS_TENOR_YEARS = 0.25
_BASIS_DECAY = 1.0
"""Speed at which the term structure of the basis runs to its calm level. [1/year]"""


@dataclass(frozen=True, slots=True, eq=False)
class DayMarket:
    """Market at the close of ``business_date``.

    Attributes
    ----------
    index : Mapping of asset to USD
    delivery : Mapping of asset to USD
        Index at 08:00 UTC of the date, which settles contracts that expire on it.
    usd_rates : Mapping of currency to USD
        USD, EUR, USDT, USDC.
    basis, long_basis : Mapping of asset to 1/year
        Basis at three months, and the level it runs to for long tenors.
    smiles : Mapping of asset to Smile
        Of the underlyings with options.
    """

    business_date: date
    as_of: datetime
    index: Mapping[str, float]
    delivery: Mapping[str, float]
    usd_rates: Mapping[str, float]
    basis: Mapping[str, float]
    long_basis: Mapping[str, float]
    smiles: Mapping[str, Smile]

    def forward(self, asset: str, years: Float64Array1D) -> Float64Array1D:
        """Return the forward price of ``asset`` for each time. [USD]"""
        spread = self.basis[asset] - self.long_basis[asset]
        rate = self.long_basis[asset] + spread * np.exp(
            -_BASIS_DECAY * (years - _BASIS_TENOR_YEARS)
        )
        forward: Float64Array1D = self.index[asset] * np.exp(rate * years)
        return forward

    def perpetual_premium(self, asset: str) -> float:
        """Return the premium of a perpetual over the index: a week of basis. [-]"""
        return self.basis[asset] * 7.0 / 365.0


def day_market(
    profiles: Mapping[str, AssetProfile],
    history: History,
    factors: Factors,
    day: int,
    business_date: date,
) -> DayMarket:
    """Return the market of row ``day`` of the history, for the assets listed by then."""
    listed = [i for i, _ in enumerate(history.assets) if np.isfinite(history.close[day, i])]
    names = {history.assets[i]: i for i in listed}
    # The morning's index lies on the way from open to close, a third of the day along.
    share = EXPIRY_HOUR / 24.0
    delivery = {
        asset: round(
            float(history.open[day, i] ** (1.0 - share) * history.close[day, i] ** share),
            profiles[asset].price_decimals + 1,
        )
        for asset, i in names.items()
    }
    rates = {coin: float(bars[day, 3]) for coin, bars in factors.stablecoins.items()}
    return DayMarket(
        business_date=business_date,
        as_of=close_of(business_date),
        index={asset: float(history.close[day, i]) for asset, i in names.items()},
        delivery=delivery,
        usd_rates={"USD": 1.0, "EUR": float(factors.eur[day]), **rates},
        basis={asset: float(factors.basis[day, i]) for asset, i in names.items()},
        long_basis={asset: profiles[asset].basis for asset in names},
        smiles={
            asset: Smile(
                volatility_30d=float(factors.implied_volatility[day, names[asset]]),
                volatility_long_run=profiles[asset].implied_volatility,
                skew=profiles[asset].smile_skew,
                curvature=profiles[asset].smile_curvature,
            )
            for asset in OPTION_UNDERLYINGS
            if asset in names
        },
    )
