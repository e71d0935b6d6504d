"""The transfer desk: proposed by one person, approved by others, sent once, seen to its end.

Orchestration may call ``send_due`` and ``resolve_due`` as often as it likes and may be killed
anywhere in between: what is to be done next is always read from the database. No adapter retries
a write, and neither does the desk, but with the same key and after the resolver said so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import Connection

from engine.errors import ParameterError, StateError
from engine.money import Money, to_minor_units
from engine.ports import TransferGateway, TransferReport
from engine.transfers.approvals import approvers_needed
from engine.transfers.intent import TransferIntent
from engine.transfers.limits import require_within_limits
from engine.transfers.policy import TransferPolicy
from engine.transfers.states import ENDS, IN_FLIGHT
from engine.transfers.whitelist import WhitelistEntry, require_known, require_listed
from infra.crashpoints import crashpoint
from infra.db.ledger_balances import asset_scales
from infra.db.transfers import TRANSFERS, TransferRecord
from infra.outbound.approving import (
    ApprovalTerms,
    require_other_person,
    require_reason,
    require_stuck,
    wrong_state,
)
from infra.outbound.desk import Desk
from infra.outbound.worked import Cause, Worked
from infra.transfers.resolving import TransferResolver
from infra.transfers.sending import TransferSender
from infra.transfers.steps import TransferSteps
from infra.transfers.terms import transfer_terms

if TYPE_CHECKING:
    from infra.db import Database
    from infra.outbound.kill_switch import KillSwitch

Gateways: TypeAlias = Mapping[str, TransferGateway]
"""Gateway by venue or custodian: what stands before the stroke of a place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandDecision:
    """What a person has found out about a stuck transfer; ``fee`` with a credit. [asset]"""

    outcome: str
    principal: str
    reason: str
    fee: Decimal = Decimal(0)


