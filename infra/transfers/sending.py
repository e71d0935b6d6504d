"""Send what is approved and reserved: one attempt, from each source by its only writer.

Before the bytes leave, limits, whitelist, approvals, kill switch and epoch are checked again, all
together, in the transaction that commits ``unknown`` (I-12, I-13, I-14, I-43).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from engine.errors import LedgerError, MarginPlatformError, StateError, Unsupported, VenueError
from engine.ports import TransferGateway, TransferReport
from engine.transfers.fees import require_route_fee
from engine.transfers.limits import require_within_limits
from engine.transfers.policy import TransferPolicy
from engine.transfers.whitelist import require_listed
from infra.crashpoints import crashpoint
from infra.db.transfer_queries import counted_within, open_from_within
from infra.db.transfers import TRANSFERS, TransferRecord
from infra.outbound.approving import require_let_go
from infra.outbound.asking import asked
from infra.outbound.parallel import in_parallel
from infra.outbound.sending import Failure, Hindered, Sender, Turn
from infra.outbound.worked import Worked, by_desk
from infra.transfers.promises import promised
from infra.transfers.steps import TransferSteps
from infra.transfers.terms import transfer_terms

if TYPE_CHECKING:
    from infra.db import Database
    from infra.outbound.kill_switch import KillSwitch


@dataclass(frozen=True, slots=True)
class _Ready:
    """What is known of a sending before it is committed; ``balance`` is the source's. [asset]"""

    record: TransferRecord
    gateway: TransferGateway
    is_keyed: bool
    balance: Decimal | None
    turn: Turn


