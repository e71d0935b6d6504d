"""Who may let a transfer go: ``engine.approvals`` by the amount of the asset (I-14)."""

from __future__ import annotations

from typing import Final

from engine.approvals import Payload
from engine.transfers.intent import TransferIntent
from engine.transfers.policy import TransferPolicy

COLLECTOR: Final = "payment desk"
"""The proposer of what a call draws by itself; no person may have this name."""


def approvers_needed(intent: TransferIntent, policy: TransferPolicy, proposer: str) -> int:
    """Return how many people beside the proposer the amount needs.

    None where the payment desk proposes no more than it may move unattended.
    """
    rule = policy.asset_rule(intent.asset)
    if proposer == COLLECTOR and intent.quantity <= rule.unattended_max:
        return 0
    return rule.approvers_for(intent.quantity)


def payload_of(intent: TransferIntent, proposer: str) -> Payload:
    """Return what approvers of a transfer approve."""
    return Payload(
        kind="transfer",
        identifier=intent.key,
        payload_hash=intent.payload_hash,
        proposer=proposer,
        show=f"plimsoll transfers show {intent.key[:12]}",
    )
