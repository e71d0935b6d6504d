"""What others write that the loop has to hear of: executions, transfers, acts on calls, closes.

Read by the writer's thread once a second. Positions of what was read are kept here; the inbox
makes sure that a report which is read twice counts once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Row, func, select

from engine.intraday import AccountOwner, CollateralReport, Fill, PositionReport, TransferReport
from engine.intraday.changes import TransferState
from engine.money import from_minor_units
from infra.db.tables import CallEventRow, CallRow
from infra.db.transfer_tables import TransferEventRow, TransferRow
from infra.intraday.arrivals import Arrivals, PaidStep
from infra.intraday.base import Base, Bases
from infra.intraday.reports import Incoming, Report

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.execution_book import RecordedExecution
    from infra.db.intraday_grants import Grant
    from infra.db.intraday_journal import OpenCall

OMS: Final = "oms"
DESK: Final = "transfers"
_STATES: Final[Mapping[str, TransferState]] = {
    "unknown": "sent", "done": "debited", "credited": "credited", "reconciled": "credited",
    "rejected": "rejected", "cancelled": "rejected",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """What was new at one look; ``open_calls`` is None where nothing of them changed."""

    reports: Sequence[Incoming]
    open_calls: Mapping[str, OpenCall] | None
    close_id: str | None
    grants: Sequence[Grant] = ()


class Watch:
    """Cursors over what others write.

    ``places`` gives account and netting set of each place of a client, ``venues`` those whose
    accounts the loop follows.
    """

    def __init__(
        self,
        database: Database,
        run_id: str,
        base: Base,
        bases: Bases,
        places: Mapping[str, tuple[str, str]],
        venues: Collection[str] = (),
    ) -> None:
        self._database, self._base, self._bases = database, base, bases
        self._places = places
        # Custodians have no stream that the loop follows.
        self._untold = {place.partition("/")[0] for place in places} - set(venues)
        self._arrivals = Arrivals(base, frozenset(places))
        self._executions = 0
        self._transfers = 0
        self._call_events = -1
        self._run_id, self._grants = run_id, 0
        self._known = {
            (message.source, message.message_id)
            for message in database.intraday_journal.messages(run_id)
            if message.source in (OMS, DESK)
        }
        self._owner = _owners(base)

    def look(self) -> Seen:
        """Return what is new since the last look."""
        # Calls are read before transfers: of a call that has been paid its collateral is known too.
        open_calls = self._changed_calls()
        return Seen(
            reports=[*self._new_executions(), *self._new_transfers()],
            open_calls=open_calls,
            close_id=self._bases.latest_id(),
            grants=self._new_grants(),
        )

    def _new_grants(self) -> list[Grant]:
        found = self._database.intraday_grants.in_force(self._run_id, self._grants)
        self._grants = max((one.position for one in found), default=self._grants)
        return found

    def _new_executions(self) -> list[Incoming]:
        found = []
        for one in self._database.executions.after(self._executions):
            self._executions = one.position
            execution = one.execution
            key = (OMS, f"{one.source}/{execution.execution_id}")
            # What was traded before the close is in the close's positions.
            if key in self._known or execution.executed_at <= self._base.snapshot.as_of:
                continue
            self._known.add(key)
            found.append(Incoming(*key, self._report(one), one.received_at))
        return found

    def _report(self, one: RecordedExecution) -> Report:
        execution = one.execution
        owner = self._owner.get(execution.account_id)
        if execution.kind == "trade":
            sign = 1.0 if execution.side == "buy" else -1.0
            return Fill(
                execution.account_id, execution.instrument_id, sign * float(execution.quantity),
                float(execution.execution_price), (OMS,), owner,
            )  # fmt: skip
        # A bust or a correction: what order management holds now, as it stands.
        from infra.oms import oms_positions

        held = {
            (each.account_id, each.instrument_id): each.quantity
            for each in oms_positions(self._database)
        }
        quantity = held.get((execution.account_id, execution.instrument_id), 0)
        return PositionReport(
            execution.account_id, execution.instrument_id, float(quantity), (OMS,), owner=owner
        )

    def _new_transfers(self) -> list[Incoming]:
        query = (
            select(
                TransferEventRow.position, TransferEventRow.number, TransferEventRow.state,
                TransferEventRow.recorded_at, TransferRow.transfer_key, TransferRow.source,
                TransferRow.destination, TransferRow.asset, TransferRow.amount, TransferRow.scale,
                TransferRow.fee, CallRow.netting_set_id, CallRow.direction,
            )
            .join(TransferRow, TransferRow.transfer_key == TransferEventRow.transfer_key)
            .outerjoin(CallRow, CallRow.call_id == TransferRow.purpose)
            .where(
                TransferEventRow.position > self._transfers,
                # What was moved before the close is in what the close holds.
                TransferEventRow.recorded_at > self._base.snapshot.as_of,
            )
            .order_by(TransferEventRow.position)
        )  # fmt: skip
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        found = []
        for row in rows:
            self._transfers = row.position
            for kind, report in (("", self._transfer(row)), ("/held", self._arrival(row))):
                key = (DESK, f"{row.transfer_key}/{row.number}{kind}")
                if report is not None and key not in self._known:
                    self._known.add(key)
                    found.append(Incoming(*key, report, row.recorded_at))
        return found

    def _transfer(self, row: Row[Any]) -> TransferReport | None:
        """Return how far what leaves a client's place is: in flight it counts nowhere."""
        state = _STATES.get(row.state)
        account = self._places.get(row.source)
        if state is None or account is None:
            return None
        if state in ("debited", "credited") and row.source.partition("/")[0] in self._untold:
            # Nobody says what such a place holds now: what has left stays deducted.
            return None
        quantity = float(row.amount) / 10 ** int(row.scale)
        return TransferReport(row.transfer_key, account[1], row.asset, account[0], quantity, state)

    def _arrival(self, row: Row[Any]) -> CollateralReport | None:
        """Return what lies at a place of the house for whom the transfer's call is of."""
        if row.netting_set_id is None:
            return None
        return self._arrivals.take(
            PaidStep(
                transfer_key=row.transfer_key,
                state=row.state,
                netting_set_id=row.netting_set_id,
                direction=row.direction,
                source=row.source,
                destination=row.destination,
                asset=row.asset,
                quantity=from_minor_units(row.amount, row.asset, row.scale).amount,
                fee=row.fee or Decimal(0),
            )
        )

    def _changed_calls(self) -> Mapping[str, OpenCall] | None:
        with self._database.reading() as connection:
            last = connection.execute(select(func.max(CallEventRow.position))).scalar_one() or 0
        if last == self._call_events:
            return None
        self._call_events = last
        return self._database.intraday_journal.open_calls()


def _owners(base: Base) -> dict[str, AccountOwner]:
    held = base.positions.positions.drop_duplicates("account_id")
    columns = ("account_id", "netting_set_id", "client_id", "venue")
    return {
        str(account): AccountOwner(str(netting_set), str(client), str(venue))
        for account, netting_set, client, venue in zip(
            *(held[name] for name in columns), strict=True
        )
    }
