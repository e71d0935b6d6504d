"""A desk, a vault and venues: what tests of transfers out of custody need."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from engine.ports import TransferGateway
from engine.transfers import TransferIntent
from infra.clock import utc_now
from infra.db import Database, open_database
from infra.db.ledger import Entry, Posting
from infra.db.transfers import TransferRecord
from infra.transfers import KillSwitch, TransferDesk
from tests.integration.custody.fireblocks_town import (
    MARGIN,
    VAULT,
    Scene,
    scene,
)
from tests.integration.transfers.fake_venue import Clock, listed, rules

UNIT = 10**8
FEE = 5_000


@dataclass
class Office:
    """A scene, and a desk whose clock is turned by hand."""

    s: Scene
    database: Database
    desk: TransferDesk
    clock: Clock
    gateways: dict[str, TransferGateway]

    def approved(self, quantity: str = "2", leg: int = 1) -> TransferRecord:
        intent = TransferIntent(
            purpose="call-1", leg=leg, source=VAULT, destination=MARGIN, asset="BTC",
            amount=int(Decimal(quantity) * UNIT), scale=8, network="BTC", address=self.s.address,
        )  # fmt: skip
        listed(self.database, intent)
        record = self.desk.propose(intent, "alice", "test")
        return self.desk.approve(record.transfer_key, "bob", record.payload_hash)

    async def send(self) -> None:
        await self.desk.send_due(self.gateways)

    async def look(self) -> None:
        await self.desk.resolve_due(self.gateways, everything=True)

    def get(self, record: TransferRecord) -> TransferRecord:
        return self.database.transfers.get(record.transfer_key)

    def units(self, account: str) -> int:
        return int(self.database.ledger.balance(account, "BTC").amount * UNIT)

    def require_whole(self, record: TransferRecord) -> None:
        """I-15: what the ledger holds at places and on its way is all there was, fees aside."""
        accounts = (f"location:{VAULT}", f"location:{MARGIN}", f"transit:{record.transfer_key}")
        total = sum(self.units(account) for account in (*accounts, "fees:fireblocks"))
        assert total == 120 * UNIT


@asynccontextmanager
async def office(folder: Path, *, is_stocked: bool = True, seed: int = 3) -> AsyncIterator[Office]:
    clock = Clock(utc_now())
    database = open_database(f"sqlite:///{folder / 'plimsoll.db'}", actor="test", clock=clock)
    database.ledger.register_assets({"BTC": 8})
    stock = Posting("outside:world", f"location:{VAULT}", "BTC", 120 * UNIT)
    if is_stocked:
        database.ledger.post(Entry("stock", "test", date(2026, 11, 21), None, (stock,)))
    async with scene(seed=seed) as s:
        desk = TransferDesk(database, rules(), KillSwitch(folder, clock))
        gateways: dict[str, TransferGateway] = {
            "fireblocks": s.adapter.transfers,
            "deribit": s.deribit.transfers,
        }
        try:
            yield Office(s, database, desk, clock, gateways)
        finally:
            database.close()
