"""The equation behind every liquidation price, in the notional at the price sought.

With n the notional, both settlements are one straight line: ``constant + side * n = rate * n``.
``side`` is +1 where equity grows with the notional, as for a linear long or an inverse short, and
-1 for the other two.
"""

from __future__ import annotations

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D


def liquidation_notional(
    side: Float64Array1D, constant: Float64Array1D, running_rate: Float64Array1D
) -> Float64Array1D:
    """Return the notional at which ``constant + side * n = running_rate * n``.

    Parameters
    ----------
    side : Float64Array1D, shape (n,)
        +1 or -1, see the module.
    constant : Float64Array1D, shape (n,)
        What the account would have above its fixed requirements at a notional of 0.
        [settlement currency]
    running_rate : Float64Array1D, shape (n,)
        Maintenance and fees as a fraction of notional. [-]

    Returns
    -------
    Float64Array1D, shape (n,)
        Not positive where no notional solves the equation; 0 where the line never rises nor
        falls. [settlement currency]
    """
    rise = side - running_rate
    notional: Float64Array1D = np.divide(
        -constant, rise, out=np.zeros_like(constant), where=rise != 0.0
    )
    return notional


def price_of_notional(
    notional: Float64Array1D, units: Float64Array1D, is_inverse: BoolArray1D
) -> Float64Array1D:
    """Return the price at which ``units`` have a notional, in 0 to infinity.

    A notional that is not positive is a price of 0 for a linear contract: it never liquidates a
    long and finds a short beyond rescue. For an inverse one it is infinite: it never liquidates a
    short and finds a long beyond rescue.

    Parameters
    ----------
    notional : Float64Array1D, shape (n,)
        Absolute exposure, possibly infinite. [settlement currency]
    units : Float64Array1D, shape (n,)
        Quantity x multiplier, > 0: coins, or quote currency when inverse.
    is_inverse : BoolArray1D, shape (n,)
        Whether the contract settles in the coin.

    Returns
    -------
    Float64Array1D, shape (n,)
        Price. [quote currency]
    """
    has_price = notional > 0.0
    linear = np.where(has_price, notional, 0.0) / units
    inverse = np.divide(
        units, notional, out=np.full_like(units, np.inf), where=has_price & is_inverse
    )
    price: Float64Array1D = np.where(is_inverse, inverse, linear)
    return price
