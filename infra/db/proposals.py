"""Proposals of new parameters: one person proposes, a shadow run shows, another one activates.

A proposal never changes. What is activated is bound to its hash, and to a shadow run that was made
of the same close and the same registry as there are at that moment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, func, insert, select

from engine.errors import MissingDataError, ParameterError, StateError
from infra.db.canonical import canonical_json, from_json
from infra.db.parameters import NewSet
from infra.db.rule_tables import ParameterSetRow, ProposalEventRow, ProposalRow

if TYPE_CHECKING:
    from infra.db.database import Database

ProposalState: TypeAlias = Literal["proposed", "shadowed", "activated", "rejected"]
_FACTS: Final = (
    "venue", "model", "scope", "effective_date", "state", "source", "evidence", "parameters_hash",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProposalEvent:
    """What somebody did with a proposal."""

    event: str
    actor: str
    details: Mapping[str, Any]
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Proposal:
    """Sets that somebody wants in force, with what has become of them."""

    proposal_id: str
    content_hash: str
    title: str
    proposer: str
    recorded_at: datetime
    origin: Mapping[str, Any]
    """Where the sets come from: file, its hash, rows that were quarantined."""
    sets: tuple[NewSet, ...]
    """Without bodies, which were recorded with the proposal: ``Parameters.bodies`` has them."""
    events: tuple[ProposalEvent, ...]

    @property
    def state(self) -> ProposalState:
        """Return what happened last."""
        names: dict[str, ProposalState] = {
            "shadowed": "shadowed", "activated": "activated", "rejected": "rejected"
        }  # fmt: skip
        return names[self.events[-1].event] if self.events else "proposed"

    @property
    def is_open(self) -> bool:
        """Return whether it can still be activated."""
        return self.state in ("proposed", "shadowed")

    @property
    def shadow(self) -> ProposalEvent | None:
        """Return the last shadow run, if there was one."""
        found = [event for event in self.events if event.event == "shadowed"]
        return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class Approval:
    """Who puts which proposal in force, having seen its shadow run of which close."""

    proposal_id: str
    content_hash: str
    approver: str
    run_id: str | None
    """The latest finished close now; the shadow run must be of the same one."""


class Proposals:
    """Proposals and their events; every step is in the audit chain as well."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def propose(
        self, title: str, proposer: str, sets: Sequence[NewSet], origin: Mapping[str, object]
    ) -> Proposal:
        """Record a proposal and return it; the same content that is still open is not repeated.

        Raises
        ------
        ParameterError
            If there is nothing to propose.
        """
        if not sets:
            raise ParameterError(
                f"{title}: no parameter differs from what is in force, there is nothing to propose",
                identifier=title,
                limit="at least one changed set",
            )
        ordered = sorted(sets, key=lambda one: (one.effective_date, one.key))
        listed = [{name: getattr(one, name) for name in _FACTS} for one in ordered]
        content = canonical_json({"proposer": proposer, "sets": listed, "origin": dict(origin)})
        digest = hashlib.sha256(content.encode()).hexdigest()
        with self._database.writing() as connection:
            same = select(ProposalRow.proposal_id).where(ProposalRow.content_hash == digest)
            for known in connection.execute(same).scalars().all():
                found = _proposal(connection, str(known))
                if found.is_open:
                    return found
            self._database.parameters.record_bodies_within(connection, ordered)
            number = connection.execute(select(func.count()).select_from(ProposalRow)).scalar() or 0
            proposal_id = f"rules-{number + 1:04d}"
            connection.execute(
                insert(ProposalRow),
                {
                    "proposal_id": proposal_id,
                    "content_hash": digest,
                    "content": content,
                    "title": title,
                    "proposer": proposer,
                    "recorded_at": self._database.clock(),
                },
            )
            details = {"content_hash": digest, "title": title, "sets": len(ordered)}
            self._database.audit.append_within(
                connection, "rules proposed", proposal_id, details, actor=proposer
            )
            return _proposal(connection, proposal_id)

    def get(self, proposal_id: str) -> Proposal:
        """Return the proposal, verified against its hash.

        Raises
        ------
        MissingDataError
            If there is none of that name.
        StateError
            If its content was altered.
        """
        with self._database.reading() as connection:
            return _proposal(connection, proposal_id)

    def list(self) -> list[Proposal]:
        """Return all proposals, the latest first."""
        query = select(ProposalRow.proposal_id).order_by(ProposalRow.proposal_id.desc())
        with self._database.reading() as connection:
            names = [str(name) for name in connection.execute(query).scalars()]
            return [_proposal(connection, name) for name in names]

    def shadowed(self, proposal_id: str, actor: str, details: Mapping[str, object]) -> Proposal:
        """Record what a shadow run has found; it is good for the registry as it is now."""
        with self._database.writing() as connection:
            found = _open(connection, proposal_id)
            facts = {
                **details, "content_hash": found.content_hash, "registry": _head(connection)
            }  # fmt: skip
            self._append(connection, proposal_id, "shadowed", actor, facts)
            return _proposal(connection, proposal_id)

    def reject(self, proposal_id: str, actor: str, reason: str) -> Proposal:
        """Close a proposal without putting it in force."""
        with self._database.writing() as connection:
            _open(connection, proposal_id)
            self._append(connection, proposal_id, "rejected", actor, {"reason": reason})
            return _proposal(connection, proposal_id)

    def activate(self, approval: Approval) -> int:
        """Put the sets of a proposal in force and return how many versions that added.

        Raises
        ------
        ParameterError
            If the approver is the proposer, or approves another hash than the proposal's.
        StateError
            If the proposal is closed or altered, or no shadow run is on record that was made of
            the latest close and of the registry as it is.
        """
        with self._database.writing() as connection:
            found = _open(connection, approval.proposal_id)
            _require_second_person(found, approval)
            _require_shadow(found, approval, _head(connection))
            parameters = self._database.parameters
            n_versions = parameters.record_within(
                connection, found.sets, "activated", found.proposal_id
            )
            details = {
                "content_hash": found.content_hash,
                "proposer": found.proposer,
                "shadow_of": approval.run_id,
                "versions": n_versions,
            }
            self._append(connection, found.proposal_id, "activated", approval.approver, details)
            return n_versions

    def _append(
        self,
        connection: Connection,
        proposal_id: str,
        event: str,
        actor: str,
        details: Mapping[str, object],
    ) -> None:
        last = connection.execute(select(func.max(ProposalEventRow.position))).scalar() or 0
        row = {
            "position": last + 1,
            "proposal_id": proposal_id,
            "event": event,
            "actor": actor,
            "details": dict(details),
            "recorded_at": self._database.clock(),
        }
        connection.execute(insert(ProposalEventRow), row)
        self._database.audit.append_within(
            connection, f"rules {event}", proposal_id, details, actor=actor
        )


