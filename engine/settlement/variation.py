"""Variation margin of positions, vectorised over all payoffs."""

from __future__ import annotations

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, ObjectArray1D


def is_quoted_in_reciprocal(kind: ObjectArray1D, payoff: ObjectArray1D) -> BoolArray1D:
    """Return where profit follows the reciprocal of the price: inverse futures and perpetuals.

    Inverse options are quoted and paid in coin, so their profit is linear in their own price.
    """
    reciprocal: BoolArray1D = (payoff == "inverse") & (kind != "option")
    return reciprocal


def variation_margin(
    quantity: Float64Array1D,
    contract_multiplier: Float64Array1D,
    previous_price: Float64Array1D,
    settlement_price: Float64Array1D,
    is_reciprocal: BoolArray1D,
) -> Float64Array1D:
    """Return the cash that settles a price change of each position.

    ``quantity * multiplier * (settlement - previous)``, or for reciprocal payoffs
    ``quantity * multiplier * (1 / previous - 1 / settlement)`` in coin. Opposite quantities get
    exactly opposite amounts.

    Parameters
    ----------
    quantity : Float64Array1D, shape (n,)
        Signed contracts, long > 0.
    contract_multiplier : Float64Array1D, shape (n,)
        Units of underlying (linear), quote currency (inverse) or settlement asset per unit of
        quote price (quanto) of one contract, > 0.
    previous_price, settlement_price : Float64Array1D, shape (n,)
        Prices > 0 before and now; a settlement price may be 0 unless reciprocal. [quote unit]
    is_reciprocal : BoolArray1D, shape (n,)
        From ``is_quoted_in_reciprocal``.

    Returns
    -------
    Float64Array1D, shape (n,)
        Gain > 0, loss < 0. [settlement asset]
    """
    # The other branch of where() is computed too: ones keep its zeros from dividing.
    before = np.where(is_reciprocal, previous_price, 1.0)
    after = np.where(is_reciprocal, settlement_price, 1.0)
    change = np.where(is_reciprocal, 1.0 / before - 1.0 / after, settlement_price - previous_price)
    # Adding zero turns a negative zero into zero.
    amounts: Float64Array1D = quantity * contract_multiplier * change + 0.0
    return amounts


def funding_received(
    quantity: Float64Array1D,
    contract_multiplier: Float64Array1D,
    mark_price: Float64Array1D,
    funding_rate: Float64Array1D,
    is_reciprocal: BoolArray1D,
) -> Float64Array1D:
    """Return the funding of each perpetual position; longs pay a positive rate.

    Parameters
    ----------
    quantity, contract_multiplier, is_reciprocal : shape (n,)
        As in ``variation_margin``.
    mark_price : Float64Array1D, shape (n,)
        Price of the notional, > 0. [quote unit]
    funding_rate : Float64Array1D, shape (n,)
        Sum of the rates of the period. [-]

    Returns
    -------
    Float64Array1D, shape (n,)
        Received > 0, paid < 0. [settlement asset]
    """
    divisor = np.where(is_reciprocal, mark_price, 1.0)
    factor = np.where(is_reciprocal, 1.0 / divisor, mark_price)
    amounts: Float64Array1D = 0.0 - quantity * contract_multiplier * factor * funding_rate
    return amounts
