"""Profit of futures, perpetuals and spot, linear, inverse or quanto, between two prices."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D
from engine.errors import ModelInputError
from engine.pricing.terms import FloatArray, Numbers, require_number

__all__ = ["Payoff", "profit", "scenario_profit"]

Payoff: TypeAlias = Literal["linear", "inverse", "quanto"]


def profit(
    payoff: Payoff,
    quantity: Numbers,
    contract_multiplier: Numbers,
    entry_price: Numbers,
    exit_price: Numbers,
) -> FloatArray:
    """Return the profit (+) or loss (-) of a position held from one price to another.

    ``linear`` and ``quanto`` earn ``quantity * multiplier * (exit - entry)``, in the quote currency
    and, at the contract's fixed rate, in the settlement asset. ``inverse`` earns
    ``quantity * multiplier * (1 / entry - 1 / exit)`` coins. Arguments may be arrays.

    Parameters
    ----------
    quantity : float or array
        Signed number of contracts, long > 0.
    contract_multiplier : float or array
        Above zero. [underlying per contract; quote currency when inverse; settlement asset per unit
        of price when quanto]
    entry_price, exit_price : float or array
        Above zero. [quote currency]

    Returns
    -------
    array
        [settlement asset]

    Raises
    ------
    ModelInputError
        If a number is out of its limits or the payoff is unknown.

    Examples
    --------
    >>> float(profit("inverse", 100.0, 10.0, entry_price=50_000.0, exit_price=40_000.0))
    -0.005
    """
    size = require_number("quantity", quantity, is_signed=True) * require_number(
        "contract_multiplier", contract_multiplier
    )
    entry = require_number("entry_price", entry_price)
    leaving = require_number("exit_price", exit_price)
    if payoff == "inverse":
        # One fraction, so that equal prices give exactly nothing.
        return np.asarray(size * (leaving - entry) / (entry * leaving))
    if payoff not in ("linear", "quanto"):
        raise ModelInputError(
            f"payoff {payoff!r} is unknown, needs linear, inverse or quanto",
            identifier="payoff",
            value=payoff,
            limit="linear, inverse or quanto",
        )
    return np.asarray(size * (leaving - entry))


def scenario_profit(
    payoff: Payoff,
    mark_price: Float64Array1D,
    contract_multiplier: Float64Array1D,
    price_factor: Float64Array1D,
) -> Float64Array2D:
    """Return the profit of one contract held long when marks are multiplied by each factor.

    Parameters
    ----------
    mark_price, contract_multiplier : Float64Array1D, shape (n_instruments,)
        As in `profit`.
    price_factor : Float64Array1D, shape (n_scenarios,)
        Price in the scenario over today's, above zero. [-]

    Returns
    -------
    Float64Array2D, shape (n_instruments, n_scenarios)
        [settlement asset]
    """
    mark = require_number("mark_price", mark_price)[:, np.newaxis]
    factor = require_number("price_factor", price_factor)
    multiplier = np.asarray(contract_multiplier)[:, np.newaxis]
    outcomes: Float64Array2D = profit(payoff, 1.0, multiplier, mark, mark * factor)
    return outcomes
