"""Send what is approved: UNKNOWN is committed before the bytes leave, then one attempt.

The transaction that commits it checks again, all together, what was true when people decided:
limits, whitelist, approvals, kill switch, and that this process still is the one that may send
from the source (I-12, I-13, I-14, I-43).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from engine.errors import (
    ClockSkew,
    LedgerError,
    MarginPlatformError,
    StateError,
    Unsupported,
    VenueAccessDenied,
    VenueError,
    VenueRejected,
)
from engine.ports import TransferGateway, TransferReport
from engine.transfers.approvals import require_approved
from engine.transfers.fees import require_route_fee
from engine.transfers.limits import require_within_limits
from engine.transfers.policy import TransferPolicy
from engine.transfers.whitelist import require_listed
from infra.crashpoints import crashpoint
from infra.db.transfer_queries import counted_within, due_within, open_from_within
from infra.db.transfers import (
    approvals_within,
    require_transfer,
)
from infra.db.writers import epoch_within, take_over_within
from infra.outbound.asking import asked
from infra.outbound.kill_switch import armed_within
from infra.outbound.parallel import in_parallel
from infra.outbound.worked import Cause
from infra.transfers.promises import promised
from infra.transfers.steps import DESK, Steps

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.transfers import TransferRecord
    from infra.outbound.kill_switch import KillSwitch


@dataclass(frozen=True, slots=True)
class _Ready:
    """What is known of a sending before it is committed; ``balance`` is the source's. [asset]"""

    record: TransferRecord
    gateway: TransferGateway
    is_keyed: bool
    balance: Decimal | None
    epoch: int


class _Hindered(Exception):
    """This transfer cannot be sent now; ``is_rule`` if a rule forbids it, not the moment."""

    def __init__(self, reason: str, *, is_rule: bool = False) -> None:
        super().__init__(reason)
        self.is_rule = is_rule


