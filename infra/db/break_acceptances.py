"""Differences that a person has accepted: bound to what they were, and void when they change.

Positions and balances are closed by executions and postings alone. What happened once and cannot be
made undone, such as a funding line or a message that contradicts itself, ends with somebody's word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, insert, select

from engine.errors import MissingDataError, ParameterError
from infra.db.oms_tables import BreakAcceptanceRow
from infra.db.tables import BreakRow

if TYPE_CHECKING:
    from infra.db.database import Database

ACCEPTABLE: Final = ("funding", "execution")
"""Scopes of breaks that nobody's posting or execution can close."""


def evidence_of(*parts: object) -> str:
    """Return the name of what a person sees of a difference."""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()


class BreakAcceptances:
    """Who accepted which difference, and why."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def accept(self, break_id: str, principal: str, reason: str) -> None:
        """Record that an open break stays as it is; the next round no longer counts it.

        Raises
        ------
        MissingDataError
            If no such break is open.
        ParameterError
            If its scope is one that facts have to close, or the reason is empty.
        """
        if not reason.strip():
            raise ParameterError(f"{break_id}: an acceptance needs its reason", identifier=break_id)
        query = select(BreakRow.facts).where(
            BreakRow.break_id == break_id, BreakRow.status == "open"
        )
        with self._database.writing() as connection:
            facts = connection.execute(query).scalar_one_or_none()
            if facts is None:
                raise MissingDataError(f"there is no open break {break_id}", identifier=break_id)
            if facts.get("scope") not in ACCEPTABLE:
                raise ParameterError(
                    f"{break_id} is about {facts.get('scope')}: it closes when the books agree; "
                    f"only {' and '.join(ACCEPTABLE)} breaks can be accepted",
                    identifier=break_id,
                    value=facts.get("scope"),
                    limit=" or ".join(ACCEPTABLE),
                )
            evidence = str(facts.get("evidence", ""))
            known = select(BreakAcceptanceRow.position).where(
                BreakAcceptanceRow.break_id == break_id, BreakAcceptanceRow.evidence == evidence
            )
            if connection.execute(known).first() is not None:
                return
            last = connection.execute(select(func.max(BreakAcceptanceRow.position))).scalar() or 0
            row = {
                "position": last + 1, "break_id": break_id, "evidence": evidence,
                "principal": principal, "reason": reason.strip(),
                "recorded_at": self._database.clock(),
            }  # fmt: skip
            connection.execute(insert(BreakAcceptanceRow), row)
            self._database.audit.append_within(
                connection, "break accepted", break_id,
                {"evidence": evidence, "reason": reason.strip()}, actor=principal,
            )  # fmt: skip

    def accepted(self, break_ids: Iterable[str]) -> frozenset[tuple[str, str]]:
        """Return the accepted ones among some breaks, as break and evidence."""
        wanted = set(break_ids)
        query = select(BreakAcceptanceRow.break_id, BreakAcceptanceRow.evidence)
        with self._database.reading() as connection:
            rows = connection.execute(query).tuples().all()
        return frozenset((name, evidence) for name, evidence in rows if name in wanted)
