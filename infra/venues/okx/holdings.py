"""Balances, positions and margin of OKX in our words, from REST and from streams alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from engine.errors import BadPayload
from engine.ports import HeldBalance, HeldPosition, ReportedMargin
from infra.venues.okx import wire
from infra.venues.okx.client import VENUE
from infra.venues.okx.instruments import instrument_id
from infra.venues.payloads import exact_decimal, optional_decimal

_SIGNS: Final = {"net": 1, "long": 1, "short": -1}
_NOTHING: Final = Decimal(0)


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
