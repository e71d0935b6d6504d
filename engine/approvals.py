"""Who may let something leave: never who proposed it, and only the payload that was seen (I-14)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final

from annotated_types import Ge, Le

from engine.errors import ParameterError, StateError
from engine.limits import STRICT

_HASH_DIGITS_MIN: Final = 8


@dataclass(frozen=True, slots=True)
class ApprovalTier:
    """Amounts above ``above`` need ``approvers`` people beside the proposer."""

    __pydantic_config__ = STRICT
    above: Annotated[Decimal, Ge(0)]
    approvers: Annotated[int, Ge(0), Le(9)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What is to be approved.

    Attributes
    ----------
    kind, identifier : str
        What it is and its key, as messages name it.
    payload_hash : str
        SHA-256 of its canonical text.
    proposer : str
        Who wants it.
    show : str
        The command that shows it.
    """

    kind: str
    identifier: str
    payload_hash: str
    proposer: str
    show: str


def require_tiers(tiers: Sequence[ApprovalTier]) -> None:
    """Raise ParameterError unless amounts rise from 0 and numbers of approvers never fall."""
    bounds = [tier.above for tier in tiers]
    counts = [tier.approvers for tier in tiers]
    if not bounds or bounds[0] != 0 or bounds != sorted(set(bounds)) or counts != sorted(counts):
        raise ParameterError(
            "tiers need rising amounts from 0 and numbers of approvers that never fall",
            identifier="tiers",
            value=[(str(tier.above), tier.approvers) for tier in tiers],
        )


def approvers_for(tiers: Sequence[ApprovalTier], amount: Decimal) -> int:
    """Return how many people beside the proposer ``amount`` needs."""
    counts = [tier.approvers for tier in tiers if amount > tier.above]
    return max(counts, default=tiers[0].approvers)


def require_may_approve(payload: Payload, approver: str, payload_hash: str) -> None:
    """Raise ParameterError unless ``approver`` is a second person who approves this payload.

    ``payload_hash`` may be its beginning, at least eight digits.
    """
    name = f"{payload.kind} {payload.identifier}"
    if approver == payload.proposer:
        raise ParameterError(
            f"{name} was proposed by {payload.proposer}, who cannot approve it: another person "
            "does, with their own login or PLIMSOLL_PRINCIPAL",
            identifier=payload.identifier,
            value=approver,
            limit=f"another principal than {payload.proposer}",
        )
    found = payload.payload_hash
    if not found.startswith(payload_hash) or len(payload_hash) < _HASH_DIGITS_MIN:
        raise ParameterError(
            f"{name} has the payload hash {found[:16]}, the approval is for "
            f"{payload_hash or 'none'}: look at it again with `{payload.show}`",
            identifier=payload.identifier,
            value=payload_hash,
            limit=found,
        )


def require_new_approver(payload: Payload, approver: str, before: Mapping[str, object]) -> None:
    """Raise ParameterError if ``approver`` is among those who have approved it already."""
    if approver in before:
        raise ParameterError(
            f"{approver} has approved {payload.kind} {payload.identifier} already: the next "
            "approval is somebody else's",
            identifier=payload.identifier,
            value=approver,
        )


def require_approved(
    payload: Payload,
    approvals: Mapping[str, tuple[str, datetime]],
    needed: int,
    *,
    lifetime_hours: float,
    now: datetime,
) -> None:
    """Raise StateError unless enough other people have approved this payload, not too long ago.

    Parameters
    ----------
    approvals : mapping
        Approver to the payload hash that was approved, and when.
    """
    oldest = now - timedelta(hours=lifetime_hours)
    n_valid = sum(
        approver != payload.proposer and payload_hash == payload.payload_hash and at >= oldest
        for approver, (payload_hash, at) in approvals.items()
    )
    if n_valid < needed:
        raise StateError(
            f"{payload.kind} {payload.identifier} needs {needed} approvals of its payload within "
            f"{lifetime_hours:g} h, it has {n_valid}",
            identifier=payload.identifier,
            value=n_valid,
            limit=f"{needed} approvals",
        )
