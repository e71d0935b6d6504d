"""How much of what stands against a requirement is used up."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D


def utilisation(
    owed: Float64Array1D,
    collateral_value: Float64Array1D,
    threshold: Float64Array1D,
    independent_amount: Float64Array1D,
) -> Float64Array1D:
    """Return what is owed over collateral and unsecured allowance: above 1 is a deficit.

    With E what is owed, A the independent amount, C collateral and T the threshold: the larger of
    ``(E + A) / (C + T)`` and ``A / C``. It is above 1 exactly where ``credit_support`` asks for
    more than is held, ``(E - T)+ + A > C``. Without threshold and independent amount it is the
    margin ratio.

    Parameters
    ----------
    owed : Float64Array1D, shape (n_netting_sets,)
        Requirement or what the venues demand, >= 0; NaN where it is unknown. [currency]
    collateral_value : Float64Array1D, shape (n_netting_sets,)
        After haircuts, >= 0. [currency]
    threshold, independent_amount : Float64Array1D, shape (n_netting_sets,)
        Terms of the agreement, >= 0. [currency]

    Returns
    -------
    Float64Array1D, shape (n_netting_sets,)
        0 where nothing is owed, infinite where something is and nothing stands against it, NaN
        where what is owed or held is unknown. [-]

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(1)
    >>> utilisation(120.0 * one, 100.0 * one, 50.0 * one, 0.0 * one)
    array([0.8])
    """
    whole = _over(owed + independent_amount, collateral_value + threshold)
    margin: Float64Array1D = np.maximum(whole, _over(independent_amount, collateral_value))
    return margin


def _over(need: Float64Array1D, cover: Float64Array1D) -> Float64Array1D:
    unknown = np.isnan(need) | np.isnan(cover)
    ratio = np.where(need > 0.0, np.inf, 0.0)
    np.divide(need, cover, out=ratio, where=(need > 0.0) & (cover > 0.0))
    ratio[unknown] = np.nan
    return ratio
