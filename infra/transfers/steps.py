"""Steps of a transfer with their effects on the ledger, so that no state changes without them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from engine.errors import InvariantBroken
from engine.money import from_minor_units
from infra.crashpoints import crashpoint
from infra.outbound.steps import Steps
from infra.outbound.worked import Cause, by_desk
from infra.transfers import effects

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.transfers import TransferRecord


class TransferSteps(Steps["TransferRecord"]):
    """Everything that can happen to a transfer, with what it does to the ledger."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, database.transfers)

    def approve(
        self, connection: Connection, record: TransferRecord, cause: Cause
    ) -> TransferRecord:
        """Note that enough people have approved, and reserve the amount if it is there."""
        return self.reserve(connection, self.move(connection, record, "approved", cause))

    def reserve(self, connection: Connection, record: TransferRecord) -> TransferRecord:
        """Reserve the amount of an approved transfer and queue it, or note why that cannot be."""
        obstacle = effects.hold(self.database, connection, record)
        if obstacle:
            self.records.look_within(connection, record.key, note=obstacle)
            return record
        cause = by_desk("the amount is reserved at the source")
        return self.move(connection, record, "new", cause, note="", not_before=None)

    def sent(
        self, connection: Connection, record: TransferRecord, cause: Cause, **changes: Any
    ) -> TransferRecord:
        """Note, before the bytes leave, that they may leave now."""
        moved = self.move(connection, record, "unknown", cause, note="", **changes)
        crashpoint("transfer:unknown")
        return moved

    def accepted(
        self, connection: Connection, record: TransferRecord, cause: Cause, venue_transfer_id: str
    ) -> TransferRecord:
        """Note that the venue knows the transfer: it is executed, or will be."""
        now = self.database.clock()
        return self.move(
            connection, record, "done", cause, accepted_at=now,
            venue_transfer_id=venue_transfer_id, n_looks=0, look_at=now, note="",
        )  # fmt: skip

    def again(
        self, connection: Connection, record: TransferRecord, cause: Cause, **changes: Any
    ) -> TransferRecord:
        """Queue the same key once more."""
        return self.move(connection, record, "new", cause, look_at=None, n_looks=0, **changes)

    def debited(
        self, connection: Connection, record: TransferRecord, cause: Cause
    ) -> TransferRecord:
        """Note that the source has paid; a fact that changes no state."""
        if record.debited_at is not None:
            return record
        effects.debit(self.database, connection, record)
        return self.noted(connection, record, "debited", cause, debited_at=self.database.clock())

    def credited(
        self, connection: Connection, record: TransferRecord, cause: Cause, fee: int
    ) -> TransferRecord:
        """Note that the destination has received; what has arrived has left before."""
        if record.credited_at is not None:
            # Asked about after its credit: what is booked stays, and is not booked again.
            return self.move(connection, record, "credited", cause, note="")
        paid = self.debited(connection, record, cause)
        effects.credit(self.database, connection, paid, fee)
        intent = record.intent
        return self.move(
            connection, paid, "credited", cause, credited_at=self.database.clock(),
            fee=from_minor_units(fee, intent.asset, intent.scale).amount, note="",
            look_at=None, n_looks=0,
        )  # fmt: skip

    def refused(
        self, connection: Connection, record: TransferRecord, cause: Cause, state: str = "rejected"
    ) -> TransferRecord:
        """End a transfer that is not executed: release what is held, take back what was debited."""
        if record.credited_at is not None:
            raise InvariantBroken(f"transfer {record.key} is credited and cannot end so")
        if record.debited_at is not None:
            effects.give_back(self.database, connection, record)
        elif record.state not in ("proposed", "approved"):
            effects.void(self.database, connection, record, cause.reason)
        return self.move(connection, record, state, cause, look_at=None, note="")

    def asked(
        self, connection: Connection, record: TransferRecord, cause: Cause, look_at: datetime
    ) -> TransferRecord:
        """Put a transfer before a person; the venue is asked on, less often."""
        return self.move(connection, record, "stuck", cause, note=cause.reason, look_at=look_at)

    def final(self, connection: Connection, record: TransferRecord, cause: Cause) -> TransferRecord:
        """Note that both sides agree for good."""
        return self.move(connection, record, "reconciled", cause, look_at=None, note="")
