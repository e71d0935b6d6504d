"""Who lets something go: what approval takes, and the checks that every act of a person passes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from engine.approvals import Payload, require_approved
from engine.errors import ParameterError, StateError
from infra.db.desk_records import DeskTables, R, Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalTerms:
    """What is approved, by how many beside its proposer, and for how long that counts."""

    payload: Payload
    n_needed: int
    lifetime_hours: float


def require_let_go(
    connection: Connection, tables: DeskTables[R], record: R, terms: ApprovalTerms, now: datetime
) -> None:
    """Raise StateError unless enough other people have approved its payload, not too long ago."""
    approvals = tables.approvals_of(connection, record.key)
    require_approved(
        terms.payload, approvals, terms.n_needed, lifetime_hours=terms.lifetime_hours, now=now
    )


def require_reason(reason: str, what: str) -> None:
    """Raise ParameterError if an act is not answered for."""
    if not reason.strip():
        raise ParameterError(f"{what} needs a reason", identifier="reason", limit="a text")


def require_stuck(noun: str, record: Standing) -> None:
    """Raise StateError unless a person has been asked about it."""
    if record.state != "stuck":
        raise wrong_state(
            noun,
            record,
            "only a stuck one is decided by hand, the others follow from what venues answer",
            "stuck",
        )


def require_other_person(noun: str, key: str, proposer: str, principal: str) -> None:
    """Raise ParameterError if whoever decides has proposed it."""
    if principal == proposer:
        raise ParameterError(
            f"{noun} {key} was proposed by {proposer}: another person decides about it, with "
            "their own login or PLIMSOLL_PRINCIPAL",
            identifier=key,
            value=principal,
            limit=f"another principal than {proposer}",
        )


def wrong_state(noun: str, record: Standing, words: str, limit: str) -> StateError:
    """Return what says that something cannot be done in the state in which it is."""
    return StateError(
        f"{noun} {record.key} is {record.state}{words}",
        identifier=record.key,
        value=record.state,
        limit=limit,
    )
