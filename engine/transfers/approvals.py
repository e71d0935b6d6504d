"""Who may let a transfer go: never its proposer, and only for the payload that was seen (I-14)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from engine.errors import ParameterError, StateError
from engine.transfers.intent import TransferIntent
from engine.transfers.policy import TransferPolicy

_HASH_DIGITS_MIN = 8


def approvers_needed(intent: TransferIntent, policy: TransferPolicy) -> int:
    """Return how many people beside the proposer the amount needs."""
    return policy.asset_rule(intent.asset).approvers_for(intent.quantity)


def require_may_approve(
    intent: TransferIntent, proposer: str, approver: str, payload_hash: str
) -> None:
    """Raise ParameterError unless ``approver`` is a second person who approves this payload.

    ``payload_hash`` may be its beginning, at least eight digits.
    """
    if approver == proposer:
        raise ParameterError(
            f"transfer {intent.key} was proposed by {proposer}, who cannot approve it: another "
            "person does, with their own login or PLIMSOLL_PRINCIPAL",
            identifier=intent.key,
            value=approver,
            limit=f"another principal than {proposer}",
        )
    found = intent.payload_hash
    if not found.startswith(payload_hash) or len(payload_hash) < _HASH_DIGITS_MIN:
        raise ParameterError(
            f"transfer {intent.key} has the payload hash {found[:16]}, the approval is for "
            f"{payload_hash or 'none'}: look at it again with `plimsoll transfers show "
            f"{intent.key[:12]}`",
            identifier=intent.key,
            value=payload_hash,
            limit=found,
        )


def require_approved(
    intent: TransferIntent,
    proposer: str,
    approvals: Mapping[str, tuple[str, datetime]],
    policy: TransferPolicy,
    now: datetime,
) -> None:
    """Raise StateError unless enough other people have approved this payload, not too long ago.

    Parameters
    ----------
    approvals : mapping
        Approver to the payload hash that was approved, and when.
    """
    oldest = now - timedelta(hours=policy.approval_lifetime_hours)
    valid = sorted(
        approver
        for approver, (payload_hash, at) in approvals.items()
        if approver != proposer and payload_hash == intent.payload_hash and at >= oldest
    )
    needed = approvers_needed(intent, policy)
    if len(valid) < needed:
        raise StateError(
            f"transfer {intent.key} needs {needed} approvals of its payload within "
            f"{policy.approval_lifetime_hours:g} h, it has {len(valid)}",
            identifier=intent.key,
            value=len(valid),
            limit=f"{needed} approvals",
        )
