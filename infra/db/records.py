"""Snapshots and rule books that runs rest on; both are named by their content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select, update

from engine.errors import InvariantBroken, MissingDataError
from infra.db.runs import get_run
from infra.db.tables import RuleBookRow, RunRow, SnapshotRow

if TYPE_CHECKING:
    from infra.db.database import Database


@dataclass(frozen=True, slots=True)
class KnownSnapshot:
    """A snapshot of the store, and when it was recorded."""

    snapshot_id: str
    business_date: date
    as_of: datetime
    content_hashes: Mapping[str, object]
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class KnownRuleBook:
    """A rule book: in force from ``effective_date``, known since ``recorded_at``."""

    rule_book_hash: str
    effective_date: date
    recorded_at: datetime
    source: str
    content: str


class Records:
    """What runs looked at and by which rules."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record_snapshot(
        self,
        run_id: str,
        snapshot_id: str,
        business_date: date,
        as_of: datetime,
        content_hashes: Mapping[str, str],
    ) -> None:
        """Bind the run to the snapshot; raise InvariantBroken if it rests on another one."""
        row = {
            "snapshot_id": snapshot_id,
            "business_date": business_date,
            "as_of": as_of,
            "content_hashes": dict(content_hashes),
        }
        with self._database.writing() as connection:
            known = select(SnapshotRow.snapshot_id).where(SnapshotRow.snapshot_id == snapshot_id)
            if connection.execute(known).one_or_none() is None:
                row["recorded_at"] = self._database.clock()
                connection.execute(insert(SnapshotRow), row)
            _bind(connection, run_id, "snapshot_id", snapshot_id)

    def record_rule_book(
        self, run_id: str, rule_book_hash: str, effective_date: date, source: str, content: str
    ) -> None:
        """Bind the run to the rule book; raise InvariantBroken if it rests on another one."""
        row = {
            "rule_book_hash": rule_book_hash,
            "effective_date": effective_date,
            "source": source,
            "content": content,
        }
        with self._database.writing() as connection:
            known = select(RuleBookRow.content).where(RuleBookRow.rule_book_hash == rule_book_hash)
            found = connection.execute(known).one_or_none()
            if found is None:
                row["recorded_at"] = self._database.clock()
                connection.execute(insert(RuleBookRow), row)
                self._database.audit.append_within(
                    connection,
                    "rule book recorded",
                    rule_book_hash,
                    {"effective_date": effective_date, "source": source},
                )
            elif found[0] != content:
                raise InvariantBroken(f"two rule books have the hash {rule_book_hash}")
            _bind(connection, run_id, "rule_book_hash", rule_book_hash)

    def rule_book(self, rule_book_hash: str) -> KnownRuleBook:
        """Return the rule book of that hash, or raise MissingDataError."""
        query = select(RuleBookRow.__table__).where(RuleBookRow.rule_book_hash == rule_book_hash)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise MissingDataError(f"no rule book {rule_book_hash} is recorded")
        return KnownRuleBook(**row)

    def rule_book_named(self, beginning: str) -> KnownRuleBook:
        """Return the one rule book whose hash begins so.

        Raises
        ------
        MissingDataError
            If none does, or several do.
        """
        hashes = RuleBookRow.rule_book_hash
        query = select(hashes).where(hashes.startswith(beginning, autoescape=True)).limit(2)
        with self._database.reading() as connection:
            found = list(connection.execute(query).scalars())
        if len(found) != 1:
            number = "several rule books have hashes that begin" if found else "no rule book begins"
            raise MissingDataError(
                f"{number} with {beginning}: `plimsoll runs --json` and reports name them",
                identifier=beginning,
            )
        return self.rule_book(str(found[0]))

    def snapshot(self, snapshot_id: str) -> KnownSnapshot:
        """Return the record of that snapshot, or raise MissingDataError."""
        query = select(SnapshotRow.__table__).where(SnapshotRow.snapshot_id == snapshot_id)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise MissingDataError(f"no snapshot {snapshot_id} is recorded")
        return KnownSnapshot(**row)


def _bind(connection: Connection, run_id: str, column: str, value: str) -> None:
    run = get_run(connection, run_id)
    bound = getattr(run, column)
    if bound == value:
        return
    if bound is not None:
        raise InvariantBroken(f"{run_id} rests on {column} {bound}, now on {value}")
    connection.execute(update(RunRow).where(RunRow.run_id == run_id).values({column: value}))
