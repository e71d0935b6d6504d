"""What order management holds: its opening and everything that it has reported since."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Final

from engine.executions import Holding, histories_of, positions_of
from engine.money import MONEY_CONTEXT
from engine.ports import Execution, HeldPosition

if TYPE_CHECKING:
    from infra.db import Database

_POLL_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class OmsPosition:
    """Signed contracts of an account in an instrument, at an instant."""

    account_id: str
    instrument_id: str
    quantity: Decimal
    as_of: datetime


def oms_positions(database: Database, at: datetime | None = None) -> tuple[OmsPosition, ...]:
    """Return what order management holds, or held at ``at``; empty if it never reported.

    Quantities are exact and never zero; rows are sorted by account and instrument.
    """
    instant = at or database.clock()
    total: dict[Holding, Decimal] = defaultdict(Decimal)
    with localcontext(MONEY_CONTEXT):
        for source in database.executions.sources():
            book = database.executions.book(source)
            held = positions_of(book.openings, histories_of(book.executions), at=at)
            for holding, quantity in held.items():
                total[holding] += quantity
    return tuple(
        OmsPosition(
            account_id=account_id, instrument_id=instrument_id, quantity=quantity, as_of=instant
        )
        for (account_id, instrument_id), quantity in sorted(total.items())
        if quantity
    )


class OmsInbox:
    """The port ``OmsGateway`` over what is recorded: nothing is lost between two readers."""

    def __init__(self, database: Database, *, after: int = 0) -> None:
        self._database = database
        self._position = after

    async def drop_copy(self) -> AsyncIterator[Execution]:
        """Yield executions in order of arrival, each once, and wait for more."""
        while True:
            found = await asyncio.to_thread(self._database.executions.after, self._position)
            for one in found:
                yield one.execution
                self._position = one.position
            if not found:
                await asyncio.sleep(_POLL_SECONDS)

    async def positions(self, account_id: str) -> tuple[HeldPosition, ...]:
        """Return the positions that order management holds for an account."""
        found = await asyncio.to_thread(oms_positions, self._database)
        return tuple(
            HeldPosition(instrument_id=one.instrument_id, quantity=one.quantity)
            for one in found
            if one.account_id == account_id
        )
