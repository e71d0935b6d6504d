"""The transaction log of a Deribit account, oldest first, with proof that no line is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from engine.errors import BadPayload
from engine.ports import Reading, VenueLedgerLine, VenueLedgerPage
from infra.venues.deribit import wire
from infra.venues.deribit.client import VENUE, Call, DeribitClient
from infra.venues.payloads import instant, plain

_PAGE_LINES: Final = 250
_PAGES_MAX: Final = 200
_LOG: Final = msgspec.json.Decoder(wire.Log)
_EARLIEST_MS: Final = 1_451_606_400_000
_LATEST_MS: Final = 32_503_708_800_000


@dataclass(frozen=True, slots=True)
class Cursor:
    """Position in the log: last instant and line, and the balance of each currency after it."""

    since_ms: int = _EARLIEST_MS
    last_id: int = -1
    balances: Mapping[str, Decimal] = field(default_factory=dict)

    def text(self) -> str:
        """Return the cursor as a text."""
        held = (f"{name}={plain(value)}" for name, value in sorted(self.balances.items()))
        return ";".join([f"{self.since_ms}-{self.last_id}", *held])

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Return the cursor of a text; raises BadPayload if it is none of ours."""
        if not text:
            return cls()
        position, *held = text.split(";")
        try:
            since, _, last = position.partition("-")
            pairs = (one.partition("=") for one in held)
            return cls(int(since), int(last), {name: Decimal(value) for name, _, value in pairs})
        except (ValueError, InvalidOperation) as error:
            raise BadPayload(f"{VENUE} history: {text!r} is no cursor of it") from error


async def read_history(
    client: DeribitClient, account: str, currencies: Sequence[str], cursor: str
) -> VenueLedgerPage:
    """Return all lines after a cursor.

    The balance after each line must be the one before it plus the change, by currency: a line that
    a page has left out breaks the chain.
    """
    start = Cursor.parse(cursor)
    lines: list[wire.LogLine] = []
    received_at = datetime.min.replace(tzinfo=UTC)
    is_whole = True
    for currency in currencies:
        found, received_at, has_more = await _lines_of(client, account, currency, start)
        lines.extend(found)
        is_whole = is_whole and not has_more
    lines.sort(key=lambda line: line.id)
    balances = dict(start.balances)
    for line in lines:
        before = balances.get(line.currency)
        if before is not None and before + line.change != line.balance:
            is_whole = False
        balances[line.currency] = line.balance
    end = start
    if lines and is_whole:
        since = max(line.timestamp for line in lines)
        end = Cursor(since, lines[-1].id, balances)
    reading = Reading(
        source=VENUE, received_at=received_at, is_complete=is_whole,
        watermark=end.text() if end.last_id >= 0 else cursor,
    )  # fmt: skip
    return VenueLedgerPage(
        reading=reading, lines=tuple(_line(line) for line in lines), next_cursor=""
    )


async def _lines_of(
    client: DeribitClient, account: str, currency: str, start: Cursor
) -> tuple[list[wire.LogLine], datetime, bool]:
    lines: list[wire.LogLine] = []
    continuation: int | None = None
    for _ in range(_PAGES_MAX):
        parameters: dict[str, object] = {
            "currency": currency, "start_timestamp": start.since_ms,
            "end_timestamp": _LATEST_MS, "count": _PAGE_LINES,
        }  # fmt: skip
        if continuation is not None:
            parameters["continuation"] = continuation
        answered = await client.read(Call("private/get_transaction_log", parameters, account), _LOG)
        page = answered.content
        lines.extend(line for line in page.logs if line.id > start.last_id)
        continuation = page.continuation
        is_reached = any(line.id <= start.last_id for line in page.logs)
        if continuation is None or is_reached:
            return lines, answered.received_at, False
    return lines, answered.received_at, True


def _line(line: wire.LogLine) -> VenueLedgerLine:
    reference = ""
    if isinstance(line.info, dict):
        # A deposit names its transaction, a withdrawal its number; transfers name the other side.
        told = line.info.get("transaction") or line.info.get("withdrawal_id") or ""
        reference = str(told)
    return VenueLedgerLine(
        line_id=str(line.id),
        asset=line.currency,
        change=line.change,
        kind=line.type,
        booked_at=instant(line.timestamp),
        reference=reference,
        balance_after=line.balance,
    )
