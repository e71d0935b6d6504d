"""No static arbitrage in any smile that the sample world can have."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.simulator.world.option_values import option_values
from infra.simulator.world.smiles import Smile

DAYS = np.array([0.34, 1.3, 3.0, 7.3, 14.0, 30.0, 61.0, 125.0, 310.0])
MONEYNESS = np.linspace(-1.2, 1.2, 97)

smiles = st.builds(
    Smile,
    volatility_30d=st.floats(0.20, 2.5),
    volatility_long_run=st.floats(0.40, 1.2),
    skew=st.floats(-0.5, 0.5),
    curvature=st.floats(0.2, 1.3),
)


def call_values(smile: Smile, years: float) -> np.ndarray:
    strike = np.exp(MONEYNESS)
    n = len(strike)
    volatility = smile.implied_volatility(strike, np.ones(n), np.full(n, years))
    return option_values(
        np.ones(n), strike, volatility, np.full(n, years), np.ones(n, dtype=np.bool_)
    )


# The first call loads numba, which takes longer than the usual deadline.
@settings(deadline=None)
@given(smiles)
def test_no_butterfly_and_no_call_spread_has_a_negative_price(smile: Smile) -> None:
    for years in DAYS / 365.0:
        values = call_values(smile, float(years))
        slope = np.diff(values) / np.diff(np.exp(MONEYNESS))
        # The tolerance is the kernel's: 1e-14 of the forward over steps of 0.0075 and more.
        assert (slope <= 1e-11).all()
        assert (slope >= -1.0 - 1e-11).all()
        assert (np.diff(slope) >= -1e-11).all()


# The first call loads numba, which takes longer than the usual deadline.
@settings(deadline=None)
@given(smiles)
def test_no_calendar_spread_has_a_negative_price(smile: Smile) -> None:
    n = len(MONEYNESS)
    variances = [
        smile.implied_volatility(np.exp(MONEYNESS), np.ones(n), np.full(n, years)) ** 2 * years
        for years in DAYS / 365.0
    ]
    growth = np.diff(np.stack(variances), axis=0)
    assert (growth >= -1e-12).all()
