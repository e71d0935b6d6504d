"""What the approval of a transfer takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.transfers.approvals import approvers_needed, payload_of
from engine.transfers.policy import TransferPolicy
from infra.outbound.approving import ApprovalTerms

if TYPE_CHECKING:
    from infra.db.transfers import TransferRecord


def transfer_terms(record: TransferRecord, policy: TransferPolicy) -> ApprovalTerms:
    """Return what is approved, by how many, and for how long that counts."""
    return ApprovalTerms(
        payload=payload_of(record.intent, record.proposer),
        n_needed=approvers_needed(record.intent, policy, record.proposer),
        lifetime_hours=policy.approval_lifetime_hours,
    )
