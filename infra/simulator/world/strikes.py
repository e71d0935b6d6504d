"""Strike grids by moneyness and tenor.

Intervals follow Deribit's chains of 2026: about 0.9 % of the price for dailies, 1.6 % for weeklies,
3 % for monthlies and 4.5 to 6.5 % for quarterlies near the money, twice as wide in the wings,
always a round number (Deribit adds finer strikes as the price moves; these are the first). The
grid reaches from the put to the call with a given small delta.
"""

from __future__ import annotations

import math

# Days to expiry up to which an interval applies, and the interval over the price.
_INTERVALS = ((3.5, 0.0085), (16.0, 0.016), (45.0, 0.030), (100.0, 0.045), (math.inf, 0.065))
_REFERENCE_VOLATILITY = 0.50
"""The intervals are those of BTC; livelier coins get wider ones."""
_CORE_DEVIATIONS = 1.0
_ROUND_STEPS = (1.0, 2.0, 5.0, 10.0)


def strike_grid(
    forward: float, volatility: float, years: float, deviations: float
) -> tuple[float, ...]:
    """Return the listed strikes, ascending, within ``deviations`` standard deviations.

    Parameters
    ----------
    forward : float
        Forward price on the day of listing. [quote currency]
    volatility : float
        At-the-money volatility. [1/sqrt(year)]
    years : float
        Time to expiry, above zero. [years]
    deviations : float
        Reach of the grid, in standard deviations of the log price. [-]
    """
    share = next(step for days, step in _INTERVALS if years * 365.0 <= days)
    step = round_step(forward * share * volatility / _REFERENCE_VOLATILITY)
    wide = round_step(2.0 * step)
    reach = volatility * math.sqrt(years)
    core = (forward * math.exp(-_CORE_DEVIATIONS * reach), forward * math.exp(reach))
    ends = (forward * math.exp(-deviations * reach), forward * math.exp(deviations * reach))
    fine = _multiples(step, core[0], core[1])
    wings = [k for k in _multiples(wide, *ends) if k < core[0] or k > core[1]]
    return tuple(sorted({*fine, *wings}))


def round_step(step: float) -> float:
    """Return the round number (1, 2 or 5 times a power of ten) nearest to ``step``."""
    power = 10.0 ** math.floor(math.log10(step))
    nearest = min(_ROUND_STEPS, key=lambda factor: abs(math.log(factor * power / step)))
    return _clean(nearest * power)


def _multiples(step: float, low: float, high: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [_clean(k * step) for k in range(max(first, 1), last + 1)]


def _clean(value: float) -> float:
    return float(f"{value:.10g}")
