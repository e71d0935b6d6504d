"""See transfers through: unknown outcomes by the venue's answer and a second proof, then the facts.

What the resolver may decide is in ``engine/transfers``; here the venue is asked, and the answer is
carried out unless somebody else has moved the transfer meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final, cast

from sqlalchemy import Connection

from engine.errors import StateError, VenueError
from engine.ports import RouteGuarantees, TransferGateway, TransferReport
from engine.transfers.following import Followed, follow, is_credit_overdue, is_final
from engine.transfers.policy import TransferPolicy
from engine.transfers.resolution import (
    BalanceEvidence,
    BalanceVerdict,
    Decision,
    Evidence,
    Lookup,
    Sending,
    judge_balance,
    quiet_at,
    resolve,
)
from infra.crashpoints import crashpoint
from infra.db.transfer_queries import later_debits_within, possible_credits_within
from infra.db.transfers import TRANSFERS
from infra.outbound.asking import asked
from infra.outbound.parallel import in_parallel
from infra.outbound.worked import Worked, by_desk
from infra.transfers.promises import promised
from infra.transfers.steps import TransferSteps

if TYPE_CHECKING:
    from engine.errors import RejectCause
    from infra.db import Database
    from infra.db.transfers import TransferRecord

_OPEN: Final = ("unknown", "done", "credited", "stuck")


class TransferResolver:
    """Asks venues about open transfers and carries out what follows."""

    def __init__(self, database: Database, policy: TransferPolicy) -> None:
        self._database = database
        self._policy = policy
        self._steps = TransferSteps(database)

    async def resolve_due(
        self, gateways: Mapping[str, TransferGateway], everything: bool
    ) -> Worked:
        """Look at everything that is due; return what was moved and what waits."""
        found = Worked()
        await in_parallel(self._look(record, gateways, found) for record in self._due(everything))
        return found

    async def _look(
        self,
        record: TransferRecord,
        gateways: Mapping[str, TransferGateway],
        found: Worked,
    ) -> None:
        key = record.transfer_key
        gateway = gateways.get(record.intent.source_venue)
        if gateway is None:
            found.waiting[key] = f"no gateway to {record.intent.source_venue} is configured"
            self._postpone(record, found.waiting[key])
            return
        try:
            if record.accepted_at is None:
                reason, has_moved = await self._resolve(record, gateway)
            else:
                reason, has_moved = await self._follow(record, gateway, gateways)
        except StateError as error:
            if error.retryable:
                raise
            # Somebody else has moved it since it was read.
            reason, has_moved = str(error), False
        except VenueError as error:
            reason, has_moved = str(error), False
            self._postpone(record, reason)
        found.tell(key, reason, has_moved=has_moved)
        crashpoint("transfer:resolved")

    def _due(self, everything: bool) -> list[TransferRecord]:
        if everything:
            return self._database.transfers.list(_OPEN)
        with self._database.reading() as connection:
            return TRANSFERS.due(connection, _OPEN, self._database.clock(), "look_at")

    async def _resolve(self, record: TransferRecord, gateway: TransferGateway) -> tuple[str, bool]:
        """Decide about a transfer that the venue has not accepted for sure."""
        sending = _sending(record)
        route = promised(gateway, record.intent.order())
        evidence = await self._evidence(record, gateway, sending, route)
        decision = resolve(sending, route, evidence, self._policy.timing)
        if record.state == "stuck" and evidence.report is None:
            # A person was asked: only what the venue says by itself still moves it.
            decision = Decision("wait", decision.reason)
        return self._carry_out(record, decision, evidence)

    async def _evidence(
        self,
        record: TransferRecord,
        gateway: TransferGateway,
        sending: Sending,
        route: RouteGuarantees,
    ) -> Evidence:
        asked_at = self._database.clock()
        lookup: Lookup = "absent" if route.has_lookup else "impossible"
        report: TransferReport | None = None
        try:
            report = await asked(gateway.find(record.intent.order()), self._limit, "lookup")
        except VenueError:
            lookup = "unanswered"
        if report is not None:
            return Evidence(looked_at=asked_at, lookup="found", report=report)
        verdict: BalanceVerdict = "unclear"
        if lookup == "absent" and asked_at >= quiet_at(sending, route, self._policy.timing):
            verdict = await self._balance_verdict(record, gateway)
        return Evidence(looked_at=asked_at, lookup=lookup, balance=verdict)

    async def _balance_verdict(
        self, record: TransferRecord, gateway: TransferGateway
    ) -> BalanceVerdict:
        """Return what the source's balance says: the proof beside the lookup."""
        intent = record.intent
        if record.balance_before is None:
            return "unclear"
        try:
            what = f"balance of {intent.source}"
            held = await asked(gateway.balance(intent.source, intent.asset), self._limit, what)
        except VenueError:
            return "unclear"
        # Read after the balance: whatever was sent or arrived until then is taken into account.
        first = record.first_sent_at or record.recorded_at
        with self._database.reading() as connection:
            found = BalanceEvidence(
                before=record.balance_before,
                now=held.quantity,
                later_debits=later_debits_within(connection, intent, first),
                possible_credits=possible_credits_within(connection, intent, first),
            )
        return judge_balance(found, intent.quantity, self._policy.timing.balance_tolerance)

    def _carry_out(
        self, record: TransferRecord, decision: Decision, evidence: Evidence
    ) -> tuple[str, bool]:
        now = self._database.clock()
        cause = by_desk(decision.reason, lookup=evidence.lookup, balance=evidence.balance)
        with self._database.writing() as connection:
            current = _unchanged(connection, record)
            if decision.verdict == "done" and evidence.report is not None:
                identifier = evidence.report.venue_transfer_id
                self._steps.accepted(connection, current, cause, identifier)
            elif decision.verdict == "rejected":
                self._steps.refused(connection, current, cause)
            elif decision.verdict == "resend":
                self._steps.again(
                    connection, current, cause, is_exposed=1, not_before=None, note=""
                )
            elif decision.verdict == "ask" and current.state != "stuck":
                slow = now + self._policy.timing.pause(30)
                self._steps.asked(connection, current, cause, slow)
            else:
                until = decision.until or now + self._policy.timing.pause(30)
                self._steps.records.look_within(
                    connection, current.key, look_at=until, note=decision.reason,
                    n_looks=current.n_looks + 1,
                )  # fmt: skip
                return decision.reason, False
        return decision.reason, True

    async def _follow(
        self,
        record: TransferRecord,
        gateway: TransferGateway,
        gateways: Mapping[str, TransferGateway],
    ) -> tuple[str, bool]:
        """Take over what both sides know of an accepted transfer."""
        reports = []
        target = gateways.get(record.intent.destination_venue)
        for one in (gateway, None if target is gateway else target):
            if one is None:
                continue
            try:
                found = await asked(one.find(record.intent.order()), self._limit, "lookup")
            except VenueError:
                continue
            if found is not None:
                reports.append(found)
        followed = follow(record.intent, reports, self._policy)
        with self._database.writing() as connection:
            current = _unchanged(connection, record)
            return self._take_over(connection, current, followed, has_answer=bool(reports))

    def _take_over(
        self,
        connection: Connection,
        record: TransferRecord,
        followed: Followed,
        *,
        has_answer: bool,
    ) -> tuple[str, bool]:
        now = self._database.clock()
        before = record.n_events
        slow = now + self._policy.timing.pause(30)
        if followed.is_debited and record.debited_at is None:
            seen = by_desk("the source has paid")
            record = self._steps.debited(connection, record, seen)
        ask = followed.ask or self._overdue(record, followed, now)
        if followed.is_returned and record.credited_at is not None:
            ask = f"returned after its credit: {followed.reason}"
        cause = by_desk(ask or followed.reason or "the destination has received")
        if ask and record.state != "stuck":
            record = self._steps.asked(connection, record, cause, slow)
        elif ask:
            pass
        elif followed.is_returned:
            record = self._steps.refused(connection, record, cause)
        elif followed.is_credited and record.credited_at is None:
            record = self._steps.credited(connection, record, cause, followed.fee)
        elif (
            has_answer
            and record.state == "credited"
            and record.credited_at is not None
            and is_final(record.credited_at, now, self._policy)
        ):
            final = by_desk("the credit still stands")
            record = self._steps.final(connection, record, final)
        if record.n_events > before:
            return cause.reason if record.state != "reconciled" else "reconciled", True
        reason = ask or ("credited, not final yet" if record.credited_at else "not credited yet")
        pause = self._policy.timing.pause(record.n_looks + 1)
        self._steps.records.look_within(
            connection, record.key, look_at=slow if ask else now + pause, note=reason,
            n_looks=record.n_looks + 1,
        )  # fmt: skip
        return reason, False

    def _overdue(self, record: TransferRecord, followed: Followed, now: datetime) -> str:
        if followed.is_credited or followed.is_returned or record.credited_at is not None:
            return ""
        since = record.debited_at or record.accepted_at or now
        if not is_credit_overdue(since, now, self._policy):
            return ""
        fact = "debited" if record.debited_at else "accepted"
        return f"{fact} at {since:%Y-%m-%d %H:%M:%S}Z and not credited since"

    def _postpone(self, record: TransferRecord, reason: str) -> None:
        pause = self._database.clock() + self._policy.timing.pause(record.n_looks + 1)
        with self._database.writing() as connection:
            self._steps.records.look_within(connection, record.key, look_at=pause, note=reason)

    @property
    def _limit(self) -> float:
        return self._policy.timing.send_timeout_seconds


def _sending(record: TransferRecord) -> Sending:
    sent_at = record.sent_at or record.recorded_at
    return Sending(
        sent_at=sent_at,
        first_sent_at=record.first_sent_at or sent_at,
        attempts=record.attempts,
        quantity=record.intent.quantity,
        refusal=cast("RejectCause | None", record.refusal),
        n_looks=record.n_looks + 1,
    )


def _unchanged(connection: Connection, record: TransferRecord) -> TransferRecord:
    """Return the transfer as it is, or raise StateError if it moved since the venue was asked."""
    current = TRANSFERS.require(connection, record.key)
    if current.n_events != record.n_events:
        raise StateError(
            f"transfer {record.transfer_key} has become {current.state} since",
            identifier=record.transfer_key,
            value=current.state,
        )
    return current