class TransferDesk(Desk[TransferRecord]):
    """Transfers of one database under one policy."""

    _steps: TransferSteps

    def __init__(self, database: Database, policy: TransferPolicy, kill_switch: KillSwitch) -> None:
        super().__init__(database, kill_switch, TransferSteps(database))
        self.policy = policy
        self._sender = TransferSender(database, policy, kill_switch)
        self._resolver = TransferResolver(database, policy)

    def propose(self, intent: TransferIntent, principal: str, reason: str) -> TransferRecord:
        """Record an intent; the same one again finds the first.

        Where the policy asks for no second person, it is approved at once.

        Raises
        ------
        ParameterError
            If its key is recorded with another payload (I-05), a limit is exceeded, the asset has
            no rule, or the reason is empty.
        StateError
            If it is started anew and the attempt group before it has not ended without effect.
        ModelInputError
            If the destination is not on the whitelist with this network, address and memo.
        """
        require_reason(reason, "a proposal")
        self.register(intent.asset)
        crashpoint("transfer:propose")
        with self.database.writing() as connection:
            record = self.propose_within(connection, intent, principal, reason)
        crashpoint("transfer:proposed")
        return record

    def propose_within(
        self, connection: Connection, intent: TransferIntent, principal: str, reason: str
    ) -> TransferRecord:
        """Do what ``propose`` does in the caller's transaction; the asset is registered before."""
        require_reason(reason, "a proposal")
        record, is_new = self.database.transfers.record_within(
            connection, intent, principal, reason
        )
        if not is_new:
            return record
        _require_earlier_ended(connection, intent)
        # Past transfers are counted when it is sent; alone it must fit in any case.
        require_within_limits(intent, self.policy, (), self.database.clock())
        require_known(intent, self._entries(connection, intent))
        if approvers_needed(intent, self.policy, principal) == 0:
            words = "the policy asks for no second person up to this amount"
            return self._steps.approve(connection, record, Cause(actor="policy", reason=words))
        return record

    def register(self, asset: str) -> None:
        """Let the ledger know an asset, as it has to before a movement of it is proposed."""
        scale = self.policy.asset_rule(asset).scale
        with self.database.reading() as connection:
            is_known = asset_scales(connection).get(asset) == scale
        if not is_known:
            self.database.ledger.register_assets({asset: scale})

    def reject(self, key: str, principal: str, reason: str) -> TransferRecord:
        """Refuse a transfer that nobody has sent; anybody may, the proposer too (it is cancelled).

        One that was sent before and is queued again goes back to the resolver, which proves
        first that the earlier sending did not work.
        """
        require_reason(reason, "a rejection")
        with self.database.writing() as connection:
            record = TRANSFERS.find(connection, key)
            cause = Cause(actor=principal, reason=reason)
            if record.state not in ("proposed", "approved", "new"):
                why = "" if record.state in ENDS else ": it may have been carried out"
                limit = "proposed, approved or new"
                raise wrong_state(self.noun, record, f" and cannot be taken back{why}", limit)
            if record.is_exposed:
                now = self.database.clock()
                return self._steps.sent(connection, record, cause, refusal="policy", look_at=now)
            state = "cancelled" if principal == record.proposer else "rejected"
            return self._steps.refused(connection, record, cause, state)

    def decide(self, key: str, decision: HandDecision) -> TransferRecord:
        """Decide about a stuck transfer by hand.

        ``done``: the venue has executed it. ``credited``: it has arrived, less the decision's fee.
        ``rejected``: it was not executed, or came back. ``new``: it was not executed, and the same
        key is sent again.

        Raises
        ------
        StateError
            If it is not stuck.
        ParameterError
            If whoever decides has proposed it, or the outcome is no such word.
        """
        require_reason(decision.reason, "a decision")
        outcome, principal = decision.outcome, decision.principal
        if outcome not in ("done", "credited", "rejected", "new"):
            raise ParameterError(
                f"--as {outcome!r}, limit: done, credited, rejected or new", identifier="outcome",
                value=outcome,
            )  # fmt: skip
        with self.database.writing() as connection:
            record = TRANSFERS.find(connection, key)
            require_stuck(self.noun, record)
            require_other_person(self.noun, record.key, record.proposer, principal)
            return self._decided(connection, record, decision)

    async def send_due(self, gateways: Gateways, limit: int | None = None) -> Worked:
        """Send what is approved and reserved, each transfer at most once in this call.

        With ``limit`` no more than so many, those that have waited longest.
        """
        return await self._sender.send_due(gateways, limit)

    async def resolve_due(self, gateways: Gateways, *, everything: bool = False) -> Worked:
        """Ask the venues about what is open, and carry out what follows.

        ``everything`` asks at once, without waiting for each transfer's next look.
        """
        return await self._resolver.resolve_due(gateways, everything)

    def ingest(self, report: TransferReport, source: str = "webhook") -> bool:
        """Take a venue's message as a hint to look now; return whether the key is one of ours.

        Whatever it says, the state follows from what the venue answers when it is asked. So a
        message that is forged, late, repeated or out of order changes nothing.
        """
        with self.database.writing() as connection:
            record = TRANSFERS.known(connection, report.key)
            if record is None:
                return False
            if record.state in ("unknown", "done", "credited", "stuck"):
                now = self.database.clock()
                self._steps.records.look_within(connection, record.key, look_at=now)
        crashpoint("transfer:hint")
        return True

    def in_flight(self) -> list[TransferRecord]:
        """Return all that has perhaps left and has not arrived for sure (I-48), oldest first."""
        queued_again = [one for one in self.database.transfers.list(["new"]) if one.is_exposed]
        found = self.database.transfers.list(IN_FLIGHT) + queued_again
        return sorted(found, key=lambda one: (one.recorded_at, one.transfer_key))

    def _terms(self, record: TransferRecord) -> ApprovalTerms:
        return transfer_terms(record, self.policy)

    def _require_possible(self, connection: Connection, record: TransferRecord) -> None:
        entries = self._entries(connection, record.intent)
        require_listed(record.intent, entries, self.database.clock())

    def _let_go(
        self, connection: Connection, record: TransferRecord, cause: Cause
    ) -> TransferRecord:
        return self._steps.approve(connection, record, cause)

    def _entries(self, connection: Connection, intent: TransferIntent) -> Sequence[WhitelistEntry]:
        return self.database.whitelist.entries_within(connection, intent.destination)

    def _decided(
        self, connection: Connection, record: TransferRecord, decision: HandDecision
    ) -> TransferRecord:
        cause = Cause(actor=decision.principal, reason=decision.reason)
        if decision.outcome in ("rejected", "new") and record.credited_at is not None:
            raise _decided_otherwise(record, "its credit is booked")
        if decision.outcome == "rejected":
            return self._steps.refused(connection, record, cause)
        if decision.outcome == "credited":
            fee = _fee_by_hand(record.intent, decision.fee)
            return self._steps.credited(connection, record, cause, fee)
        if decision.outcome == "done":
            paid = self._steps.debited(connection, record, cause)
            return self._steps.accepted(connection, paid, cause, record.venue_transfer_id)
        if record.accepted_at is not None or record.debited_at is not None:
            raise _decided_otherwise(record, "the venue has accepted it")
        return self._steps.again(connection, record, cause, is_exposed=1, refusal=None)


def _require_earlier_ended(connection: Connection, intent: TransferIntent) -> None:
    """Raise StateError if the attempt before may still have moved, or has moved, the amount."""
    if intent.attempt_group == 1:
        return
    before = replace(intent, attempt_group=intent.attempt_group - 1)
    found = TRANSFERS.known(connection, before.key)
    state = "not on record" if found is None else found.state
    if state not in ("rejected", "cancelled"):
        raise StateError(
            f"transfer {intent.key}: attempt group {before.attempt_group}, {before.key}, is "
            f"{state}: only one that was rejected or cancelled is started anew",
            identifier=before.key,
            value=state,
            limit="rejected or cancelled",
        )


def _fee_by_hand(intent: TransferIntent, fee: Decimal) -> int:
    if not fee.is_finite() or not 0 <= fee < intent.quantity:
        raise ParameterError(
            f"--fee {fee}, limit: 0 up to below {intent.quantity} {intent.asset}",
            identifier="fee",
            value=str(fee),
        )
    return to_minor_units(Money(fee, intent.asset), intent.scale)


def _decided_otherwise(record: TransferRecord, fact: str) -> StateError:
    return StateError(
        f"transfer {record.transfer_key} cannot end so: {fact}; what came back is a movement of "
        "its own",
        identifier=record.transfer_key,
        value=record.state,
    )


__all__ = ["Gateways", "HandDecision", "TransferDesk", "Worked"]