def _require_second_person(found: Proposal, approval: Approval) -> None:
    if approval.approver == found.proposer:
        raise ParameterError(
            f"{found.proposal_id} was proposed by {found.proposer}, who cannot activate it: "
            "another person does, with their own login or PLIMSOLL_PRINCIPAL",
            identifier=found.proposal_id,
            value=approval.approver,
            limit=f"another principal than {found.proposer}",
        )
    if not found.content_hash.startswith(approval.content_hash) or len(approval.content_hash) < 8:
        raise ParameterError(
            f"{found.proposal_id} has the hash {found.content_hash[:16]}, the approval is for "
            f"{approval.content_hash or 'none'}: look at it again with `plimsoll rules proposals "
            f"{found.proposal_id}`",
            identifier=found.proposal_id,
            value=approval.content_hash,
            limit=found.content_hash,
        )


def _require_shadow(found: Proposal, approval: Approval, head: int) -> None:
    shadow = found.shadow
    missing = f"run `plimsoll rules shadow {found.proposal_id}` and look at what it says"
    if shadow is None:
        raise StateError(
            f"{found.proposal_id} has no shadow run: {missing}", identifier=found.proposal_id
        )
    details = shadow.details
    for name, now in (
        ("content_hash", found.content_hash), ("run_id", approval.run_id), ("registry", head)
    ):  # fmt: skip
        if details.get(name) != now:
            what = {"registry": "the registry at", "run_id": "the close"}.get(name, name)
            raise StateError(
                f"the shadow run of {found.proposal_id} was made of {what} {details.get(name)}, "
                f"now it is {now}: {missing} again",
                identifier=found.proposal_id,
                value=details.get(name),
                limit=str(now),
            )


def _open(connection: Connection, proposal_id: str) -> Proposal:
    found = _proposal(connection, proposal_id)
    if not found.is_open:
        last = found.events[-1]
        raise StateError(
            f"{proposal_id} was {found.state} by {last.actor} on {last.recorded_at:%Y-%m-%d}: "
            "propose it anew",
            identifier=proposal_id,
            value=found.state,
            limit="proposed or shadowed",
        )
    return found


def _head(connection: Connection) -> int:
    return connection.execute(select(func.max(ParameterSetRow.position))).scalar() or 0


def _proposal(connection: Connection, proposal_id: str) -> Proposal:
    query = select(ProposalRow.__table__).where(ProposalRow.proposal_id == proposal_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise MissingDataError(
            f"there is no proposal {proposal_id}: `plimsoll rules proposals` lists them",
            identifier=proposal_id,
        )
    digest = hashlib.sha256(row["content"].encode()).hexdigest()
    if digest != row["content_hash"]:
        raise StateError(
            f"proposal {proposal_id} was altered: its content has the hash {digest[:16]}, not "
            f"{row['content_hash'][:16]}",
            identifier=proposal_id,
            value=digest,
            limit=row["content_hash"],
        )
    events = (
        select(ProposalEventRow.__table__)
        .where(ProposalEventRow.proposal_id == proposal_id)
        .order_by(ProposalEventRow.position)
    )
    content: dict[str, Any] = from_json(row["content"])
    return Proposal(
        proposal_id=proposal_id,
        content_hash=digest,
        title=row["title"],
        proposer=content["proposer"],
        recorded_at=row["recorded_at"],
        origin=content["origin"],
        sets=tuple(_new_set(one) for one in content["sets"]),
        events=tuple(
            ProposalEvent(one["event"], one["actor"], one["details"], one["recorded_at"])
            for one in connection.execute(events).mappings()
        ),
    )


def _new_set(content: Mapping[str, Any]) -> NewSet:
    effective = date.fromisoformat(content["effective_date"])
    return NewSet(**{**content, "effective_date": effective}, body=None)
