"""A position built by fills: average entry, realised and unrealised profit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from engine.errors import ModelInputError
from engine.money import MONEY_CONTEXT, exact

Settlement: TypeAlias = Literal["linear", "inverse"]
AverageEntryRule: TypeAlias = Literal["arithmetic", "harmonic"]


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution: signed contracts (buy > 0), price, and fee per notional (< 0: rebate)."""

    quantity: float
    fill_price: float
    fee_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class PositionTerms:
    """How a contract settles and how its average entry is kept.

    Attributes
    ----------
    settlement : {"linear", "inverse"}
        Paid in the quote currency, or in the underlying coin.
    contract_multiplier : float
        Units of underlying (linear) or of quote currency (inverse) per contract, > 0.
    average_entry_rule : {"arithmetic", "harmonic"}
        sum(size * price) / sum(size), or sum(size) / sum(size / price), as most venues do for
        inverse contracts.
    """

    settlement: Settlement = "linear"
    contract_multiplier: float = 1.0
    average_entry_rule: AverageEntryRule = "arithmetic"

    def notional(self, quantity: float, price: float) -> float:
        """Return the absolute exposure. [settlement currency]"""
        units = abs(quantity) * self.contract_multiplier
        return units * price if self.settlement == "linear" else units / price

    def profit(self, quantity: float, entry_price: float, exit_price: float) -> float:
        """Return the profit (+) or loss (-) of signed contracts. [settlement currency]"""
        units = quantity * self.contract_multiplier
        if self.settlement == "linear":
            return units * (exit_price - entry_price)
        return units * (1.0 / entry_price - 1.0 / exit_price)


@dataclass(frozen=True, slots=True)
class PositionProfit:
    """State of the position after all fills; amounts in the settlement currency, profit > 0.

    ``average_entry_price`` is None where flat, ``unrealized_pnl``, ``total_pnl`` and ``notional``
    are None without a mark. ``realized_pnl`` is net of fees and holds the funding received;
    ``realized_pnl_after_fills`` runs without it.
    """

    quantity: float
    fees: float
    realized_pnl: float
    realized_pnl_after_fills: tuple[float, ...]
    average_entry_price: float | None
    average_entry_after_fills: tuple[float | None, ...]
    unrealized_pnl: float | None = None
    total_pnl: float | None = None
    notional: float | None = None


def position_pnl(
    fills: Sequence[Fill],
    terms: PositionTerms,
    *,
    mark_price: float | None = None,
    funding_received: float = 0.0,
) -> PositionProfit:
    """Return the profit of a position built by ``fills`` in time order.

    A fill in the direction of the position moves the average entry. A fill against it realises
    the profit of the closed part and leaves the average; one that turns the position opens the
    remainder at its own price. Quantities add up exactly, so that fills of 0.1, 0.2 and -0.3
    leave nothing open.

    Parameters
    ----------
    fills : sequence of Fill
        Executions, quantities not 0, prices > 0.
    terms : PositionTerms
        Settlement, multiplier and averaging.
    mark_price : float, optional
        Price for unrealised profit, > 0. [quote currency]
    funding_received : float
        Net funding over the position's life. [settlement currency]

    Returns
    -------
    PositionProfit
        See the class.

    Raises
    ------
    ModelInputError
        If a fill's quantity is 0 or a price is not above 0.
    """
    held, average, fees, realized = Decimal(0), 0.0, 0.0, 0.0
    realized_after: list[float] = []
    average_after: list[float | None] = []
    for fill in fills:
        _require_usable(fill)
        fee = fill.fee_rate * terms.notional(fill.quantity, fill.fill_price)
        fees += fee
        realized -= fee
        quantity = exact(fill.quantity)
        if held * quantity < 0:
            closed = -quantity if abs(quantity) <= abs(held) else held
            realized += terms.profit(float(closed), average, fill.fill_price)
            if abs(quantity) > abs(held):
                average = fill.fill_price
        else:
            average = _average(held, average, fill, terms.average_entry_rule)
        held = MONEY_CONTEXT.add(held, quantity)
        realized_after.append(realized)
        average_after.append(average if held else None)
    return _profit(
        PositionProfit(
            quantity=float(held),
            fees=fees,
            realized_pnl=realized + funding_received,
            realized_pnl_after_fills=tuple(realized_after),
            average_entry_price=average if held else None,
            average_entry_after_fills=tuple(average_after),
        ),
        terms,
        mark_price,
    )


def _profit(
    state: PositionProfit, terms: PositionTerms, mark_price: float | None
) -> PositionProfit:
    if mark_price is None:
        return state
    if not mark_price > 0.0:
        raise ModelInputError(f"mark_price is {mark_price}, limit > 0", value=mark_price)
    entry = state.average_entry_price
    unrealized = 0.0 if entry is None else terms.profit(state.quantity, entry, mark_price)
    return PositionProfit(
        quantity=state.quantity,
        fees=state.fees,
        realized_pnl=state.realized_pnl,
        realized_pnl_after_fills=state.realized_pnl_after_fills,
        average_entry_price=entry,
        average_entry_after_fills=state.average_entry_after_fills,
        unrealized_pnl=unrealized,
        total_pnl=state.realized_pnl + unrealized,
        notional=terms.notional(state.quantity, mark_price),
    )


def _average(held: Decimal, average: float, fill: Fill, rule: AverageEntryRule) -> float:
    if not held:
        return fill.fill_price
    before, added = abs(float(held)), abs(fill.quantity)
    if rule == "arithmetic":
        return (before * average + added * fill.fill_price) / (before + added)
    return (before + added) / (before / average + added / fill.fill_price)


def _require_usable(fill: Fill) -> None:
    if fill.quantity == 0.0 or not fill.fill_price > 0.0:
        raise ModelInputError(
            f"fill of {fill.quantity} at {fill.fill_price}: quantity is not 0, price > 0",
            value=fill.fill_price,
        )
