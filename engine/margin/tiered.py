"""Initial and maintenance margin of futures and perpetuals whose rates grow with size.

The margin of one account, by position. The arithmetic is that of ``tier_table``, which takes
books of any length; the parameters of the three rules are in ``tiered_parameters``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.errors import ModelInputError, ParameterError
from engine.margin.tier_table import (
    TieredMargins,
    TieredPositions,
    TierTable,
    tier_table,
    tiered_margins,
)
from engine.margin.tiered_parameters import (
    TIERED_RULES,
    NotionalTiers,
    OpenInterestScaled,
    SizeSlope,
    Tier,
    TieredParameters,
)
from engine.settlement.position import Settlement

__all__ = [
    "TIERED_RULES",
    "AccountMargin",
    "NotionalTiers",
    "OpenInterestScaled",
    "PositionMargin",
    "SizeSlope",
    "Tier",
    "TierTable",
    "TieredMargins",
    "TieredParameters",
    "TieredPosition",
    "TieredPositions",
    "tier_table",
    "tiered_margin",
    "tiered_margins",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TieredPosition:
    """One position of an account; it counts by itself, so a netted position is listed once.

    Attributes
    ----------
    symbol : str
        Name of the position's parameters.
    quantity : float
        Signed contracts, long > 0.
    mark_price : float
        Price at which the venue margins the position, > 0. [quote currency]
    contract_multiplier : float
        Units of underlying (linear) or quote currency (inverse) per contract, > 0.
    settlement : {"linear", "inverse"}
        Paid in the quote currency, or in the underlying coin.
    leverage : float, optional
        Leverage that the account has chosen, > 0. [-]
    open_interest : float, optional
        Open interest of the whole market, >= 0. [contracts]
    """

    symbol: str
    quantity: float
    mark_price: float
    contract_multiplier: float = 1.0
    settlement: Settlement = "linear"
    leverage: float | None = None
    open_interest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionMargin:
    """Margin of one position in its settlement currency, with what it rests on.

    ``initial_margin`` and its rate are None where the rule states none, the maintenance rate and
    the deductions where the tiers have no maintenance rates. ``tier_deductions`` has an item per
    tier.
    """

    symbol: str
    notional: float
    maintenance_margin: float
    initial_margin: float | None
    maintenance_margin_rate: float | None
    initial_margin_rate: float | None
    maintenance_deduction: float | None = None
    tier_deductions: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMargin:
    """Margins by position in input order, and their sums. [settlement currency]

    ``initial_margin`` is None if any position has none.
    """

    positions: tuple[PositionMargin, ...]
    maintenance_margin: float
    initial_margin: float | None


def tiered_margin(
    positions: Sequence[TieredPosition], parameters: Mapping[str, TieredParameters]
) -> AccountMargin:
    """Return the initial and maintenance margin of an account, position by position.

    ``notional_tiers``: marginal rates by notional, written with deductions; initial margin by
    the leverage chosen, else marginal, else by the tier's largest leverage [1]_ [2]_.
    ``size_slope``: both rates rise with size [3]_. ``open_interest_scaled``: the initial rate
    rises with the open interest of the market [4]_.

    Parameters
    ----------
    positions : sequence of TieredPosition
        Positions margined in one currency: all linear or all inverse.
    parameters : mapping
        Rule of each symbol.

    Returns
    -------
    AccountMargin
        Amounts >= 0, rounded only where the parameters state a tick.

    Raises
    ------
    ParameterError
        If a symbol has no parameters: that is never a margin of zero.
    ModelInputError
        If linear and inverse positions are mixed, or a value is unusable: a price or multiplier
        not above 0, a leverage above the tier's, an open interest that is needed and absent.

    References
    ----------
    .. [1] Binance, "Leverage and margin of USDⓈ-M futures" (brackets, October 2024).
    .. [2] Hyperliquid, "Margin tiers" (August 2026).
    .. [3] Deribit, "Change of margin parameters" (11 January 2022).
    .. [4] dYdX v4, ``x/perpetuals/types/liquidity_tier.go`` (March 2026).

    Examples
    --------
    The first 1,000 at 2 %, the other 500 at 2.5 %; at tenfold leverage.

    >>> tiers = NotionalTiers(tiers=(
    ...     Tier(notional_floor=0.0, maintenance_margin_rate=0.02),
    ...     Tier(notional_floor=1000.0, maintenance_margin_rate=0.025),
    ... ))
    >>> held = TieredPosition(symbol="XYZ", quantity=-15.0, mark_price=100.0, leverage=10.0)
    >>> margin = tiered_margin([held], {"XYZ": tiers})
    >>> margin.maintenance_margin, margin.initial_margin
    (32.5, 150.0)
    """
    settlements = {position.settlement for position in positions}
    if len(settlements) > 1:
        raise ModelInputError(
            "linear and inverse positions have no margin currency in common; margin them apart"
        )
    for position in positions:
        if position.symbol not in parameters:
            raise ParameterError(
                f"no parameters of {position.symbol[:60]!r}, which the account holds",
                identifier=position.symbol,
            )
    symbols = sorted({position.symbol for position in positions})
    held = [parameters[name] for name in symbols]
    margins = tiered_margins(_columns(positions, symbols), tier_table(held))
    rows = tuple(
        _row(position, margins, row, parameters[position.symbol])
        for row, position in enumerate(positions)
    )
    initial = [each.initial_margin for each in rows if each.initial_margin is not None]
    return AccountMargin(
        positions=rows,
        maintenance_margin=math.fsum(each.maintenance_margin for each in rows),
        initial_margin=math.fsum(initial) if len(initial) == len(rows) else None,
    )


def _columns(positions: Sequence[TieredPosition], symbols: Sequence[str]) -> TieredPositions:
    code = {name: row for row, name in enumerate(symbols)}
    numbers = np.array(
        [
            (
                each.quantity,
                each.mark_price,
                each.contract_multiplier,
                math.nan if each.leverage is None else each.leverage,
                math.nan if each.open_interest is None else each.open_interest,
            )
            for each in positions
        ],
        dtype=np.float64,
    ).reshape(-1, 5)
    return TieredPositions(
        symbol=np.array([code[each.symbol] for each in positions], dtype=np.int64),
        quantity=numbers[:, 0],
        mark_price=numbers[:, 1],
        contract_multiplier=numbers[:, 2],
        is_inverse=np.array([each.settlement == "inverse" for each in positions], dtype=np.bool_),
        leverage=numbers[:, 3],
        open_interest=numbers[:, 4],
    )


def _row(
    position: TieredPosition, margins: TieredMargins, row: int, parameters: TieredParameters
) -> PositionMargin:
    deductions = (
        parameters.maintenance_deductions() if isinstance(parameters, NotionalTiers) else ()
    )
    return PositionMargin(
        symbol=position.symbol,
        notional=float(margins.notional[row]),
        maintenance_margin=float(margins.maintenance_margin[row]),
        initial_margin=_number(margins.initial_margin[row]),
        maintenance_margin_rate=_number(margins.maintenance_margin_rate[row]),
        initial_margin_rate=_number(margins.initial_margin_rate[row]),
        maintenance_deduction=_number(margins.maintenance_deduction[row]) if deductions else None,
        tier_deductions=deductions or None,
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
