"""Balances, positions and margin of OKX in our words, from REST and from streams alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from engine.errors import BadPayload
from engine.ports import HeldBalance, HeldPosition, ReportedMargin, WorkingOrder
from infra.venues.okx import wire
from infra.venues.okx.client import VENUE
from infra.venues.okx.instruments import instrument_id
from infra.venues.payloads import exact_decimal, optional_decimal

_SIGNS: Final = {"net": 1, "long": 1, "short": -1}
_NOTHING: Final = Decimal(0)
_WORKING: Final = ("live", "partially_filled")


def held_position(row: wire.Position) -> HeldPosition:
    """Return a position in signed contracts; in long/short mode ``pos`` itself has no sign."""
    name = f"{VENUE} position {row.inst_id}"
    sign = _SIGNS.get(row.pos_side)
    if sign is None:
        raise BadPayload(f"{name}: side {row.pos_side!r} is none of {sorted(_SIGNS)}")
    return HeldPosition(
        instrument_id=instrument_id(row.inst_id),
        quantity=sign * exact_decimal(row.pos, name),
        entry_price=optional_decimal(row.avg_px, name),
        mark_price=optional_decimal(row.mark_px, name),
    )


def balances_of(held: wire.AccountBalance) -> tuple[HeldBalance, ...]:
    """Return cash by currency; below zero is owed to the venue."""
    name = f"{VENUE} balance"
    return tuple(
        HeldBalance(
            asset=row.ccy,
            quantity=exact_decimal(row.cash_bal, name),
            available=optional_decimal(row.avail_eq or row.avail_bal, name),
            equity=optional_decimal(row.eq, name),
        )
        for row in held.details
    )


def margins_of(held: wire.AccountBalance) -> tuple[ReportedMargin, ...]:
    """Return margin by bucket: the account in USD where it is margined as one, else currencies."""
    name = f"{VENUE} margin"
    if held.adj_eq:
        bucket = ReportedMargin(
            bucket="account",
            currency="USD",
            initial_margin=optional_decimal(held.imr, name) or _NOTHING,
            maintenance_margin=optional_decimal(held.mmr, name) or _NOTHING,
            equity=exact_decimal(held.adj_eq, name),
        )
        return (bucket,)
    return tuple(
        ReportedMargin(
            bucket=row.ccy,
            currency=row.ccy,
            initial_margin=optional_decimal(row.imr, name) or _NOTHING,
            maintenance_margin=optional_decimal(row.mmr, name) or _NOTHING,
            equity=exact_decimal(row.eq, name),
        )
        for row in held.details
    )


def working_order(row: wire.PendingOrder) -> WorkingOrder:
    """Return an order as it works; with nothing remaining where it works no more."""
    name = f"{VENUE} order {row.ord_id}"
    if row.side not in ("buy", "sell"):
        raise BadPayload(f"{name}: side {row.side!r} is none")
    filled = optional_decimal(row.acc_fill_sz, name) or Decimal(0)
    left = exact_decimal(row.sz, name) - filled if row.state in _WORKING else Decimal(0)
    return WorkingOrder(
        order_id=row.ord_id,
        instrument_id=instrument_id(row.inst_id),
        side="buy" if row.side == "buy" else "sell",
        remaining_quantity=left,
        limit_price=optional_decimal(row.px, name),
        is_reduce_only=row.reduce_only == "true",
        client_order_id=row.cl_ord_id,
    )
