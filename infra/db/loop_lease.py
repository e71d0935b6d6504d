"""Who leads the loop: one process, by an epoch that every commit names (I-43).

A lock would stay with a process that is stopped and not dead. A lease that is renewed lets a
standby take over from it, and the epoch keeps out whoever wakes up later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select, update

from engine.errors import StateError
from infra.db.intraday_tables import LoopLeaseRow

if TYPE_CHECKING:
    from infra.db.database import Database
    from infra.db.direct import Direct


class Fenced(StateError):
    """Another process leads: this one may not act any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """The lead of a loop, as this process holds it."""

    name: str
    epoch: int
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadSeen:
    """The lead as it is recorded; ``beats`` rises with each renewal."""

    epoch: int
    holder: str
    beats: int
    renewed_at: datetime


class LoopLeases:
    """Leases by name of the loop."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def look(self, name: str) -> LeadSeen | None:
        """Return who leads; None if nobody ever has."""
        with self._database.reading() as connection:
            return _seen(connection, name)

    def take(self, name: str, holder: str, seen: LeadSeen | None) -> Lead:
        """Take the lead from what was ``seen``, with the next epoch.

        Raises
        ------
        Fenced
            If the lead has been renewed or taken since it was seen.
        """
        with self._database.writing() as connection:
            found = _seen(connection, name)
            if (found and (found.epoch, found.beats)) != (seen and (seen.epoch, seen.beats)):
                raise _lost(name, holder, found)
            now = self._database.clock()
            epoch = 1 if found is None else found.epoch + 1
            values = {
                "epoch": epoch, "holder": holder, "acquired_at": now, "renewed_at": now, "beats": 0,
            }  # fmt: skip
            if found is None:
                connection.execute(insert(LoopLeaseRow), {"name": name, **values})
            else:
                own = LoopLeaseRow.name == name
                connection.execute(update(LoopLeaseRow).where(own).values(**values))
            self._database.audit.append_within(
                connection, "loop led", name, {"epoch": epoch, "holder": holder}
            )
        return Lead(name=name, epoch=epoch, holder=holder)

    def renew(self, lead: Lead) -> None:
        """Say that the holder is alive; raises Fenced if it does not lead any more."""
        from infra.db.direct import Direct

        with self._database.writing() as connection:
            self.renew_within(Direct(connection), lead)

    def renew_within(self, direct: Direct, lead: Lead) -> None:
        """Do what ``renew`` does in the caller's transaction: nothing of it counts if it raises."""
        now = direct.bound(LoopLeaseRow, "renewed_at", self._database.clock())
        changed = direct.change(
            "UPDATE loop_leases SET renewed_at = ?, beats = beats + 1 "
            "WHERE name = ? AND epoch = ? AND holder = ?",
            (now, lead.name, lead.epoch, lead.holder),
        )
        if changed != 1:
            found = direct.rows(
                "SELECT epoch, holder FROM loop_leases WHERE name = ?", (lead.name,)
            )
            by = f"{found[0][1]} with epoch {found[0][0]}" if found else "nobody"
            raise Fenced(
                f"{lead.name} is led by {by}, not by {lead.holder} with epoch {lead.epoch}: this "
                "process stops; look for a second one, or for one that stood still",
                identifier=lead.name,
                value=lead.epoch,
            )

    def require_within(self, connection: Connection, lead: Lead) -> None:
        """Raise Fenced if the holder does not lead any more; asks and renews nothing."""
        found = _seen(connection, lead.name)
        if found is None or (found.epoch, found.holder) != (lead.epoch, lead.holder):
            raise _lost(lead.name, f"{lead.holder} with epoch {lead.epoch}", found)

    def give_up(self, lead: Lead) -> None:
        """Let the next process lead without waiting; nothing happens if the lead is lost."""
        with self._database.writing() as connection:
            own = (LoopLeaseRow.name == lead.name) & (LoopLeaseRow.epoch == lead.epoch)
            connection.execute(update(LoopLeaseRow).where(own).values(holder=""))


def _seen(connection: Connection, name: str) -> LeadSeen | None:
    query = select(LoopLeaseRow.__table__).where(LoopLeaseRow.name == name)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    return LeadSeen(
        epoch=row["epoch"],
        holder=row["holder"],
        beats=row["beats"],
        renewed_at=row["renewed_at"],
    )


def _lost(name: str, holder: str, found: LeadSeen | None) -> Fenced:
    by = "nobody" if found is None else f"{found.holder} with epoch {found.epoch}"
    return Fenced(
        f"{name} is led by {by}, which {holder} has not seen: wait for its lease to end",
        identifier=name,
    )
