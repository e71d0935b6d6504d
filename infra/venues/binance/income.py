"""The income of a Binance USD-M account: its ledger, oldest first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from engine.errors import BadPayload
from engine.ports import Reading, VenueLedgerLine, VenueLedgerPage
from infra.venues.binance import wire
from infra.venues.binance.client import VENUE, BinanceClient, Call
from infra.venues.binance.instruments import instrument_id
from infra.venues.payloads import instant, to_milliseconds

HISTORY_KEPT: Final = timedelta(days=89)
_PAGE_LINES: Final = 1000
_PAGES_MAX: Final = 20
_INCOME: Final = msgspec.json.Decoder(list[wire.Income])


async def read_income(
    client: BinanceClient, account_id: str, cursor: str, now: datetime
) -> VenueLedgerPage:
    """Return the lines after a cursor up to the present end, page by page.

    Pages begin at a millisecond that several lines may share, so the cursor names those of its
    last one.

    Raises
    ------
    BadPayload
        If the cursor is none of ours, or one millisecond holds more lines than a page.
    """
    since, seen = _parse_cursor(cursor)
    if not cursor:
        since = to_milliseconds(now - HISTORY_KEPT)
    lines: list[VenueLedgerLine] = []
    received_at, is_at_end = now, False
    for _ in range(_PAGES_MAX):
        parameters = {"startTime": str(since), "limit": str(_PAGE_LINES)}
        call = Call(method="GET", path="/fapi/v1/income", parameters=parameters, weight=30)
        answered = await client.read(call, _INCOME)
        received_at = answered.received_at
        rows = sorted(answered.content, key=lambda row: row.time)
        fresh = [line for line in map(_line, rows) if line.line_id not in seen]
        is_at_end = len(rows) < _PAGE_LINES
        if not is_at_end and not fresh:
            raise BadPayload(
                f"{VENUE} income of {account_id}: more than {_PAGE_LINES} lines at {since} ms, "
                "which no page reaches past",
                identifier=account_id,
            )
        lines += fresh
        since, seen = _position_after(rows, since, seen)
        if is_at_end:
            break
    mark = "|".join([str(since), *sorted(seen)])
    reading = Reading(source=VENUE, received_at=received_at, watermark=mark)
    return VenueLedgerPage(
        reading=reading, lines=tuple(lines), next_cursor="" if is_at_end else mark
    )


def _line(row: wire.Income) -> VenueLedgerLine:
    # One trade makes a line each for profit and commission under one tranId.
    parts = (row.tran_id, row.income_type, row.asset, row.symbol, row.trade_id)
    return VenueLedgerLine(
        line_id="-".join(str(part) for part in parts if part != ""),
        asset=row.asset,
        change=row.income,
        kind=row.income_type,
        booked_at=instant(row.time),
        reference=str(row.tran_id),
        instrument_id=instrument_id(row.symbol) if row.symbol else "",
    )


def _parse_cursor(cursor: str) -> tuple[int, frozenset[str]]:
    # "<ms>|<line>|<line>...": the last instant and its lines, since several share a millisecond.
    if not cursor:
        return 0, frozenset()
    since, *seen = cursor.split("|")
    if not since.isdigit():
        raise BadPayload(f"{VENUE} history: {cursor!r} is no cursor of it", value=cursor)
    return int(since), frozenset(seen)


def _position_after(
    rows: list[wire.Income], since: int, seen: frozenset[str]
) -> tuple[int, frozenset[str]]:
    last = rows[-1].time if rows else since
    at_last = frozenset(_line(row).line_id for row in rows if row.time == last)
    return last, at_last | seen if last == since else at_last