class Sender:
    """The only place from which transfers leave."""

    def __init__(self, database: Database, policy: TransferPolicy, kill_switch: KillSwitch) -> None:
        self._database = database
        self._policy = policy
        self._kill_switch = kill_switch
        self._steps = Steps(database)

    async def send_due(
        self, gateways: Mapping[str, TransferGateway], limit: int | None = None
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return what was sent and what waits, by key, with a sentence about each.

        ``limit`` bounds how many are tried; the earliest recorded come first.
        """
        moved: dict[str, str] = {}
        waiting: dict[str, str] = {}
        self._kill_switch.tell(self._database)
        self._reserve_approved(waiting)
        with self._database.reading() as connection:
            due = due_within(connection, ("new",), self._database.clock(), "not_before")
        by_source: dict[str, list[TransferRecord]] = {}
        for record in due[:limit]:
            by_source.setdefault(record.intent.source, []).append(record)
        await in_parallel(
            self._send_from(source, records, gateways, moved, waiting)
            for source, records in sorted(by_source.items())
        )
        return moved, waiting

    def _reserve_approved(self, waiting: dict[str, str]) -> None:
        """Reserve what was approved before the source had it."""
        for record in self._database.transfers.list(["approved"]):
            with self._database.writing() as connection:
                now = require_transfer(connection, record.transfer_key)
                if now.state == "approved":
                    now = self._steps.reserve(connection, now)
                if now.state == "approved":
                    waiting[now.transfer_key] = now.note or "the source does not have the amount"

    async def _send_from(
        self,
        source: str,
        records: list[TransferRecord],
        gateways: Mapping[str, TransferGateway],
        moved: dict[str, str],
        waiting: dict[str, str],
    ) -> None:
        """Send from one source, as its only writer."""
        with ExitStack() as held:
            try:
                lease = held.enter_context(self._database.lease(f"transfers:{source}"))
            except StateError as error:
                waiting.update(dict.fromkeys((one.transfer_key for one in records), str(error)))
                return
            with self._database.writing() as connection:
                epoch = take_over_within(self._database, connection, source)
            crashpoint("transfer:epoch")
            for record in records:
                lease.require_held()
                try:
                    gateway = gateways.get(record.intent.source_venue)
                    if gateway is None:
                        raise _Hindered(f"no gateway to {record.intent.source_venue} is configured")
                    ready = await self._prepare(record, gateway, epoch)
                    moved[record.transfer_key] = await self._send(ready)
                except _Hindered as error:
                    waiting[record.transfer_key] = self._hinder(record, error)

    async def _prepare(
        self, record: TransferRecord, gateway: TransferGateway, epoch: int
    ) -> _Ready:
        """Ask what must be known beforehand, outside any transaction."""
        intent = record.intent
        try:
            route = promised(gateway, intent.order())
            require_route_fee(intent, route, self._policy)
        except Unsupported as error:
            raise _Hindered(str(error), is_rule=True) from error
        except MarginPlatformError as error:
            raise _Hindered(str(error), is_rule=not isinstance(error, VenueError)) from error
        try:
            what = f"balance of {intent.source}"
            held = await asked(gateway.balance(intent.source, intent.asset), self._limit, what)
            balance = held.quantity
        except Unsupported:
            balance = None
        except VenueError as error:
            raise _Hindered(str(error)) from error
        return _Ready(record, gateway, route.is_keyed, balance, epoch)

    async def _send(self, ready: _Ready) -> str:
        crashpoint("transfer:before-unknown")
        with self._database.writing() as connection:
            record = self._commit(connection, ready)
        crashpoint("transfer:after-unknown")
        # A process that was stopped in between must not send what the resolver has judged since.
        delay = (self._database.clock() - (record.sent_at or record.recorded_at)).total_seconds()
        status = self._kill_switch.status()
        if status.is_armed or delay > self._policy.timing.send_delay_seconds_max:
            fact = status.sentence if status.is_armed else f"{delay:.1f} s passed since the commit"
            return self._not_sent(record, f"it has not left: {fact}", None)
        try:
            report = await asyncio.wait_for(
                ready.gateway.submit(record.intent.order()), self._limit
            )
        except Exception as error:  # noqa: BLE001 - whatever a gateway raises, the outcome is unknown
            crashpoint("transfer:after-reply")
            return self._failed(record, error)
        crashpoint("transfer:after-reply")
        return self._replied(record, report)

    def _commit(self, connection: Connection, ready: _Ready) -> TransferRecord:
        """Check everything again and note that the bytes may leave, in one transaction."""
        key = ready.record.transfer_key
        record = require_transfer(connection, key)
        now = self._database.clock()
        if record.state != "new" or record.n_events != ready.record.n_events:
            raise _Hindered(f"it is {record.state} since")
        for status in (self._kill_switch.status(), armed_within(connection)):
            if status.is_armed:
                raise _Hindered(status.sentence)
        if epoch_within(connection, record.intent.source) != ready.epoch:
            raise _Hindered(f"another process sends from {record.intent.source}")
        self._require_alone(connection, ready, record)
        self._require_rules(connection, record, now)
        first = record.first_sent_at or now
        order = record.intent.order()
        details = {
            "attempt": record.attempts + 1, "epoch": ready.epoch, "quantity": order.quantity,
            "payload_hash": record.payload_hash, "balance_before": ready.balance,
        }  # fmt: skip
        cause = Cause(actor=DESK, reason=f"sending number {record.attempts + 1}", details=details)
        timing = self._policy.timing
        return self._steps.sent(
            connection, record, cause, attempts=record.attempts + 1, sent_at=now,
            first_sent_at=first, n_looks=0, not_before=None,
            # The first balance is kept: it was read before any sending could have worked.
            balance_before=record.balance_before if record.is_exposed else ready.balance,
            look_at=now + timing.pause(1),
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
            approvals = approvals_within(connection, record.transfer_key)
            require_approved(intent, record.proposer, approvals, self._policy, now)
        except (MarginPlatformError, LedgerError) as error:
            raise _Hindered(str(error), is_rule=True) from error

    def _require_alone(self, connection: Connection, ready: _Ready, record: TransferRecord) -> None:
        """Keep a route without keys free of others, so that its balance proves something."""
        intent = record.intent
        if ready.is_keyed:
            return
        others = open_from_within(connection, intent)
        if others:
            first = others[0].transfer_key
            raise _Hindered(f"the route keeps no keys: transfer {first} comes first")

    def _replied(self, sent: TransferRecord, report: TransferReport) -> str:
        """Take over a clean answer; one that contradicts the order leaves the outcome unknown."""
        intent = sent.intent
        is_refusal = report.status in ("rejected", "cancelled")
        if report.key not in ("", sent.transfer_key) or report.quantity != intent.quantity:
            words = f"the answer is for {report.quantity} under {report.key or 'no key'}"
            return self._unclear(sent, words, None)
        if is_refusal:
            return self._refused(sent, report.reason or report.status, "other")
        cause = Cause(
            actor=DESK, reason=f"accepted as {report.venue_transfer_id}: {report.status}",
            details={"venue_transfer_id": report.venue_transfer_id, "status": report.status},
        )  # fmt: skip
        with self._database.writing() as connection:
            record = require_transfer(connection, sent.transfer_key)
            if record.state == "unknown":
                self._steps.accepted(connection, record, cause, report.venue_transfer_id)
        crashpoint("transfer:accepted")
        return cause.reason

    def _failed(self, sent: TransferRecord, error: Exception) -> str:
        if isinstance(error, VenueRejected) and error.cause != "duplicate_key":
            return self._refused(sent, str(error), error.cause)
        if isinstance(error, VenueRejected):
            # The key is known there: an earlier sending has arrived.
            return self._unclear(sent, str(error), error.cause)
        if isinstance(error, VenueError) and error.was_sent == "no":
            pause = error.retry_after_seconds
            if isinstance(error, VenueAccessDenied | ClockSkew):
                # Trying again soon would only get the account locked: a person is needed.
                pause = self._policy.timing.ask_after_seconds
            return self._not_sent(sent, str(error), pause)
        return self._unclear(sent, f"{type(error).__name__}: {error}", None)

    def _refused(self, sent: TransferRecord, reason: str, why: str) -> str:
        """End a transfer that the venue refuses, unless an earlier sending may have worked."""
        if sent.is_exposed:
            return self._unclear(sent, f"refused, after an earlier sending: {reason}", why)
        cause = Cause(actor=DESK, reason=f"refused by the venue: {reason}", details={"cause": why})
        with self._database.writing() as connection:
            record = require_transfer(connection, sent.transfer_key)
            if record.state == "unknown" and record.attempts == sent.attempts:
                self._steps.refused(connection, record, cause)
        crashpoint("transfer:refused")
        return cause.reason

    def _not_sent(self, sent: TransferRecord, reason: str, retry_after: float | None) -> str:
        """Queue a transfer again whose bytes never left; this sending does not count."""
        cause = Cause(actor=DESK, reason=f"not sent: {reason}")
        with self._database.writing() as connection:
            record = require_transfer(connection, sent.transfer_key)
            if record.state == "unknown" and record.attempts == sent.attempts:
                pause = self._policy.timing.pause(sent.attempts)
                pause = max(pause, timedelta(seconds=retry_after or 0.0))
                self._steps.again(
                    connection, record, cause, not_before=self._database.clock() + pause,
                    note=cause.reason,
                )  # fmt: skip
        crashpoint("transfer:not-sent")
        return cause.reason

    def _unclear(self, sent: TransferRecord, reason: str, refusal: str | None) -> str:
        cause = Cause(actor=DESK, reason=f"outcome unknown: {reason}", details={"cause": refusal})
        with self._database.writing() as connection:
            record = require_transfer(connection, sent.transfer_key)
            if record.state == "unknown" and record.attempts == sent.attempts:
                kept = refusal or record.refusal
                self._steps.noted(connection, record, "unclear", cause, refusal=kept)
        crashpoint("transfer:unclear")
        return cause.reason

    def _hinder(self, record: TransferRecord, hindered: _Hindered) -> str:
        """Note why a transfer was not sent; one that a rule forbids after a sending is resolved."""
        now = self._database.clock()
        reason = str(hindered)
        with self._database.writing() as connection:
            found = require_transfer(connection, record.transfer_key)
            if found.state != "new" or found.n_events != record.n_events:
                return reason
            if hindered.is_rule and found.is_exposed:
                cause = Cause(actor=DESK, reason=f"not sent again: {reason}")
                self._steps.sent(connection, found, cause, refusal="policy", look_at=now)
            else:
                pause = now + self._policy.timing.pause(1)
                self._database.transfers.plan_within(
                    connection, found, note=reason, not_before=pause
                )
        return reason

    @property
    def _limit(self) -> float:
        return self._policy.timing.send_timeout_seconds
