"""What a vault holds and how it came to that, as reconciliation reads every place.

A transaction has left from its broadcast on (CONFIRMING), which is when the vault's total is
without it, and has come in when it is COMPLETED. The network fee of a token is a line of its own:
it leaves in the base asset, and no transfer of ours accounts for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode

import msgspec

from engine.errors import BadPayload
from engine.ports import AccountSnapshot, Reading, VenueLedgerLine, VenueLedgerPage
from infra.clock import Clock
from infra.custody.fireblocks import wire
from infra.custody.fireblocks.assets import CUSTODIAN, CustodyAssets
from infra.custody.fireblocks.client import Call, FireblocksClient
from infra.custody.fireblocks.places import vault_of
from infra.custody.fireblocks.vaults import FireblocksVaults
from infra.venues.payloads import instant

# A transaction is listed by its last change; what changed shortly before the last look is looked
# at again, since two changes may bear one stamp.
LOOK_BACK: Final = timedelta(minutes=10)
_PAGE: Final = 500
_PAGES_MAX: Final = 40
_GONE: Final = ("CONFIRMING", "COMPLETED")
_DROPPED: Final = "DROPPED_BY_BLOCKCHAIN"
_TRANSACTIONS: Final = msgspec.json.Decoder(list[wire.Transaction])


@dataclass(frozen=True, slots=True)
class _Listed:
    rows: Sequence[wire.Transaction]
    received_at: datetime
    is_whole: bool


class FireblocksHoldings:
    """Snapshot and history of vaults; there are no positions, orders, margins or streams."""

    def __init__(
        self,
        client: FireblocksClient,
        assets: CustodyAssets,
        vaults: FireblocksVaults,
        clock: Clock,
    ) -> None:
        self._client, self._assets, self._vaults, self._clock = client, assets, vaults, clock

    async def snapshot(self, account_id: str) -> AccountSnapshot:
        """Return all that a vault holds."""
        balances = await self._vaults.balances(account_id)
        reading = Reading(source=CUSTODIAN, received_at=self._clock())
        return AccountSnapshot(
            account_id=account_id, reading=reading, positions=(), balances=balances, orders=(),
            margins=(),
        )  # fmt: skip

    async def history(self, account_id: str, cursor: str = "") -> VenueLedgerPage:
        """Return what has changed a vault after ``cursor``, oldest first."""
        vault = vault_of(account_id)
        latest, seen = _parse_cursor(cursor)
        after = max(latest - LOOK_BACK // timedelta(milliseconds=1), 0)
        left = await self._list("source", vault, after)
        came = await self._list("dest", vault, after)
        lines = [line for row in left.rows for line in self._outgoing(row)]
        lines += [line for row in came.rows for line in self._incoming(row)]
        lines.sort(key=lambda line: (line.booked_at, line.line_id))
        stamps = [row.last_updated for listed in (left, came) for row in listed.rows]
        latest = max([latest, *stamps])
        reading = Reading(
            source=CUSTODIAN,
            received_at=came.received_at,
            is_complete=left.is_whole and came.is_whole,
            watermark="|".join([str(latest), *sorted(line.line_id for line in lines)]),
        )
        new = tuple(line for line in lines if line.line_id not in seen)
        return VenueLedgerPage(reading=reading, lines=new, next_cursor="")

    async def _list(self, side: str, vault: str, after: int) -> _Listed:
        """Return transactions of one side by their last change; later ones may repeat earlier."""
        found: dict[str, wire.Transaction] = {}
        for _ in range(_PAGES_MAX):
            query = {
                f"{side}Type": "VAULT_ACCOUNT", f"{side}Id": vault, "orderBy": "lastUpdated",
                "sort": "ASC", "after": str(after), "limit": str(_PAGE),
            }  # fmt: skip
            call = Call(method="GET", path=f"/v1/transactions?{urlencode(query)}")
            answered = await self._client.read(call, _TRANSACTIONS)
            rows = answered.content
            found.update({row.id: row for row in rows})
            if len(rows) < _PAGE:
                return _Listed(tuple(found.values()), answered.received_at, is_whole=True)
            last = max(row.last_updated for row in rows) - 1
            if last <= after:
                break
            after = last
        return _Listed(tuple(found.values()), self._clock(), is_whole=False)

    def _outgoing(self, row: wire.Transaction) -> list[VenueLedgerLine]:
        is_dropped = row.status == "FAILED" and row.sub_status == _DROPPED
        if row.status not in _GONE and not is_dropped:
            return []
        amounts = row.amount_info
        lines = [self._line(row, "out", "withdrawal", -amounts.amount)]
        fee, payer = row.fee_info.network_fee or Decimal(0), row.fee_currency or row.asset_id
        # A fee that came out of the amount left with it.
        has_own_fee = bool(fee) and not (row.treat_as_gross_amount and payer == row.asset_id)
        if has_own_fee:
            lines.append(self._line(row, "fee", "network fee", -fee, payer))
        if is_dropped:
            lines.append(self._line(row, "back", "withdrawal returned", amounts.amount))
            if has_own_fee:
                lines.append(self._line(row, "fee-back", "network fee returned", fee, payer))
        return lines

    def _incoming(self, row: wire.Transaction) -> list[VenueLedgerLine]:
        if row.status != "COMPLETED":
            return []
        amounts = row.amount_info
        received = amounts.amount if amounts.net_amount is None else amounts.net_amount
        return [self._line(row, "in", "deposit", received)]

    def _line(
        self, row: wire.Transaction, part: str, kind: str, change: Decimal, asset_id: str = ""
    ) -> VenueLedgerLine:
        known = self._assets.by_id(asset_id or row.asset_id)
        return VenueLedgerLine(
            line_id=f"{row.id}:{part}",
            asset=(asset_id or row.asset_id) if known is None else known.asset,
            change=change,
            kind=kind,
            booked_at=instant(row.last_updated),
            reference=row.external_tx_id,
        )


def _parse_cursor(cursor: str) -> tuple[int, frozenset[str]]:
    latest, *seen = (cursor or "0").split("|")
    if not latest.isdigit():
        raise BadPayload(f"{CUSTODIAN}: {cursor!r} is no cursor of a history", value=cursor)
    return int(latest), frozenset(seen)
