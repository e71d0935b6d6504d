"""Deposits and withdrawals of a Binance spot wallet, in place of the ledger that it has not.

What moves between wallets of the master and its sub-accounts is in the history of transfers and
not here; nor are purchases and conversions, which a wallet of collateral does not make.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from engine.errors import BadPayload
from engine.ports import Reading, VenueLedgerLine, VenueLedgerPage
from infra.venues.binance import wire
from infra.venues.binance.client import VENUE, BinanceClient, Call
from infra.venues.binance.deposits import CREDITED
from infra.venues.payloads import instant, to_milliseconds

HISTORY_KEPT: Final = timedelta(days=89)
# A deposit is listed under the time it was seen and credited later; this far back is looked again.
LOOK_BACK: Final = timedelta(days=3)
_PAGE_LINES: Final = 1000
_UNDONE: Final = frozenset((1, 3, 5))
_DEPOSITS: Final = msgspec.json.Decoder(list[wire.Deposit])
_WITHDRAWALS: Final = msgspec.json.Decoder(list[wire.Withdrawal])


async def read_movements(client: BinanceClient, cursor: str, now: datetime) -> VenueLedgerPage:
    """Return deposits that are credited, and withdrawals that are not undone, after a cursor.

    The cursor holds the latest instant and the lines known within ``LOOK_BACK`` of it. A
    withdrawal that the venue undoes later does not appear again: its refund shows in the balance.
    """
    latest, seen = _parse_cursor(cursor)
    earliest = to_milliseconds(now - HISTORY_KEPT)
    back = LOOK_BACK // timedelta(milliseconds=1)
    parameters = {"startTime": str(max(latest - back, earliest)), "limit": str(_PAGE_LINES)}
    deposits, withdrawals = await asyncio.gather(
        client.read(_call("deposit/hisrec", parameters, 15), _DEPOSITS),
        client.read(_call("withdraw/history", parameters, 300), _WITHDRAWALS),
    )
    found = [_deposit(row) for row in deposits.content if row.status in CREDITED]
    found += [_withdrawal(row) for row in withdrawals.content if row.status not in _UNDONE]
    found.sort(key=lambda line: (line.booked_at, line.line_id))
    latest = max([latest, *(to_milliseconds(line.booked_at) for line in found)])
    kept = sorted(
        line.line_id for line in found if to_milliseconds(line.booked_at) >= latest - back
    )
    is_whole = max(len(deposits.content), len(withdrawals.content)) < _PAGE_LINES
    reading = Reading(
        source=VENUE,
        received_at=withdrawals.received_at,
        is_complete=is_whole,
        watermark="|".join([str(latest), *kept]),
    )
    lines = tuple(line for line in found if line.line_id not in seen)
    return VenueLedgerPage(reading=reading, lines=lines, next_cursor="")


def _call(path: str, parameters: dict[str, str], weight: int) -> Call:
    return Call(method="GET", path=f"/sapi/v1/capital/{path}", parameters=parameters, weight=weight)


def _deposit(row: wire.Deposit) -> VenueLedgerLine:
    return VenueLedgerLine(
        line_id=f"D{row.tx_id}",
        asset=row.coin,
        change=row.amount,
        kind="DEPOSIT",
        booked_at=instant(row.insert_time),
        reference=row.tx_id,
    )


def _withdrawal(row: wire.Withdrawal) -> VenueLedgerLine:
    try:
        applied = datetime.strptime(row.apply_time, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadPayload(
            f"{VENUE} withdrawal {row.id}: {row.apply_time!r} is no time", identifier=row.id
        ) from error
    return VenueLedgerLine(
        line_id=f"W{row.id}",
        asset=row.coin,
        change=-(row.amount + row.transaction_fee),
        kind="WITHDRAW",
        booked_at=applied,
        reference=row.withdraw_order_id,
    )


def _parse_cursor(cursor: str) -> tuple[int, frozenset[str]]:
    if not cursor:
        return 0, frozenset()
    latest, *seen = cursor.split("|")
    if not latest.isdigit():
        raise BadPayload(f"{VENUE} movements: {cursor!r} is no cursor of them", value=cursor)
    return int(latest), frozenset(seen)
