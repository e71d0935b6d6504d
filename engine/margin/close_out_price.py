"""The price at which an account in liquidation offers a position, and its bankruptcy amount."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Annotated

from annotated_types import Ge, Gt, Le

from engine.errors import ModelInputError
from engine.money import MONEY_CONTEXT, exact
from engine.ticks import exact_to_tick

_STRICT = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseOutParameters:
    """Liquidation terms of a venue (dYdX v4).

    Attributes
    ----------
    bankruptcy_adjustment : float
        Scales how fast the price moves towards bankruptcy. [-]
    spread_to_maintenance_ratio : float
        Largest concession as a fraction of the maintenance margin. [-]
    amount_tick : float, optional
        The bankruptcy amount is rounded up, towards +infinity, to it. [quote currency]
    """

    __pydantic_config__ = _STRICT
    bankruptcy_adjustment: Annotated[float, Ge(0.0)] = 1.0
    spread_to_maintenance_ratio: Annotated[float, Ge(0.0), Le(1.0)] = 0.1
    amount_tick: Annotated[float, Gt(0.0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedPosition:
    """Signed contracts (long > 0) at an oracle price > 0, with a maintenance rate in (0, 1]."""

    symbol: str
    quantity: float
    index_price: float
    maintenance_margin_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseOut:
    """Result of ``close_out_price``; amounts in the quote currency.

    Attributes
    ----------
    close_out_price : float
        Offered price: below the index for a long, above it for a short.
    bankruptcy_amount : float
        Cash that would leave the account exactly bankrupt: received for a sale (> 0) or paid
        for a purchase (< 0).
    equity, maintenance_margin : float
        Of the whole account.
    """

    close_out_price: float
    bankruptcy_amount: float
    equity: float
    maintenance_margin: float


def close_out_price(
    positions: Sequence[IndexedPosition],
    parameters: CloseOutParameters,
    *,
    cash_balance: float,
    close_symbol: str,
    close_quantity: float | None = None,
) -> CloseOut:
    """Return the price at which ``close_symbol`` is offered in liquidation [1]_.

    With equity E, maintenance M, and quantity q, index price S and margin m of the position,
    ``r = min(1, max(0, bankruptcy_adjustment * (1 - E / M)))`` and the price is
    ``(q S - r * spread_to_maintenance_ratio * m) / q``. The documentation's prose has the wrong
    sign for shorts; this is what the chain computes.

    Parameters
    ----------
    positions : sequence of IndexedPosition
        Positions of the account.
    parameters : CloseOutParameters
        Liquidation terms.
    cash_balance : float
        Cash, < 0 for a debt. [quote currency]
    close_symbol : str
        Position being closed.
    close_quantity : float, optional
        Signed change that reduces the position; all of it where absent. [contracts]

    Returns
    -------
    CloseOut
        The price is not rounded.

    Raises
    ------
    ModelInputError
        If the symbol is unknown or listed twice, its position flat, or the change does not
        reduce it.

    References
    ----------
    .. [1] dydxprotocol/v4-chain, ``x/clob/keeper/liquidations.go`` (March 2026).

    Examples
    --------
    >>> held = IndexedPosition(
    ...     symbol="BTC", quantity=0.1, index_price=50000.0, maintenance_margin_rate=0.1
    ... )
    >>> close_out_price(
    ...     [held], CloseOutParameters(), cash_balance=-4501.0, close_symbol="BTC"
    ... ).close_out_price
    49999.0
    """
    closed = _closed(positions, close_symbol)
    with localcontext(MONEY_CONTEXT):
        equity = sum((_value(each) for each in positions), start=exact(cash_balance))
        margin = sum((_margin(each) for each in positions), start=Decimal(0))
        quantity, index_price = exact(closed.quantity), exact(closed.index_price)
        change = -quantity if close_quantity is None else exact(close_quantity)
        if change * quantity >= 0 or abs(change) > abs(quantity):
            raise ModelInputError(
                f"close_quantity {close_quantity} does not reduce {closed.quantity} of "
                f"{close_symbol[:60]!r}",
                identifier=close_symbol,
                value=close_quantity,
                limit=f"between 0 and {-closed.quantity}",
            )
        share = exact(parameters.bankruptcy_adjustment) * (1 - equity / margin)
        share = min(Decimal(1), max(Decimal(0), share))
        own = _margin(closed)
        concession = share * exact(parameters.spread_to_maintenance_ratio) * own
        # The margin is proportional to the size, so is what a part of the position releases.
        released = own * abs(change) / abs(quantity)
        amount = -change * index_price - equity * released / margin
        if parameters.amount_tick is not None:
            amount = exact_to_tick(amount, parameters.amount_tick, "up")
        return CloseOut(
            close_out_price=float((quantity * index_price - concession) / quantity),
            bankruptcy_amount=float(amount),
            equity=float(equity),
            maintenance_margin=float(margin),
        )


def _closed(positions: Sequence[IndexedPosition], symbol: str) -> IndexedPosition:
    found = [position for position in positions if position.symbol == symbol]
    if len(found) != 1:
        raise ModelInputError(
            f"close_symbol {symbol[:60]!r} is in {len(found)} positions, needs 1",
            identifier=symbol,
            value=len(found),
            limit="1",
        )
    if found[0].quantity == 0.0:
        raise ModelInputError(f"position of {symbol[:60]!r} is flat", identifier=symbol, value=0.0)
    return found[0]


def _value(position: IndexedPosition) -> Decimal:
    return exact(position.quantity) * exact(position.index_price)


def _margin(position: IndexedPosition) -> Decimal:
    return abs(_value(position)) * exact(position.maintenance_margin_rate)
