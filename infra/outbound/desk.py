"""What people do at a desk: nobody approves what they have proposed, or what they have not seen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic

from sqlalchemy import Connection

from engine.approvals import require_may_approve, require_new_approver
from infra.crashpoints import crashpoint
from infra.db.desk_records import DeskTables, R
from infra.outbound.approving import ApprovalTerms, require_let_go, wrong_state
from infra.outbound.steps import Steps
from infra.outbound.worked import Cause

if TYPE_CHECKING:
    from infra.db import Database
    from infra.outbound.kill_switch import KillSwitch


class Desk(ABC, Generic[R]):
    """One desk of a database: what one proposes others approve, by the hash of its payload."""

    def __init__(self, database: Database, kill_switch: KillSwitch, steps: Steps[R]) -> None:
        self.database, self.kill_switch = database, kill_switch
        self._steps = steps
        self.noun = self._tables.noun

    def approve(self, key: str, principal: str, payload_hash: str, reason: str = "") -> R:
        """Approve a payload that is proposed; the last approval that is needed lets it go on.

        Raises
        ------
        StateError
            If it is no longer proposed: somebody else was faster, or its time is over.
        ParameterError
            If the approver proposed it or has approved it before, or the hash is another one.
        ModelInputError
            If it may not go where it is to go.
        """
        crashpoint(f"{self.noun}:approve")
        with self.database.writing() as connection:
            record = self._tables.find(connection, key)
            self._require_open(connection, record)
            terms = self._terms(record)
            require_may_approve(terms.payload, principal, payload_hash)
            before = self._tables.approvals_of(connection, record.key)
            require_new_approver(terms.payload, principal, before)
            self._require_possible(connection, record)
            self._steps.records.approve_within(connection, record, principal)
            n_given, words = len(before) + 1, f": {reason}" if reason else ""
            cause = Cause(
                actor=principal,
                reason=f"approval {n_given} of {terms.n_needed}{words}",
                details={"payload_hash": record.payload_hash},
            )
            record = self._steps.noted(connection, record, "approval", cause)
            if n_given >= terms.n_needed:
                now = self.database.clock()
                require_let_go(connection, self._tables, record, terms, now)
                record = self._let_go(connection, record, cause)
            self._audit(connection, "approved", record, cause)
        crashpoint(f"{self.noun}:approved")
        return record

    @property
    def _tables(self) -> DeskTables[R]:
        return self._steps.records.tables

    @abstractmethod
    def _terms(self, record: R) -> ApprovalTerms:
        """Return what its approval takes."""

    @abstractmethod
    def _let_go(self, connection: Connection, record: R, cause: Cause) -> R:
        """Carry out that enough people have approved."""

    def _require_possible(self, connection: Connection, record: R) -> None:
        """Raise if approving it would be in vain."""

    def _audit(self, connection: Connection, act: str, record: R, cause: Cause) -> None:
        """Take down an act beside the record's own history."""

    def _require_open(self, connection: Connection, record: R) -> None:
        if record.state != "proposed":
            approvers = sorted(self._tables.approvals_of(connection, record.key))
            by = f", approved by {' and '.join(approvers)}" if approvers else ""
            raise wrong_state(self.noun, record, f"{by}: there is nothing to approve", "proposed")
