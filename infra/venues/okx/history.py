"""The bills of an OKX account, oldest first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from engine.errors import BadPayload
from engine.ports import Reading, VenueLedgerLine, VenueLedgerPage
from infra.venues.okx import wire
from infra.venues.okx.client import VENUE, Call, OkxClient
from infra.venues.okx.instruments import instrument_id
from infra.venues.okx.places import Wallet
from infra.venues.payloads import exact_decimal, instant, optional_decimal

_PAGE: Final = 100
_PAGES_MAX: Final = 50
_RECENT: Final = "/api/v5/account/bills"
_ARCHIVE: Final = "/api/v5/account/bills-archive"
_BILLS: Final = msgspec.json.Decoder(list[wire.Bill])
_FUNDING_BILLS: Final = msgspec.json.Decoder(list[wire.FundingBill])
# www.okx.com/docs-v5, "Bills details", column type.
_KINDS: Final = {
    "1": "transfer", "2": "trade", "3": "delivery", "4": "auto_conversion", "5": "liquidation",
    "6": "margin_transfer", "7": "interest_deduction", "8": "funding_fee", "9": "adl",
    "10": "clawback", "11": "system_conversion", "12": "strategy_transfer", "13": "ddh",
    "14": "block_trade", "15": "quick_margin", "22": "repay", "24": "spread_trade",
}  # fmt: skip

# www.okx.com/docs-v5, "Asset bills details": what moves a funding wallet between places.
_FUNDING_KINDS: Final = {
    "1": "deposit", "2": "withdrawal", "13": "withdrawal_cancelled", "20": "transfer",
    "21": "transfer", "22": "transfer", "23": "transfer", "130": "transfer", "131": "transfer",
    "150": "transfer", "151": "transfer",
}  # fmt: skip


async def read_history(
    client: OkxClient, wallet: Wallet, account_id: str, cursor: str
) -> VenueLedgerPage:
    """Return the lines after a cursor, which is the number of the last bill known.

    OKX pages from the newest back, so all pages down to the cursor are read before the first line
    is returned. An account's trading bills beyond seven days come from its archive.
    """
    if cursor and not cursor.isdecimal():
        raise BadPayload(f"{VENUE} history: {cursor!r} is no cursor of it", value=cursor)
    last = int(cursor) if cursor else -1
    if wallet == "funding":
        lines, received_at, is_whole = await _funding_lines(client, last)
    else:
        lines, received_at, is_whole = await _trading_lines(client, last, has_cursor=bool(cursor))
    lines.sort(key=lambda line: int(line.line_id))
    reading = Reading(
        source=VENUE, received_at=received_at, is_complete=is_whole,
        watermark=lines[-1].line_id if lines else cursor,
    )  # fmt: skip
    return VenueLedgerPage(reading=reading, lines=tuple(lines), next_cursor="")


async def _trading_lines(
    client: OkxClient, last: int, *, has_cursor: bool
) -> tuple[list[VenueLedgerLine], datetime, bool]:
    if has_cursor:
        lines, received_at, is_whole, is_reached = await _walk(client, _RECENT, last)
        if is_reached or not is_whole:
            return lines, received_at, is_whole
    # Seven days did not reach back to the cursor: the lines between are in the archive.
    lines, received_at, is_whole, _ = await _walk(client, _ARCHIVE, last)
    return lines, received_at, is_whole


async def _walk(
    client: OkxClient, path: str, last: int
) -> tuple[list[VenueLedgerLine], datetime, bool, bool]:
    lines: list[VenueLedgerLine] = []
    received_at = datetime.min.replace(tzinfo=UTC)
    after = ""
    for _ in range(_PAGES_MAX):
        parameters = {"limit": str(_PAGE)} | ({"after": after} if after else {})
        answered = await client.read(Call(path=path, parameters=parameters, weight=12), _BILLS)
        received_at = answered.received_at
        lines += [_line(row) for row in answered.rows if int(row.bill_id) > last]
        is_reached = any(int(row.bill_id) <= last for row in answered.rows)
        if is_reached or len(answered.rows) < _PAGE:
            return lines, received_at, True, is_reached
        after = answered.rows[-1].bill_id
    return lines, received_at, False, False


async def _funding_lines(
    client: OkxClient, last: int
) -> tuple[list[VenueLedgerLine], datetime, bool]:
    lines: list[VenueLedgerLine] = []
    seen: set[str] = set()
    received_at = datetime.min.replace(tzinfo=UTC)
    after = ""
    for _ in range(_PAGES_MAX):
        # Paged by time, and several bills may share a millisecond: one is added, repeats dropped.
        parameters = {"limit": str(_PAGE)} | ({"after": after} if after else {})
        call = Call(path="/api/v5/asset/bills", parameters=parameters, weight=5)
        answered = await client.read(call, _FUNDING_BILLS)
        received_at = answered.received_at
        fresh = [row for row in answered.rows if row.bill_id not in seen]
        seen.update(row.bill_id for row in fresh)
        lines += [_funding_line(row) for row in fresh if int(row.bill_id) > last]
        if len(answered.rows) < _PAGE or int(answered.rows[-1].bill_id) <= last:
            return lines, received_at, True
        if not fresh:
            return lines, received_at, False
        after = str(int(answered.rows[-1].ts) + 1)
    return lines, received_at, False


def _line(row: wire.Bill) -> VenueLedgerLine:
    name = f"{VENUE} bill {row.bill_id}"
    return VenueLedgerLine(
        line_id=row.bill_id,
        asset=row.ccy,
        change=exact_decimal(row.bal_chg, name),
        kind=_KINDS.get(row.type, f"type_{row.type}"),
        booked_at=instant(row.ts),
        reference=row.cl_ord_id,
        balance_after=optional_decimal(row.bal, name),
        instrument_id=instrument_id(row.inst_id) if row.inst_id else "",
    )


def _funding_line(row: wire.FundingBill) -> VenueLedgerLine:
    name = f"{VENUE} funding bill {row.bill_id}"
    return VenueLedgerLine(
        line_id=row.bill_id,
        asset=row.ccy,
        change=exact_decimal(row.bal_chg, name),
        kind=_FUNDING_KINDS.get(row.type, f"type_{row.type}"),
        booked_at=instant(row.ts),
        reference=row.client_id,
        balance_after=optional_decimal(row.bal, name),
    )