class TransferSender(Sender[_Ready, TransferRecord, TransferReport]):
    """The only place from which transfers leave."""

    noun = TRANSFERS.noun

    def __init__(self, database: Database, policy: TransferPolicy, kill_switch: KillSwitch) -> None:
        super().__init__(database, policy.timing, kill_switch)
        self._policy = policy
        self._steps = TransferSteps(database)

    async def send_due(
        self, gateways: Mapping[str, TransferGateway], limit: int | None = None
    ) -> Worked:
        """Send what is due, each transfer once, the earliest first and no more than ``limit``."""
        found = Worked()
        self._kill_switch.tell(self._database)
        self._reserve_approved(found)
        with self._database.reading() as connection:
            due = TRANSFERS.due(connection, ("new",), self._database.clock(), "not_before")
        by_source: dict[str, list[TransferRecord]] = {}
        for record in due[:limit]:
            by_source.setdefault(record.intent.source, []).append(record)
        await in_parallel(
            self._send_from(source, records, gateways, found)
            for source, records in sorted(by_source.items())
        )
        return found

    def _reserve_approved(self, found: Worked) -> None:
        """Reserve what was approved before the source had it."""
        for record in self._database.transfers.list(["approved"]):
            with self._database.writing() as connection:
                now = TRANSFERS.require(connection, record.key)
                if now.state == "approved":
                    now = self._steps.reserve(connection, now)
                if now.state == "approved":
                    found.waiting[now.key] = now.note or "the source does not have the amount"

    async def _send_from(
        self,
        source: str,
        records: list[TransferRecord],
        gateways: Mapping[str, TransferGateway],
        found: Worked,
    ) -> None:
        """Send from one source, as its only writer."""
        try:
            with self._turn(f"transfers:{source}", source, f"from {source}") as turn:
                for record in records:
                    turn.lease.require_held()
                    try:
                        ready = await self._prepare(record, gateways, turn)
                        found.moved[record.key] = await self._send(ready)
                    except Hindered as error:
                        found.waiting[record.key] = self._hinder(record, error)
        except Hindered as error:
            found.waiting.update(dict.fromkeys((one.key for one in records), str(error)))

    async def _prepare(
        self, record: TransferRecord, gateways: Mapping[str, TransferGateway], turn: Turn
    ) -> _Ready:
        """Ask what must be known beforehand, outside any transaction."""
        intent = record.intent
        gateway = gateways.get(intent.source_venue)
        if gateway is None:
            raise Hindered(f"no gateway to {intent.source_venue} is configured")
        try:
            route = promised(gateway, intent.order())
            require_route_fee(intent, route, self._policy)
        except Unsupported as error:
            raise Hindered(str(error), is_rule=True) from error
        except MarginPlatformError as error:
            raise Hindered(str(error), is_rule=not isinstance(error, VenueError)) from error
        try:
            what = f"balance of {intent.source}"
            held = await asked(
                gateway.balance(intent.source, intent.asset),
                self._timing.send_timeout_seconds,
                what,
            )
            balance = held.quantity
        except Unsupported:
            balance = None
        except VenueError as error:
            raise Hindered(str(error)) from error
        return _Ready(record, gateway, route.is_keyed, balance, turn)

    def _commit(self, connection: Connection, ready: _Ready) -> TransferRecord:
        record = TRANSFERS.require(connection, ready.record.key)
        now = self._database.clock()
        self._require_free(connection, record, ready.record, ready.turn)
        self._require_alone(connection, ready, record)
        self._require_rules(connection, record, now)
        attempt = record.attempts + 1
        cause = by_desk(
            f"sending number {attempt}", attempt=attempt, epoch=ready.turn.epoch,
            quantity=record.intent.order().quantity, payload_hash=record.payload_hash,
            balance_before=ready.balance,
        )  # fmt: skip
        return self._steps.sent(
            connection, record, cause, attempts=attempt, sent_at=now,
            first_sent_at=record.first_sent_at or now, n_looks=0, not_before=None,
            # The first balance is kept: it was read before any sending could have worked.
            balance_before=record.balance_before if record.is_exposed else ready.balance,
            look_at=now + self._timing.pause(1),
        )  # fmt: skip

    def _require_rules(self, connection: Connection, record: TransferRecord, now: datetime) -> None:
        intent = record.intent
        try:
            if intent.key != record.transfer_key or intent.payload_hash != record.payload_hash:
                raise StateError(f"transfer {record.transfer_key} was altered", value=intent.key)
            past = counted_within(connection, intent, now)
            require_within_limits(intent, self._policy, past, now)
            whitelist = self._database.whitelist
            require_listed(intent, whitelist.entries_within(connection, intent.destination), now)
            terms = transfer_terms(record, self._policy)
            require_let_go(connection, TRANSFERS, record, terms, now)
        except (MarginPlatformError, LedgerError) as error:
            raise Hindered(str(error), is_rule=True) from error

    def _require_alone(self, connection: Connection, ready: _Ready, record: TransferRecord) -> None:
        """Keep a route without keys free of others, so that its balance proves something."""
        intent = record.intent
        if ready.is_keyed:
            return
        others = open_from_within(connection, intent)
        if others:
            first = others[0].transfer_key
            raise Hindered(f"the route keeps no keys: transfer {first} comes first")

    def _submit(self, ready: _Ready, sent: TransferRecord) -> Awaitable[TransferReport]:
        return ready.gateway.submit(sent.intent.order())

    def _replied(self, ready: _Ready, sent: TransferRecord, report: TransferReport) -> str:
        if report.key not in ("", sent.key) or report.quantity != sent.intent.quantity:
            words = f"the answer is for {report.quantity} under {report.key or 'no key'}"
            return self._unclear(sent, words, None)
        if report.status in ("rejected", "cancelled"):
            return self._refused(sent, report.reason or report.status, "other")
        cause = by_desk(
            f"accepted as {report.venue_transfer_id}: {report.status}",
            venue_transfer_id=report.venue_transfer_id, status=report.status,
        )  # fmt: skip
        with self._database.writing() as connection:
            record = TRANSFERS.require(connection, sent.key)
            if record.state == "unknown":
                self._steps.accepted(connection, record, cause, report.venue_transfer_id)
        crashpoint("transfer:accepted")
        return cause.reason

    def _failed(self, sent: TransferRecord, failure: Failure) -> str:
        if failure.outcome == "refused":
            return self._refused(sent, failure.reason, failure.why or "other")
        if failure.outcome == "not_sent":
            return self._not_sent(sent, failure)
        return self._unclear(sent, failure.reason, failure.why)

    def _refused(self, sent: TransferRecord, reason: str, why: str) -> str:
        """End a transfer that the venue refuses, unless an earlier sending may have worked."""
        if sent.is_exposed:
            return self._unclear(sent, f"refused, after an earlier sending: {reason}", why)
        cause = by_desk(f"refused by the venue: {reason}", cause=why)
        self._if_unknown(
            sent, lambda connection, record: self._steps.refused(connection, record, cause)
        )
        crashpoint("transfer:refused")
        return cause.reason

    def _not_sent(self, sent: TransferRecord, failure: Failure) -> str:
        """Queue a transfer again whose bytes never left; this sending does not count."""
        cause = by_desk(f"not sent: {failure.reason}")
        pause = max(self._timing.pause(sent.attempts), timedelta(seconds=failure.pause_seconds))
        later = self._database.clock() + pause
        self._if_unknown(
            sent,
            lambda connection, record: self._steps.again(
                connection, record, cause, not_before=later, note=cause.reason
            ),
        )
        crashpoint("transfer:not-sent")
        return cause.reason

    def _unclear(self, sent: TransferRecord, reason: str, refusal: str | None) -> str:
        cause = by_desk(f"outcome unknown: {reason}", cause=refusal)

        def note(connection: Connection, record: TransferRecord) -> None:
            kept = refusal or record.refusal
            self._steps.noted(connection, record, "unclear", cause, refusal=kept)

        self._if_unknown(sent, note)
        crashpoint("transfer:unclear")
        return cause.reason

    def _if_unknown(
        self, sent: TransferRecord, act: Callable[[Connection, TransferRecord], object]
    ) -> None:
        """Act on a transfer whose last sending nobody has judged meanwhile."""
        with self._database.writing() as connection:
            record = TRANSFERS.require(connection, sent.key)
            if record.state == "unknown" and record.attempts == sent.attempts:
                act(connection, record)

    def _hinder(self, record: TransferRecord, hindered: Hindered) -> str:
        """Note why a transfer was not sent; one that a rule forbids after a sending is resolved."""
        now = self._database.clock()
        reason = str(hindered)
        with self._database.writing() as connection:
            found = TRANSFERS.require(connection, record.key)
            if found.state != "new" or found.n_events != record.n_events:
                return reason
            if hindered.is_rule and found.is_exposed:
                cause = by_desk(f"not sent again: {reason}")
                self._steps.sent(connection, found, cause, refusal="policy", look_at=now)
            else:
                pause = now + self._timing.pause(1)
                self._steps.records.look_within(
                    connection, found.key, note=reason, not_before=pause
                )
        return reason
